"""`trio-h2 get` with foreign servers and proxies, beside curl."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.interop.bodies import body, pieces
from tests.interop.nginx import nginx_command
from tests.interop.processes import free_port, run, running
from tests.interop.test_client_proxies import squid, targets, tinyproxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder
    from tests.interop.test_client_proxies import Running

GET: list[str | Path] = [sys.executable, "-m", "trio_h2", "get"]

_HTTP = """
    server {{
        listen 127.0.0.1:{ports[0]} ssl http2;
        listen 127.0.0.1:{ports[1]} ssl;
        listen 127.0.0.1:{ports[2]};
        keepalive_requests 10;
        ssl_certificate {files.certificate};
        ssl_certificate_key {files.key};
        root {folder}/site;
        location = /moved {{ return 302 /99; }}
        location = /busy {{ return 503; }}
    }}
"""


@dataclass(frozen=True)
class Nginx:
    """The URLs of one nginx."""

    newer: str
    older: str
    plain: str


@asynccontextmanager
async def nginx(peers: PeerFinder, folder: Path, files: TlsFiles) -> AsyncGenerator[Nginx, None]:
    """Serves 100 files, with HTTP/2, with HTTP/1.1 and without TLS; a connection ends with its tenth request."""
    ports = [free_port() for _ in range(3)]
    (folder / "site").mkdir()
    for number in range(100):
        (folder / "site" / str(number)).write_bytes(b"file %d\n" % number)
    (folder / "site" / "large.bin").write_bytes(b"".join(pieces(3_000_000)))
    command = nginx_command(peers, folder, _HTTP.format(ports=ports, files=files, folder=folder))
    async with running(*command) as program:
        await program.wait_for_port(ports[2])
        yield Nginx(f"https://127.0.0.1:{ports[0]}", f"https://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[2]}")


@pytest.mark.parametrize("parallel", ["1", "30"])
async def test_many_files_of_nginx(peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles, parallel: str) -> None:
    """It ends each session after ten requests, which nobody notices."""
    expected = "".join(f"file {number}\n" for number in range(100))
    async with nginx(peers, tmp_path, tls_files) as site:
        for base, more in ((site.newer, []), (site.older, []), (site.plain, ["--http1"])):
            urls = [f"{base}/{number}" for number in range(100)]
            done = await run(*GET, "--ca", tls_files.ca, "--parallel", parallel, *more, *urls)
            assert (done.text, done.errors) == (expected, "")


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/moved", ["-L"]),
        ("/moved", ["-L", "-i"]),
        ("/moved", ["-i"]),
        ("/1", ["-H", "range: bytes=2-4", "-i"]),
        ("/busy", ["--fail"]),
        ("/absent", ["--retry", "2"]),
        ("/1", ["-X", "DELETE", "-i"]),
    ],
)
async def test_what_curl_says_too(
    peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles, path: str, options: list[str]
) -> None:
    async with nginx(peers, tmp_path, tls_files) as site:
        ours = await run(*GET, "--ca", tls_files.ca, *options, f"{site.newer}{path}", check=False)
        curl: list[str | Path] = [peers.program("curl"), "-q", "-sS", "--cacert", tls_files.ca]
        theirs = await run(*curl, *options, f"{site.newer}{path}", check=False)
    assert ours.returncode == theirs.returncode
    assert _comparable(ours.text) == _comparable(theirs.text)


def _comparable(text: str) -> str:
    """Without dates, and without carriage returns, which curl writes in heads."""
    return re.sub(r"^date: .*\n", "", re.sub(r" ?\r\n", "\n", text), flags=re.MULTILINE)


async def test_a_large_file_under_its_name(peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles) -> None:
    there = tmp_path / "there"
    there.mkdir()
    async with nginx(peers, tmp_path, tls_files) as site:
        for base in site.newer, site.older:
            get = " ".join(map(shlex.quote, [*map(str, GET), "--ca", str(tls_files.ca), "-O", f"{base}/large.bin"]))
            await run("sh", "-c", f"cd {shlex.quote(str(there))} && {get}")
            assert (there / "large.bin").read_bytes() == body(3_000_000)
            (there / "large.bin").unlink()


@pytest.mark.parametrize("start", [tinyproxy, squid], ids=["tinyproxy", "squid"])
async def test_proxies_that_speak_http1(start: Running, peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles) -> None:
    """They are told from those of HTTP/2 by asking them."""
    async with targets(tls_files) as (secure, plain), start(peers, tmp_path, tls_files) as proxy:
        get: list[str | Path] = [*GET, "--ca", tls_files.ca, "--proxy"]
        done = await run(*get, proxy, f"{secure}/a", f"{plain}/b", f"{secure}/c")
        assert (done.text, done.errors) == ("GET /a []GET /b []GET /c []", "")
        assert (await run(*get, proxy, "--http1", f"{plain}/d")).text.startswith("GET /d [")
        done = await run(*get, proxy.replace("s3cret", "wr0ng"), f"{secure}/a", check=False)
        assert (done.returncode, done.text) == (1, "")
        assert done.errors.startswith(f"trio-h2: cannot connect to {secure}: the proxy refused it: ")
        assert done.errors.count("\n") == 1
        assert "wr0ng" not in done.errors

"""`trio-h2 serve DIRECTORY` and foreign clients: files, ranges and conditional requests, in cleartext and over TLS."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import sys
import time
import zlib
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.bodies import MIB, body
from tests.interop.processes import run, running
from tests.interop.test_node_client import result
from tests.interop.transfer import checksum

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import Finished, PeerFinder

ROOT = Path(__file__).parents[2]
BIG = body(3 * MIB + 7)
PAGE = b"<!doctype html><p>a page</p>\n" * 100
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@dataclass(frozen=True, slots=True)
class Site:
    """A directory, and the process that serves it."""

    folder: Path
    url: str
    ca: Path | None
    pid: int


FILES = ("big.bin", "page.html", "page.html.gz", "sub/index.html")


@pytest.fixture(params=["h2c", "tls"])
async def site(request: pytest.FixtureRequest, tls_files: TlsFiles, tmp_path: Path) -> AsyncGenerator[Site, None]:
    """A directory that `trio-h2 serve` serves."""
    (tmp_path / "big.bin").write_bytes(BIG)
    (tmp_path / "page.html").write_bytes(PAGE)
    (tmp_path / "page.html.gz").write_bytes(gzip.compress(PAGE))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.html").write_bytes(PAGE)
    for name in FILES:
        os.utime(tmp_path / name, (784_111_777, 784_111_777))
    tls = request.param == "tls"
    options = ["--cert", str(tls_files.certificate), "--key", str(tls_files.key)] if tls else []
    command = [sys.executable, "-m", "trio_h2", "serve", str(tmp_path), "--host", "127.0.0.1", *options]
    async with running(*command, cwd=ROOT) as program:
        url = (await program.wait_for(r"^Listening on (\S+)$"))[1]
        # What has changed within the last second has a weak tag, with which no range can be asked for.
        changed = max(os.stat(tmp_path / name).st_ctime for name in FILES)
        await trio.sleep(max(0.0, changed + 1.1 - time.time()))
        yield Site(tmp_path, url, tls_files.ca if tls else None, program.pid)
        assert program.output == f"Listening on {url}\n", "the server has nothing to complain about"


# -- curl --------------------------------------------------------------------------------------------------------------


class Curl:
    """curl on the site; the last line of its standard error is version, status and bytes received."""

    def __init__(self, program: str, site: Site) -> None:
        self._url = site.url
        version = ["--http2-prior-knowledge"] if site.ca is None else ["--http2", "--cacert", str(site.ca)]
        summary = "%{stderr}%{http_version} %{http_code} %{size_download}\n"
        self._command = [program, "-q", "-sS", "--max-time", "60", "-w", summary, *version]

    async def __call__(self, path: str, *options: str | Path) -> Finished:
        return await run(*self._command, *options, self._url + path)


@pytest.fixture
def curl(site: Site, peers: PeerFinder) -> Curl:
    return Curl(peers.program("curl"), site)


async def test_curl_reads_files(curl: Curl, site: Site) -> None:
    done = await curl("/big.bin")
    assert (done.errors, done.stdout) == (f"2 200 {len(BIG)}\n", BIG)
    done = await curl("/big.bin", "--head")
    assert f"content-length: {len(BIG)}" in done.text
    assert f"last-modified: {DATE}" in done.text
    assert "location: /sub/?a=b\r\n" in (await curl("/sub?a=b", "-i")).text
    if site.ca is not None:  # with prior knowledge curl 7.88 cannot use a session twice
        done = await curl("/sub?a=b", "--location")
        assert (done.errors, done.stdout) == (f"2 200 {len(PAGE)}\n", PAGE)
    done = await curl("/page.html", "--compressed", "-H", "accept-encoding: gzip")
    assert done.stdout == PAGE
    assert done.errors.startswith("2 200 ")
    assert int(done.errors.split()[2]) < len(PAGE)
    assert (await curl("/missing")).errors.startswith("2 404 ")
    done = await curl("/../big.bin", "--path-as-is")
    assert done.errors.startswith("2 404 ")


async def test_curl_asks_for_ranges(curl: Curl, tmp_path: Path) -> None:
    done = await curl("/big.bin", "-r", "1000-299999")
    assert (done.errors, done.stdout) == ("2 206 299000\n", BIG[1000:300_000])
    done = await curl("/big.bin", "-r", "-7")
    assert done.stdout == BIG[-7:]
    done = await curl("/big.bin", "-r", "0-9,1000000-1000009", "-i")
    assert done.errors.startswith("2 206 ")
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    message = message_from_bytes(head.partition(b"\r\n")[2] + b"\r\n\r\n" + content)
    assert [part["content-range"] for part in message.walk()][1:] == [
        f"bytes 0-9/{len(BIG)}",
        f"bytes 1000000-1000009/{len(BIG)}",
    ]
    assert BIG[:10] in content
    assert BIG[1_000_000:1_000_010] in content
    done = await curl("/big.bin", "-r", "9999999-", "-i")
    assert f"content-range: bytes */{len(BIG)}" in done.text
    assert done.errors.startswith("2 416 ")


async def test_curl_resumes_a_download(curl: Curl, tmp_path: Path) -> None:
    file = tmp_path / "resumed"
    file.write_bytes(BIG[:1_234_567])
    done = await curl("/big.bin", "-C", "-", "-o", file)
    assert done.errors == f"2 206 {len(BIG) - 1_234_567}\n"
    assert file.read_bytes() == BIG


async def test_curl_asks_on_conditions(curl: Curl, tmp_path: Path) -> None:
    tag, file = tmp_path / "tag", tmp_path / "page"
    first = await curl("/page.html", "--etag-save", tag, "-o", file)
    assert first.errors == f"2 200 {len(PAGE)}\n"
    again = await curl("/page.html", "--etag-compare", tag, "-o", tmp_path / "again")
    assert again.errors == "2 304 0\n"
    assert (await curl("/page.html", "-z", DATE)).errors == "2 304 0\n"
    assert (await curl("/page.html", "-z", "Sun, 06 Nov 1994 08:49:36 GMT")).stdout == PAGE
    assert (await curl("/page.html", "-H", 'if-match: "stale"')).errors.startswith("2 412 ")


# -- nghttp ------------------------------------------------------------------------------------------------------------


async def test_nghttp(site: Site, peers: PeerFinder) -> None:
    nghttp = [peers.program("nghttp"), "--no-verify-peer", "--timeout=60"]
    assert (await run(*nghttp, f"{site.url}/big.bin")).stdout == BIG
    assert (await run(*nghttp, "-Hrange: bytes=5-1000004", f"{site.url}/big.bin")).stdout == BIG[5:1_000_005]
    told = (await run(*nghttp, "-v", f"-Hif-modified-since: {DATE}", f"{site.url}/page.html")).text
    assert ":status: 304" in told
    assert "recv DATA frame" not in told
    assert "RST_STREAM" not in told
    # nghttp accepts gzip: this is a part of that.
    told = (await run(*nghttp, "-v", "-n", "-Hrange: bytes=0-0", f"{site.url}/page.html")).text
    assert f"content-range: bytes 0-0/{len(gzip.compress(PAGE))}" in told
    assert "content-encoding: gzip" in told


# -- Node --------------------------------------------------------------------------------------------------------------


async def test_node(site: Site, peers: PeerFinder) -> None:
    script = Path(__file__).parent / "node" / "files.js"
    seen = result((await run(peers.program("node"), script, site.url, *([site.ca] if site.ca else []))).text)
    whole = seen.part("whole")
    whole.check_whole(length=len(BIG))
    assert whole.sha256 == hashlib.sha256(BIG).hexdigest()
    seen.part("head").check_whole(length=0)
    part = seen.part("part")
    part.check_whole(status=206, length=299_000)
    assert part.sha256 == hashlib.sha256(BIG[1000:300_000]).hexdigest()
    assert part.part("headers")["content-range"] == f"bytes 1000-299999/{len(BIG)}"
    parts = seen.part("parts").part("headers")
    assert str(parts["content-type"]).startswith("multipart/byteranges; boundary=")
    seen.part("parts").check_whole(status=206, length=int(str(parts["content-length"])))
    seen.part("stale").check_whole(length=len(BIG))
    assert (seen.part("beyond").status, seen.part("failed").status) == (416, 412)
    for name in ("same", "since"):
        seen.part(name).check_whole(status=304, length=0)
    assert seen.part("coded").part("headers")["content-encoding"] == "gzip"
    assert seen.part("missing").status == 404
    many = seen.many
    assert isinstance(many, list)
    for number, one in enumerate(many):
        one.check_whole(status=206, length=500)
        assert one.sha256 == hashlib.sha256(BIG[number * 1000 : number * 1000 + 500]).hexdigest()


# -- httpx -------------------------------------------------------------------------------------------------------------


async def test_httpx(site: Site, tls_files: TlsFiles, peers: PeerFinder) -> None:
    for library in ("httpx", "h2"):
        if importlib.util.find_spec(library) is None:
            peers.missing(f"the library {library} is not installed")
    import httpx

    context = tls_files.authority.client_context(alpn=())
    async with httpx.AsyncClient(
        http1=False, http2=True, verify=context, base_url=site.url, timeout=60, trust_env=False
    ) as client:
        whole = await client.get("/big.bin")
        assert (whole.http_version, whole.status_code, whole.content) == ("HTTP/2", 200, BIG)
        while whole.headers["etag"].startswith("W/"):  # a second after the files were made
            await trio.sleep(0.1)
            whole = await client.head("/big.bin")
        part = await client.get("/big.bin", headers={"range": "bytes=-1000", "if-range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, BIG[-1000:])
        same = await client.get("/big.bin", headers={"if-none-match": whole.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        page = await client.get("/page.html", headers={"accept-encoding": "gzip"})
        assert (page.headers["content-encoding"], page.content) == ("gzip", PAGE)
        moved = await client.get("/sub?a=b", follow_redirects=True)
        assert (moved.url.path, moved.url.query, moved.content) == ("/sub/", b"a=b", PAGE)


# -- a gibibyte --------------------------------------------------------------------------------------------------------


def resident(pid: int, which: str) -> int:
    """Returns a figure of a process's resident memory, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines[which].split()[0]) * 1024


# Minutes are for slow machines; it takes seconds.
@pytest.mark.timeout(600)
@pytest.mark.parity("E6")
async def test_a_sparse_file_of_one_gibibyte(site: Site) -> None:
    """It arrives, and the server's memory does not grow with it."""
    with (site.folder / "sparse").open("wb") as file:
        file.truncate(1024 * MIB)
    context = None if site.ca is None else trio_h2.client_ssl_context(site.ca)
    async with trio_h2.connect(site.url, ssl_context=context) as session:
        async with session.request("GET", "/big.bin") as stream:
            assert await checksum(stream) == (len(BIG), zlib.crc32(BIG))
        before = resident(site.pid, "VmRSS")
        async with session.request("GET", "/sparse") as stream:
            assert (await checksum(stream))[0] == 1024 * MIB
    assert resident(site.pid, "VmHWM") - before < 32 * MIB

"""Files that our HTTP client downloads from nginx, and goes on with; and those that it sends in forms to Node."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.bodies import MIB, body
from tests.interop.nginx import nginx_command
from tests.interop.processes import free_port, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

_HTTP = """
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {folder}/files;
        gzip on;
        gzip_min_length 1;
        gzip_types *;
        location /slow/ {{ alias {folder}/files/; limit_rate 4m; }}
    }}
"""
_FILE = body(6 * MIB)


@pytest.fixture
async def nginx(peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path) -> AsyncGenerator[str, None]:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "file").write_bytes(_FILE)
    port = free_port()
    http = _HTTP.format(folder=tmp_path, port=port, certificate=tls_files.certificate, key=tls_files.key)
    async with running(*nginx_command(peers, tmp_path, http)) as program:
        await program.wait_for_port(port)
        yield f"https://127.0.0.1:{port}"


@pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])
async def test_a_download_that_was_cancelled_goes_on(
    nginx: str, http1: bool, tls_files: TlsFiles, tmp_path: Path
) -> None:
    context = tls_files.authority.client_context()
    context.set_alpn_protocols(["http/1.1" if http1 else "h2"])
    file = tmp_path / "out"
    async with trio_h2.Client(ssl_context=context) as client:
        with trio.CancelScope() as scope:

            def look(received: int, expected: int | None) -> None:
                assert expected == len(_FILE)
                if received > MIB:
                    scope.cancel()

            await client.download(f"{nginx}/slow/file", file, resume=True, progress=look)
        assert scope.cancelled_caught
        assert not file.exists()
        first: list[int] = []
        response = await client.download(
            f"{nginx}/slow/file", file, resume=True, progress=lambda received, _: first.append(received)
        )
        assert (response.status, response.http_version) == (206, "1.1" if http1 else "2")
        assert MIB < first[0] < len(_FILE)
        assert file.read_bytes() == _FILE
        # What nginx compresses has a weak etag.
        response = await client.download(f"{nginx}/file", file, resume=True, decode=True)
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["etag"].startswith("W/")
        assert file.read_bytes() == _FILE
    assert [name for name in os.listdir(tmp_path) if name.startswith("out")] == ["out"]


@pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])
async def test_node_reads_forms_with_files(http1: bool, peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path) -> None:
    """By the parser of its fetch API, which goes by the same standard as browsers."""
    (tmp_path / "file.png").write_bytes(_FILE)
    context = tls_files.authority.client_context()
    context.set_alpn_protocols(["http/1.1" if http1 else "h2"])
    script = Path(__file__).parent / "node" / "forms.js"
    async with (
        running(peers.program("node"), script, tls_files.certificate, tls_files.key) as program,
        trio_h2.Client(ssl_context=context) as client,
    ):
        port = (await program.wait_for(r"^listening (\d+)$"))[1]
        response = await client.post(
            f"https://127.0.0.1:{port}",
            data={"name": "Grüße", "many": ["1", "2"]},
            files={"file": tmp_path / "file.png", "named": ('ü "x".txt', b"text", "text/plain")},
        )
    assert response.ok, response.text
    told = response.json()
    assert isinstance(told, dict)
    assert told["version"] == ("1.1" if http1 else "2.0")
    assert told["length"] == str(told["size"])
    assert told["form"] == [
        ["name", "Grüße"],
        ["many", "1"],
        ["many", "2"],
        ["file", "file.png", "image/png", len(_FILE), hashlib.sha256(_FILE).hexdigest()],
        ["named", 'ü "x".txt', "text/plain", 4, hashlib.sha256(b"text").hexdigest()],
    ]

"""The commands on the pages of the documentation, word for word, but for the port."""

from __future__ import annotations

import itertools
import shlex
import shutil
import sys
import time
from typing import TYPE_CHECKING

import event_source
import json_api
import json_client
import logs
import mutual_tls_client
import mutual_tls_server
import proxy as proxy_program
import pytest
import share
import share_1
import tls_client
import tls_server
import trio

import trio_h2
from tests.docs.conftest import CODE, ROOT
from tests.interop.processes import free_port, run, running
from trio_h2.compat import request_handler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.interop.processes import PeerFinder

MAKE_CERTIFICATE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost "
    "-addext subjectAltName=DNS:localhost"
)


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peers: PeerFinder) -> Path:
    """A folder with the certificate that the pages make."""
    peers.program("openssl")
    peers.program("curl")
    monkeypatch.chdir(tmp_path)
    await run(*shlex.split(MAKE_CERTIFICATE))
    return tmp_path


async def started(main: Callable[[], Awaitable[None]], nursery: trio.Nursery, port: int) -> None:
    nursery.start_soon(main)
    while True:
        try:
            await (await trio.open_tcp_stream("localhost", port)).aclose()
        except OSError:
            await trio.sleep(0.02)
        else:
            return


async def test_the_json_api(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    monkeypatch.setattr(json_api, "PORT", port)
    monkeypatch.setattr(json_api, "notes", {})
    monkeypatch.setattr(json_api, "new_id", itertools.count(1))
    (folder / "picture.png").write_bytes(bytes(3_000_000))
    (folder / "large.png").write_bytes(bytes(6_000_000))
    async with trio.open_nursery() as nursery:
        await started(json_api.main, nursery, port)
        for line, answer in [
            (
                """curl --cacert cert.pem https://localhost:8443/notes -d '{"text": "buy milk"}'""",
                '{"text":"buy milk"}',
            ),
            ("curl --cacert cert.pem https://localhost:8443/notes", '{"1":{"text":"buy milk"}}'),
            ("curl --cacert cert.pem https://localhost:8443/notes/1/picture -T picture.png", ""),
            (
                "curl --cacert cert.pem https://localhost:8443/notes/1/picture -T large.png",
                "a picture has at most 5242880 bytes\n",
            ),
            (
                """curl --cacert cert.pem https://localhost:8443/notes -d '{"text":'""",
                "the body is not JSON: Expecting value in line 1, column 9\n",
            ),
        ]:
            version = ["--write-out", "%{stderr}HTTP/%{http_version}"]
            done = await run(*shlex.split(line.replace("8443", str(port))), *version)
            assert done.text == answer
            assert "HTTP/2" in done.errors
        # "python3 json_client.py https://localhost:8443 cert.pem"
        await json_client.main(f"https://localhost:{port}", trio_h2.client_ssl_context("cert.pem", allow_http1=True))
        nursery.cancel_scope.cancel()
    assert capsys.readouterr().out.partition("\n")[2].startswith("201 /notes/3\n{'1': {'text': 'buy milk'}")


async def test_events(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(event_source, "PORT", port)
    monkeypatch.setattr(event_source, "INTERVAL", 0.05)
    line = "curl --no-buffer --cacert cert.pem https://localhost:8443/ticks"
    async with trio.open_nursery() as nursery:
        await started(event_source.main, nursery, port)
        async with running(*shlex.split(line.replace("8443", str(port)))) as curl:
            await curl.wait_for(r'id: 1\nevent: tick\ndata: {"number": 1}\n\nid: 2')
        nursery.cancel_scope.cancel()


async def test_the_proxy_serves_curl(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def target(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"hello\n")

    port = free_port()
    monkeypatch.setattr(proxy_program, "PORT", port)
    line = "curl --proxytunnel --proxy http://localhost:8080 https://example.com/"
    context = trio_h2.server_ssl_context("cert.pem", "key.pem")
    async with (
        trio.open_nursery() as nursery,
        trio_h2.open_server(target, host="127.0.0.1", ssl_context=context) as server,
    ):
        await started(proxy_program.main, nursery, port)
        ours = line.replace("8080", str(port)).replace("example.com", f"127.0.0.1:{server.port}")
        done = await run(*shlex.split(ours), "--insecure")
        assert done.text == "hello\n"
        nursery.cancel_scope.cancel()


async def test_mutual_tls(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the authority and the certificates that the page makes."""
    for line in [
        """openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3650 -subj "/CN=my authority" """
        "-addext keyUsage=critical,keyCertSign,cRLSign",
        "openssl req -x509 -CA ca.pem -CAkey ca.key -newkey rsa:2048 -nodes -keyout server.key -out server.pem -days "
        "365 -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE",
        "openssl req -x509 -CA ca.pem -CAkey ca.key -newkey rsa:2048 -nodes -keyout jane.key -out jane.pem -days "
        "365 -subj /CN=jane -addext basicConstraints=critical,CA:FALSE",
    ]:
        await run(*shlex.split(line))
    port = free_port()
    monkeypatch.setattr(mutual_tls_server, "PORT", port)
    async with trio.open_nursery() as nursery:
        await started(mutual_tls_server.main, nursery, port)
        # "python3 mutual_tls_client.py https://localhost:8443"
        await mutual_tls_client.main(f"https://localhost:{port}")
        assert capsys.readouterr().out == "hello, jane\n"
        line = "curl --cacert ca.pem --cert jane.pem --key jane.key https://localhost:8443/"
        assert (await run(*shlex.split(line.replace("8443", str(port))))).text == "hello, jane\n"
        done = await run("curl", "--cacert", "ca.pem", f"https://localhost:{port}/", check=False)
        assert done.returncode != 0
        nursery.cancel_scope.cancel()


async def test_tls(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    monkeypatch.setattr(tls_server, "PORT", port)
    async with trio.open_nursery() as nursery:
        await started(tls_server.main, nursery, port)
        # "python3 tls_client.py https://localhost:8443 cert.pem"
        await tls_client.main(f"https://localhost:{port}", "cert.pem")
        nursery.cancel_scope.cancel()
    assert capsys.readouterr().out == "TLSv1.3, h2\n"


async def test_logs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(logs, "PORT", port)
    monkeypatch.setattr("logging.Formatter.converter", time.localtime)  # the program sets it
    async with trio.open_nursery() as nursery:
        await started(logs.main, nursery, port)
        line = "curl --http2-prior-knowledge http://localhost:8080/hello"
        assert (await run(*shlex.split(line.replace("8080", str(port))))).text == "hello\n"
        nursery.cancel_scope.cancel()


async def test_the_first_step_of_the_tutorial(folder: Path) -> None:
    line = "curl --http2-prior-knowledge http://localhost:8080/hello/Jane"
    async with trio_h2.open_server(request_handler(share_1.app)) as server:
        assert (await run(*shlex.split(line.replace("8080", str(server.port))))).text == "hello, Jane\n"


async def test_the_service_of_the_tutorial(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(share, "PORT", port)
    (folder / "notes.txt").write_text("hello\n")
    async with trio.open_nursery() as nursery:
        await started(share.main, nursery, port)
        for line, answer in [
            ("curl --cacert cert.pem https://localhost:8443/files/notes.txt -T notes.txt", ""),
            ("curl --cacert cert.pem https://localhost:8443/files", '[{"name":"notes.txt","size":6}]'),
            ("curl --cacert cert.pem https://localhost:8443/files/notes.txt", "hello\n"),
        ]:
            assert (await run(*shlex.split(line.replace("8443", str(port))))).text == answer
        nursery.cancel_scope.cancel()


async def test_the_test_of_the_tutorial_with_curl(folder: Path) -> None:
    for name in ("share.py", "test_share.py"):
        shutil.copy(CODE / name, folder)
    await run("sh", "-c", r"printf '[pytest]\ntrio_mode = true\n' > pytest.ini")
    line = "python3 -m pytest test_share.py"
    done = await run("sh", "-c", line.replace("python3", f"PYTHONPATH={ROOT} {sys.executable}"))
    assert "9 passed" in done.text

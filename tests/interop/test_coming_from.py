"""The programs of docs/coming-from-hypercorn.md and docs/coming-from-httpx.md: both columns do the same."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import with_trio_h2

import trio_h2
from tests.interop.processes import free_port, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

ROOT = Path(__file__).parents[2]
CODE = ROOT / "docs" / "code"
HYPERCORN = "hypercorn --worker-class trio --bind localhost:8443 --certfile cert.pem --keyfile key.pem sum_asgi:app"
OURS = "python3 sum_app.py"
ASGI = "trio-h2 serve --asgi sum_asgi:app --port 8443 --cert cert.pem --key key.pem"
COMMAND_LINE = "trio-h2 serve --app sum_app.py:app --port 8443 --cert cert.pem --key key.pem --allow-http1"


def text_of(page: str) -> str:
    """Returns a page."""
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def rows_of(text: str) -> list[tuple[str, str]]:
    """Returns the two columns of the tables in a text."""
    return re.findall(r"^\| ([^|]*) \| ([^|]*) \|$", text, re.MULTILINE)


def table(page: str) -> list[tuple[str, str]]:
    """Returns the two columns of the tables of a page."""
    return rows_of(text_of(page))


# -- hypercorn ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [HYPERCORN, ASGI, OURS, COMMAND_LINE])
async def test_the_same_service(line: str, tmp_path: Path, tls_files: TlsFiles, peers: PeerFinder) -> None:
    if importlib.util.find_spec("hypercorn") is None:
        peers.missing("the library hypercorn is not installed")
    assert f"$ {line}\n" in (ROOT / "docs" / "coming-from-hypercorn.md").read_text(encoding="utf-8")
    port = free_port()
    for name in ("sum_app.py", "sum_asgi.py"):
        (tmp_path / name).write_text(
            (CODE / name).read_text(encoding="utf-8").replace("8443", str(port)), encoding="utf-8"
        )
    (tmp_path / "cert.pem").write_bytes(tls_files.certificate.read_bytes())
    (tmp_path / "key.pem").write_bytes(tls_files.key.read_bytes())
    program, *arguments = shlex.split(line.replace("8443", str(port)))
    found = {"hypercorn": ["-m", "hypercorn"], "trio-h2": ["-m", "trio_h2"], "python3": []}[program]
    async with running(sys.executable, *found, *arguments, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}) as server:
        await server.wait_for_port(port)
        context = trio_h2.client_ssl_context(tls_files.ca)
        async with trio_h2.connect(f"https://localhost:{port}", ssl_context=context) as session:
            async with session.request("GET", "/you") as stream:
                response = await stream.receive_response()
                assert (response.status, response["content-type"]) == (200, "text/plain; charset=utf-8")
                assert await stream.text() == "hello, /you\n"
            sent = bytes(range(256)) * 4000
            async with session.request("POST", "/sum", body=sent) as stream:
                assert await stream.text() == f"{hashlib.sha256(sent).hexdigest()}\n"


async def test_settings_of_hypercorn_exist(peers: PeerFinder) -> None:
    if importlib.util.find_spec("hypercorn") is None:
        peers.missing("the library hypercorn is not installed")
    from hypercorn.config import Config

    page, _, _ = text_of("coming-from-hypercorn.md").partition("## Options of uvicorn")
    rows = [left for left, _ in rows_of(page) if "." not in left and "Middleware" not in left]
    named = {name for left in rows for name in re.findall(r"`(\w+)`", left)}
    assert len(named) > 35
    assert [name for name in sorted(named) if not hasattr(Config, name)] == []


# -- uvicorn -----------------------------------------------------------------------------------------------------------


async def test_options_of_uvicorn_exist(peers: PeerFinder) -> None:
    """All of them are on the page, and no other."""
    if importlib.util.find_spec("uvicorn") is None:
        peers.missing("the library uvicorn is not installed")
    uvicorn = importlib.import_module("uvicorn")
    _, _, page = text_of("coming-from-hypercorn.md").partition("## Options of uvicorn")
    page, _, _ = page.partition("## Events")
    named = {name for left, _ in rows_of(page) for name in re.findall(r"`(\w+)`", left)}
    taken = set(inspect.signature(uvicorn.Config).parameters) - {"app"}
    assert sorted(named - taken) == []
    assert len(named) > 40


# -- httpx -------------------------------------------------------------------------------------------------------------


async def notes_and_files(stream: trio_h2.ServerStream) -> None:
    """The server of both clients."""
    match stream.method, stream.path:
        case "GET", "/notes":
            kind = stream.headers["accept"]
            await stream.respond({"content-type": kind}, body=b'["buy milk"]')
        case "POST", "/notes":
            assert stream.headers["content-type"] == "application/json"
            assert await stream.json() == {"text": "buy bread"}
            await stream.respond({":status": 201, "location": "/notes/2"})
        case "GET", "/one" | "/two":
            await stream.respond(body=bytes(1_000_000 if stream.path == "/one" else 2_000_000))
        case "PUT", "/file":
            size = sum([len(chunk) async for chunk in stream])
            await stream.respond(201 if size == 500_000 else 400)
        case "GET", "/slow":
            await trio.sleep_forever()


@pytest.fixture
async def url() -> AsyncGenerator[str, None]:
    async with trio_h2.open_server(notes_and_files, allow_http1=True, grace=0) as server:
        yield server.url.rstrip("/")


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(5):
        yield bytes(100_000)


async def test_with_httpx(url: str, peers: PeerFinder) -> None:
    for library in ("httpx", "h2"):
        if importlib.util.find_spec(library) is None:
            peers.missing(f"the library {library} is not installed")
    import httpx
    import with_httpx

    assert await with_httpx.notes(url) == ["buy milk"]
    async with httpx.AsyncClient(http1=False, http2=True, base_url=url, trust_env=False) as client:
        assert await with_httpx.add(client, "buy bread") == "/notes/2"
        assert await with_httpx.size(client, "/one") == 1_000_000
        assert await with_httpx.upload(client, chunks()) == 201
        assert await with_httpx.in_time(client) is None
        assert sorted(await with_httpx.both(client)) == [1_000_000, 2_000_000]


async def test_with_trio_h2(url: str) -> None:
    assert await with_trio_h2.notes(url) == ["buy milk"]
    async with trio_h2.Client(prior_knowledge=True) as client:
        assert await with_trio_h2.add(client, url, "buy bread") == "/notes/2"
        assert await with_trio_h2.size(client, f"{url}/one") == 1_000_000
        assert await with_trio_h2.upload(client, url, chunks()) == 201
        assert await with_trio_h2.in_time(client, url) is None
        assert sorted(await with_trio_h2.both(client, url)) == [1_000_000, 2_000_000]
        assert len(client.sessions) == 1


async def test_names_of_httpx_exist(peers: PeerFinder) -> None:
    if importlib.util.find_spec("httpx") is None:
        peers.missing("the library httpx is not installed")
    import httpx

    named = {name for left, _ in table("coming-from-httpx.md") for name in re.findall(r"`([A-Z]\w+)\b", left)}
    assert len(named) > 15
    assert [name for name in sorted(named) if not hasattr(httpx, name)] == []

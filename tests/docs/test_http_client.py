"""The programs of docs/http-client.md, docs/httpx-transport.md and of what which-errors-to-retry.md says of Client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import client_retries
import http_client
import httpx_transport
import pytest
import trio

import trio_h2
from tests.docs.conftest import Certificates, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

EVENTS = b"event: weather\ndata: rain\n\ndata: sun\n\n"


async def handler(stream: trio_h2.ServerStream) -> None:
    match stream.method, stream.path:
        case "GET", "/hello":
            await stream.respond({"content-type": "text/plain"}, body=b"hello, world\n")
        case "POST", "/notes?verbose=1":
            await stream.respond({":status": 201, "content-type": "application/json"}, body=await stream.read())
        case "POST", "/login":
            assert await stream.read() == b"user=jane&password=s3cret"
            await stream.respond({":status": 303, "location": "/hello"})
        case "PUT", "/rows":
            await stream.respond(201 if await stream.text() == "one\ntwo\n" else 400)
        case "GET", "/news":
            assert stream.headers["accept"] == "text/event-stream"
            await stream.respond({"content-type": "text/event-stream"}, body=EVENTS)
        case "GET", "/version":
            await stream.respond(body=b'{"Version": "27"}')
        case "GET", "/slow":
            await trio.sleep(60)
        case "GET", path if path.startswith("/bytes/"):
            await stream.respond(body=bytes(int(path[7:])))
        case _:
            await stream.respond(404, body=b"nothing there")


async def rows() -> AsyncIterator[str]:
    for row in ("one", "two"):
        yield row


@pytest.mark.parametrize("http2", [False, True])
async def test_what_one_does_with_a_client(http2: bool, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(handler, allow_http1=True) as server, trio_h2.Client(prior_knowledge=http2) as client:
        url = server.url.rstrip("/")
        assert await http_client.add(client, f"{url}/notes", "milk") == {"text": "milk"}
        assert await http_client.log_in(client, f"{url}/login")
        assert await http_client.size(client, f"{url}/bytes/3000000") == 3_000_000
        assert await http_client.send(client, f"{url}/rows", rows()) == 201
        await http_client.follow_log(client, f"{url}/hello")
        await http_client.follow_news(client, f"{url}/news")
        assert capsys.readouterr().out == "hello, world\nweather rain\nmessage sun\n"
        urls = {f"{url}/bytes/{size}": size for size in (1, 20, 300)}
        assert await http_client.sizes(client, list(urls)) == urls
        assert await http_client.at_most_two_seconds(client, f"{url}/hello") == b"hello, world\n"
        assert await http_client.explain(client, f"{url}/hello") == "hello, world\n"
        assert await http_client.explain(client, f"{url}/none") == "the server said 404: nothing there"
        assert (await http_client.explain(client, f"{url}/bytes/20000000")).startswith("the body is too large, or")
        assert client.statistics().requests == 0
    async with trio_h2.Client() as client:
        assert (await http_client.explain(client, url)).startswith("no connection: ")


async def test_the_first_program(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(handler, allow_http1=True) as server:
        await http_client.main(f"{server.url}/hello".replace("//hello", "/hello"))
    assert capsys.readouterr().out == "200 text/plain 13 bytes\n"


async def test_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    short = trio_h2.Timeouts
    monkeypatch.setattr(trio_h2, "Timeouts", lambda **_: short(response=0.05))
    async with serving(handler, allow_http1=True) as server:
        url = server.url.rstrip("/")
        assert await http_client.impatient(f"{url}/slow") == "too slow: response"
        assert await http_client.impatient(f"{url}/hello") == "hello, world\n"
        async with trio_h2.Client() as client:
            with trio.CancelScope() as scope:
                scope.deadline = trio.current_time() + 0.05  # the page's own is longer
                await http_client.at_most_two_seconds(client, f"{url}/slow")
            assert scope.cancelled_caught


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with trio_h2.open_server(handler, path=path, allow_http1=True):
        assert await http_client.ask_docker(path) == {"Version": "27"}


async def test_what_is_repeated(certificates: Certificates) -> None:
    seen: list[tuple[str, str | None]] = []

    async def busy(stream: trio_h2.ServerStream) -> None:
        seen.append((stream.method, stream.headers.get("idempotency-key")))
        if len(seen) == 1:
            stream.reset(trio_h2.ErrorCode.REFUSED_STREAM)
        elif len(seen) == 3:
            await stream.respond({":status": 503, "retry-after": "0"})
        else:
            await stream.respond(200)

    async with (
        trio_h2.open_server(busy, ssl_context=certificates.authority.server_context()) as server,
        client_retries.client(certificates.authority.client_context(["h2", "http/1.1"])) as client,
    ):
        assert await client_retries.order(client, server.url, "a1", "tea") == 200
        assert (await client.get(server.url)).status == 200
    assert seen == [("POST", "a1"), ("POST", "a1"), ("GET", None), ("GET", None)]


async def test_httpx_on_our_connections(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(handler, allow_http1=True) as server:
        url = server.url.rstrip("/")
        await httpx_transport.main([f"{url}/hello", f"{url}/none"])
    lines = sorted(capsys.readouterr().out.splitlines())
    assert lines == [f"200 HTTP/1.1 {url}/hello", f"404 HTTP/1.1 {url}/none"]

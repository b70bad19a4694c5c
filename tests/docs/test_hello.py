"""The programs of the quick start and of docs/overview.md; tests/house/test_readme.py runs those of the README."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import hello_server
import hello_tls_client
import hello_tls_server
import impatient
import limits
import test_hello
import test_hello_with_h2
import trio

import trio_h2
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    import pytest
    from trio.testing import MockClock

    from tests.docs.conftest import Certificates


async def test_tls(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Server and client, as they are but for the port."""
    folder = certificates.ca.parent
    monkeypatch.chdir(folder)
    certificates.authority.write_server(folder / "server.pem", folder / "server.key")
    serve_ssl_over_tcp = trio_h2.serve_ssl_over_tcp

    async def serve(
        handler: Callable[[trio_h2.ServerStream], Awaitable[None]], port: int, context: ssl.SSLContext
    ) -> None:
        assert (handler, port) == (hello_server.hello, 8443)
        async with trio.open_nursery() as nursery:
            server: trio_h2.Server = await nursery.start(partial(serve_ssl_over_tcp, handler, 0, context))
            get = trio_h2.Client.get

            async def there(client: trio_h2.Client, url: str) -> trio_h2.Response:
                assert url == "https://localhost:8443/you"
                return await get(client, f"{server.url}/you")

            monkeypatch.setattr(trio_h2.Client, "get", there)
            await hello_tls_client.main()
            nursery.cancel_scope.cancel()

    monkeypatch.setattr(trio_h2, "serve_ssl_over_tcp", serve)
    await hello_tls_server.main()
    assert capsys.readouterr().out == "hello, /you\n"


async def test_a_request_that_takes_too_long(autojump_clock: MockClock) -> None:
    async def slow(stream: trio_h2.ServerStream) -> None:
        await trio.sleep_forever()

    async with session_pair(slow) as (session, _):
        assert await impatient.fetch(session) is None
        assert not session.closed
    async with session_pair(hello_server.hello) as (session, _):
        assert await impatient.fetch(session) == b"hello, /slow\n"


async def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[trio_h2.ServerConfig] = []

    async def serve_tcp(handler: object, port: int, *, config: trio_h2.ServerConfig) -> None:
        seen.append(config)

    monkeypatch.setattr(trio_h2, "serve_tcp", serve_tcp)
    await limits.main()
    assert [(config.max_concurrent_streams, config.idle_timeout) for config in seen] == [(256, 60)]


async def test_the_tests(autojump_clock: MockClock) -> None:
    await test_hello.test_hello()
    await test_hello_with_h2.test_hello_with_h2()


async def test_both_ways_to_name_a_status() -> None:
    """Of the docstring of `ServerStream.respond`."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/405":
            await stream.respond(405, body=b"")
        else:
            await stream.respond({":status": 503, "retry-after": 5}, body=b"later\n")

    async with session_pair(handler) as (session, _):
        async with session.request(path="/405") as stream:
            response = await stream.receive_response()
            assert (response.status, await stream.read()) == (405, b"")
        async with session.request(path="/503") as stream:
            response = await stream.receive_response()
            assert (response.status, response["retry-after"], await stream.read()) == (503, "5", b"later\n")

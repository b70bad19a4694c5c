"""A handler of requests and a client, over each version of HTTP: the same tests run on all of them."""

from __future__ import annotations

import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import h11
import pytest
import trio

import trio_h2
from tests.stream.harness import pair, watched
from trio_h2 import Headers
from trio_h2.testing import memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio_h2.compat import Request, Response

    App: TypeAlias = Callable[[Request, Response], Awaitable[object]]
    StreamHandler: TypeAlias = Callable[[trio_h2.ServerExchange], Awaitable[None]]


class Loose(Protocol):
    """Something to call with whatever arguments, for tests of wrong ones."""

    def __call__(self, *args: object, **options: object) -> object:
        """Calls it."""


VERSIONS = ("2.0", "1.1")

every_version = pytest.mark.parametrize("version", VERSIONS)


@dataclass
class Reply:
    """What a client got."""

    headers: Headers
    body: bytes
    trailers: Headers = field(default_factory=Headers)
    informational: list[Headers] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The status of the final response."""
        return self.headers.status


class Client(Protocol):
    """Makes one request at a time."""

    async def fetch(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        trailers: dict[str, str] | None = None,
        expect_continue: bool = False,
    ) -> Reply:
        """Makes a request, with a content-length unless it has *trailers*."""

    async def give_up(self) -> None:
        """After a request that was cancelled: what is left of it ends."""


class Http2Client:
    """A client over a session."""

    def __init__(self, session: trio_h2.ClientSession) -> None:
        self.session = session

    async def fetch(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        trailers: dict[str, str] | None = None,
        expect_continue: bool = False,
    ) -> Reply:
        """See `Client`."""
        request = self.session.request(
            method,
            path,
            headers=headers,
            body=b"" if trailers else body,
            end_stream=not trailers,
            expect_continue=expect_continue,
        )
        async with request as stream:
            if trailers:
                await stream.send_all(body)
                await stream.send_trailers(trailers)
            response = await stream.receive_response()
            content = b"".join([bytes(chunk) async for chunk in stream])
            received = await stream.receive_trailers() or Headers()
            return Reply(response, content, received, stream.informational)

    async def give_up(self) -> None:
        """See `Client`; leaving the block has reset the stream."""


class Http11Client:
    """A client over as many connections, one after the other, as the server makes necessary."""

    def __init__(self, nursery: trio.Nursery, handler: StreamHandler, config: trio_h2.ServerConfig | None) -> None:
        self._nursery = nursery
        self._handler = handler
        self._config = config
        self._transport: trio.abc.Stream | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def fetch(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        trailers: dict[str, str] | None = None,
        expect_continue: bool = False,
    ) -> Reply:
        """See `Client`."""
        fields = {"host": "localhost", **(headers or {})}
        if trailers:
            fields["transfer-encoding"] = "chunked"
        elif body:
            fields["content-length"] = str(len(body))
        if expect_continue:
            fields["expect"] = "100-continue"
        transport = await self._connect()
        async with trio.open_nursery() as nursery:
            go_on = trio.Event()
            if not expect_continue:
                go_on.set()
            head = h11.Request(method=method, target=path, headers=list(fields.items()))
            await self._send(transport, head)
            nursery.start_soon(self._send_body, transport, go_on, body, trailers or {})
            reply = await self._receive(transport, go_on)
            nursery.cancel_scope.cancel()  # a body that nobody wants
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            await self.give_up()
        return reply

    async def give_up(self) -> None:
        """See `Client`; the connection ends."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def _connect(self) -> trio.abc.Stream:
        if self._transport is None:
            self._http = h11.Connection(h11.CLIENT)
            self._transport, theirs = memory_transports()
            self._nursery.start_soon(self._serve, theirs)
        return self._transport

    async def _serve(self, transport: trio.abc.Stream) -> None:
        with contextlib.suppress(trio_h2.HandshakeError):  # given up before it said anything
            await trio_h2.serve_stream(self._handler, transport, config=self._config, allow_http1=True)

    async def _send(self, transport: trio.abc.Stream, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        await transport.send_all(self._http.send(event) or b"")

    async def _send_body(
        self, transport: trio.abc.Stream, go_on: trio.Event, body: bytes, trailers: dict[str, str]
    ) -> None:
        await go_on.wait()
        try:
            if body:
                await self._send(transport, h11.Data(data=body))
            await self._send(transport, h11.EndOfMessage(headers=list(trailers.items())))
        except trio.BrokenResourceError:
            pass  # answered and closed

    async def _receive(self, transport: trio.abc.Stream, go_on: trio.Event) -> Reply:
        reply = Reply(Headers(), b"")
        while True:
            event = self._http.next_event()
            match event:
                case h11.InformationalResponse():
                    reply.informational.append(_headers_of(event))
                    if event.status_code == 100:
                        go_on.set()
                case h11.Response():
                    reply.headers = _headers_of(event)
                case h11.Data():
                    reply.body += event.data
                case h11.EndOfMessage():
                    reply.trailers = Headers([(name, value) for name, value in event.headers])
                    return reply
                case h11.ConnectionClosed():
                    raise EOFError("the connection ended")
                case _:
                    self._http.receive_data(bytes(await transport.receive_some()))


def _headers_of(event: h11.InformationalResponse | h11.Response) -> Headers:
    return Headers([(":status", event.status_code), *((name, value) for name, value in event.headers)])


@asynccontextmanager
async def served(
    version: str,
    handler: StreamHandler,
    *,
    config: trio_h2.ServerConfig | None = None,
    raise_handler_errors: bool = True,
) -> AsyncIterator[Client]:
    """A client of *handler* over *version*; failed assertions of the handler fail the test, over HTTP/2 all errors."""
    if version == "2.0":
        async with pair(handler, server_config=config, raise_handler_errors=raise_handler_errors) as (session, _server):
            yield Http2Client(session)
        return
    errors: list[AssertionError] = []
    async with trio.open_nursery() as nursery:
        client = Http11Client(nursery, watched(handler, errors), config)
        yield client
        await client.give_up()
    for error in errors:
        raise error

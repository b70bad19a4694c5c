"""An HTTP/1.1 client that shares no code with the server: bytes as a test writes them, answers read by hand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import trio
import trio.testing

import trio_h2
from trio_h2.testing import memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Handler: TypeAlias = Callable[[trio_h2.ServerStream], Awaitable[object]]

HOST = "host: example.org\r\n"


@dataclass
class Answer:
    """A response as it was on the wire."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)


class RawClient:
    """The client's end of a connection."""

    def __init__(self, transport: trio.abc.Stream) -> None:
        self.transport = transport
        self._data = b""

    async def send(self, text: str | bytes) -> None:
        """Sends bytes as they are."""
        await self.transport.send_all(text.encode("latin-1") if isinstance(text, str) else text)

    async def send_slowly(self, text: str | bytes, *, pause: float = 0.0) -> None:
        """Sends bytes one by one, and lets the server look at each."""
        for octet in text.encode("latin-1") if isinstance(text, str) else text:
            await self.transport.send_all(bytes([octet]))
            if pause:
                await trio.sleep(pause)
            else:
                await trio.testing.wait_all_tasks_blocked()

    async def request(self, line: str, *headers: str, body: str | bytes = b"") -> None:
        """Sends a request for example.org."""
        fields = "".join(f"{one}\r\n" for one in headers)
        octets = body.encode("latin-1") if isinstance(body, str) else body
        await self.send(f"{line} HTTP/1.1\r\n{HOST}{fields}\r\n".encode("latin-1") + octets)

    async def send_eof(self) -> None:
        """Ends this side."""
        assert isinstance(self.transport, trio.abc.HalfCloseableStream)
        await self.transport.send_eof()

    async def answer(self, *, head: bool = False) -> Answer:
        """Reads one response; *head*: to a HEAD request."""
        status_line, *lines = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, status, *_ = status_line.split(" ")
        headers = _fields(lines)
        answer = Answer(version, int(status), headers)
        if head or answer.status < 200 or answer.status in (204, 304):
            return answer
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self._until(b"\r\n"), 16):
                answer.chunks.append(await self._exactly(size))
                assert await self._exactly(2) == b"\r\n"
            answer.body = b"".join(answer.chunks)
            while line := await self._until(b"\r\n"):
                answer.trailers |= _fields([line.decode("latin-1")])
        elif "content-length" in headers:
            answer.body = await self._exactly(int(headers["content-length"]))
        else:
            assert headers["connection"] == "close", "a body without a length ends with the connection"
            answer.body = await self.rest()
        return answer

    async def rest(self) -> bytes:
        """Reads what comes until the server ends its side."""
        while data := await self.transport.receive_some():
            self._data += data
        data, self._data = self._data, b""
        return data

    async def expect_end(self) -> None:
        """Asserts that the server ends its side, and sends nothing before."""
        assert await self.rest() == b""

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._data:
            await self._more()
        found, self._data = self._data.split(mark, 1)
        return found

    async def _exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            await self._more()
        found, self._data = self._data[:size], self._data[size:]
        return found

    async def _more(self) -> None:
        data = await self.transport.receive_some()
        if not data:
            raise EOFError(f"the connection ended after {self._data!r}")
        self._data += data


def _fields(lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon
        assert name.lower() not in fields
        fields[name.lower()] = value.strip()
    return fields


@dataclass
class Served:
    """A connection under test."""

    client: RawClient
    connection: trio_h2.Http1Connection
    exchanges: list[trio_h2.ServerStream]


@asynccontextmanager
async def serving(
    handler: Handler,
    *,
    config: trio_h2.ServerConfig | None = None,
    capacity: int | None = None,
    cancel_handler_on_reset: bool = True,
    wrap: Callable[[trio.abc.Stream], trio.abc.Stream] = lambda transport: transport,
    early: bytes = b"\r\n",
) -> AsyncGenerator[Served, None]:
    """A server of one connection in memory, over which an empty line has been sent already."""
    client_end, server_end = memory_transports(capacity)
    errors: list[AssertionError] = []
    exchanges: list[trio_h2.ServerStream] = []

    async def watched(stream: trio_h2.ServerStream) -> None:
        exchanges.append(stream)
        try:
            await handler(stream)
        except AssertionError as exc:
            errors.append(exc)
            raise

    serve = partial(
        trio_h2.serve_stream,
        watched,
        wrap(server_end),
        config=config,
        allow_http1=True,
        cancel_handler_on_reset=cancel_handler_on_reset,
    )
    async with trio.open_nursery() as nursery:
        await client_end.send_all(early)
        connection = await nursery.start(serve)
        assert isinstance(connection, trio_h2.Http1Connection)
        yield Served(RawClient(client_end), connection, exchanges)
        await client_end.aclose()
    for error in errors:
        raise error
    check_over(connection, exchanges)


def check_over(connection: trio_h2.Http1Connection, exchanges: list[trio_h2.ServerStream]) -> None:
    """Asserts that nothing is left of a connection whose handlers have ended."""
    assert connection._core.held == 0
    assert connection._core.engine.queued_body == 0
    assert connection.closed
    assert all(exchange.closed for exchange in exchanges)


async def echo(stream: trio_h2.ServerStream) -> None:
    """Answers with the request's body, and with its path, method and trailers as trailers."""
    await stream.respond({"content-type": "application/octet-stream"})
    async for chunk in stream:
        await stream.send_all(chunk)
    trailers = await stream.receive_trailers()
    await stream.send_trailers(
        {"method": stream.method, "path": stream.path, **({} if trailers is None else dict(trailers))}
    )


async def hello(stream: trio_h2.ServerStream) -> None:
    """Answers without looking."""
    await stream.respond(body=b"hello")

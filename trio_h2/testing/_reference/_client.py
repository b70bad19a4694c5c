"""The reference client: to test a server with."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import trio

import trio_h2

from ..._util import construct
from ._client_stream import ReferenceClientStream
from ._fields import fields
from ._peer import ReferencePeer

if TYPE_CHECKING:
    from ._exchange import ReferenceExchange
    from ._inbox import Inbox


class ReferenceClient(ReferencePeer):
    """A client that is h2's, over any Trio stream, to test a server or a handler with.

    Example:
        A handler answers another implementation, in memory::

            async def hello(stream: trio_h2.ServerStream) -> None:
                await stream.respond({":status": 200, "content-type": "text/plain"}, body=b"hello")

            async def test_hello() -> None:
                client_end, server_end = memory_transports()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio_h2.serve_stream, hello, server_end)
                    async with ReferenceClient(client_end) as client:
                        exchange = await client.request("GET", "/")
                        assert (exchange.status, exchange.body) == (200, b"hello")

    Args:
        transport: Any Trio stream, which the client owns from now on.
        settings: What its first SETTINGS say beside h2's defaults, e.g. ``Settings(enable_push=False)``.
        scheme: ``:scheme`` of its requests, unless they say another.
        authority: ``:authority`` of its requests, unless they say another.
        grace: Seconds that the end may take, at most: what is to be sent then may meet a transport that is full.
    """

    def __init__(
        self,
        transport: trio.abc.Stream,
        *,
        settings: trio_h2.Settings | None = None,
        scheme: str = "http",
        authority: str = "localhost",
        grace: float = 1.0,
    ) -> None:
        super().__init__(transport, client=True, settings=settings, grace=grace)
        self._scheme = scheme
        self._authority = authority

    async def request(
        self,
        method: str,
        path: str = "/",
        *,
        headers: trio_h2.HeadersInput | None = None,
        body: bytes = b"",
        trailers: trio_h2.HeadersInput | None = None,
    ) -> ReferenceExchange:
        """Sends a request and returns the whole response, which is received while the body is still being sent.

        What the server pushes on it is received, too, and waited for.

        With ``expect: 100-continue`` among the headers, the body waits for 100 or a final response; if that is an error
        (from 400 on), the body is not sent, and the stream is reset when the response is complete. Cancelled: the
        stream is reset with CANCEL.

        Args:
            method: The method.
            path: Path and query.
            headers: A mapping or pairs. None is added: ``content-length`` is yours to give. ``:scheme`` and
                ``:authority`` override those of the client.
            body: The content.
            trailers: The trailers.

        Raises:
            TypeError, ValueError: A field is not allowed.
            StreamResetError: The server has reset the stream before its response was complete.
            StreamRefusedError: It has not looked at the request.
            GoAwayError: It takes no new streams.
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed it.
        """
        section = self._section(method, path, headers, protocol=None)
        last = None if trailers is None else trio_h2.Headers(trailers)
        whole = not body and last is None
        expects = any(field == (b"expect", b"100-continue") for field in section)
        stream = await self._send_request(section, end_stream=whole)
        try:
            return await _exchange(stream, b"" if whole else bytes(body), last, expects and not whole)
        except BaseException:
            stream.destroy()
            raise

    async def open_stream(
        self,
        method: str,
        path: str = "/",
        *,
        headers: trio_h2.HeadersInput | None = None,
        protocol: str | None = None,
        end_stream: bool = False,
    ) -> ReferenceClientStream:
        """Sends the headers of a request and returns its stream, for a test that goes step by step.

        Waits while the server allows no further stream. Cancelled: nothing is sent, or the stream is reset with CANCEL.

        Args:
            method: The method. CONNECT sends neither ``:scheme`` nor ``:path`` (RFC 9113 §8.5), unless there is a
                *protocol*; its ``:authority`` says where to.
            path: Path and query.
            headers: A mapping or pairs; ``:scheme`` and ``:authority`` override those of the client.
            protocol: What an extended CONNECT asks for (RFC 8441).
            end_stream: Whether the request has no content.

        Raises:
            As `request`.
        """
        return await self._send_request(self._section(method, path, headers, protocol=protocol), end_stream=end_stream)

    def _section(
        self, method: str, path: str, headers: trio_h2.HeadersInput | None, *, protocol: str | None
    ) -> list[tuple[bytes, bytes]]:
        tunnel = method == "CONNECT" and protocol is None
        pseudo: dict[str, str | int | None] = {
            ":method": method,
            ":scheme": None if tunnel else self._scheme,
            ":authority": self._authority,
            ":path": None if tunnel else path,
            ":protocol": protocol,
        }
        return fields(pseudo, headers)

    async def _send_request(self, section: list[tuple[bytes, bytes]], *, end_stream: bool) -> ReferenceClientStream:
        await self._link.wait(self._link.may_open)
        stream = construct(ReferenceClientStream, self._link, self._link.open(section, end_stream=end_stream))
        try:
            await self._link.flush()
        except BaseException:
            stream.destroy()
            raise
        return stream

    def _accept(self, inbox: Inbox) -> None:
        """Pushes belong to the stream that they came on."""

    async def _wait_ready(self) -> None:
        await self.wait_started()

    async def _serve(self, nursery: trio.Nursery) -> None:
        """A client has no handlers."""

    async def _wait_handled(self) -> None:
        """A client has no handlers."""


async def _exchange(
    stream: ReferenceClientStream, body: bytes, trailers: trio_h2.Headers | None, expects: bool
) -> ReferenceExchange:
    """Sends the rest of a request, and receives the response and what is pushed on it, all at the same time."""
    error: Exception | None = None
    exchange: ReferenceExchange | None = None
    pushes: dict[int, ReferenceExchange] = {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send_rest, stream, body, trailers, expects)
        nursery.start_soon(_receive_pushes, stream, pushes)
        try:
            exchange = await stream.response()
        except (trio_h2.H2Error, trio.ClosedResourceError) as exc:
            error = exc
    if error is not None:
        raise error
    assert exchange is not None
    return dataclasses.replace(exchange, pushes=[pushes[number] for number in sorted(pushes)])


async def _receive_pushes(stream: ReferenceClientStream, pushes: dict[int, ReferenceExchange]) -> None:
    """Receives what is pushed on a stream; what is reset is left out."""
    async with trio.open_nursery() as nursery:
        with contextlib.suppress(trio_h2.StreamError, trio_h2.SessionError, trio.ClosedResourceError):
            while push := await stream.receive_push():
                nursery.start_soon(_receive_push, push, pushes)


async def _receive_push(push: ReferenceClientStream, pushes: dict[int, ReferenceExchange]) -> None:
    with contextlib.suppress(trio_h2.StreamError, trio_h2.SessionError, trio.ClosedResourceError):
        pushes[push.stream_id] = await push.response()


async def _send_rest(
    stream: ReferenceClientStream, body: bytes, trailers: trio_h2.Headers | None, expects: bool
) -> None:
    """Sends body and trailers. What ends the stream meanwhile is told by the response's side."""
    with contextlib.suppress(trio_h2.StreamError, trio_h2.SessionError, trio.ClosedResourceError):
        while expects:
            interim = await stream.receive_informational()
            if interim is None and (await stream.receive_response()).status >= 400:
                await stream.wait_ended()
                stream.reset()
                return
            expects = interim is not None and interim.status != 100
        if body:
            await stream.send_all(body)
        if trailers is not None:
            await stream.send_trailers(trailers)
        elif body:
            await stream.send_eof()

"""The server's side: `accept_websocket` for one stream, and `WebSocketHandler` for a whole server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio

import trio_h2

from .._util import NoPublicConstructor, construct, interrupt_safe, interruptible
from .._websocket_key import accept_key
from ._client import check_options
from ._config import Deflate, WebSocketConfig
from ._errors import WebSocketClosedError, WebSocketHandshakeError
from ._extensions import Agreement, accept, parse_extensions
from ._handshake import (
    VERSION,
    Opening,
    RefusalError,
    checked_headers,
    checked_subprotocols,
    is_own_origin,
    offered_subprotocols,
    origin_check,
)
from ._tasks import WebSocketTasks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from ._handshake import OriginCheck
    from ._socket import WebSocket, WebSocketFunction

logger = logging.getLogger("trio_h2.websocket")

_TEXT: Final = {"content-type": "text/plain; charset=utf-8"}


def is_websocket(stream: trio_h2.ServerStream) -> bool:
    """Whether the client asks for a WebSocket, by an extended CONNECT or, over HTTP/1.1, by an upgrade."""
    if isinstance(stream, trio_h2.Http1Exchange):
        # RFC 6455 §4.1: "The method of the request MUST be GET".
        return stream.method == "GET" and stream.end_after_headers and _upgrade_of(stream) is not None
    return (stream.protocol or "").lower() == "websocket"


def _upgrade_of(exchange: trio_h2.Http1Exchange) -> str | None:
    """Returns the name of our protocol as the client spells it, in whatever case, if it would like to upgrade to it."""
    offered = (name.strip() for name in exchange.upgrade.split(","))
    return next((name for name in offered if name.lower() == "websocket"), None)


def accept_websocket(
    stream: trio_h2.ServerStream,
    *,
    subprotocols: Iterable[str] = (),
    check_origin: OriginCheck | Iterable[str] | None = None,
    headers: trio_h2.HeadersInput | None = None,
    compression: Deflate | None = None,
    config: WebSocketConfig | None = None,
) -> AcceptWebSocket:
    """Prepares the answer to a client that asks for a WebSocket; ``async with`` sends it and gives a `WebSocket`.

    For handlers that decide by themselves whom to accept; `WebSocketHandler` is simpler. Leaving the block closes the
    WebSocket with 1000; left by an exception, with 1011; cancelled, its stream is reset.

    Args:
        stream: what the handler got; `is_websocket` tells whether it asks for a WebSocket.
        subprotocols: names, the best first; the first one that the client offers is chosen, if any.
        check_origin: which pages may connect, as a browser names them in ``origin``: a function that is given it and
            tells whether it may, or an iterable of origins like ``"https://example.com"``. By default, those of the
            same host and port, so that no foreign page can use the cookies of its visitors here. Clients that name
            none are no browsers, and not asked.
        headers: further fields of the response.
        compression: how to compress, if the client offers to; by default nothing is compressed.
        config: limits and timeouts.

    Returns:
        A block; nothing has been sent yet.

    Raises:
        TypeError, ValueError: an argument is not allowed.

    Entering the block raises `WebSocketHandshakeError` if there is something wrong with the request, which was then
    answered with 400, 403 or 501; `trio_h2.LocalProtocolError` if it came over HTTP/2, and
    ``ServerConfig.enable_connect_protocol`` is off; and what `ServerStream.respond` raises.
    """
    if not isinstance(stream, trio_h2.ServerStream):
        raise TypeError(f"stream must be a ServerStream, not {stream!r}")
    return construct(AcceptWebSocket, stream, _Policy(subprotocols, check_origin, headers, compression, config))


class _Policy:
    """What a server accepts; checked."""

    def __init__(
        self,
        subprotocols: Iterable[str],
        check_origin: OriginCheck | Iterable[str] | None,
        headers: trio_h2.HeadersInput | None,
        compression: Deflate | None,
        config: WebSocketConfig | None,
    ) -> None:
        check_options(compression, config)
        self._subprotocols = checked_subprotocols(subprotocols)
        self._check_origin = origin_check(check_origin)
        self._headers = checked_headers(headers, client=False)
        self._compression = compression
        self.config: WebSocketConfig = config or WebSocketConfig()

    async def accept(self, stream: trio_h2.ServerStream) -> Opening:
        """Answers the request.

        Raises:
            RefusalError: it has to be refused; nothing was sent.
        """
        if not isinstance(stream, trio_h2.Http1Exchange):  # HTTP/1.1 needs no offer
            check_offered(stream)
        if not is_websocket(stream):
            raise RefusalError(501, "this request does not ask for a WebSocket")
        headers = stream.headers
        if headers.get("sec-websocket-version") != VERSION:
            # RFC 6455 §4.4: the server "MUST […] include one or more |Sec-WebSocket-Version| header fields containing
            # the values it understands".
            message = f"only version {VERSION} of the WebSocket protocol is spoken here"
            raise RefusalError(400, message, {"sec-websocket-version": VERSION})
        self._check_origins(stream)
        subprotocol, agreement, answer = self._settle(headers)
        fields: list[tuple[str | bytes, str | bytes]] = [*answer.items(), *self._headers.raw]
        if isinstance(stream, trio_h2.Http1Exchange):
            try:
                fields.append(("sec-websocket-accept", accept_key(headers.get("sec-websocket-key", ""))))
            except ValueError as exc:
                raise RefusalError(400, str(exc)) from None
            await stream.switch_protocols(_upgrade_of(stream) or "websocket", fields)
        else:
            await stream.respond([(":status", "200"), *fields])
        return Opening(stream.path, headers, subprotocol, agreement)

    def _check_origins(self, stream: trio_h2.ServerStream) -> None:
        origin = stream.headers.get("origin")
        if origin is None:
            return
        if self._check_origin is None:
            allowed = is_own_origin(origin, stream.scheme, stream.authority)
        else:
            allowed = self._check_origin(origin)
        if not allowed:
            raise RefusalError(403, f"pages of {origin[:128]!r} may not open a WebSocket here")

    def _settle(self, headers: trio_h2.Headers) -> tuple[str | None, Agreement | None, dict[str, str]]:
        """Returns the subprotocol, the compression, and the fields that say so."""
        try:
            offered = offered_subprotocols(headers)
            extensions = parse_extensions(headers.get_all("sec-websocket-extensions"))
        except ValueError as exc:
            raise RefusalError(400, str(exc)) from None
        answer = {}
        subprotocol = next((name for name in self._subprotocols if name in offered), None)
        if subprotocol is not None:
            answer["sec-websocket-protocol"] = subprotocol
        if self._compression is None or (chosen := accept(self._compression, extensions)) is None:
            return subprotocol, None, answer
        answer["sec-websocket-extensions"] = chosen[0]
        return subprotocol, chosen[1], answer


def check_offered(stream: trio_h2.ServerStream) -> None:
    """Raises if no client can ever ask for a WebSocket over HTTP/2 here.

    Raises:
        LocalProtocolError: the server does not offer extended CONNECT.
    """
    config = stream.session.config
    if isinstance(config, trio_h2.ServerConfig) and not config.enable_connect_protocol:
        raise trio_h2.LocalProtocolError(
            "WebSockets need extended CONNECT: serve with config=ServerConfig(enable_connect_protocol=True)",
            stream_id=stream.id,
            stream=stream,
        )


@interrupt_safe
class AcceptWebSocket(metaclass=NoPublicConstructor):
    """The block of one WebSocket of a server: ``async with accept_websocket(…) as ws``. Use it once."""

    _made_by = "accept_websocket() makes it"

    def __init__(self, stream: trio_h2.ServerStream, policy: _Policy) -> None:
        self._stream = stream
        self._policy = policy
        self._tasks: WebSocketTasks | None = None

    async def __aenter__(self) -> WebSocket:
        """Answers the client, see `accept_websocket`."""
        try:
            opening = await self._policy.accept(self._stream)
        except RefusalError as refusal:
            fields = {":status": str(refusal.status), **_TEXT, **refusal.headers}
            await self._stream.respond(fields, body=f"{refusal}\n".encode())
            reason = f"refused with {refusal.status}: {refusal}"
            raise WebSocketHandshakeError(reason, stream_id=self._stream.id, stream=self._stream) from None
        self._tasks = WebSocketTasks(self._stream, opening, self._policy.config, server=True)
        return await self._tasks.start()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Closes the WebSocket."""
        assert self._tasks is not None
        return await self._tasks.stop(exc_type, exc, traceback)


@interrupt_safe
class WebSocketHandler:
    """A handler for ``serve_tcp`` and its like: WebSockets go to one function, all other requests to another one.

    ::

        async def echo(ws: WebSocket) -> None:
            async for message in ws:
                await ws.send_message(message)

        config = trio_h2.ServerConfig(enable_connect_protocol=True)
        await trio_h2.serve_ssl_over_tcp(WebSocketHandler(echo, fallback=pages), 8443, ssl_context, config=config)

    With ``allow_http1``, clients that speak HTTP/1.1 only reach the same function. When *handler* returns, the
    WebSocket is closed with 1000; when it raises, with 1011, and the error is logged, unless it says only that the
    WebSocket is closed. It is cancelled when the client is lost: when it resets the stream, ends it without closing the
    WebSocket, or does not answer the keep-alive. Refusals are told to the client, and logged in ``trio_h2.websocket``
    at level INFO.

    Args:
        handler: async function that gets each `WebSocket`.
        fallback: handler of all other streams. By default they are answered with 404, a CONNECT with 501.
        subprotocols: as for `accept_websocket`, like all that follows.
        check_origin: which pages may connect.
        headers: further fields of the response.
        compression: how to compress.
        config: limits and timeouts.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        handler: WebSocketFunction,
        *,
        fallback: trio_h2.Handler | None = None,
        subprotocols: Iterable[str] = (),
        check_origin: OriginCheck | Iterable[str] | None = None,
        headers: trio_h2.HeadersInput | None = None,
        compression: Deflate | None = None,
        config: WebSocketConfig | None = None,
    ) -> None:
        if not callable(handler):
            raise TypeError(f"handler must be an async function, not {handler!r}")
        if fallback is not None and not callable(fallback):
            raise TypeError(f"fallback must be an async function or None, not {fallback!r}")
        self._handler = handler
        self._fallback = fallback
        self._policy = _Policy(subprotocols, check_origin, headers, compression, config)

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        """Serves one stream, to its end."""
        check_offered(stream)
        if is_websocket(stream):
            await self._serve(stream)
        elif self._fallback is not None:
            await interruptible(self._fallback, stream)
        elif stream.method == "CONNECT":
            # RFC 9220 §3: "a server […] that does not support the protocol indicated SHOULD respond with 501".
            await stream.respond({":status": "501", **_TEXT}, body=b"only WebSockets are spoken here\n")
        else:
            await stream.respond({":status": "404", **_TEXT}, body=b"there is only a WebSocket here\n")

    async def _serve(self, stream: trio_h2.ServerStream) -> None:
        block = construct(AcceptWebSocket, stream, self._policy)
        try:
            socket = await block.__aenter__()
        except WebSocketHandshakeError as exc:
            logger.info("%a from %a was %s", stream.path, stream.headers.get("origin", "no origin"), exc)
            return
        async with _Entered(block):
            try:
                await interruptible(self._handler, socket)
            except WebSocketClosedError as exc:
                if not socket.closed:
                    raise
                logger.debug("%r ended: %s", socket, exc)
            except BaseExceptionGroup as group:
                # Tasks of the handler were told that it is closed, and others cancelled meanwhile: that belongs to a
                # scope outside.
                closed, others = group.split(WebSocketClosedError)
                try:
                    if closed is None or not socket.closed or not _only_cancelled(others):
                        raise
                    logger.debug("%r ended: %s", socket, closed)
                    if others is not None:
                        raise others from None
                finally:
                    del closed, others  # their tracebacks know this frame


@interrupt_safe
class _Entered:
    """A block that was entered before."""

    def __init__(self, block: AcceptWebSocket) -> None:
        self._block = block

    async def __aenter__(self) -> None:
        """Does nothing."""

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._block.__aexit__(exc_type, exc, traceback)


def _only_cancelled(errors: BaseExceptionGroup | None) -> bool:
    """Whether nothing is in a group but that tasks were cancelled."""
    return errors is None or errors.split(trio.Cancelled)[1] is None

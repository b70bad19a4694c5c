"""The client's side: `open_websocket` on a session, and `connect_websocket`, which makes the session, too."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import trio_h2

from .._refused import read_refusal
from .._url import request_target, shown_url, url_text
from .._util import NoPublicConstructor, construct, interrupt_safe
from ._config import Deflate, WebSocketConfig
from ._errors import WebSocketHandshakeError, WebSocketRefusedError
from ._extensions import agreed, offer, parse_extensions
from ._handshake import VERSION, Opening, checked_headers, checked_subprotocols
from ._tasks import WebSocketTasks

if TYPE_CHECKING:
    import os
    import ssl
    from collections.abc import Awaitable, Callable, Iterable
    from types import TracebackType
    from typing import TypeAlias

    import trio

    from .._url import Url
    from ._socket import WebSocket

    Transport: TypeAlias = trio.abc.Stream | Callable[[str], Awaitable[trio.abc.Stream]]


_SCHEME: Final = re.compile(r"([^/?#]*)://")
_SCHEMES: Final = {"wss": "https", "ws": "http", "https": "https", "http": "http"}
"""What a URL may begin with, and what the session below has."""


def open_websocket(
    session: trio_h2.ClientSession,
    path: str = "/",
    *,
    headers: trio_h2.HeadersInput | None = None,
    subprotocols: Iterable[str] = (),
    compression: Deflate | None = None,
    config: WebSocketConfig | None = None,
) -> OpenWebSocket:
    """Prepares a WebSocket with the server of *session*; ``async with`` opens it and gives a `WebSocket`.

    It is one stream of the session, beside all others (RFC 8441). Leaving the block closes it with 1000; left by an
    exception, its stream is reset. An exception of the block's body leaves it as it is, not wrapped in a group.

    Args:
        session: a session with the server.
        path: path and query.
        headers: further fields of the request, like ``origin`` or ``cookie``.
        subprotocols: names that the server may choose one of, the best first.
        compression: how to compress, if the server agrees; by default nothing is compressed.
        config: limits and timeouts.

    Returns:
        A block; nothing has been sent yet.

    Raises:
        TypeError, ValueError: an argument is not allowed.

    Entering the block waits for the server's SETTINGS, and raises `trio_h2.ExtendedConnectError` if they do not offer
    extended CONNECT, `WebSocketRefusedError` if the server answers with another status than 2xx,
    `WebSocketHandshakeError` if its answer has what was not asked for, and what `ClientSession.open_stream` and
    `ClientStream.receive_response` raise. Cancelled: the stream is reset.
    """
    if not isinstance(session, trio_h2.ClientSession):
        raise TypeError(f"session must be a ClientSession, not {session!r}")
    wish = _Wish(path, headers, subprotocols, compression, config)
    request = session.request("CONNECT", path, headers=wish.headers, protocol="websocket", end_stream=False)
    return construct(OpenWebSocket, request.__aenter__, wish)


class _Wish:
    """What a client asks for; checked."""

    def __init__(
        self,
        path: str,
        headers: trio_h2.HeadersInput | None,
        subprotocols: Iterable[str],
        compression: Deflate | None,
        config: WebSocketConfig | None,
    ) -> None:
        check_options(compression, config)
        self.path = path
        self.subprotocols: list[str] = checked_subprotocols(subprotocols)
        self.compression = compression
        self.config: WebSocketConfig = config or WebSocketConfig()
        given = checked_headers(headers, client=True)
        fields: list[tuple[str | bytes, str | bytes]] = [("sec-websocket-version", VERSION), *given.raw]
        if self.subprotocols:
            fields.append(("sec-websocket-protocol", ", ".join(self.subprotocols)))
        if compression is not None:
            fields.append(("sec-websocket-extensions", offer(compression)))
        self.headers: trio_h2.Headers = trio_h2.Headers(fields, sensitive=given.sensitive)

    def granted(self, response: trio_h2.Headers, stream: trio_h2.ClientStream) -> Opening:
        """Returns what *response* opens on *stream*.

        Raises:
            WebSocketHandshakeError: it has what was not asked for.
        """
        subprotocol = response.get("sec-websocket-protocol")
        if subprotocol is not None and subprotocol not in self.subprotocols:
            # RFC 6455 §4.1: "If the response includes a |Sec-WebSocket-Protocol| header field and this header field
            # indicates the use of a subprotocol that was not present in the client's handshake […], the client MUST
            # _Fail the WebSocket Connection_."
            reason = f"the server chose a subprotocol that was not offered: {subprotocol[:64]!r}"
            raise WebSocketHandshakeError(reason, stream_id=stream.id, stream=stream)
        try:
            extensions = parse_extensions(response.get_all("sec-websocket-extensions"))
            agreement = agreed(self.compression, extensions)
        except ValueError as exc:
            raise WebSocketHandshakeError(str(exc), stream_id=stream.id, stream=stream) from None
        return Opening(self.path, response, subprotocol, agreement)


def check_options(compression: Deflate | None, config: WebSocketConfig | None) -> None:
    """Raises what is wrong with the options of either side.

    Raises:
        TypeError: one has the wrong type.
    """
    if compression is not None and not isinstance(compression, Deflate):
        raise TypeError(f"compression must be a Deflate or None, not {compression!r}")
    if config is not None and not isinstance(config, WebSocketConfig):
        raise TypeError(f"config must be a WebSocketConfig, not {config!r}")


@interrupt_safe
class OpenWebSocket(metaclass=NoPublicConstructor):
    """The block of one WebSocket of a client: ``async with open_websocket(…) as ws``. Use it once."""

    _made_by = "open_websocket() makes it"

    def __init__(self, send_request: Callable[[], Awaitable[trio_h2.ClientStream]], wish: _Wish) -> None:
        self._send_request = send_request
        self._wish = wish
        self._stream: trio_h2.ClientStream | None = None
        self._tasks: WebSocketTasks | None = None

    async def __aenter__(self) -> WebSocket:
        """Opens the WebSocket, see `open_websocket`."""
        stream = await self._send_request()
        try:
            response = await stream.receive_response()
            # RFC 8441 §5: "a status code in the 2xx series" stands for the 101 of RFC 6455.
            if response.status >= 300:
                what = f"the server refused a WebSocket at {self._wish.path}"
                raise await read_refusal(WebSocketRefusedError, what, response, stream)
            opening = self._wish.granted(response, stream)
        except BaseException:
            stream.destroy()
            raise
        self._stream = stream
        self._tasks = WebSocketTasks(stream, opening, self._wish.config, server=False)
        return await self._tasks.start()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Closes the WebSocket; if the block raised, resets its stream."""
        assert self._stream is not None
        assert self._tasks is not None
        try:
            return await self._tasks.stop(exc_type, exc, traceback)
        finally:
            if exc is None:
                await self._stream.aclose()  # cancelled, it resets
            else:
                self._stream.destroy()  # a cancellation must not take the place of the error


def connect_websocket(
    url: Url,
    *,
    ssl_context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    transport: Transport | None = None,
    unix_path: str | bytes | os.PathLike[str] | None = None,
    scheme: str = "wss",
    session_config: trio_h2.ClientConfig | None = None,
    session_settings: trio_h2.Settings | None = None,
    headers: trio_h2.HeadersInput | None = None,
    subprotocols: Iterable[str] = (),
    compression: Deflate | None = None,
    config: WebSocketConfig | None = None,
) -> ConnectWebSocket:
    """Prepares a WebSocket on a session of its own; ``async with`` connects and opens it, and gives a `WebSocket`.

    Args:
        url: ``wss://host:port/path?query``, or ``ws://…`` for HTTP/2 in cleartext with prior knowledge; ``https`` and
            ``http`` mean the same. Otherwise as for `trio_h2.connect`, which also takes objects; but path and query
            are used, and there is no fragment.
        ssl_context: as for `trio_h2.connect`, like the next three.
        server_hostname: the name the certificate must have.
        transport: a stream, or what makes one.
        unix_path: the path of a Unix socket.
        scheme: the scheme of a *url* that has none.
        session_config: limits and timeouts of the session.
        session_settings: what its first SETTINGS say, as ``settings`` of `trio_h2.connect`.
        headers: as for `open_websocket`, like all that follows.
        subprotocols: names, the best first.
        compression: how to compress.
        config: limits and timeouts of the WebSocket.

    Returns:
        A block; nothing has been done yet.

    Raises:
        TypeError, ValueError: an argument is not allowed.

    Entering the block raises what that of `trio_h2.connect` and that of `open_websocket` raise.
    """
    text = url_text(url)
    if not isinstance(scheme, str):
        raise TypeError(f"the default scheme must be a str, not {type(scheme).__name__}")
    if scheme not in _SCHEMES:
        raise ValueError(f"bad scheme {scheme!r}: only 'wss' and 'ws' (or 'https' and 'http') are possible")
    if found := _SCHEME.match(text):
        named = found[1].lower()
        if named not in _SCHEMES:
            raise ValueError(f"bad URL {shown_url(text)}: the scheme must be wss or ws, not {found[1]!r}")
        below, place = _SCHEMES[named], f"{_SCHEMES[named]}://{text[found.end() :]}"
    else:
        below, place = _SCHEMES[scheme], text
    if below == "http" and ssl_context is not None:
        raise ValueError("a ws:// URL takes no ssl_context; did you mean wss://?")
    block = trio_h2.connect(
        place,
        scheme=below,
        ssl_context=ssl_context,
        server_hostname=server_hostname,
        transport=transport,
        unix_path=unix_path,
        config=session_config,
        settings=session_settings,
    )
    if "#" in text:
        # RFC 6455 §3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used".
        raise ValueError(f"bad URL {shown_url(text)}: the URL of a WebSocket has no fragment")
    path = request_target(text)
    if not path.isascii():
        raise ValueError(f"bad URL {shown_url(text)}: path and query must be percent-encoded ASCII")
    wish = _Wish(path, headers, subprotocols, compression, config)

    def opener(session: trio_h2.ClientSession) -> OpenWebSocket:
        request = session.request("CONNECT", path, headers=wish.headers, protocol="websocket", end_stream=False)
        return construct(OpenWebSocket, request.__aenter__, wish)

    return construct(ConnectWebSocket, block.__aenter__, block.__aexit__, opener)


@interrupt_safe
class ConnectWebSocket(metaclass=NoPublicConstructor):
    """The block of a WebSocket and its session: ``async with connect_websocket(…) as ws``. Use it once."""

    _made_by = "connect_websocket() makes it"

    def __init__(
        self,
        connect: Callable[[], Awaitable[trio_h2.ClientSession]],
        disconnect: Callable[
            [type[BaseException] | None, BaseException | None, TracebackType | None], Awaitable[bool | None]
        ],
        opener: Callable[[trio_h2.ClientSession], OpenWebSocket],
    ) -> None:
        self._connect = connect
        self._disconnect = disconnect
        self._opener = opener
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> WebSocket:
        """Connects, and opens the WebSocket."""
        session = await self._connect()
        async with AsyncExitStack() as stack:
            stack.push_async_exit(self._disconnect)
            socket = await stack.enter_async_context(self._opener(session))
            self._stack = stack.pop_all()
        return socket

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Closes the WebSocket, then the session."""
        return await self._stack.__aexit__(exc_type, exc, traceback)

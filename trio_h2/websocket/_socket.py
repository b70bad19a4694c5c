"""`WebSocket`: messages both ways."""

from __future__ import annotations

import math
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio

from .._checks import bytes_of, is_int
from ._errors import WebSocketClosedError
from ._service import go_away, keep_alive, read, send_control
from ._state import GOING_AWAY, INTERNAL_ERROR, NO_STATUS, NORMAL, PingWaiter, WebSocketState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType
    from typing import Self

    import trio_h2

    from ._config import WebSocketConfig
    from ._framing import Framing

_EXPECTED: Final = frozenset({NORMAL, GOING_AWAY, NO_STATUS})
"""Codes with which a peer ends a conversation, rather than breaking it off."""
_FAREWELL_SECONDS: Final = 1.0
"""How long a server that has failed waits for the peer to answer its Close frame."""
MAX_CONTROL: Final = 125
"""RFC 6455 §5.5: octets in a control frame."""


class WebSocket(WebSocketState):
    """One WebSocket: messages of text and of octets, both ways, over one stream.

    Made by `open_websocket`, `connect_websocket` and `accept_websocket`. Any number of tasks may send, whose messages
    go out whole, one after the other; one may receive. Pings are answered by themselves. Messages that are not received
    are held up to about 64 KiB; from then on the peer must wait, because the stream's window closes.
    """

    def __init__(
        self,
        stream: trio_h2.Stream,
        framing: Framing,
        config: WebSocketConfig,
        *,
        path: str,
        headers: trio_h2.Headers,
        subprotocol: str | None,
        compressed: bool,
    ) -> None:
        super().__init__(stream, framing, config)
        self._path = path
        self._headers = headers
        self._subprotocol = subprotocol
        self._compressed = compressed
        self._receiving = False

    def __repr__(self) -> str:
        return f"<WebSocket {self._path} on {self._stream!r}>"

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """Path and query that it was opened with."""
        return self._path

    @property
    def headers(self) -> trio_h2.Headers:
        """What the other side said in the opening handshake: the request's headers on a server, the response's on a
        client. Untrusted input.
        """
        return self._headers

    @property
    def subprotocol(self) -> str | None:
        """What both sides agreed on, ``None`` if nothing."""
        return self._subprotocol

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate is in use."""
        return self._compressed

    @property
    def stream(self) -> trio_h2.Stream:
        """The stream below, for looking only."""
        return self._stream

    @property
    def config(self) -> WebSocketConfig:
        """Limits and timeouts."""
        return self._config

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more: one side has closed it, or it broke."""
        return self._end is not None

    @property
    def close_code(self) -> int | None:
        """How it was closed, by whoever did first; 1005 if the peer gave no code, 1006 if it broke or the closing
        handshake was not finished; ``None`` while it is open.
        """
        return None if self._end is None else self._end.code

    @property
    def close_reason(self) -> str | None:
        """The reason that was given with `close_code`, ``None`` while it is open. Untrusted input."""
        return None if self._end is None else self._end.reason

    # -- receiving -------------------------------------------------------------------------------------------------

    async def receive_message(self) -> str | bytes:
        """Receives the next message: `str` if it is text, else `bytes`. Cancelled: nothing is lost.

        Raises:
            WebSocketBrokenError: the peer closed it or broke a rule, or the stream broke; messages that came before are
                returned first.
            WebSocketClosedHereError: this side closed it.
            trio.BusyResourceError: another task is receiving.
        """
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this WebSocket")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while (message := self._take()) is None:
                self._check_open()
                await self._arrived.park()
            return message
        finally:
            self._receiving = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        """Iterates over the messages until it was closed: by this side, or by the peer with 1000, 1001 or no code.
        Anything else raises like `receive_message`.
        """
        try:
            return await self.receive_message()
        except WebSocketClosedError as exc:
            end = self._end
            assert end is not None
            if not end.failure and (end.here or end.code in _EXPECTED):
                raise StopAsyncIteration from exc
            raise

    # -- sending ---------------------------------------------------------------------------------------------------

    async def send_message(self, message: str | bytes | bytearray | memoryview) -> None:
        """Sends a message: text if it is `str`, else octets. Returns when its last octet is on its way.

        Waits for messages of other tasks, and for the windows of stream and session. Cancelled: if none of it was
        sent, nothing happened; otherwise the WebSocket is of no use any more, and its stream is reset.

        Args:
            message: more than 64 KiB go out as several fragments.

        Raises:
            TypeError: *message* is neither text nor octets.
            ValueError: it has surrogates, which are no text.
            WebSocketClosedError: it is closed, or was before all was sent.
        """
        whole = _checked(message)
        self._check_open()
        async with self._message_lock:
            self._check_open()
            frames = self._framing.message(whole)
            with self._all_or_nothing():
                for frame in frames:
                    await self._send_frame(frame)

    def open_message(self) -> MessageWriter:
        """Prepares a message that is sent in parts; ``async with`` gives something to send them with.

        ::

            async with ws.open_message() as message:
                async for line in lines:
                    await message.send(line)

        Other messages wait until the block is left; control frames do not. Left by an exception, or cancelled, after
        the first part: the stream is reset, since the message can be neither finished nor taken back.
        """
        return MessageWriter(self)

    @contextmanager
    def _all_or_nothing(self) -> Generator[None, None, None]:
        """Frames that are sent in here belong together: who is cancelled between them resets the stream."""
        before = self._data_frames
        try:
            yield
        except WebSocketClosedError:
            raise
        except BaseException:
            self._framing.forget_sent()
            if self._data_frames != before:
                self._abort()
            raise

    _data_frames = 0
    """How many were begun to be sent."""

    async def _send_frame(self, frame: bytes) -> None:
        async with self._frame_lock:
            self._check_open()
            await self._transmit(frame)
            self._data_frames += 1

    async def _transmit(self, frame: bytes) -> None:
        try:
            await self._stream.send_all(frame)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._broke(exc, "its stream broke")
            self._check_open()
            raise AssertionError("a WebSocket that broke is not open") from exc
        finally:
            if self._stream.torn:
                self._abort()

    # -- pings -----------------------------------------------------------------------------------------------------

    async def ping(self, payload: bytes | None = None) -> float:
        """Sends a ping and waits for the answer, which comes when the peer has received what was sent before.

        It comes behind the peer's messages, too: somebody must receive them. Cancelled: the answer is ignored when it
        comes; if half of the ping was sent, the stream is reset.

        Args:
            payload: at most 125 octets, other than those of pings that are still unanswered; random by default.

        Returns:
            The round-trip time in seconds.

        Raises:
            TypeError, ValueError: *payload* is not allowed.
            WebSocketClosedError: it is closed, or was before the answer came.
        """
        if payload is None:
            payload = secrets.token_bytes(8)
        payload = bytes_of("payload", payload)
        if len(payload) > MAX_CONTROL:
            raise ValueError(f"payload must have at most {MAX_CONTROL} octets, not {len(payload)}")
        self._check_open()
        if payload in self._pings:
            raise ValueError(f"another ping with the payload {payload!r} is unanswered")
        waiter = self._pings[payload] = PingWaiter(trio.Event())
        try:
            async with self._frame_lock:
                self._check_open()
                waiter.sent_at = trio.current_time()
                await self._transmit(self._framing.ping(payload))
            await waiter.settled.wait()
        finally:
            if self._pings.get(payload) is waiter:
                del self._pings[payload]
        if math.isnan(waiter.answered_at):
            self._check_open()
        return waiter.answered_at - waiter.sent_at

    # -- the end ---------------------------------------------------------------------------------------------------

    async def aclose(self, code: int = NORMAL, reason: str = "") -> None:
        """Closes it: sends a Close frame, waits for the peer's, and ends the stream. Idempotent.

        What was received and not taken is thrown away. If the peer does not answer within ``close_timeout``, the stream
        is reset, and `close_code` is 1006. Cancelled: the stream is reset at once.

        Args:
            code: why, 1000 … 1003, 1007 … 1014 or 3000 … 4999 (RFC 6455 §7.4).
            reason: for whoever debugs; at most 123 octets in UTF-8.

        Raises:
            TypeError, ValueError: an argument is not allowed.
        """
        check_close(code, reason)
        self._begin_close(code, reason)
        try:
            await trio.lowlevel.checkpoint()
            await self._over.wait()
        except BaseException:
            self._abort()
            raise

    async def wait_closed(self) -> None:
        """Waits until it is over: the closing handshake is finished, or it broke. Cancelled: nothing happened.

        For handlers that only send now and then: nobody else tells them that the peer has closed.
        """
        await trio.lowlevel.checkpoint()
        await self._over.wait()


class MessageWriter:
    """The block of a message that is sent in parts, see `WebSocket.open_message`. Use it once."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._text: bool | None = None
        self._entered = False
        self._writing = False

    async def __aenter__(self) -> Self:
        """Waits for the messages of other tasks. Cancelled: nothing happened."""
        if self._entered:
            raise RuntimeError("a message block can be entered only once; call open_message() again")
        self._entered = True
        self._socket._check_open()
        await self._socket._message_lock.acquire()
        try:
            self._socket._check_open()
        except WebSocketClosedError:
            self._socket._message_lock.release()
            raise
        self._writing = True
        return self

    async def send(self, part: str | bytes | bytearray | memoryview) -> None:
        """Sends a part, as one fragment. Cancelled: the stream is reset.

        Args:
            part: all parts of a message are text, or none is.

        Raises:
            TypeError: *part* is neither text nor octets, or not of the kind of those before it.
            ValueError: it has surrogates, which are no text.
            RuntimeError: not within the block: the part would stand in the message of another task.
            WebSocketClosedError: the WebSocket is closed.
        """
        data = _checked(part)
        if not self._writing:
            raise RuntimeError("a part can be sent within the block of its message only")
        if self._text not in (None, isinstance(data, str)):
            raise TypeError(f"all parts of a message must be of one kind, text or octets; this one is {type(part)}")
        self._socket._check_open()
        self._text = isinstance(data, str)
        await self._send(data, final=False)

    async def _send(self, data: str | bytes, *, final: bool) -> None:
        socket = self._socket
        try:
            async with socket._frame_lock:
                socket._check_open()
                await socket._transmit(socket._framing.fragment(data, final=final))
        except WebSocketClosedError:
            raise
        except BaseException:
            socket._abort()
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the message; if no part was sent, there is none."""
        self._writing = False
        try:
            if exc is None:
                await trio.lowlevel.checkpoint()
                if self._text is not None:
                    await self._send("" if self._text else b"", final=True)
        except WebSocketClosedError:
            raise
        except BaseException:
            if self._text is not None:
                self._socket._abort()
            raise
        else:
            if exc is not None and self._text is not None:
                self._socket._abort()
        finally:
            self._socket._message_lock.release()


class WebSocketTasks:
    """The block in which a WebSocket lives: its tasks, and what becomes of it at the end.

    The tasks are shielded, so that whoever is cancelled finds out by `trio.Cancelled`, and not by a WebSocket that has
    ended for no visible reason; the end of the block cancels them.
    """

    def __init__(self, socket: WebSocket, *, server: bool) -> None:
        self._socket = socket
        self._server = server
        self._manager = trio.open_nursery()
        self._scopes: list[trio.CancelScope] = []
        self._crashed = False

    async def start(self) -> None:
        """Starts the tasks. Not a checkpoint."""
        nursery = await self._manager.__aenter__()
        services = [read, send_control]
        if self._socket.config.keepalive_interval < math.inf:
            services.append(keep_alive)
        if self._server and self._socket.config.close_on_drain:
            services.append(go_away)
        for service in services:
            scope = trio.CancelScope(shield=True)
            self._scopes.append(scope)
            name = f"trio_h2 websocket {service.__name__} {self._socket.path}"
            nursery.start_soon(self._run, service, scope, name=name)

    async def _run(self, service: Callable[[WebSocketState], Awaitable[None]], scope: trio.CancelScope) -> None:
        with scope:
            try:
                await service(self._socket)
            except BaseException as exc:
                if isinstance(exc, Exception):  # a bug
                    self._crashed = True
                    self._cancel()
                raise

    def _cancel(self) -> None:
        for scope in self._scopes:
            scope.cancel()

    async def stop(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Closes the WebSocket: 1000, or 1011 on a server whose block raised; a client that raised, or whoever is
        cancelled, resets the stream.
        """
        socket, crashed = self._socket, self._crashed
        try:
            if exc is None:
                await socket.aclose()
            elif self._server and isinstance(exc, Exception):
                # Shielded, because a cancellation must not take the place of the error.
                with trio.move_on_after(_FAREWELL_SECONDS, shield=True):
                    await socket.aclose(INTERNAL_ERROR)
        finally:
            socket._abort()
            self._cancel()
            # Not given to the nursery, an error of the body is not wrapped into a group. Only if a task has crashed, a
            # `trio.Cancelled` in it is the nursery's own.
            done = await (
                self._manager.__aexit__(exc_type, exc, traceback)
                if crashed
                else self._manager.__aexit__(None, None, None)
            )
        return done if crashed else None


def _checked(message: str | bytes | bytearray | memoryview) -> str | bytes:
    """Returns what can be sent as it is.

    Raises:
        TypeError: it is neither text nor octets.
        ValueError: it has surrogates.
    """
    if isinstance(message, str):
        if not message.isascii():
            message.encode()
        return message
    if not isinstance(message, bytes | bytearray | memoryview):
        raise TypeError(f"a message must be str, or bytes-like, not {type(message).__name__}")
    return bytes(message)


def check_close(code: int, reason: str) -> None:
    """Raises what is wrong with the code and reason of a Close frame.

    Raises:
        TypeError, ValueError: one of them is not allowed.
    """
    if not is_int(code):
        raise TypeError(f"code must be an int, not {code!r}")
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ValueError(f"code must be in 1000..1003, 1007..1014 or 3000..4999 (RFC 6455 §7.4), not {code}")
    if not isinstance(reason, str):
        raise TypeError(f"reason must be a str, not {reason!r}")
    if len(reason.encode()) > MAX_CONTROL - 2:
        raise ValueError(f"reason must have at most {MAX_CONTROL - 2} octets in UTF-8, not {len(reason.encode())}")

"""`WebSocket`: messages both ways."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import trio

from .._checks import bytes_of
from .._util import NoPublicConstructor, construct, interrupt_safe
from ._ending import NORMAL
from ._errors import WebSocketClosedError
from ._framing import MAX_CONTROL, check_close, check_message
from ._writer import MessageWriter

if TYPE_CHECKING:
    from typing import Self

    import trio_h2

    from ._config import WebSocketConfig
    from ._connection import WebSocketConnection
    from ._handshake import Opening


@interrupt_safe
class WebSocket(metaclass=NoPublicConstructor):
    """One WebSocket: messages of text and of bytes, both ways, over one stream.

    Made by `open_websocket`, `connect_websocket` and `accept_websocket`. Any number of tasks may send, whose messages
    go out whole, one after the other; one may receive. Pings are answered by themselves. Messages that are not received
    are held up to about 64 KiB; from then on the peer must wait, because the stream's window closes.
    """

    _made_by = "open_websocket(), connect_websocket() and accept_websocket() make it"

    def __init__(self, connection: WebSocketConnection, opening: Opening) -> None:
        self._connection = connection
        self._opening = opening
        self._receiving = False

    def __repr__(self) -> str:
        return f"<WebSocket {self.path} on {self.stream!r}>"

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """Path and query that it was opened with."""
        return self._opening.path

    @property
    def headers(self) -> trio_h2.Headers:
        """What the other side said in the opening handshake: the request's headers on a server, the response's on a
        client. Untrusted input.
        """
        return self._opening.headers

    @property
    def subprotocol(self) -> str | None:
        """What both sides agreed on, ``None`` if nothing."""
        return self._opening.subprotocol

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate is in use."""
        return self._opening.agreement is not None

    @property
    def stream(self) -> trio_h2.Stream:
        """The stream below, for looking only."""
        return self._connection.stream

    @property
    def config(self) -> WebSocketConfig:
        """Limits and timeouts."""
        return self._connection.config

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more: one side has closed it, or it broke."""
        return self._connection.end is not None

    @property
    def close_code(self) -> int | None:
        """How it was closed, by whoever did first; 1005 if the peer gave no code, 1006 if it broke or the closing
        handshake was not finished; ``None`` while it is open.
        """
        end = self._connection.end
        return None if end is None else end.code

    @property
    def close_reason(self) -> str | None:
        """The reason that was given with `close_code`, ``None`` while it is open. Untrusted input."""
        end = self._connection.end
        return None if end is None else end.reason

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
            while (message := self._connection.inbox.take()) is None:
                self._connection.check_open()
                await self._connection.inbox.wait_message()
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
            end = self._connection.end
            if end is not None and end.expected:
                raise StopAsyncIteration from exc
            raise

    # -- sending ---------------------------------------------------------------------------------------------------

    async def send_message(self, message: str | bytes | bytearray | memoryview) -> None:
        """Sends a message: text if it is `str`, else bytes. Returns when its last byte is on its way.

        Waits for messages of other tasks, and for the windows of stream and session. Cancelled: if none of it was
        sent, nothing happened; otherwise the WebSocket is of no use any more, and its stream is reset.

        Args:
            message: more than 64 KiB go out as several fragments.

        Raises:
            TypeError: *message* is neither text nor bytes.
            ValueError: it has surrogates, which are no text.
            WebSocketClosedError: it is closed, or was before all was sent.
        """
        await self._connection.send_message(check_message(message))

    def open_message(self) -> MessageWriter:
        """Prepares a message that is sent in parts; ``async with`` gives something to send them with.

        ::

            async with ws.open_message() as message:
                async for line in lines:
                    await message.send(line)

        Other messages wait until the block is left; control frames do not. Left by an exception, or cancelled, after
        the first part: the stream is reset, since the message can be neither finished nor taken back.
        """
        return construct(MessageWriter, self._connection)

    # -- pings -----------------------------------------------------------------------------------------------------

    async def ping(self, payload: bytes | None = None) -> float:
        """Sends a ping and waits for the answer, which comes when the peer has received what was sent before.

        It comes behind the peer's messages, too: somebody must receive them. Cancelled: the answer is ignored when it
        comes; if half of the ping was sent, the stream is reset.

        Args:
            payload: at most 125 bytes, other than those of pings that are still unanswered; random by default.

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
            raise ValueError(f"payload must have at most {MAX_CONTROL} bytes, not {len(payload)}")
        return await self._connection.ping(payload)

    # -- the end ---------------------------------------------------------------------------------------------------

    async def aclose(self, code: int = NORMAL, reason: str = "") -> None:
        """Closes it: sends a Close frame, waits for the peer's, and ends the stream. Idempotent.

        What was received and not taken is thrown away. If the peer does not answer within ``close_timeout``, the stream
        is reset, and `close_code` is 1006. Cancelled: the stream is reset at once.

        Args:
            code: why, 1000 … 1003, 1007 … 1014 or 3000 … 4999 (RFC 6455 §7.4).
            reason: for whoever debugs; at most 123 bytes in UTF-8.

        Raises:
            TypeError, ValueError: an argument is not allowed.
        """
        check_close(code, reason)
        await self._connection.close(code, reason)

    async def wait_closed(self) -> None:
        """Waits until it is over: the closing handshake is finished, or it broke. Cancelled: nothing happened.

        For handlers that only send now and then: nobody else tells them that the peer has closed.
        """
        await trio.lowlevel.checkpoint()
        await self._connection.over.wait()


WebSocketFunction: TypeAlias = Callable[[WebSocket], Awaitable[object]]
"""What a `WebSocketHandler` runs for every WebSocket: an async function."""

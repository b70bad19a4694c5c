"""A message that is sent in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._util import NoPublicConstructor, interrupt_safe
from ._errors import WebSocketClosedError
from ._framing import check_message

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ._connection import WebSocketConnection


@interrupt_safe
class MessageWriter(metaclass=NoPublicConstructor):
    """The block of a message that is sent in parts, see `WebSocket.open_message`. Use it once."""

    _made_by = "WebSocket.open_message() makes it"

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection
        self._text: bool | None = None
        self._entered = False
        self._writing = False

    async def __aenter__(self) -> Self:
        """Waits for the messages of other tasks. Cancelled: nothing happened."""
        if self._entered:
            raise RuntimeError("a message block can be entered only once; call open_message() again")
        self._entered = True
        self._connection.check_open()
        await self._connection.message_lock.acquire()
        try:
            self._connection.check_open()
        except WebSocketClosedError:
            self._connection.message_lock.release()
            raise
        self._writing = True
        return self

    async def send(self, part: str | bytes | bytearray | memoryview) -> None:
        """Sends a part, as one fragment. Cancelled: the stream is reset.

        Args:
            part: all parts of a message are text, or none is.

        Raises:
            TypeError: *part* is neither text nor bytes, or not of the kind of those before it.
            ValueError: it has surrogates, which are no text.
            RuntimeError: not within the block: the part would stand in the message of another task.
            WebSocketClosedError: the WebSocket is closed.
        """
        data = check_message(part)
        if not self._writing:
            raise RuntimeError("a part can be sent within the block of its message only")
        if self._text not in (None, isinstance(data, str)):
            raise TypeError(f"all parts of a message must be of one kind, text or bytes; this one is {type(part)}")
        self._connection.check_open()
        self._text = isinstance(data, str)
        await self._connection.send_fragment(data, final=False)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the message; if no part was sent, there is none."""
        self._writing = False
        try:
            if exc is None:
                await trio.lowlevel.checkpoint()
                if self._text is not None:
                    await self._connection.send_fragment("" if self._text else b"", final=True)
        except WebSocketClosedError:
            raise
        except BaseException:
            if self._text is not None:
                self._connection.abort()
            raise
        else:
            if exc is not None and self._text is not None:
                self._connection.abort()
        finally:
            self._connection.message_lock.release()

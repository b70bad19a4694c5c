"""A body that a client sends piece by piece, beside receiving the response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .. import SessionError, StreamError
from .._checks import bytes_of
from .._util import interrupt_safe, interruptible
from ._timeouts import Deadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ._incoming import Incoming
    from ._outgoing import Outgoing


@interrupt_safe
class Upload:
    """Takes the pieces of a body from whatever makes them, and sends them; tells *incoming* when all is sent.

    Args:
        request: has the body.
        incoming: the response.
        seconds: how long the server may take for each piece.
    """

    def __init__(self, request: Outgoing, incoming: Incoming, seconds: float) -> None:
        self._request = request
        self._exchange = incoming.exchange
        self._incoming = incoming
        self._seconds = seconds
        self._scope = trio.CancelScope()
        self.error: Exception | None = None
        """What the maker of the body has raised."""

    async def run(self) -> None:
        """Sends the body to its end, or as far as it is wanted; an error of its maker comes out."""
        with self._scope:
            pieces = aiter(self._request.pieces())
            try:
                while await self._send_next(pieces):
                    pass
                self._incoming.request_sent()
            except Exception as exc:
                self.error = exc
                raise
            finally:
                await _close(pieces)

    async def _send_next(self, pieces: AsyncIterator[bytes]) -> bool:
        """Sends one more piece, or the end; returns whether more are to follow."""
        exchange = self._exchange
        if exchange.send_unwanted:
            return False
        try:
            piece = bytes_of("a piece of the body", await interruptible(_next, pieces))
        except StopAsyncIteration:
            piece = None
        with Deadline(self._seconds, "send", "sending the next piece of the body"):
            try:
                if piece is not None:
                    await exchange.send_all(piece)
                else:
                    await exchange.send_eof()
            except (StreamError, SessionError, trio.ClosedResourceError):
                return False  # whoever waits for the response is told the same
        return piece is not None

    def stop(self) -> None:
        """No more of it is wanted."""
        self._scope.cancel()


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces)


async def _close(pieces: AsyncIterator[bytes]) -> None:
    """Ends an async generator in the task that ran it; shielded, and for a moment only."""
    aclose = getattr(pieces, "aclose", None)
    if aclose is not None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1.0):
            await aclose()

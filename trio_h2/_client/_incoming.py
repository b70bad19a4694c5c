"""The receiving end of one exchange, with the connection that it has."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Final

import trio

from .. import H2Error
from .._util import interrupt_safe
from ._errors import RequestTimeoutError

if TYPE_CHECKING:
    from .. import Headers
    from ._exchange import Exchange
    from ._pooled import Pooled
    from ._timeouts import Timeouts
    from ._timers import Timers

_SHORT: Final = 64 * 1024
"""Bytes of a body that nobody wants that are read, so that a connection of HTTP/1.1 can be used again."""
_DISCARD_SECONDS: Final = 0.5


@interrupt_safe
class Incoming:
    """One response as it comes in. It gives its connection back when it has ended, or is given up.

    Args:
        exchange: carries it.
        pooled: the connection.
        timeouts: how long its parts may take.
        timers: watch that.
        sent: whether all of the request is on its way; if not, `request_sent` will say it.
    """

    def __init__(self, exchange: Exchange, pooled: Pooled, timeouts: Timeouts, timers: Timers, *, sent: bool) -> None:
        self.exchange: Exchange = exchange
        self.pooled: Pooled = pooled
        """Still that one when it was given back."""
        self._timeouts = timeouts
        self._timers = timers
        self._sent = sent
        self._waits_for_head = False
        self._closed = False
        self._tunnel = False
        """Bytes go both ways, and each side ends for itself."""
        self._sent_end = False
        self._received_end = False
        self.ended: bool = False
        """The whole body was taken."""
        self.due: float = math.inf
        self._expired = False

    @property
    def http_version(self) -> str:
        """``"2"`` or ``"1.1"``."""
        return self.pooled.http_version

    @property
    def informational(self) -> list[Headers]:
        """The 1xx responses."""
        return self.exchange.informational

    @property
    def trailers(self) -> Headers | None:
        """The trailers, if they have come."""
        return self.exchange.trailers if self.ended else None

    async def receive_informational(self) -> Headers | None:
        """Waits for the next 1xx response, ``None`` if the final one has come."""
        self._waits_for_head = True
        if self._sent:
            self._begin(self._timeouts.response)
        try:
            return await self.exchange.receive_informational()
        except trio.ClosedResourceError:
            self._raise_if_expired("response", self._timeouts.response)
            raise
        finally:
            self._waits_for_head = False
            self.due = math.inf

    async def receive_head(self) -> Headers:
        """Waits for the head of the final response."""
        self._waits_for_head = True
        if self._sent:
            self._begin(self._timeouts.response)
        try:
            headers = await self.exchange.receive_response()
        except trio.ClosedResourceError:
            self._raise_if_expired("response", self._timeouts.response)
            raise
        finally:
            self._waits_for_head = False
            self.due = math.inf
        self.pooled.lane.answered += 1
        return headers

    def request_sent(self) -> None:
        """All of the request is on its way: from now on the server is to answer."""
        if self._tunnel:
            self._end_tunnel(sent=True)
            return
        self._sent = True
        if self._waits_for_head:
            self._begin(self._timeouts.response)

    def _begin(self, seconds: float) -> None:
        """From now on there are so many seconds."""
        if seconds < math.inf:
            self.due = trio.current_time() + seconds
            self._timers.watch(self)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives bytes of the body, ``b""`` at its end."""
        if self.ended:
            await trio.lowlevel.checkpoint()
            return b""
        if self._closed:
            raise trio.ClosedResourceError("the block of this request has been left")
        exchange = self.exchange
        if not exchange.readable and not self._tunnel:
            self._begin(self._timeouts.idle)
        try:
            data = await exchange.receive_some(max_bytes)
        except trio.ClosedResourceError:
            self._raise_if_expired("idle", self._timeouts.idle)
            raise
        finally:
            self.due = math.inf
        if self._tunnel:
            if not data:
                self._end_tunnel(received=True)
        elif not data or exchange.body_ended:
            self.ended = True
            self.close()
        return data

    def receive_some_nowait(self) -> bytes:
        """The same, but raises `trio.WouldBlock` where that would wait. Not for what has switched."""
        if self.ended:
            return b""
        if self._closed:
            raise trio.ClosedResourceError("the block of this request has been left")
        data = self.exchange.receive_some_nowait()
        if not data or self.exchange.body_ended:
            self.ended = True
            self.close()
        return data

    def switch(self) -> None:
        """The head has opened a stream of bytes in both directions, which ends when both have ended."""
        self._tunnel = True

    def _end_tunnel(self, *, sent: bool = False, received: bool = False) -> None:
        self._sent_end = self._sent_end or sent
        self._received_end = self._received_end or received
        if self._sent_end and self._received_end:
            self.ended = True
            self.close()

    async def discard(self) -> None:
        """Reads the body to its end if it is short and comes at once, and drops it; never raises because of the server.

        What is longer is left to `close`.
        """
        left = _SHORT
        with contextlib.suppress(H2Error, trio.ClosedResourceError), trio.move_on_after(_DISCARD_SECONDS):
            while left > 0 and (data := await self.receive_some(left)):
                left -= len(data)

    def expire(self) -> None:
        """Something that is waited for took too long. For the timers."""
        self._expired = True
        self.exchange.destroy()

    def _raise_if_expired(self, phase: str, seconds: float) -> None:
        if self._expired:
            raise RequestTimeoutError(
                f"the {'response' if phase == 'response' else 'next piece of the body'} took longer than "
                f"{phase}={seconds:g} s (set in Timeouts)",
                phase=phase,
            ) from None

    def close(self) -> None:
        """Gives the exchange up, if it has not ended, and the connection back."""
        if not self._closed:
            self._closed = True
            self._timers.forget(self)
            self.exchange.destroy()
            self.pooled.give_back()

"""The attempts to send a request whose body the application sends, until one of them is answered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .. import ExtendedConnectError
from .._util import interrupt_safe
from ._incoming import Incoming
from ._request_block import RequestBlock
from ._timeouts import Deadline

if TYPE_CHECKING:
    from .. import Headers
    from ._exchange import Exchange
    from ._lane import Lane
    from ._outgoing import Outgoing
    from ._pooled import Pooled
    from ._timeouts import Timeouts


class Attempt:
    """One of them.

    Args:
        exchange: carries it.
        pooled: the connection.
        incoming: its response.
    """

    __slots__ = ("error", "exchange", "given_up", "incoming", "pooled")

    def __init__(self, exchange: Exchange, pooled: Pooled, incoming: Incoming) -> None:
        self.exchange: Exchange = exchange
        self.pooled: Pooled = pooled
        self.incoming: Incoming = incoming
        self.given_up: bool = False
        """Another one is to follow."""
        self.error: Exception | None = None
        """Why there is no other one all the same."""

    @property
    def over(self) -> bool:
        """Whether the whole response was taken."""
        return self.incoming.ended


@interrupt_safe
class Attempts(RequestBlock):
    """Opens one after the other; what is tried again, and when, is decided as for any other request.

    `begin` comes first, and `end` last.
    """

    @property
    def request(self) -> Outgoing:
        """What is sent."""
        return self._request

    @property
    def timeouts(self) -> Timeouts:
        """How long each part may take."""
        return self._timeouts

    def begin(self) -> None:
        """From now on there is a request."""
        if self._used:
            raise RuntimeError("the block of an exchange can be entered only once; call exchange() again")
        self._used = True
        self._lane = self._pool.lane(self._request.origin)
        self._lane.users += 1
        self._answered = self._lane.answered

    def end(self) -> None:
        """There will be no further attempt."""
        self._lane.users -= 1
        self._lane.forget_if_unused()

    async def open(self, body: bytes, *, end_stream: bool) -> Attempt:
        """Sends the head, and what there is of the body; again, until that has worked.

        Args:
            body: the beginning of the body.
            end_stream: whether the request ends with it.
        """
        while True:
            lane = self._lane
            pooled: Pooled | None = None
            try:
                await trio.lowlevel.checkpoint_if_cancelled()
                pooled = lane.acquire_nowait() or await self._wait_for_connection(lane)
                return await self._open_on(pooled, body, end_stream=end_stream)
            except ExtendedConnectError:
                if lane.http1 or not self._pool.speaks_http1:
                    raise
                # RFC 8441 §3: a client may use extended CONNECT only where it is offered; HTTP/1.1 can always ask.
                self._change_to(self._pool.http1_lane(self._request.origin))
                continue
            except Exception as exc:
                pause = self._pause_after_error(exc, pooled)
                if pause is None:
                    raise
            await trio.sleep(pause)

    def _change_to(self, lane: Lane) -> None:
        """Waits in another line from now on."""
        before, self._lane = self._lane, lane
        lane.users += 1
        self._answered = lane.answered
        before.users -= 1
        before.forget_if_unused()

    async def _open_on(self, pooled: Pooled, body: bytes, *, end_stream: bool) -> Attempt:
        request, timeouts = self._request, self._timeouts
        try:
            exchange = pooled.open_nowait(request, body, end_stream=end_stream)
            if exchange is None:
                seconds = timeouts.slot if pooled.has_line else math.inf
                with Deadline(seconds, "slot", "waiting for a stream"):
                    exchange = await pooled.open(request, body, end_stream=end_stream)
        except BaseException:
            pooled.give_back()
            raise
        sent = end_stream or request.switches
        return Attempt(exchange, pooled, Incoming(exchange, pooled, timeouts, self._pool.timers, sent=sent))

    def pause_after_error(self, error: Exception, attempt: Attempt) -> float | None:
        """Returns how long to wait before the next attempt after this one failed, ``None`` if there is none."""
        return self._pause_after_error(error, attempt.pooled)

    def pause_after_response(self, headers: Headers, attempt: Attempt) -> float | None:
        """Returns how long to wait before the next attempt because of a response, ``None`` if it is taken."""
        return self._pause_after_response(headers, attempt.pooled)

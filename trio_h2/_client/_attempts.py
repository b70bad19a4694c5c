"""The attempts to send one request: on which connection, and when another one may follow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import trio

from .. import ExtendedConnectError
from .._util import interrupt_safe
from ._errors import RequestTimeoutError
from ._incoming import Incoming
from ._lane import Ticket
from ._pool import wants_http1
from ._retry import retry_after
from ._timeouts import Deadline

if TYPE_CHECKING:
    from .. import Headers
    from ._lane import Lane
    from ._outgoing import Outgoing
    from ._pool import Pool
    from ._pooled import Pooled
    from ._retry import Retry
    from ._timeouts import Timeouts

_MOST_LEFT_OUT: Final = 100
"""Sessions that may end with others answered and one request not, before that counts as a failure of it."""


@interrupt_safe
class Attempts:
    """Makes one attempt after the other, and decides whether there is another. `begin` comes first, and `end` last.

    Args:
        request: what is sent.
        pool: has the connections.
        timeouts: how long each part may take, if the request does not say that itself.
        retry: what is sent again.
    """

    __slots__ = (
        "_answered",
        "_lane",
        "_left_out",
        "_pool",
        "_repeated",
        "_retry",
        "request",
        "timeouts",
    )

    def __init__(self, request: Outgoing, pool: Pool, timeouts: Timeouts, retry: Retry) -> None:
        self.request: Outgoing = request
        self.timeouts: Timeouts = request.timeouts or timeouts
        self._pool = pool
        self._retry = retry
        self._lane: Lane | None = None
        self._answered: int
        """What the lane had answered when this request failed last."""
        self._repeated: int
        self._left_out: int
        """How often the server has left a session that had answered others."""

    def begin(self) -> None:
        """There is a request now; or another one, in place of what it was before."""
        self._change_to(self._pool.lane(self.request.origin))
        self._repeated = 0
        self._left_out = 0

    def end(self) -> None:
        """There will be no further attempt."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.users -= 1
            lane.forget_if_unused()

    def _change_to(self, lane: Lane) -> None:
        """Waits in another line from now on."""
        lane.users += 1
        self.end()
        self._lane = lane
        self._answered = lane.answered

    async def open(self, body: bytes, *, end_stream: bool) -> Incoming:
        """Sends the head, and *body*; again, until that has worked. Returns what receives the response.

        Args:
            body: all of the body, or its beginning.
            end_stream: whether the request ends with it.
        """
        while True:
            lane = self._lane
            assert lane is not None
            pooled: Pooled | None = None
            try:
                await trio.lowlevel.checkpoint_if_cancelled()
                pooled = lane.acquire_nowait() or await self._wait_for_connection(lane)
                try:
                    exchange = pooled.open_nowait(self.request, body, end_stream=end_stream)
                    if exchange is None:
                        seconds = self.timeouts.slot if pooled.has_line else math.inf
                        with Deadline(seconds, "slot", "waiting for a stream"):
                            exchange = await pooled.open(self.request, body, end_stream=end_stream)
                except BaseException:
                    pooled.give_back()
                    raise
            except ExtendedConnectError:
                if lane.http1 or not self._pool.speaks_http1:
                    raise
                # RFC 8441 §3: a client may use extended CONNECT only where it is offered; HTTP/1.1 can always ask.
                self._change_to(self._pool.http1_lane(self.request.origin))
                continue
            except Exception as exc:
                pause = self.pause_after_error(exc, pooled)
                if pause is None:
                    raise
            else:
                sent = end_stream or self.request.switches
                return Incoming(exchange, pooled, self.timeouts, self._pool.timers, sent=sent)
            await trio.sleep(pause)

    async def _wait_for_connection(self, lane: Lane) -> Pooled:
        own = self.request.timeouts
        deadline = Deadline(self.timeouts.slot, "slot", "waiting for a connection", restarts=own is not None)
        with deadline:
            ticket = Ticket(self.request.number, deadline, None if own is None else own.connect)
            pooled = await self._pool.acquire(lane, ticket)
        return pooled

    # -- another attempt -------------------------------------------------------------------------------------------

    def pause_after_error(self, error: Exception, pooled: Pooled | None) -> float | None:
        """Returns how long to wait before the request is sent again after it failed, ``None`` if it is not.

        Args:
            error: of what.
            pooled: the connection that it had, if it had one.
        """
        request, lane = self.request, self._lane
        assert lane is not None
        if not request.replayable:
            return None
        if request.timeouts is not None and isinstance(error, RequestTimeoutError):
            return None  # whoever asks for a time wants to know after that time
        if wants_http1(error) and not lane.http1 and self._pool.speaks_http1:
            lane.http1 = True
            lane.leave()
            return 0.0
        if not self._retry.wants_after_error(error, request.method):
            return None
        leaves = pooled is not None and pooled.leaving
        if leaves and lane.answered > self._answered and self._left_out < _MOST_LEFT_OUT:
            # Others have got answers meanwhile, so each session that the server leaves brings us nearer.
            self._answered = lane.answered
            self._left_out += 1
            return 0.0
        if self._repeated >= self._retry.attempts:
            return None
        self._repeated += 1
        return 0.0 if leaves and self._repeated == 1 else self._retry.pause(self._repeated)

    def pause_after_response(self, headers: Headers, pooled: Pooled) -> float | None:
        """Returns how long to wait before the request is sent again because of its response, ``None`` if it is not."""
        retry, request = self._retry, self.request
        status = headers.status
        if status != 421 and status not in retry.statuses:
            return None
        if status == 421 and pooled.lane is not self._lane and request.replayable:
            # It was our idea to send it there.
            assert self._pool.coalescing is not None
            self._pool.coalescing.separate(request.origin)
            return 0.0
        if self._repeated >= retry.attempts or not request.replayable:
            return None
        if status == 421 and not self._repeated:
            # RFC 9110 §15.5.20: "A client that receives a 421 (Misdirected Request) response MAY retry the request,
            # whether or not the request method is idempotent, over a different connection".
            assert self._lane is not None
            self._lane.leave()
            self._repeated += 1
            return 0.0
        if not retry.wants_after_status(status, request.method):
            return None
        asked = retry_after(headers.get("retry-after"))
        if asked is not None and asked > retry.max_retry_after:
            return None
        self._repeated += 1
        return retry.pause(self._repeated) if asked is None else asked

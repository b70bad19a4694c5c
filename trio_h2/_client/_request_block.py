"""The block of one request of a client: sends it, again if that is safe, and gives the response."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import trio

from .._util import NoPublicConstructor, construct, interrupt_safe, unwrap_body_error
from ._decoded import decoded
from ._errors import RequestTimeoutError, TooManyRedirectsError
from ._incoming import Incoming
from ._lane import Ticket
from ._pool import wants_http1
from ._redirect import redirected
from ._response import Response
from ._retry import retry_after
from ._stored_body import StoredBody
from ._timeouts import Deadline
from ._upload import Upload

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from .. import Headers
    from ._handling import Handling
    from ._lane import Lane
    from ._outgoing import Outgoing
    from ._pool import Pool
    from ._pooled import Pooled
    from ._retry import Retry
    from ._timeouts import Timeouts

_MOST_LEFT_OUT: Final = 100
"""Sessions that may end with others answered and one request not, before that counts as a failure of it."""


@interrupt_safe
class RequestBlock(metaclass=NoPublicConstructor):
    """The block of one request: ``async with client.request(…) as response``. Use it once."""

    _made_by = "Client.request makes it"

    def __init__(self, request: Outgoing, pool: Pool, timeouts: Timeouts, retry: Retry, handling: Handling) -> None:
        self._request = request
        self._pool = pool
        self._timeouts = request.timeouts or timeouts
        self._retry = retry
        self._handling = handling
        self._incoming: Incoming | None = None
        self._uploads: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None
        self._upload: Upload | None = None
        self._stored: StoredBody | None = None
        self._used = False
        self._lane: Lane
        self._answered = 0
        """What the lane had answered when this request failed last."""
        self._repeated = 0
        self._left_out = 0
        """How often the server has left a session that had answered others."""

    @property
    def url(self) -> str:
        """What is asked for: where the last redirect led, if some were followed. For messages about failures."""
        return self._request.url

    async def __aenter__(self) -> Response:
        """Sends the request; returns when the head of its response is here."""
        if self._used:
            raise RuntimeError("a request block can be entered only once; call request() again")
        self._used = True
        if self._request.content is not None:
            return await self._send()
        self._uploads = trio.open_nursery()
        self._nursery = await self._uploads.__aenter__()
        try:
            body = self._request.body
            if isinstance(body, StoredBody):
                self._stored = body
                self._request = self._request.of_size(await body.open())
            return await self._send()
        except BaseException as exc:
            await self._leave(exc)
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gives up what has not ended; never waits for the server. Entering was the checkpoint."""
        if self._incoming is not None:
            self._incoming.close()
        if self._uploads is not None:
            await self._leave(exc)

    async def _leave(self, exc: BaseException | None) -> None:
        """Ends the task that sends the body. What that raised comes out, not wrapped in a group if it is alone."""
        assert self._uploads is not None
        assert self._nursery is not None
        self._nursery.cancel_scope.cancel()
        error = exc
        if self._upload is not None and isinstance(exc, trio.Cancelled):
            error = self._upload.error
        try:
            await self._uploads.__aexit__(type(exc) if exc is not None else None, exc, None)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, error)
        finally:
            if self._stored is not None:
                await self._stored.close()
            del exc, error

    # -- sending, here and there -----------------------------------------------------------------------------------

    async def _send(self) -> Response:
        headers = await self._ask()
        history: tuple[Response, ...] = ()
        if self._handling.max_redirects:
            while (following := redirected(self._request, headers)) is not None:
                assert self._incoming is not None
                history = *history, construct(Response, self._incoming, self._request, headers, history)
                await self._drop()
                if len(history) > self._handling.max_redirects:
                    raise TooManyRedirectsError(
                        f"{history[0].method} {history[0].url} was redirected more often than "
                        f"max_redirects={self._handling.max_redirects} times, to {following.url} in the end"
                    )
                self._request = following
                self._repeated = 0
                headers = await self._ask()
        assert self._incoming is not None
        body = decoded(self._incoming, headers) if self._handling.decode else None
        return construct(Response, self._incoming, self._request, headers, history, body)

    # -- sending, again and again ----------------------------------------------------------------------------------

    async def _ask(self) -> Headers:
        """Sends the request, again if need be; returns the head of its response."""
        cookies = self._handling.cookies
        self._lane = lane = self._pool.lane(self._request.origin)
        lane.users += 1
        self._answered = lane.answered
        try:
            while True:
                pooled: Pooled | None = None
                if cookies is not None:
                    self._request = cookies.added(self._request)
                try:
                    await trio.lowlevel.checkpoint_if_cancelled()
                    pooled = lane.acquire_nowait() or await self._wait_for_connection(lane)
                    headers = await self._attempt(pooled)
                except Exception as exc:
                    pause = self._pause_after_error(exc, pooled)
                    if pause is None:
                        raise
                else:
                    if cookies is not None:
                        cookies.take(self._request, headers)
                    pause = self._pause_after_response(headers, pooled)
                    if pause is None:
                        return headers
                    await self._drop()
                await trio.sleep(pause)
        finally:
            lane.users -= 1
            lane.forget_if_unused()

    def _pause_after_error(self, error: Exception, pooled: Pooled | None) -> float | None:
        """Returns how long to wait before the request is sent again after it failed, ``None`` if it is not."""
        request, lane = self._request, self._lane
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

    def _pause_after_response(self, headers: Headers, pooled: Pooled) -> float | None:
        """Returns how long to wait before the request is sent again because of its response, ``None`` if it is not."""
        retry, request = self._retry, self._request
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

    async def _drop(self) -> None:
        """Gives up a response that nobody wants; a short one is read to its end, which keeps the connection."""
        try:
            if self._incoming is not None:
                await self._incoming.discard()
        finally:
            self._give_up()

    def _give_up(self) -> None:
        if self._incoming is not None:
            self._incoming.close()
            self._incoming = None
        if self._upload is not None:
            self._upload.stop()

    async def _wait_for_connection(self, lane: Lane) -> Pooled:
        own = self._request.timeouts
        deadline = Deadline(self._timeouts.slot, "slot", "waiting for a connection", restarts=own is not None)
        with deadline:
            ticket = Ticket(self._request.number, deadline, None if own is None else own.connect)
            pooled = await self._pool.acquire(lane, ticket)
        return pooled

    async def _attempt(self, pooled: Pooled) -> Headers:
        """Sends the request once; returns the head of its response."""
        request, timeouts = self._request, self._timeouts
        content = request.content
        sent = content is not None
        try:
            exchange = pooled.open_nowait(request, content or b"", end_stream=sent)
            if exchange is None:
                seconds = timeouts.slot if pooled.has_line else math.inf
                with Deadline(seconds, "slot", "waiting for a stream"):
                    exchange = await pooled.open(request, content or b"", end_stream=sent)
        except BaseException:
            pooled.give_back()
            raise
        self._incoming = incoming = Incoming(exchange, pooled, timeouts, self._pool.timers, sent=sent)
        try:
            if content is None:
                assert self._nursery is not None
                self._upload = Upload(request, exchange, incoming, timeouts.send)
                self._nursery.start_soon(self._upload.run, name=f"trio_h2 body of {request.method} {request.url}")
            return await incoming.receive_head()
        except BaseException:
            self._give_up()
            raise

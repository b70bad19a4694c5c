"""One HTTP/1.1 connection: requests one after the other, each with a handler in a task of its own.

Tasks. The *connection's own* task waits for a request, starts its handler, and looks what comes after it: when the
exchange is over on the wire, though its handler may still run. The *reader* is
the only caller of the transport's `receive_some`: it also notices, while a handler runs, that the client is gone. It
waits while the handler has more to read than a stream's window; then the socket tells whether the client is gone. The
*writer* is the only caller of `send_all`, so a cancelled handler never cuts a write. The *watcher* knows
`Http1Exchange.idle_timeout`.

What a client or a network breaks is state (`failure`, `over`), and ends the three tasks; only bugs travel through
the nursery. `Http1Wire` knows the protocol, `Http1Output` what is to be written, `IdleClock` how long nothing happened.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING

import trio

from .._errors import from_failure
from .._session._supervision import supervise
from .._session._work import SessionWork, Ts
from .._stream._alerts import alert_of, meaning_of
from .._stream._byte_count import ByteCount
from .._stream._core import StreamCore
from .._stream._forwarded import trusted_proxies
from .._stream._port import HEADERS
from .._stream._refused_request import RefusedRequest, tell_refused
from .._stream._request import RequestView
from .._stream._transport import TransportView
from .._util import Arrivals, closed_here, construct, forget_frames, interrupt_safe
from .._wire._codes import ErrorCode, Initiator
from .._wire._failure import Cause, SessionFailure, StreamFailure
from .._wire._headers import Headers
from ._closing import close_abruptly, close_gracefully
from ._connection import Http1Connection
from ._departure import departure
from ._exchange import Http1Exchange
from ._idle import IdleClock
from ._output import Http1Output
from ._request import BadMessageError, RequestHead
from ._wire import BodyReceived, Http1Wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._stream._outbox import Outbox
    from .._stream._server import Handler
    from .._wire._config import ServerConfig
    from .._wire._schedule import Priority
    from ._trace import Http1Trace

logger = logging.getLogger("trio_h2.server")

READ_SIZE = 64 * 1024
MAX_LEFT_BEHIND = 8
"""So many handlers may run on when their exchanges are over; with more, the next request waits for one of them."""
UNREAD_SECONDS = 0.1
"""After so long without a reader it is worth asking the socket whether the client is still there."""


@interrupt_safe
class Http1Core:
    """The inner side of an `Http1Connection`: the `StreamPort` of its exchanges."""

    def __init__(
        self,
        below: trio.abc.Stream,
        config: ServerConfig,
        *,
        label: str,
        handler: Handler,
        cancel_handler_on_reset: bool,
        early: bytes = b"",
    ) -> None:
        self.below = below
        self._early = early
        """Bytes that were received already."""
        self.config = config
        self.label = label
        self._handler = handler
        self._cancel_handler_on_reset = cancel_handler_on_reset
        self._count = ByteCount()
        proxies = trusted_proxies(config)
        self.transport: TransportView = construct(TransportView, below, self._count, cleartext=None, proxies=proxies)
        scheme = b"https" if self.transport.encrypted else b"http"
        self.trace: Http1Trace | None = self._traced() if config.instruments else None
        """What tells the instruments of the connection, if there are any."""
        self._tapped: trio.abc.Stream = below if self.trace is None else self.trace.transport
        """The transport as it is read and written: instruments see the bytes on their way."""
        self._supervised: Handler = handler if self.trace is None else self.trace.handler(handler)
        self.engine: Http1Wire = self._new_engine(scheme)
        self._exchange: StreamCore | None = None
        self._stream: Http1Exchange | None = None
        """What the handler of the exchange gets."""
        self._handlers: trio.Nursery | None = None
        """Where handlers run; they may outlive their exchange, and the service tasks."""
        self._handler_tasks: set[trio.lowlevel.Task] = set()
        self._exchange_moved = trio.Event()
        """The exchange is over on the wire, or a handler has ended."""
        self.failure: SessionFailure | None = None
        self._output = Http1Output(self.engine)
        self._arrivals = Arrivals()
        self._idle = IdleClock(self._arrivals)
        """Of the exchange."""
        self.idle_timeout: float = config.idle_timeout
        """Seconds that the connection may have no request."""
        self.on_idle: Callable[[Http1Connection], object] | None = None
        """Called then, instead of the end."""
        self.held: int = 0
        """Bytes of the request that are received and not read."""
        self._dropped = 0
        """Bytes of the request that nobody wanted."""
        self._eof = False
        """The reader has ended."""
        self._discarding = False
        """What comes is thrown away: only the client's end matters."""
        self._changed = trio.lowlevel.ParkingLot()
        self._write_scope = trio.CancelScope()
        self._reading = trio.CancelScope()
        """Of the reader, as long as it lives."""
        self._read_scope = trio.CancelScope()
        """Of what the reader is receiving."""
        self._head_scope: trio.CancelScope | None = None
        self._head_deadline = math.inf
        """Until when the head that has begun must be complete."""
        self._scope = trio.CancelScope()
        self._tasks: trio.Nursery | None = None
        """Where the connection's tasks run, and the application's own, until it takes no further request."""
        self._work = SessionWork(label)
        self.draining_begun: trio.Event = trio.Event()
        """The connection ends with the current request, or with one more."""
        self._drained_at = math.inf
        self._leaving = False
        """No further request is taken."""
        self.over: trio.Event = trio.Event()
        """Everything has ended, and the transport is closed."""
        self.session: Http1Connection = construct(Http1Connection, self)
        """What the application sees of it, until the end."""

    def _traced(self) -> Http1Trace:
        from ._trace import Http1Trace

        trace = Http1Trace(self.config.instruments, self.below, self.transport, self.label, self._exchange_failure)
        trace.received(self._early)
        return trace

    def _exchange_failure(self) -> StreamFailure | SessionFailure | None:
        return None if self._exchange is None else self._exchange.failure

    def _new_engine(self, scheme: bytes) -> Http1Wire:
        if self.trace is None:
            return Http1Wire(self.config, scheme, self._stream_closed)
        from ._traced_wire import TracedHttp1Wire

        return TracedHttp1Wire(self.config, scheme, self._stream_closed, self.trace)

    # -- the connection's own task ---------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[Http1Connection]) -> None:
        """Serves the connection to its end."""
        try:
            with self._scope:
                async with trio.open_nursery() as handlers:
                    self._handlers = handlers
                    async with trio.open_nursery() as nursery:
                        self._tasks = nursery
                        nursery.start_soon(self._write, name=f"trio_h2 writer {self.label}")
                        nursery.start_soon(self._read, name=f"trio_h2 reader {self.label}")
                        nursery.start_soon(self._watch, name=f"trio_h2 watcher {self.label}")
                        if self.trace is not None:
                            nursery.start_soon(self.trace.write_watch.run, name=f"trio_h2 trace {self.label}")
                        task_status.started(self.session)
                        await self._serve()
                        self._end_work()
                        await self._say_goodbye()
                        nursery.cancel_scope.cancel()
                    if self._handler_tasks:
                        await self._close_abruptly()  # the client need not wait for them
        finally:
            self._end_work()
            self.discard()
            if self._exchange is not None:
                self._exchange.discard()  # if its handler never began
            try:
                await self._close_abruptly()
            finally:
                self._release()

    def start_soon(self, function: Callable[[*Ts], Awaitable[object]], *args: *Ts, name: str | None) -> None:
        """Starts a task of the application, see `Http1Connection.start_soon`."""
        if self.failure is not None:
            raise from_failure(self.failure)
        if self._tasks is None:
            raise closed_here()
        self._work.start_soon(self._tasks, self._work_failed, function, *args, name=name)

    def _end_work(self) -> None:
        self._tasks = None
        self._work.cancel()

    def _work_failed(self) -> None:
        reason = "a task of start_soon raised"
        self.discard(SessionFailure(Cause.CLOSED, ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, reason))

    async def _serve(self) -> None:
        while await self._next_request():
            exchange, stream = self._exchange, self._stream
            assert exchange is not None
            assert exchange.request is not None
            assert stream is not None
            name = f"trio_h2 {exchange.request.method} {exchange.request.target} #{exchange.id}"
            assert self._handlers is not None
            handled = trio.Event()
            self._handlers.start_soon(self._handle, exchange, stream, handled, name=name)
            while not (handled.is_set() or self._may_be_left_behind(exchange)):
                self._exchange_moved = trio.Event()
                await self._exchange_moved.wait()
            if not await self._settle():
                return
            self._exchange = self._stream = None
            self.engine.next_cycle()
            self._dispatch()

    def _may_be_left_behind(self, exchange: StreamCore) -> bool:
        """Whether the connection can go on while the handler of *exchange* runs: all of both messages is on its way."""
        return exchange.over.is_set and self.failure is None and len(self._handler_tasks) <= MAX_LEFT_BEHIND

    async def _handle(self, exchange: StreamCore, stream: Http1Exchange, handled: trio.Event) -> None:
        """Runs the handler of an exchange, in a task of its own that has context variables of its own."""
        task = trio.lowlevel.current_task()
        self._handler_tasks.add(task)
        try:
            await supervise(stream, exchange, self._supervised, self.label, self.config.handler_timeout)
        finally:
            exchange.close(refuse=ErrorCode.NO_ERROR)
            self._handler_tasks.discard(task)
            handled.set()
            self._exchange_moved.set()

    async def _next_request(self) -> bool:
        """Waits for a request; ``False`` if none will come."""
        engine = self.engine
        self._head_deadline = math.inf
        since = trio.current_time()
        while True:
            with trio.CancelScope() as scope:
                self._head_scope = scope
                self._head_begun()
                while self._exchange is None and not (self._eof or self._discarding):
                    if not engine.begun:
                        scope.deadline = self._request_due(since)
                    await self._changed.park()
            self._head_scope = None
            if scope.cancelled_caught:
                await self._arrivals.caught_up(trio.current_time() - scope.deadline)
                # The head may have begun after all: while we caught up, or in the step in which the time was over.
                late = trio.current_time() >= self._head_deadline
                if engine.begun and not late and self._exchange is None:
                    continue
            if self._exchange is not None:
                return True
            if scope.cancelled_caught and not engine.begun:
                if trio.current_time() < self._request_due(since):
                    continue  # it has more time by now
                if self._idled():
                    since = trio.current_time()
                    continue
            if scope.cancelled_caught and engine.begun:
                limit = self.config.timeout("handshake_timeout")
                self._refuse(BadMessageError(408, f"the head of a request was not complete within {limit}"))
            return False

    def _request_due(self, since: float) -> float:
        """When the next request must have begun, where none was there since *since*."""
        due = since + (self.idle_timeout if self.engine.number else self.config.handshake_timeout)
        if self.draining_begun.is_set():
            # The client may just be sending one: it is told by its response that it was the last.
            due = min(due, max(since, self._drained_at) + self.config.last_request_timeout)
        return due

    def _idled(self) -> bool:
        """No request has come for too long; returns whether the connection stays all the same, as the hook wants."""
        hook = self.on_idle
        if hook is None or not self.engine.number or self.draining_begun.is_set():
            return False
        hook(self.session)
        return True

    def set_connection_timeout(self, seconds: float) -> None:
        """Changes how long the connection may have no request; what it has idled already counts."""
        self.idle_timeout = seconds
        self._changed.unpark_all()

    def _head_begun(self) -> None:
        """The head of a request has so many seconds from its first byte on."""
        if self._head_scope is not None and self.engine.begun:
            if self._head_deadline == math.inf:
                self._head_deadline = trio.current_time() + self.config.handshake_timeout
            self._head_scope.deadline = self._head_deadline
            self._head_scope = None

    async def _settle(self) -> bool:
        """Waits until the response is written, and the request is out of the way; ``False`` if that was the last."""
        engine = self.engine
        await self._written()
        if not engine.close_after:
            with trio.move_on_after(self.config.linger_timeout):
                while self._alive and not self._request_out_of_the_way():
                    await self._changed.park()
        return self._alive and engine.reusable and not self._discarding

    def _request_out_of_the_way(self) -> bool:
        return (
            self.engine.request_complete
            or self._eof
            or self._discarding
            or self._dropped >= self.config.upload_grace_bytes
        )

    async def _written(self) -> None:
        while self._alive and not self._output.all_written:
            await self._changed.park()

    async def _say_goodbye(self) -> None:
        """Closes the connection so that the client sees all that was sent, though it may still be sending."""
        self._leaving = True
        self.draining_begun.set()
        await self._written()
        if not self._alive:
            return
        engine = self.engine
        unread = self._discarding or engine.backlog > 0 or (self._exchange is not None and not engine.request_complete)
        self._discarding = True
        self._read_scope.deadline = math.inf
        self._changed.unpark_all()
        await close_gracefully(
            *(self.below, self._wait_eof, self._stop_reading, self.config),
            unread=unread and not self._eof,
            announced=engine.close_after and not engine.raw,
        )

    async def _wait_eof(self) -> None:
        while not self._eof:
            await self._changed.park()

    async def _stop_reading(self) -> None:
        self._reading.cancel()
        await self._wait_eof()

    # -- the reader ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        with self._reading:
            await self._read_all()
        self._eof = True
        self._changed.unpark_all()

    async def _read_all(self) -> None:
        self._received(self._early)
        while True:
            if self._full():
                await self._wait_for_room()
            with trio.CancelScope(deadline=self._patience()) as scope:
                self._read_scope = scope
                try:
                    data = bytes(await self._tapped.receive_some(READ_SIZE))
                except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                    alert = alert_of(exc.__cause__)
                    if alert is None:
                        self._lost("the transport broke", exc)
                    else:
                        self._lost(f"the client ended TLS: {meaning_of(alert)}", exc.__cause__)
                    return
                if not data:
                    self._eof = True
                    self._client_ended()
                    return
                self._received(data)
            if scope.cancelled_caught:
                self._refuse(BadMessageError(408, "the client has stopped in the middle of its request"))

    async def _wait_for_room(self) -> None:
        """Waits until the handler has read; a client that leaves meanwhile is noticed all the same."""
        if self.trace is not None:
            with self.trace.unread():
                await self._wait_until_read()
        else:
            await self._wait_until_read()

    async def _wait_until_read(self) -> None:
        with trio.move_on_after(UNREAD_SECONDS):  # most read on at once
            await self._room()
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._notice_departure)
            await self._room()
            nursery.cancel_scope.cancel()

    async def _room(self) -> None:
        while self._full() and not self._discarding:
            await self._changed.park()

    async def _notice_departure(self) -> None:
        ends = self._ending_is_leaving
        while not await departure(self.below, ends=ends):
            if self._ending_is_leaving:
                break
            ends = False
        self._lost("the client closed the connection", None)

    def _received(self, data: bytes) -> None:
        self._arrivals.count += 1
        self._count.received += len(data)
        if data and not self._discarding:
            self._idle.touch()
            self.engine.receive(data)
            self._head_begun()
            self._dispatch()

    def _full(self) -> bool:
        return self.held >= max(self.config.stream_window, 1) or self.engine.backlog >= READ_SIZE

    def _patience(self) -> float:
        """Returns until when something of the request must come."""
        engine, exchange = self.engine, self._exchange
        if exchange is None or engine.request_complete or engine.waits_for_continue or self._discarding:
            return math.inf
        if engine.method == b"CONNECT":
            return math.inf
        return trio.current_time() + self.config.body_timeout

    def _dispatch(self) -> None:
        """Hands what was received to whom it concerns."""
        while not self._discarding:
            try:
                event = self.engine.next()
            except BadMessageError as exc:
                self._refuse(exc)
                return
            if event is None:
                break
            if isinstance(event, RequestHead):
                self._request_received(event)
            elif isinstance(event, BodyReceived):
                self._body_received(event.data)
            elif self._exchange is not None:
                self._exchange.remote_ended(event.trailers)
        if self._eof:
            self._client_ended()
        self._changed.unpark_all()

    def _request_received(self, head: RequestHead) -> None:
        self._dropped = 0
        if trio.current_time() > self._drained_at + self.config.last_request_timeout:
            self.engine.more_may_follow = False  # or a client that never stops would never be gone
        exchange = StreamCore(self, self.engine.number)
        exchange.request = RequestView(head.headers)
        exchange.received_headers = head.headers
        exchange.end_after_headers = head.bodiless
        exchange.scope = trio.CancelScope()
        exchange.cancel_on_reset = self._cancel_handler_on_reset
        self._exchange = exchange
        self._stream = construct(Http1Exchange, exchange, self.engine, head)
        self.set_idle_timeout(exchange.id, exchange.idle_timeout)

    def _body_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or not exchange.alive:
            self._dropped += len(data)
            return
        self.held += len(data)
        exchange.data_received(data)

    def _client_ended(self) -> None:
        """The client has ended its side; what came before is with its handler."""
        exchange, engine = self._exchange, self.engine
        if exchange is not None and exchange.alive:
            if engine.raw:
                exchange.remote_ended()
                engine.tunnel_ended()
            elif not engine.request_complete and (engine.method != b"CONNECT" or engine.tunnel_wanted):
                self._lost("the client closed the connection in the middle of a request", None)
            elif self._ending_is_leaving:
                self._lost("the client closed the connection", None)
        self._changed.unpark_all()

    @property
    def _ending_is_leaving(self) -> bool:
        """Whether a client that ends its side now does not wait for its response any more.

        A tunnel has two sides, each of which ends for itself. A response that is whole goes out to whoever takes it.
        """
        exchange = self._exchange
        if self.engine.raw or exchange is None or not exchange.alive or exchange.outbox.ended:
            return False
        # TLS cannot end one side.
        return not (self.config.allow_half_open and isinstance(self.below, trio.abc.HalfCloseableStream))

    def _refuse(self, error: BadMessageError) -> None:
        """The client breaks the rules: it is told so, if no response has begun."""
        if self._discarding:
            return
        self._discarding = True
        logger.info("%s: %s (%d)", self.label, error.reason, error.status)
        exchange = self._exchange
        if exchange is None:
            self.engine.answer(error.status)
            head = Headers.from_raw(error.fields)
            tell_refused(self._handler, RefusedRequest(head, error.status, None, error.reason, "1.1", self.transport))
        elif exchange.alive and not exchange.outbox.framed_end:
            answered = exchange.sent_headers is not None
            self.end(SessionFailure(Cause.PROTOCOL, None, Initiator.LIBRARY, error.reason))
            if answered:
                self.engine.aborted = True
            else:
                self.engine.answer(error.status)
        self.engine.close_after = True
        self.wake_writer()
        self._changed.unpark_all()

    # -- the writer ------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        with self._write_scope:
            while self._alive:
                await self._output.wait()
                await self._write_all()
        await self._close_abruptly()  # what was begun will not be finished, and the client must notice at once

    async def _write_all(self) -> None:
        transport = self.below
        while self._alive and (data := self._output.take()):
            await self._transmit(partial(self._send, data))
        if self._alive and self._output.take_end():
            if isinstance(transport, trio.abc.HalfCloseableStream):
                await self._transmit(transport.send_eof)
            else:
                self._end_tunnel()

    async def _send(self, data: bytes) -> None:
        await self._tapped.send_all(data)
        self._count.sent += len(data)

    def _end_tunnel(self) -> None:
        """Ends both sides of a tunnel over TLS, where one cannot be ended alone.

        RFC 9110 §9.3.6: "A tunnel is closed when a tunnel intermediary detects that either side has closed its
        connection: the intermediary MUST attempt to send any outstanding data that came from the closed side to the
        other side, close both connections, and discard any remaining data left undelivered."
        """
        self._discarding = True
        if self._exchange is not None and self._exchange.alive:
            self._exchange.remote_ended()
            self.engine.tunnel_ended()
        self._changed.unpark_all()

    async def _transmit(self, send: Callable[[], Awaitable[None]]) -> None:
        self._output.writing = True
        with trio.move_on_after(self.idle_timeout) as scope:
            try:
                await send()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._lost("the transport broke", exc)
            finally:
                self._output.written()
        if scope.cancelled_caught:
            self._lost("the client has stopped reading", None)
        self._idle.touch()
        self._changed.unpark_all()

    # -- the watcher -----------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await self._idle.wait_idle()
            if self._exchange is None or not self._exchange.alive:
                self._idle.stop()
            else:
                self._exchange.idled()

    # -- the end ---------------------------------------------------------------------------------------------------

    def _lost(self, reason: str, error: BaseException | None) -> None:
        """The client is gone."""
        self._eof = self._discarding = True
        forget_frames(error)
        if self._exchange is not None and self._exchange.alive:
            self.end(SessionFailure(Cause.LOST, None, Initiator.REMOTE, reason, error=error))
        if self.failure is None:
            self.engine.aborted = True
        self._output.wake()  # for the writer to end
        self._changed.unpark_all()

    def drain(self) -> None:
        """Lets the current request finish, or one more, see `Http1Connection.shutdown`."""
        if not self.draining_begun.is_set():
            self._drained_at = trio.current_time()
        self.draining_begun.set()
        self.engine.closing = self.engine.more_may_follow = True
        self._changed.unpark_all()

    def end(self, failure: SessionFailure) -> None:
        """The connection broke, or is ended: what is under way raises."""
        if self.failure is None:
            self.failure = failure
            self._leaving = True
            self.draining_begun.set()
            if self._exchange is not None:
                self._exchange.end(failure)

    def discard(self, failure: SessionFailure | None = None) -> None:
        """This side ends the connection now, whatever runs."""
        if not self.over.is_set():
            reason = "this connection was closed on this side"
            self.end(failure or SessionFailure(Cause.CLOSED, None, Initiator.LOCAL, reason))
        if self._exchange is not None:
            self._exchange.cancel()
        self.draining_begun.set()
        self._scope.cancel()

    def _release(self) -> None:
        """All has ended: lets go of what refers back here, so that nothing waits for the garbage collector."""
        if self.trace is not None:
            self.trace.end(self.failure)
        self._exchange = self._stream = None
        self.on_idle = None  # it may well refer back
        self._output.body_gone()
        self.engine.release()
        self.over.set()
        del self.session

    def refuse_inside(self) -> None:
        """Raises `RuntimeError` inside a handler of this connection."""
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        while task is not None and self._handler_tasks:
            if task in self._handler_tasks:
                raise RuntimeError("aclose() waits for the handlers, so a handler cannot call it; call shutdown()")
            task = task.parent_nursery.parent_task if task.parent_nursery is not None else None

    async def _close_abruptly(self) -> None:
        cut = self._exchange is not None and not self._exchange.outbox.framed_end
        await close_abruptly(self.below, self.config.close_timeout, cut=cut)

    @property
    def takes_requests(self) -> bool:
        """Whether a further request would be answered."""
        return not (self._leaving or self.engine.close_after)

    @property
    def _alive(self) -> bool:
        """Whether something can still be sent."""
        return not self.engine.aborted and (self.failure is None or self.failure.cause is Cause.PROTOCOL)

    def _stream_closed(self, stream_id: int) -> None:
        """Both sides of the exchange have ended on the wire."""
        if self._exchange is not None and self._exchange.id == stream_id:
            self._exchange.end()
            self._exchange_moved.set()
        self._output.body_gone()
        self._changed.unpark_all()

    def _is_current(self, stream_id: int) -> bool:
        """Whether this is of the exchange that has the connection, and not of one whose handler only runs on."""
        return self._exchange is not None and self._exchange.id == stream_id

    # -- for the exchange: see StreamPort --------------------------------------------------------------------------

    def wake_writer(self) -> None:
        """Something was put into the output, or the exchange was reset."""
        self._output.wake()
        if self.engine.aborted:
            self._discarding = True
            self._write_scope.cancel()
            self._changed.unpark_all()
        if self.engine.raw:
            self._dispatch()
        elif self._exchange is not None:
            self._settle_connect(self._exchange)
            if self._eof and self.engine.tunnel_wanted:
                self._client_ended()
        if self._read_scope.deadline == math.inf:
            self._read_scope.deadline = self._patience()  # 100 may have been sent

    def _settle_connect(self, exchange: StreamCore) -> None:
        """Ends the request if it is a CONNECT that was refused: then there is nothing but its head."""
        refused = self.engine.method == b"CONNECT" and exchange.sent_headers is not None
        if refused and exchange.alive and not exchange.inbox.ended.is_set:
            exchange.remote_ended()

    frames_at_once = False
    """The writer frames every body."""

    def body_ready(self, stream_id: int, outbox: Outbox) -> None:
        """The exchange has body bytes to frame."""
        self._output.body_ready(outbox)
        self.wake_writer()

    def body_gone(self, stream_id: int) -> None:
        """The exchange has no body bytes to frame any more."""
        if self._is_current(stream_id):
            self._output.body_gone()
            self._changed.unpark_all()

    def taken(self, stream_id: int, size: int) -> None:
        """The application took received bytes."""
        self.held -= size
        if not self._full():
            self._changed.unpark_all()

    def discarded(self, stream_id: int, size: int) -> None:
        """Received bytes were thrown away."""
        if self._is_current(stream_id):
            self._dropped += size
        self.taken(stream_id, size)

    async def control_room(self) -> None:
        """A checkpoint, which waits while too many bytes are queued (``max_queued_control``)."""
        await trio.lowlevel.checkpoint()
        while self._alive and len(self.engine.output) > self.config.max_queued_control:
            await self._changed.park()

    async def wait_written(self) -> None:
        """A checkpoint, which waits until all that is framed has been written, or will never be."""
        await trio.lowlevel.checkpoint()
        batch = self._output.newest_batch
        while self._alive and self._output.batches_written < batch:
            await self._changed.park()

    def frame_not_sent(self, stream_id: int | None, reason: str, kind: int = HEADERS) -> None:
        """There are no frames, and nothing is too large to be sent."""

    def want_room(self, stream_id: int, outbox: Outbox) -> None:
        """Room is where nothing is queued, which the outbox knows itself."""

    def set_idle_timeout(self, stream_id: int, timeout: float) -> None:
        """From now on the exchange may have no bytes for so many seconds."""
        if self._is_current(stream_id):
            self._idle.start(timeout)

    def prioritize(self, stream_id: int, priority: Priority) -> None:
        """There is nothing else to send."""

    def weigh(self, stream_id: int, weight: int) -> None:
        """There is nothing else to send."""

    def rest_unwanted(self, stream_id: int, code: int) -> None:
        """The response has ended, and nobody reads the rest of the request: `_settle` throws it away."""
        if self._exchange is not None and self._is_current(stream_id):
            self._exchange.stop_reading()

    def linger(self, stream: StreamCore) -> None:
        """Nothing to do: the request is drained when the handler has ended."""

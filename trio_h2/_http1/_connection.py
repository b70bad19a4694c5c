"""One HTTP/1.1 connection: requests one after the other, each with a handler in a task of its own.

Tasks. The *connection's own* task waits for a request, runs its handler, and looks what comes after it. The *reader* is
the only caller of the transport's `receive_some`: it also notices, while a handler runs, that the client is gone. It
waits while the handler has more to read than a stream's window. The *writer* is the only caller of `send_all`; a
cancelled handler so never cuts a write. The *watcher* knows `Http1Exchange.idle_timeout`.

What a client or a network breaks is state (`_failure`, `_over`), and ends the three tasks; only bugs travel through
the nursery.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING, cast

import trio

from .._session._supervision import supervise
from .._util import construct
from .._wire._codes import Initiator
from .._wire._failure import Cause, SessionFailure
from ._closing import close_gracefully
from ._exchange import Http1Exchange
from ._request import BadMessageError, RequestHead
from ._state import Http1State
from ._wire import BodyReceived

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._stream._outbox import Outbox
    from .._stream._port import ServerPort
    from .._wire._schedule import Priority

logger = logging.getLogger("trio_h2.server")

READ_SIZE = 64 * 1024
DRAIN_SIZE = 256 * 1024
"""Octets of an unread request that are thrown away so that the connection can be used again."""


class Http1Connection(Http1State):
    """A connection of an HTTP/1.1 client, made by servers with ``allow_http1``; what its exchanges have as `session`.

    It has what a handler may want to know of a session, and none of what only HTTP/2 has.
    """

    # -- the connection's own task ---------------------------------------------------------------------------------

    async def _run(self, *, task_status: trio.TaskStatus[Http1Connection]) -> None:
        """Serves the connection to its end."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, name=f"trio_h2 writer {self._label}")
                    nursery.start_soon(self._read, name=f"trio_h2 reader {self._label}")
                    nursery.start_soon(self._watch, name=f"trio_h2 watcher {self._label}")
                    task_status.started(self)
                    await self._serve()
                    await self._say_goodbye()
                    nursery.cancel_scope.cancel()
        finally:
            self._cut()
            if self._exchange is not None:
                self._exchange._abandon()  # if its handler never began
            try:
                await self._close_abruptly()
            finally:
                self._release()

    async def _serve(self) -> None:
        while await self._next_request():
            exchange = self._exchange
            assert exchange is not None
            async with trio.open_nursery() as nursery:  # a task of its own has context variables of its own
                name = f"trio_h2 {exchange.method} {exchange._target} #{exchange.id}"
                nursery.start_soon(self._handle, exchange, name=name)
            if not await self._settle():
                return
            self._exchange = None
            self._engine.next_cycle()
            self._pump()

    async def _handle(self, exchange: Http1Exchange) -> None:
        self._handler_task = trio.lowlevel.current_task()
        try:
            await supervise(exchange, self._handler, self._label, self._config.handler_timeout)
        finally:
            exchange._handler_over()
            self._handler_task = None

    async def _next_request(self) -> bool:
        """Waits for a request; ``False`` if none will come."""
        engine = self._engine
        seconds = self._config.idle_timeout if engine.number else self._config.handshake_timeout
        with trio.move_on_after(seconds) as scope:
            self._head_scope = scope
            self._head_begun()
            while self._exchange is None and not (self._eof or self._deaf):
                if self._draining.is_set() and not engine.begun:
                    break
                await self._moved.park()
        self._head_scope = None
        if self._exchange is not None:
            return True
        if scope.cancelled_caught and engine.begun:
            self._refuse(BadMessageError(408, "the head of a request was not complete in time"))
        return False

    def _head_begun(self) -> None:
        """The head of a request has so many seconds from its first octet on."""
        if self._head_scope is not None and self._engine.begun:
            self._head_scope.deadline = trio.current_time() + self._config.handshake_timeout
            self._head_scope = None

    async def _settle(self) -> bool:
        """Waits until the response is written, and the request is out of the way; ``False`` if that was the last."""
        engine = self._engine
        await self._written()
        if not engine.close_after:
            with trio.move_on_after(self._config.linger_timeout):
                while self._alive and not self._request_out_of_the_way():
                    await self._moved.park()
        return self._alive and engine.reusable and not self._deaf

    def _request_out_of_the_way(self) -> bool:
        return self._engine.request_complete or self._eof or self._deaf or self._dropped >= DRAIN_SIZE

    async def _written(self) -> None:
        while self._alive and not self._all_written():
            await self._moved.park()

    def _all_written(self) -> bool:
        engine = self._engine
        pending = self._ready is not None or engine.output or self._writing
        return not pending and engine.half_closed == self._half_closed

    async def _say_goodbye(self) -> None:
        """Closes the connection so that the client sees all that was sent, though it may still be sending."""
        self._draining.set()
        await self._written()
        if not self._alive:
            return
        engine = self._engine
        unread = self._deaf or engine.backlog > 0 or (self._exchange is not None and not engine.request_complete)
        self._deaf = True
        self._read_scope.deadline = math.inf
        self._moved.unpark_all()
        await close_gracefully(
            *(self._transport, self._wait_eof, self._stop_reading, self._config),
            unread=unread and not self._eof,
            tunnel=engine.raw,
        )

    async def _wait_eof(self) -> None:
        while not self._eof:
            await self._moved.park()

    async def _stop_reading(self) -> None:
        self._reading.cancel()
        await self._wait_eof()

    # -- the reader ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        with self._reading:
            await self._read_all()
        self._eof = True
        self._moved.unpark_all()

    async def _read_all(self) -> None:
        self._received(self._early)
        while True:
            while self._full() and not self._deaf:
                await self._moved.park()
            with trio.CancelScope(deadline=self._patience()) as scope:
                self._read_scope = scope
                try:
                    data = bytes(await self._transport.receive_some(READ_SIZE))
                except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                    self._lost("the transport broke", exc)
                    return
                if not data:
                    self._eof = True
                    self._client_ended()
                    return
                self._received(data)
            if scope.cancelled_caught:
                self._refuse(BadMessageError(408, "the client has stopped in the middle of its request"))

    def _received(self, data: bytes) -> None:
        if data and not self._deaf:
            self._active = trio.current_time()
            self._engine.receive(data)
            self._head_begun()
            self._pump()

    def _full(self) -> bool:
        return self._held >= max(self._config.stream_window, 1) or self._engine.backlog >= READ_SIZE

    def _patience(self) -> float:
        """Returns until when something of the request must come."""
        engine, exchange = self._engine, self._exchange
        if exchange is None or engine.request_complete or engine.waits_for_continue or self._deaf:
            return math.inf
        if exchange.method == "CONNECT":
            return math.inf
        return trio.current_time() + self._config.idle_timeout

    def _pump(self) -> None:
        """Hands what was received to whom it concerns."""
        while not self._deaf:
            try:
                event = self._engine.next()
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
                self._exchange._remote_ended(event.trailers)
        if self._eof:
            self._client_ended()
        self._moved.unpark_all()

    def _request_received(self, head: RequestHead) -> None:
        self._dropped = 0
        port = cast("ServerPort", self)
        exchange = construct(Http1Exchange, port, self._engine.number, head, end_stream=head.bodiless)
        exchange._cancel_on_reset = self._cancel_handler_on_reset
        self._exchange = exchange
        self._set_idle_timeout(exchange.id, exchange.idle_timeout)

    def _body_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or not exchange._alive:
            self._dropped += len(data)
            return
        self._held += len(data)
        exchange._data_received(data)

    def _client_ended(self) -> None:
        """The client has ended its side; what came before is with its handler."""
        exchange, engine = self._exchange, self._engine
        if exchange is not None and exchange._alive:
            half_closeable = isinstance(self._transport, trio.abc.HalfCloseableStream)
            if engine.raw:
                exchange._remote_ended()
            elif not engine.request_complete and (exchange.method != "CONNECT" or exchange._tunnel_wanted):
                self._lost("the client closed the connection in the middle of a request", None)
            elif not half_closeable and not exchange._outbox.framed_end:
                self._lost("the client closed the connection", None)
        self._moved.unpark_all()

    def _refuse(self, error: BadMessageError) -> None:
        """The client breaks the rules: it is told so, if no response has begun."""
        if self._deaf:
            return
        self._deaf = True
        logger.info("%s: %s (%d)", self._label, error.reason, error.status)
        exchange = self._exchange
        if exchange is None:
            self._engine.answer(error.status)
        elif exchange._alive and not exchange._outbox.framed_end:
            answered = exchange.headers_sent
            self._fail(SessionFailure(Cause.PROTOCOL, None, Initiator.LIBRARY, error.reason))
            if answered:
                self._engine.aborted = True
            else:
                self._engine.answer(error.status)
        self._engine.close_after = True
        self._wake_writer()
        self._moved.unpark_all()

    # -- the writer ------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        with self._write_scope:
            while self._alive:
                await self._output.wait()
                await self._write_all()
        await self._close_abruptly()  # what was begun will not be finished, and the client must notice at once

    async def _write_all(self) -> None:
        transport = self._transport
        while self._alive and (data := self._take_output()):
            await self._transmit(partial(transport.send_all, data))
        if self._alive and self._engine.half_closed and not self._half_closed:
            self._half_closed = True
            if isinstance(transport, trio.abc.HalfCloseableStream):
                await self._transmit(transport.send_eof)
            else:
                self._end_tunnel()

    def _end_tunnel(self) -> None:
        """Ends both sides of a tunnel over TLS, where one cannot be ended alone.

        RFC 9110 §9.3.6: "A tunnel is closed when a tunnel intermediary detects that either side has closed its
        connection: the intermediary MUST attempt to send any outstanding data that came from the closed side to the
        other side, close both connections, and discard any remaining data left undelivered."
        """
        self._deaf = True
        if self._exchange is not None and self._exchange._alive:
            self._exchange._remote_ended()
        self._moved.unpark_all()

    async def _transmit(self, send: Callable[[], Awaitable[None]]) -> None:
        self._writing = True
        with trio.move_on_after(self._config.idle_timeout) as scope:
            try:
                await send()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._lost("the transport broke", exc)
            finally:
                self._writing = False
        if scope.cancelled_caught:
            self._lost("the client has stopped reading", None)
        self._active = trio.current_time()
        self._moved.unpark_all()

    def _take_output(self) -> bytes:
        output = self._engine.output
        while self._ready is not None and len(output) < READ_SIZE:
            if not self._ready.frame():
                self._ready = None
        data = bytes(output)
        output.clear()
        return data

    # -- the watcher -----------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            with trio.move_on_at(self._active + self._idle_seconds):
                await self._idle_changed.wait()
                continue
            if trio.current_time() < self._active + self._idle_seconds:
                continue
            self._active = trio.current_time()
            if self._exchange is None or not self._exchange._alive:
                self._idle_seconds = math.inf
            else:
                self._exchange._idle()

    # -- for the exchange: see SessionPort -------------------------------------------------------------------------

    def _wake_writer(self) -> None:
        self._output.set()
        if self._engine.aborted:
            self._deaf = True
            self._write_scope.cancel()
            self._moved.unpark_all()
        if self._engine.raw:
            self._pump()
        elif self._exchange is not None:
            self._exchange._settle_connect()
            if self._eof and self._exchange._tunnel_wanted:
                self._client_ended()
        if self._read_scope.deadline == math.inf:
            self._read_scope.deadline = self._patience()  # 100 may have been sent

    def _body_ready(self, stream_id: int, outbox: Outbox) -> None:
        self._ready = outbox
        self._wake_writer()

    def _body_gone(self, stream_id: int) -> None:
        self._ready = None
        self._moved.unpark_all()

    def _taken(self, stream_id: int, size: int) -> None:
        self._held -= size
        if not self._full():
            self._moved.unpark_all()

    def _discarded(self, stream_id: int, size: int) -> None:
        self._dropped += size
        self._taken(stream_id, size)

    async def _control_room(self) -> None:
        await trio.lowlevel.checkpoint()
        while self._alive and len(self._engine.output) > self._config.max_queued_control:
            await self._moved.park()

    def _want_room(self, stream_id: int, outbox: Outbox) -> None:
        """Room is where nothing is queued, which the outbox knows itself."""

    def _set_idle_timeout(self, stream_id: int, timeout: float) -> None:
        self._idle_seconds = timeout
        self._active = trio.current_time()
        self._idle_changed.set()

    def _prioritize(self, stream_id: int, priority: Priority) -> None:
        """There is nothing else to send."""

    def _linger(self, stream_id: int) -> None:
        """Nothing to do: the request is drained when the handler has ended."""

"""A session as its instruments see it: made only where a configuration has some."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from .._trace._audience import Audience
from .._trace._frame_book import FrameBook
from .._trace._outgoing import OutgoingRequest
from .._trace._seen import SessionEnd
from .._wire._failure import StreamFailure
from ._ending import closed_here, is_clean
from ._session_info import session_info
from ._traced_transport import TracedTransport
from ._write_watch import WriteWatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._stream._core import StreamCore
    from .._stream._server import Handler, ServerStream
    from .._stream._transport import TransportView
    from .._trace._instrument import Instrument
    from .._wire._codes import Role
    from .._wire._failure import SessionFailure
    from .._wire._headers import Headers


class SessionTrace:
    """Tells the instruments of one HTTP/2 session what happens on it.

    Args:
        instruments: those of its configuration.
        below: its transport.
        transport: what is known of that.
        role: which end this side is.
        label: names the session in the log.
        authority: what a client has connected to.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        below: trio.abc.Stream,
        transport: TransportView,
        role: Role,
        label: str,
        authority: str | None,
    ) -> None:
        self._audience = Audience(instruments)
        self._info = session_info(transport, role, "2", label, authority)
        now = trio.current_time()
        self._audience.tell(lambda one: one.session_started(self._info, now))
        self._book = FrameBook(self._audience, self._info, now)
        self._bytes_sent = self._bytes_received = 0
        self.write_watch: WriteWatch = WriteWatch(self._book.stalls)
        self.transport: TracedTransport = TracedTransport(below, self)
        """What the session writes and reads in place of its transport."""

    # -- bytes -----------------------------------------------------------------------------------------------------

    def sent(self, data: bytes | bytearray | memoryview) -> None:
        """The transport is given bytes."""
        self._bytes_sent += len(data)
        self._book.sent(data, trio.current_time())

    def received(self, data: bytes) -> None:
        """Bytes came; the engine has not seen them yet."""
        self._bytes_received += len(data)
        self._book.received(data, trio.current_time())

    def body_waits(self, stream_id: int, waits: bool) -> None:
        """Body bytes wait to be framed, or do not."""
        self._book.body_waits(stream_id, trio.current_time(), waits=waits)

    def slots_awaited(self, waiting: int) -> None:
        """So many requests wait for the peer to allow another stream."""
        now = trio.current_time()
        self._book.stalls.set(0, "send", "peer_streams", now, stalled=waiting > 0, waiting=waiting)

    # -- requests and their handlers -------------------------------------------------------------------------------

    @contextmanager
    def outgoing(self, headers: Headers) -> Iterator[OutgoingRequest]:
        """Around the sending of a request, in the task that wants it."""
        request = OutgoingRequest(headers)
        begun = trio.current_time()
        self._audience.tell(lambda one: one.request_begun(self._info, request, begun))
        try:
            yield request
        except BaseException as exc:
            if request.stream_id is None:
                self._failed(request, exc)
            raise

    def _failed(self, request: OutgoingRequest, error: BaseException) -> None:
        now = trio.current_time()
        self._audience.tell(lambda one: one.request_failed(self._info, request, error, now))

    def has_stream(self, request: OutgoingRequest, stream_id: int) -> None:
        """A request has its stream."""
        request.stream_id = stream_id
        now = trio.current_time()
        self._audience.tell(lambda one: one.request_sent(self._info, request, now))

    def handler(self, handler: Handler) -> Handler:
        """Returns *handler* in the blocks that the instruments want around it."""

        async def traced(stream: ServerStream) -> None:
            now = trio.current_time()
            with self._audience.around(lambda one: one.handling(self._info, stream.id, stream.headers, now)):
                await handler(stream)

        return traced

    # -- ends ------------------------------------------------------------------------------------------------------

    def stream_over(self, stream: StreamCore) -> None:
        """A stream has ended for the engine; the frame that says so may not be written yet."""
        if isinstance(stream.failure, StreamFailure):
            self._book.reset_known(stream.id, stream.failure.initiator, stream.failure.reason)

    def end(self, failure: SessionFailure | None) -> None:
        """All has ended, and the transport is closed."""
        failure = failure or closed_here()
        now = trio.current_time()
        self._book.end(failure.initiator, failure.reason, now)
        end = SessionEnd(
            reason=failure.reason,
            by=failure.initiator,
            clean=is_clean(failure),
            error_code=failure.code,
            streams=self._book.opened,
            bytes_sent=self._bytes_sent,
            bytes_received=self._bytes_received,
        )
        self._audience.tell(lambda one: one.session_ended(self._info, end, now))
        del self.transport  # which refers back here

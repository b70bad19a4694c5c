"""The protocol engine of one session: bytes in, events out; commands in, bytes out.

Everything above speaks to this class only. Its callers have checked what they ask for (fields, the state of the stream,
the windows); what comes from the peer is checked in `Receiver`. Nothing here waits, and nothing knows a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._adapter import Connection
from ._codes import ErrorCode, Role, SettingCode
from ._events import StreamClosed
from ._extframes import frame_octets
from ._failure import Cause, SessionFailure
from ._fields import field_section_size, request_origin
from ._flow import StreamCredit
from ._guard import Guard
from ._negotiation import Negotiator
from ._padding import padding_for
from ._push import HIGHEST_STREAM_ID as HIGHEST_STREAM_ID
from ._push import LATE_FRAMES, nothing_else
from ._receive import SMALL_INCREMENT, Receiver
from ._shutdown import Shutdown
from ._state import Side, WireStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hyperframe.frame import Frame

    from ._config import SessionConfig
    from ._events import Event
    from ._extframes import Dependency
    from ._failure import StreamFaultError
    from ._headers import RawField

MAX_REMEMBERED_RESETS = 4096
"""Streams we reset whose late frames are dropped in silence; frames on older ones are answered with RST_STREAM."""
UPDATES_PER_FRAME = 2
"""WINDOW_UPDATE frames that a peer may honestly send per DATA frame: one for the stream, one for the session."""


class Engine(Negotiator):
    """One end of an HTTP/2 session, sans-IO.

    Args:
        role: which end.
        config: a `ClientConfig` or a `ServerConfig`, matching the role.
        on_closed: called with the id of a stream that a *command* has closed; those that received bytes close are
            reported as `StreamClosed` events, in their order.
        push: whether a client lets the server push (SETTINGS_ENABLE_PUSH).

    Raises:
        ValueError: the windows of pushed streams do not fit the receive budget, see `ClientConfig.check_push`.
    """

    def __init__(
        self, role: Role, config: SessionConfig, on_closed: Callable[[int], None], *, push: bool = False
    ) -> None:
        super().__init__(role, config, push=push)
        self.config = config
        self.guard = Guard(config)
        self.shutdown = Shutdown()
        self.failure: SessionFailure | None = None
        self.peer_settings: dict[int, int] = {}
        self.peer_settings_seen = False
        self.max_header_list_size = config.max_header_list_size
        """The largest header list we accept."""
        self.touched: set[int] | None = None
        """Streams with a frame sent or received since somebody asked; collected for those above, if they want it."""
        self.queued_body = 0
        """Octets of bodies that the application has handed over and that are not framed yet; kept by those above."""
        self.newest_received_id = 0
        """The stream of the newest HEADERS or DATA received."""
        self.slots: set[int] = set()
        """Inbound streams that are open or promised, or whose handler has not ended."""
        self.reset_by_us: dict[int, int] = {}
        """Streams that we reset or refused, and how many octets of DATA the peer may have under way for each."""
        self.conn = Connection(
            role,
            self._settings.in_force,
            max_encoder_table_size=config.max_encoder_table_size,
            max_header_list_size=config.max_header_list_size,
            on_frame=self._frame_received,
        )
        self.conn.padding = config.padding
        self._receiver = Receiver(self)
        self._running: set[int] = set()
        self._on_closed: Callable[[int], None] | None = on_closed
        self._receiving = False

    # -- bytes -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Puts the preface, our SETTINGS and the session's receive window into the output."""
        self.conn.start()
        self._give_back_connection()

    def receive_bytes(self, data: bytes, now: float) -> list[Event]:
        """Reads *data* from the peer at time *now* (seconds of any steady clock).

        A connection error ends the list with `SessionFailed`; what was complete before it is still reported.
        """
        if self.failure is not None or self._on_closed is None:
            return []
        self._receiving = True
        try:
            return self._receiver.receive(data, now)
        finally:
            self._receiving = False

    def _frame_received(self, frame: Frame | StreamFaultError) -> None:
        if self.touched is not None:
            self.touched.add(frame.stream_id)
        self._receiver.on_frame(frame)

    @property
    def mid_frame(self) -> bool:
        """Whether the end of the transport, now, would cut a frame."""
        return self.conn.reader.mid_frame

    @property
    def output_size(self) -> int:
        """Octets waiting in the output."""
        return self.conn.output_size

    @property
    def output_frames(self) -> int:
        """Frames waiting in the output."""
        return self.conn.output_frames

    @property
    def table_sizes(self) -> tuple[int, int]:
        """Octets in the HPACK tables for what we send, and for what we receive."""
        return self.conn.encoder_table_size, self.conn.decoder_table_size

    def take_output(self) -> bytes:
        """Returns everything that is to be sent; the caller owes it to the wire."""
        if self.touched is not None:
            self.touched |= self.conn.sent_on
        self.conn.sent_on.clear()
        self.guard.replies_taken()
        return self.conn.take_output()

    # -- sending ---------------------------------------------------------------------------------------------------

    def has_slot(self) -> bool:
        """Whether a client may open a stream now: the peer allows it, and the budget has room for its window."""
        return self.requests < self.peer_max_streams and self.budget.fits(self.windows + 1, self._largest_window)

    def section_too_large(self, fields: Sequence[RawField]) -> str | None:
        """Returns what is wrong if these fields are more than the peer's MAX_HEADER_LIST_SIZE, else ``None``."""
        limit = self.peer_settings.get(SettingCode.MAX_HEADER_LIST_SIZE)
        if limit is None:
            return None
        size = field_section_size(fields)
        if size <= limit:
            return None
        return f"the headers have {size} octets, the peer accepts at most {limit}"

    def block_too_large(self, fields: Sequence[RawField]) -> str | None:
        """Returns what is wrong if these fields, compressed, are more than we want to send, else ``None``."""
        limit = self.config.max_send_header_block_length
        size = 0 if limit is None else self.conn.block_size(fields)
        if limit is None or size <= limit:
            return None
        return f"the header block has {size} octets, max_send_header_block_length is {limit}"

    def open_stream(
        self, method: bytes, fields: Sequence[RawField], *, end_stream: bool, dependency: Dependency | None = None
    ) -> int:
        """Sends a request; the caller has seen `has_slot` and `next_stream_id`. Returns the stream's id."""
        stream_id = self.next_stream_id
        assert stream_id is not None
        self.conn.send_headers(stream_id, fields, end_stream, *(dependency or (None, None, None)))
        stream = WireStream(stream_id, method, StreamCredit(self.initial_window))
        stream.local = Side.ENDED if end_stream else Side.OPEN
        if self._push:
            stream.origin = request_origin(fields)
        self.add_stream(stream)
        self.guard.progress(LATE_FRAMES)
        return stream_id

    def send_informational(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Sends a 1xx response (RFC 9113 §8.1)."""
        self._leave_reserved(stream_id)
        self.conn.send_headers(stream_id, fields)

    def send_response(self, stream_id: int, fields: Sequence[RawField], *, end_stream: bool) -> None:
        """Sends the final response headers."""
        self._leave_reserved(stream_id)
        self.conn.send_headers(stream_id, fields, end_stream=end_stream)
        self._local_moved(stream_id, end_stream=end_stream)

    def _leave_reserved(self, stream_id: int) -> None:
        stream = self.streams[stream_id]
        if stream.reserved:
            self.conn.begin_promised(stream_id)
            self.begin_push(stream)

    def send_trailers(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Ends our side with trailers; without any field, h2 cannot encode them: an empty DATA frame does."""
        if fields:
            self.conn.send_headers(stream_id, fields, end_stream=True)
        else:
            self.conn.end_stream(stream_id)
        self._local_moved(stream_id, end_stream=True)

    @property
    def connection_window(self) -> int:
        """What may be sent on all streams together, in octets."""
        return self.conn.outbound_flow_control_window

    def sendable(self, stream_id: int) -> int:
        """How many octets the next DATA frame of a stream may have; never negative, though a window can be (§6.9.2)."""
        window = self.conn.stream(stream_id).outbound_flow_control_window
        return max(0, min(window, self.conn.outbound_flow_control_window, self.conn.max_outbound_frame_size))

    @property
    def max_outbound_frame_size(self) -> int:
        """The largest payload that the peer accepts in one frame, in octets."""
        return self.conn.max_outbound_frame_size

    def stream_window(self, stream_id: int) -> int:
        """What may be sent on a stream, in octets; negative after the peer shrank its window."""
        return self.conn.stream(stream_id).outbound_flow_control_window

    def inbound_window(self, stream_id: int) -> int:
        """What the peer may send on a stream, in octets."""
        return self.conn.inbound_window(stream_id)

    def send_data(self, stream_id: int, data: bytes | memoryview, *, end_stream: bool) -> None:
        """Frames *data*, at most `sendable` octets, and perhaps ends our side."""
        room = min(self.stream_window(stream_id), self.connection_window, self.conn.max_outbound_frame_size)
        padding = padding_for(self.config.padding, len(data), room)
        if padding and (data or end_stream):
            self.conn.send_data(stream_id, data, end_stream=end_stream, pad_length=padding - 1)
        elif data:
            self.conn.send_data(stream_id, data, end_stream=end_stream)
        elif end_stream:
            self.conn.end_stream(stream_id)
        if data and min(self.stream_window(stream_id), self.connection_window) >= SMALL_INCREMENT:
            # The frame is as large as the application wanted it, so the peer may return its window as it likes.
            self.guard.progress(UPDATES_PER_FRAME)
        self._local_moved(stream_id, end_stream=end_stream)

    def reset(self, stream_id: int, code: int) -> None:
        """Sends RST_STREAM, once; nothing if the stream has closed already."""
        if stream_id not in self.streams:
            return
        self.conn.send_reset(stream_id, code)
        self.remember_reset(stream_id, self.conn.inbound_window(stream_id))
        self.close_stream(stream_id)

    def send_extension(self, kind: int, stream_id: int, payload: bytes) -> None:
        """Sends a frame that moves no state machine: ALTSVC, ORIGIN, PRIORITY_UPDATE, PRIORITY."""
        self.conn.send_extension(frame_octets(kind, stream_id, payload))

    def ping(self, payload: bytes) -> None:
        """Sends PING with 8 octets."""
        self.conn.send_ping(payload)

    def goaway(self, code: int, last_stream_id: int | None = None, debug_data: bytes = b"") -> None:
        """Sends GOAWAY and goes on (RFC 9113 §6.8). The last id defaults to the newest stream the peer opened."""
        if last_stream_id is None:
            last_stream_id = self.conn.highest_inbound_stream_id
        self.conn.send_goaway(self.shutdown.send(last_stream_id), code, debug_data)

    def fail(self, failure: SessionFailure) -> None:
        """Ends the session for *failure*; GOAWAY goes out if the peer may still read it."""
        if self.failure is not None:
            return
        self.failure = failure
        if failure.cause not in (Cause.LOST, Cause.CLOSED, Cause.GOAWAY):
            self.goaway(failure.code or ErrorCode.NO_ERROR, debug_data=failure.reason.encode("utf-8", "replace")[:512])

    # -- streams ---------------------------------------------------------------------------------------------------

    def add_stream(self, stream: WireStream) -> None:
        """A stream has opened."""
        self.streams[stream.id] = stream
        self.credits[stream.id] = stream.credit

    def accept_stream(self, stream: WireStream) -> None:
        """A stream of the peer has opened, and its handler will run."""
        self.add_stream(stream)
        self.handler_begins(stream.id)

    def handler_begins(self, stream_id: int) -> None:
        """A handler will run for a stream of the peer, a promised one perhaps; `handler_done` must follow."""
        self.slots.add(stream_id)
        self._running.add(stream_id)

    def handler_done(self, stream_id: int) -> None:
        """The handler of a peer's stream has ended."""
        self._running.discard(stream_id)
        if stream_id not in self.streams:
            self.slots.discard(stream_id)

    def remote_ended(self, stream_id: int) -> bool:
        """Whether the peer's side of a stream has ended."""
        stream = self.streams.get(stream_id)
        return stream is None or stream.remote is Side.ENDED

    def remember_reset(self, stream_id: int, window: int) -> None:
        """Late frames on this stream are to be dropped in silence; *window* octets of DATA may be under way."""
        self.reset_by_us[stream_id] = max(0, window)
        if len(self.reset_by_us) > MAX_REMEMBERED_RESETS:
            del self.reset_by_us[next(iter(self.reset_by_us))]

    def close_stream(self, stream_id: int) -> None:
        """Forgets a stream both of whose sides have ended."""
        stream = self.streams.pop(stream_id)
        self.pushes.close(stream_id)
        stream.local = stream.remote = Side.ENDED
        self.conn.forget(stream_id)
        self.budget.close(stream.credit, self.initial_window)
        if not stream.credit.held:
            del self.credits[stream_id]
        if stream_id not in self._running:
            self.slots.discard(stream_id)
        if self._receiving:
            self._receiver.report(StreamClosed(stream_id))
        elif self._on_closed is not None:
            self._on_closed(stream_id)

    def _local_moved(self, stream_id: int, *, end_stream: bool) -> None:
        stream = self.streams[stream_id]
        if end_stream:
            stream.local = Side.ENDED
            if stream.closed:
                self.close_stream(stream_id)
        else:
            stream.local = Side.OPEN

    # -- the session -----------------------------------------------------------------------------------------------

    @property
    def memory(self) -> int:
        """An estimate of the octets this session holds: unread and queued bodies, unfinished frames, header tables."""
        conn = self.conn
        return self.budget.ledger.held + self.queued_body + conn.output_size + conn.reader.buffered + conn.table_size

    @property
    def memory_limit(self) -> int:
        """The octets above which new streams are refused; unless a number was given, it moves with the budget."""
        if self.config.max_session_memory is not None:
            return self.config.max_session_memory
        return self.config.session_memory - self.config.receive_budget + self.budget.size

    def release(self) -> None:
        """The session is over: lets go of what refers back, so that nothing waits for the garbage collector."""
        self._on_closed = None
        self.authoritative = nothing_else
        self._receiver.release()
        self.conn.release()

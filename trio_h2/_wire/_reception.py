"""What all rules for received frames share: the events of the bytes being read, and what becomes of an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._codes import ErrorCode, Initiator, Role
from ._events import StreamFailed
from ._failure import SessionFaultError, StreamFailure, StreamFaultError, StreamRejectedError
from ._fields import field_section_size

if TYPE_CHECKING:
    from ._engine import Engine
    from ._events import DataReceived, Event
    from ._headers import RawField


class Reception:
    """One read: its time, the events so far, and the engine they come from."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[Event] = []
        self.now = 0.0
        self.newest_data: dict[int, DataReceived] = {}
        """The last event with DATA of each stream in this read."""

    def begin(self, now: float) -> list[Event]:
        """A read begins at time *now*; returns the list that its events will be in."""
        self.now = now
        return self.events

    def end(self) -> None:
        """The read is over: an idle session does not keep the octets of its last one."""
        self.events = []
        self.newest_data.clear()

    def is_idle(self, stream_id: int) -> bool:
        """Whether an id that is not open has never been used (RFC 9113 §5.1.1)."""
        conn = self.engine.conn
        ours = (stream_id % 2 == 1) is (self.engine.role is Role.CLIENT)
        return stream_id > (conn.highest_outbound_stream_id if ours else conn.highest_inbound_stream_id)

    def require_not_idle(self, stream_id: int, what: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        """Refuses frames on streams that nobody has opened.

        RFC 9113 §5.1 (idle): "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be
        treated as a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
        """
        if stream_id not in self.engine.streams and self.is_idle(stream_id):
            raise SessionFaultError(code, f"{what} on idle stream {stream_id}")

    def require_not_reserved(self, stream_id: int, what: str) -> None:
        """Refuses frames on streams that are only promised.

        RFC 9113 §5.1: "Receiving any type of frame other than HEADERS, RST_STREAM, or PRIORITY on a stream in this
        state [reserved (remote)] MUST be treated as a connection error (Section 5.4.1) of type PROTOCOL_ERROR"; in
        reserved (local), any "other than RST_STREAM, PRIORITY, or WINDOW_UPDATE".
        """
        if stream_id in self.engine.pushes.reserved:
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"{what} on reserved stream {stream_id}")

    def too_large(self, fields: list[RawField]) -> bool:
        """Whether a header section is more than we advertised."""
        engine = self.engine
        return len(fields) > engine.config.max_header_fields or field_section_size(fields) > engine.max_header_list_size

    def overhead(self) -> None:
        """Counts a frame that moves nothing forward."""
        self.engine.guard.count_overhead(self.now)

    def on_closed_stream(self, stream_id: int, what: str, size: int = 0) -> None:
        """A frame on a closed stream: dropped if it may have been under way when we reset, else a stream error.

        RFC 9113 §5.1 (closed): "An endpoint MUST minimally process and then discard any frames it receives in this
        state." DATA of *size* octets that still fit the stream's window are no overhead: the peer did not know yet.
        """
        late = self.engine.reset_by_us
        under_way = late.get(stream_id, 0)
        if 0 < size <= under_way:
            late[stream_id] = under_way - size
            return
        self.overhead()
        if stream_id not in late:
            raise StreamFaultError(stream_id, ErrorCode.STREAM_CLOSED, f"{what} on closed stream {stream_id}")

    def stream_error(self, fault: StreamFaultError) -> None:
        """Sends one RST_STREAM (RFC 9113 §5.4.2), also for a stream that never opened."""
        engine = self.engine
        engine.guard.count_reset(self.now)
        if not isinstance(fault, StreamRejectedError):
            engine.guard.count_invalid()
        elif not engine.settings_pending:
            engine.guard.count_rejected()
        stream_id = fault.stream_id
        if stream_id in engine.streams:
            failure = StreamFailure(stream_id, fault.code, Initiator.LIBRARY, fault.reason)
            self.events.append(StreamFailed(stream_id, failure))
            engine.reset(stream_id, fault.code)
        elif stream_id not in engine.reset_by_us:
            engine.conn.send_reset(stream_id, fault.code)
            engine.remember_reset(stream_id, engine.conn.initial_inbound_window)
        engine.guard.count_reply()

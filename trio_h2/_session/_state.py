"""The nine figures of a session, in the words of other HTTP/2 libraries; `SessionStatistics` has ours."""

from __future__ import annotations

from dataclasses import dataclass

from .._field_docs import describe_fields
from .._values import Value


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class SessionState(Value):
    """A snapshot of the flow control, the stream ids, the output and the header tables of one session."""

    effective_local_window_size: int
    """The receive window of the session, in bytes: what the peer may have under way when nothing is unread."""
    effective_recv_data_length: int
    """Bytes of DATA, padding included, received since our last WINDOW_UPDATE for the session."""
    next_stream_id: int | None
    """The id of the next stream that this side opens; ``None`` when the ids are used up (RFC 9113 §5.1.1)."""
    local_window_size: int
    """Bytes that the peer may still send on the session."""
    last_proc_stream_id: int
    """The stream of the newest HEADERS or DATA received; 0 before the first."""
    remote_window_size: int
    """Bytes that we may still send on the session."""
    outbound_queue_size: int
    """Frames, not bytes, that are made and not written to the transport yet."""
    deflate_dynamic_table_size: int
    """Bytes in the HPACK table for what we send (RFC 7541 §4.1)."""
    inflate_dynamic_table_size: int
    """Bytes in the HPACK table for what we receive (RFC 7541 §4.1)."""

"""A look at one stream from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._field_docs import describe_fields
from .._values import Value
from .._wire._schedule import DEFAULT_WEIGHT

if TYPE_CHECKING:
    from ._port import StreamEngine


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class StreamState(Value):
    """A snapshot of one stream on the wire; windows are bytes."""

    name: str
    """The state of RFC 9113 §5.1: ``"open"``, ``"half-closed (local)"``, ``"half-closed (remote)"`` or ``"closed"``;
    of a pushed stream without a response ``"reserved (local)"`` on the server, ``"reserved (remote)"`` on the client.
    """
    local_closed: bool
    """Whether our END_STREAM or a RST_STREAM is framed."""
    remote_closed: bool
    """Whether the peer's END_STREAM or a RST_STREAM has come."""
    local_window_size: int
    """What the peer may still send on the stream; negative after we shrank its window."""
    remote_window_size: int
    """What we may still send on the stream, as far as the session's window lets us; negative after the peer shrank it.
    """
    weight: int = DEFAULT_WEIGHT
    """The weight of RFC 7540 §5.3.2, 1 … 256."""
    sum_dependency_weight: int = 0
    """The weights of the streams that depend on it. RFC 9113 §5.3.2 gave the tree up, and none is kept: always 0."""


def stream_state(engine: StreamEngine, stream_id: int, weight: int, *, over: bool) -> StreamState:
    """Returns the state of a stream that was opened once; *over*: its session is."""
    stream = engine.streams.get(stream_id)
    if stream is None or over:
        return StreamState("closed", True, True, 0, 0, weight)
    return StreamState(
        stream.state,
        stream.local_ended,
        stream.remote_ended,
        engine.inbound_window(stream_id),
        engine.stream_window(stream_id),
        weight,
    )

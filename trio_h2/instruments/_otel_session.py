"""The spans of one session that have not ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from .._trace._outgoing import OutgoingRequest


@dataclass
class OpenSpans:
    """Of requests that wait for a stream, and of streams."""

    waiting: dict[OutgoingRequest, Span] = field(default_factory=dict)
    """Requests of a client that have no stream yet."""
    streams: dict[int, Span] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    """Streams that are open on the wire."""
    handlers: set[int] = field(default_factory=set)
    """Streams of a server whose handler runs."""

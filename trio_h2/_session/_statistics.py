"""A look at a session from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._field_docs import describe_fields
from .._values import Value

if TYPE_CHECKING:
    from .._wire._flow import Ledger


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class SessionStatistics(Value):
    """A snapshot of one session; sizes are bytes."""

    open_streams: int
    """Streams that are open on the wire."""
    running_handlers: int
    """Handlers that have not ended: of requests (server), or of pushes (client)."""
    waiting_for_slot: int
    """Requests (client), or responses to pushes (server), that wait for the peer to allow another stream."""
    ledger: Ledger
    """Where the received body bytes are: received = taken + discarded + held, padding included."""
    receive_budget: int
    """The most that may be held at once."""
    receive_window: int
    """What the peer may still send on the session."""
    send_window: int
    """What we may still send on the session."""
    queued_body: int
    """Body bytes handed over and not framed yet."""
    queued_output: int
    """Bytes framed and not written yet."""
    memory: int
    """Estimate of all bytes that the session holds, see ``max_session_memory``."""

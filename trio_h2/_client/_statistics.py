"""What a client can be asked about itself."""

from __future__ import annotations

from dataclasses import dataclass

from .._field_docs import describe_fields
from .._values import Value


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClientStatistics(Value):
    """What a `Client` has at one moment, as `Client.statistics` returns it."""

    connections: int
    """Connections that are open, of both versions of HTTP, those that are about to end included."""
    opening: int
    """Connections that are being opened."""
    opened: int
    """Connections that were ever opened."""
    requests: int
    """Requests that have a connection now."""
    waiting: int
    """Requests that wait for a connection."""

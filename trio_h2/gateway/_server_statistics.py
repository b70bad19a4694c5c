"""What a gateway tells of one server."""

from __future__ import annotations

from dataclasses import dataclass

from .._field_docs import describe_fields
from .._values import Value


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ServerStatistics(Value):
    """What a gateway tells of one server at one moment."""

    url: str
    """Where it is."""
    healthy: bool
    """Whether it gets requests: its health checks find it well, and it is not left alone after failures."""
    running: int
    """Requests, WebSockets and tunnels that it has now."""
    requests: int
    """Those that it got so far, all that were repeated included."""
    failures: int
    """Those that it failed, with statuses of `Ejection.statuses`."""
    retries: int
    """Those that it got after they, or another server, had failed."""
    last_error: str | None
    """What it failed of last, its health checks included; ``None`` if it never did."""

"""What a gateway tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._field_docs import describe_fields
from .._values import Value

if TYPE_CHECKING:
    from ._server_statistics import ServerStatistics


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GatewayStatistics(Value):
    """What a gateway has done so far; a snapshot."""

    running: int
    """Requests that are in it now, those to handlers and those that wait included."""
    requests: int
    """Requests that came so far."""
    unrouted: int
    """Requests that no route fits: answered with 400, 404 or 421."""
    waiting: int
    """Requests that wait for a server now."""
    refused: int
    """Requests that were answered with 503 because no server was free in time, or well."""
    servers: tuple[ServerStatistics, ...]
    """Each server, in the order of the routes."""

"""Priority signals of a stream: those that order what is sent (RFC 9218), and those of RFC 7540 for old peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._checks import check_int
from .._wire._config import ClientConfig
from .._wire._extframes import Dependency
from .._wire._frames import HIGHEST_STREAM_ID
from .._wire._schedule import DEFAULT_WEIGHT, Priority

if TYPE_CHECKING:
    from .._wire._config import SessionConfig


def check_signalled(config: SessionConfig) -> None:
    """Raises `ValueError` if a client has told its server that it does not use the priorities of RFC 7540.

    RFC 9218 §2.1: a server that got SETTINGS_NO_RFC7540_PRIORITIES with the value 1 ignores them.
    """
    if isinstance(config, ClientConfig) and not config.rfc7540_priorities:
        raise ValueError(
            "weight, depends_on and exclusive are priorities of RFC 7540, and this client has told the server that it "
            "uses none: set rfc7540_priorities=True in ClientConfig"
        )


def check_priority(priority: Priority | None) -> None:
    """Raises `TypeError` unless it is a `Priority`."""
    if priority is not None and not isinstance(priority, Priority):
        raise TypeError(f"priority must be a Priority, not {priority!r}")


def dependency_of(weight: int | None, depends_on: int | None, exclusive: bool) -> Dependency | None:
    """Returns what was asked for in the terms of RFC 7540, ``None`` if nothing was.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: a value is out of range.
    """
    if not isinstance(exclusive, bool):
        raise TypeError(f"exclusive must be a bool, not {exclusive!r}")
    for name, value, low, high in ("weight", weight, 1, 256), ("depends_on", depends_on, 0, HIGHEST_STREAM_ID):
        if value is not None:
            check_int(name, value, low, high)
    if weight is None and depends_on is None and not exclusive:
        return None
    return Dependency(DEFAULT_WEIGHT if weight is None else weight, depends_on or 0, exclusive)


def check_not_itself(dependency: Dependency | None, stream_id: int | None) -> None:
    """Raises `ValueError` if it is the stream's own (RFC 7540 §5.3.1: "A stream cannot depend on itself.")."""
    if dependency is not None and dependency.depends_on == stream_id:
        raise ValueError(f"stream {stream_id} cannot depend on itself")

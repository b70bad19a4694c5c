"""Our own SETTINGS over time: in force, in flight, and waiting their turn (RFC 9113 §6.5.3).

Each frame has its own acknowledgement, but h2 would apply every pending change at the first. So one frame is in flight
at a time. Until it is acknowledged, the peer may act on it or not know it yet: what is enforced is the laxer of both.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ._codes import SettingCode
from ._config import ClientConfig, ServerConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._config import SessionConfig


class LocalSettings:
    """The settings of this side. Starts with what the configuration says, as sent and not acknowledged.

    Args:
        config: the configuration of the session.
        push: whether a client lets the server push.
        given: what the first SETTINGS say beside or instead of that, by number.
    """

    __slots__ = ("_in_flight", "_queue", "in_force")

    def __init__(self, config: SessionConfig, *, push: bool = False, given: Mapping[int, int] | None = None) -> None:
        self.in_force = {**_initial_settings(config, push=push), **(given or {})}
        """What counts for this side: before the first acknowledgement, what was sent."""
        self._in_flight: dict[int, int] | None = self.in_force
        self._queue: deque[dict[int, int]] = deque()

    @property
    def pending(self) -> bool:
        """Whether something is not acknowledged yet."""
        return self._in_flight is not None

    def enforced(self, code: int) -> int:
        """The laxest value that the peer may go by now."""
        return _largest(self._sent(), code)

    def planned(self, code: int, change: dict[int, int] | None = None) -> int:
        """The largest value that is in force or on its way there, perhaps with *change* behind it."""
        return _largest([*self._sent(), *self._queue, change or {}], code)

    @property
    def push_enforced(self) -> bool:
        """Whether the peer may go by SETTINGS_ENABLE_PUSH 1, which is the protocol's default (RFC 9113 §6.5.2)."""
        in_flight = self._in_flight or {}
        return bool(self.in_force.get(SettingCode.ENABLE_PUSH, 1) or in_flight.get(SettingCode.ENABLE_PUSH, 0))

    def _sent(self) -> list[dict[int, int]]:
        return [self.in_force, self._in_flight or {}]

    def update(self, values: dict[int, int]) -> dict[int, int] | None:
        """Asks for new values; returns them if they are to be sent now, ``None`` if they wait."""
        if self._in_flight is not None:
            self._queue.append(values)
            return None
        self._in_flight = values
        return values

    def acknowledge(self) -> tuple[dict[int, int], dict[int, int] | None] | None:
        """The peer acknowledged what was in flight, which is in force now.

        Returns:
            The values now in force, and those to be sent next, if any; ``None`` if nothing was in flight.
        """
        values = self._in_flight
        if values is None:
            return None
        self.in_force = {**self.in_force, **values}
        self._in_flight = self._queue.popleft() if self._queue else None
        return values, self._in_flight


def _largest(settings: Iterable[dict[int, int]], code: int) -> int:
    return max(values.get(code, 0) for values in settings)


def _initial_settings(config: SessionConfig, *, push: bool) -> dict[int, int]:
    """Our first SETTINGS: what the configuration says, and nothing that is only the protocol's default for the role."""
    settings: dict[int, int] = {
        SettingCode.HEADER_TABLE_SIZE: config.header_table_size,
        SettingCode.INITIAL_WINDOW_SIZE: config.stream_window,
        SettingCode.MAX_FRAME_SIZE: config.max_frame_size,
        SettingCode.MAX_HEADER_LIST_SIZE: config.max_header_list_size,
    }
    if not (isinstance(config, ClientConfig) and config.rfc7540_priorities):
        settings[SettingCode.NO_RFC7540_PRIORITIES] = 1
    if isinstance(config, ServerConfig):
        settings[SettingCode.MAX_CONCURRENT_STREAMS] = config.max_concurrent_streams
        if config.enable_connect_protocol:
            settings[SettingCode.ENABLE_CONNECT_PROTOCOL] = 1
    elif push and isinstance(config, ClientConfig):
        settings[SettingCode.MAX_CONCURRENT_STREAMS] = config.max_concurrent_pushes
    else:
        settings[SettingCode.ENABLE_PUSH] = 0
    return settings

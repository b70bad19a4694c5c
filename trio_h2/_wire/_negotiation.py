"""Our settings as commands: checked against the receive budget, sent one at a time, in force when acknowledged.

RFC 9113 §6.5. What was sent when is in `_local_settings.py`; here it meets h2, the budget and the open streams.
"""

from __future__ import annotations

from ._codes import Role, SettingCode
from ._config import MAX_WINDOW, ClientConfig, SessionConfig
from ._local_settings import LocalSettings
from ._push import PushKeeper


class Negotiator(PushKeeper):
    """The part of an engine that is about its own settings; `Engine` adds the rest.

    Args:
        role: which end.
        config: a `ClientConfig` or a `ServerConfig`, matching the role.
        push: whether a client lets the server push (SETTINGS_ENABLE_PUSH).

    Raises:
        ValueError: the windows of pushed streams do not fit the receive budget, see `ClientConfig.check_push`.
    """

    max_header_list_size: int

    def __init__(self, role: Role, config: SessionConfig, *, push: bool) -> None:
        max_pushes = 0
        if push and isinstance(config, ClientConfig):
            config.check_push()
            max_pushes = config.max_concurrent_pushes
        super().__init__(config, received_pushes=max_pushes if role is Role.CLIENT else None)
        self.role = role
        self._push = push
        self._settings = LocalSettings(config, push=push)
        self.max_streams = self._settings.planned(SettingCode.MAX_CONCURRENT_STREAMS)
        """How many streams the peer may have open: requests, or pushes."""

    @property
    def local_settings(self) -> dict[int, int]:
        """Our settings in force: before the first acknowledgement, what we sent."""
        return self._settings.in_force

    @property
    def takes_pushes(self) -> bool:
        """Whether the server may push; from the acknowledgement of SETTINGS_ENABLE_PUSH 0 on it may not."""
        return self._push and self._settings.push_enforced

    @property
    def settings_pending(self) -> bool:
        """Whether SETTINGS of ours are not acknowledged yet."""
        return self._settings.pending

    def check_settings(self, values: dict[int, int]) -> None:
        """Checks an update of our settings, together with those that are not acknowledged yet.

        Raises:
            ValueError: the windows would not fit the receive budget, or extended CONNECT is withdrawn.
        """
        settings = self._settings
        announced = settings.planned(SettingCode.ENABLE_CONNECT_PROTOCOL)
        if announced and not values.get(SettingCode.ENABLE_CONNECT_PROTOCOL, 1):
            # RFC 8441 §3: "a sender MUST NOT send a SETTINGS_ENABLE_CONNECT_PROTOCOL parameter with the value of 0
            # after previously sending a value of 1."
            raise ValueError("enable_connect_protocol cannot be withdrawn once it was announced (RFC 8441 §3)")
        if values.get(SettingCode.ENABLE_PUSH) and not self._push:
            # RFC 9113 §6.5.2: "A server MUST NOT explicitly set this value to 1." And a client needs somebody who takes
            # what is pushed.
            raise ValueError("enable_push cannot be turned on in a session that was started without push")
        window = settings.planned(SettingCode.INITIAL_WINDOW_SIZE, values)
        streams = self._guaranteed(values)
        if streams * window > self.budget.size:
            counted = "max_concurrent_streams" if self.role is Role.SERVER else "streams"
            raise ValueError(
                f"{counted} {streams} x initial_window_size {window} = {streams * window} octets is more "
                f"than the receive_budget of {self.budget.size}"
            )
        if window + self.budget.extra > MAX_WINDOW:
            raise ValueError(f"initial_window_size {window} overflows the window of a stream that has grown")

    def _guaranteed(self, values: dict[int, int] | None = None) -> int:
        """How many windows there must be room for now, perhaps with a change of our settings."""
        allowed = self._settings.planned(SettingCode.MAX_CONCURRENT_STREAMS, values)
        if self.role is Role.SERVER:
            return allowed
        return max(1, self.requests) + max(allowed if self._push else 0, len(self.pushes.open))

    def update_settings(self, values: dict[int, int]) -> None:
        """Sends new local settings when those before them are acknowledged. The caller has asked `check_settings`."""
        if self._settings.update(values) is not None:
            self._send_settings(values)
        self._settings_changed()

    def _send_settings(self, values: dict[int, int]) -> None:
        self.conn.send_settings(values)
        self.conn.local_settings_sent(values)

    def settings_acknowledged(self) -> dict[int, int] | None:
        """The peer acknowledged SETTINGS: returns the values now in force, ``None`` if none were in flight."""
        acknowledged = self._settings.acknowledge()
        if acknowledged is None:
            return None
        values, following = acknowledged
        self.conn.local_settings_acknowledged(values)
        window = values.get(SettingCode.INITIAL_WINDOW_SIZE, self.initial_window)
        for stream in self.streams.values():
            stream.credit.target += window - self.initial_window
        self.initial_window = window
        if following is not None:
            self._send_settings(following)
        self._settings_changed()
        return values

    def _settings_changed(self) -> None:
        """Works out anew what depends on settings in force and under way."""
        settings = self._settings
        self.max_streams = settings.enforced(SettingCode.MAX_CONCURRENT_STREAMS)
        self.max_header_list_size = settings.enforced(SettingCode.MAX_HEADER_LIST_SIZE)
        self.conn.allow_header_list(self.max_header_list_size)
        self._largest_window = settings.planned(SettingCode.INITIAL_WINDOW_SIZE)
        allowed = settings.planned(SettingCode.MAX_CONCURRENT_STREAMS)
        streams = allowed
        if self.role is Role.CLIENT:
            self.pushes.limit = allowed if self._push else 0
            streams = self.config.guaranteed_streams + self.pushes.windows
        self.budget.reserve(min(streams * self._largest_window, self.budget.size))

    def set_receive_budget(self, size: int) -> None:
        """Changes the session's receive budget, and with it its window.

        Raises:
            ValueError: the windows that are or may be in use do not fit *size*.
        """
        window, budget = self._largest_window, self.budget
        streams = self._guaranteed()
        if self.role is Role.SERVER:
            streams = max(1, self.requests, streams)
        if streams * window + budget.extra + budget.stranded > size:
            raise ValueError(
                f"a receive window of {size} octets is too small for {streams} streams x initial_window_size {window}, "
                f"{budget.extra} octets that their windows have grown, and {budget.stranded} unread ones of closed "
                f"streams"
            )
        increment = budget.resize(size)
        if increment:
            self.conn.increment_flow_control_window(increment)
        self._settings_changed()

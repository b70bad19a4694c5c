"""Who waits for which SETTINGS of ours to be acknowledged (RFC 9113 §6.5.3)."""

from __future__ import annotations

from collections import deque

import trio


class SettingsUpdate:
    """One SETTINGS frame of ours, sent or waiting its turn."""

    __slots__ = ("acknowledged", "done")

    def __init__(self) -> None:
        self.acknowledged: bool = False
        self.done: trio.Event = trio.Event()


class SettingsUpdates:
    """The SETTINGS of one session that are not acknowledged, in the order of their acknowledgements to come."""

    def __init__(self) -> None:
        self._waiting = deque([SettingsUpdate()])  # the first SETTINGS, which belong to the preface

    def add(self) -> SettingsUpdate:
        """Another update was asked for."""
        update = SettingsUpdate()
        self._waiting.append(update)
        return update

    def acknowledged(self) -> None:
        """The peer acknowledged the oldest one."""
        update = self._waiting.popleft()
        update.acknowledged = True
        update.done.set()

    def end(self) -> None:
        """The session is over: wakes everyone."""
        for update in self._waiting:
            update.done.set()
        self._waiting.clear()

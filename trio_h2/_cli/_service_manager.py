"""What systemd, or another service manager, is told: sd_notify(3), over the socket that it names."""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Final

import trio

from ._errors import reason

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_PATIENCE: Final = 5.0
"""Seconds for a message that the manager does not take."""

logger = logging.getLogger("trio_h2.server")


class ServiceManager:
    """Who has started this process. Without an address, nobody is told anything.

    Args:
        address: of the manager's socket: a path, or ``@`` and an abstract name.
        interval: seconds in which it wants to hear from us each time; `None` if it does not.
    """

    def __init__(self, address: str | None = None, interval: float | None = None) -> None:
        self._address = address
        self._interval = interval
        self._stopping = False

    @classmethod
    def take(cls, variables: MutableMapping[str, str] = os.environ) -> ServiceManager:
        """Returns the one that the environment names, which nobody whom this process starts will find there."""
        address, microseconds, process = (
            variables.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        )
        if not address:
            return cls()
        if not hasattr(socket, "AF_UNIX") or address[0] not in "/@":
            logger.warning("NOTIFY_SOCKET is not understood, and nobody is told that this server is ready: %r", address)
            return cls()
        # sd_watchdog_enabled(3): "$WATCHDOG_PID is either unset or set to the current process ID".
        mine = process in ("", str(os.getpid())) and microseconds.isascii() and microseconds.isdigit()
        return cls(address, int(microseconds) / 1e6 if mine and int(microseconds) > 0 else None)

    async def ready(self) -> None:
        """Tells that all is served, for the first time or after `reloading`."""
        await self._tell("READY=1")

    async def reloading(self) -> None:
        """Tells that something is read again, until `ready`."""
        # sd_notify(3): Type=notify-reload needs the time "for the service manager to synchronize".
        await self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    async def stopping(self) -> None:
        """Tells that the end has begun. After that nothing else is told, but that this process is alive."""
        await self._tell("STOPPING=1")
        self._stopping = True

    async def keep_watching(self) -> None:
        """Tells again and again that this process is alive, if that is wanted, until it is cancelled.

        It stops doing so when something keeps all tasks from running.
        """
        if self._interval is None or self._address is None:
            return
        while True:
            await self._send("WATCHDOG=1")
            # sd_watchdog_enabled(3): "every half of the time".
            await trio.sleep(self._interval / 2)

    async def _tell(self, message: str) -> None:
        if not self._stopping:
            await self._send(message)

    async def _send(self, message: str) -> None:
        if self._address is None:
            return
        to = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with trio.fail_after(_PATIENCE), trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                await sock.connect(to)  # only then the system tells when there is room for a message
                await sock.send(message.encode())
        except (OSError, trio.TooSlowError) as exc:
            why = reason(exc) if isinstance(exc, OSError) else "it takes no messages"
            logger.warning("cannot tell the service manager %s: %s", message.partition("\n")[0], why)

"""Asks a server again and again whether it is well."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import trio

import trio_h2

from .._util import interrupt_safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._backend import Backend
    from ._health_check import HealthCheck

_MOST_READ: Final = 64 * 1024


@interrupt_safe
class Checker:
    """The health check of one server: a task of the gateway.

    Args:
        backend: the server.
        check: how it is asked.
        base: its URL, as its client takes it.
        on_change: is called when it is well again, or not well any more.
    """

    def __init__(self, backend: Backend, check: HealthCheck, base: str, on_change: Callable[[], None]) -> None:
        self._backend = backend
        self._check = check
        self._url = base.rstrip("/") + check.path
        self._headers = {"user-agent": f"trio-h2/{trio_h2.__version__} (health check)"}
        if check.host is not None:
            self._headers["host"] = check.host
        self._on_change = on_change
        self._against = 0
        """Answers in a row that speak against what is believed."""

    async def run(self) -> None:
        """Asks until it is cancelled."""
        while True:
            self._judge(await self._ask())
            await trio.sleep(self._check.interval)

    async def _ask(self) -> str | None:
        """Asks once; returns what is wrong, ``None`` if all is well."""
        with trio.move_on_after(self._check.timeout):
            try:
                async with self._backend.client.request("GET", self._url, headers=self._headers) as response:
                    # To its end, if that is near: the connection is for further requests.
                    with contextlib.suppress(trio_h2.BodyTooLargeError):
                        await response.read(max_size=_MOST_READ)
                    good = response.status in self._check.statuses
                    return None if good else f"status {response.status}"
            except (trio_h2.H2Error, OSError, trio.ClosedResourceError) as exc:
                return f"{type(exc).__name__}: {exc}"
        return f"no answer within {self._check.timeout:g} s"

    def _judge(self, wrong: str | None) -> None:
        backend, check = self._backend, self._check
        if wrong is not None:
            backend.last_error = f"health check: {wrong}"
        if (wrong is None) == backend.well:
            self._against = 0
            return
        self._against += 1
        if self._against < (check.unhealthy if backend.well else check.healthy):
            return
        self._against = 0
        backend.found(well=wrong is None, why=f"GET {check.path}: {wrong or 'good answers'}")
        self._on_change()

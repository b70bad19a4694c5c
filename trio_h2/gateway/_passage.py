"""One request that goes to servers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

import trio_h2

from .._util import interrupt_safe
from ._group import NoServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._backend import Backend
    from ._group import Group

logger = logging.getLogger("trio_h2.gateway")


@interrupt_safe
class Passage:
    """One request that goes to one server after the other, until one has processed it.

    Args:
        group: the servers.
        upstreams: how each of them is told of it.
    """

    def __init__(self, group: Group, upstreams: Mapping[Backend, trio_h2.Upstream]) -> None:
        self._group = group
        self._upstreams = upstreams
        self._backend: Backend | None = None
        """The one that has it now."""
        self._tried: list[Backend] = []

    async def run(self, stream: trio_h2.ServerStream) -> str | None:
        """Passes it on; returns why no server got it, ``None`` if one did."""
        group = self._group
        group.budget.request()
        try:
            self._backend = backend = await group.acquire()
        except NoServerError as exc:
            return str(exc)
        try:
            error = await trio_h2.relay(stream, self._upstreams[backend], instead=self._instead)
            if self._backend is not None:
                self._settle(error, stream.sent_status)
        finally:
            if self._backend is not None:
                group.release(self._backend)
        return None

    async def _instead(self, error: Exception) -> trio_h2.Upstream | None:
        """The server has not processed it: returns another one, if there is one, and it is not too much."""
        group, failed = self._group, self._backend
        assert failed is not None
        self._settle(error, None)
        self._backend = None
        group.release(failed)
        self._tried.append(failed)
        retries = group.servers.retries
        if len(self._tried) > retries.attempts or not group.budget.take():
            await trio.lowlevel.checkpoint()
            return None
        if all(backend in self._tried for backend in group.backends if backend.well):
            await trio.sleep(retries.pause * 2.0 ** min(self._tried.count(failed) - 1, 30))
        else:
            await trio.lowlevel.checkpoint()
        try:
            self._backend = backend = await group.acquire(self._tried)
        except NoServerError:
            return None
        backend.retries += 1
        return self._upstreams[backend]

    def _settle(self, error: Exception | None, status: int | None) -> None:
        """Books what has become of it at the server that has it."""
        backend = self._backend
        assert backend is not None
        ejection = self._group.servers.ejection
        if error is None:
            if ejection is not None and status in ejection.statuses:
                backend.failed(f"status {status}")
            else:
                backend.succeeded()
        elif not _ours(error):
            backend.failed(f"{type(error).__name__}: {error}".rstrip(": "))


def _ours(error: Exception) -> bool:
    """Whether a failure tells nothing of the server: there was no stream of its connections free, or we are closing."""
    if isinstance(error, trio_h2.RequestTimeoutError):
        return error.phase == "slot"
    return isinstance(error, trio.ClosedResourceError)

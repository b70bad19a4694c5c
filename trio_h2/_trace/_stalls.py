"""Which streams of a session stand still, and since when."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ._seen import Stall

if TYPE_CHECKING:
    from ._audience import Audience
    from ._seen import Limit, SessionInfo, Side


class Stalls:
    """The stalls of one session that are not over.

    Args:
        audience: those who are told.
        session: whose they are.
    """

    def __init__(self, audience: Audience, session: SessionInfo) -> None:
        self._audience = audience
        self._session = session
        self._open: dict[tuple[int, Side, Limit], Stall] = {}

    def set(
        self,
        stream_id: int,
        side: Side,
        limit: Limit,
        now: float,
        *,
        stalled: bool,
        since: float | None = None,
        waiting: int | None = None,
    ) -> None:
        """It stands still, or does not; tells what has changed."""
        key = (stream_id, side, limit)
        if stalled == (key in self._open):
            return
        if stalled:
            stall = Stall(stream_id, side, limit, now if since is None else since, waiting)
            self._open[key] = stall
            self._audience.tell(lambda one: one.stalled(self._session, stall, now))
        else:
            self._over(self._open.pop(key), now, ended=False)

    def stream_ended(self, stream_id: int, now: float, side: Side | None = None) -> None:
        """A stream is over, or one side of it: so are its stalls."""
        for key in [key for key in self._open if key[0] == stream_id and side in (None, key[1])]:
            self._over(self._open.pop(key), now, ended=True)

    def session_ended(self, now: float) -> None:
        """The session is over."""
        while self._open:
            _, stall = self._open.popitem()
            self._over(stall, now, ended=True)

    def _over(self, stall: Stall, now: float, *, ended: bool) -> None:
        over = replace(stall, duration=now - stall.since, ended=ended)
        self._audience.tell(lambda one: one.resumed(self._session, over, now))

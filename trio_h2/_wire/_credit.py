"""The half of an engine that gives credit back: when, how much, and what is added where a window is worth growing.

RFC 9113 §6.9. The books are in `_flow.py`; here they meet the streams, and become WINDOW_UPDATE frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._config import DEFAULT_WINDOW
from ._flow import ReceiveBudget, StreamCredit
from ._promises import Promises
from ._state import Side, WireStream
from ._tuning import PROBE_PAYLOAD, WindowTuner

if TYPE_CHECKING:
    from ._adapter import Connection
    from ._config import SessionConfig


class CreditKeeper:
    """Receive credit of one session and of its streams; `Engine` adds the rest."""

    conn: Connection

    def __init__(self, config: SessionConfig, *, received_pushes: int | None) -> None:
        self.streams: dict[int, WireStream] = {}
        self.pushes = Promises(received_pushes)
        """Those of them that were pushed."""
        self.credits: dict[int, StreamCredit] = {}
        """Receive credit of the streams that are open or still have unread data."""
        self.tuner = WindowTuner()
        self.initial_window = config.stream_window
        """The initial window of the peer's streams, in force; before the first acknowledgement, what we sent."""
        self._largest_window = config.stream_window
        self.budget = ReceiveBudget(
            config.receive_budget,
            window=DEFAULT_WINDOW,
            # the engine keeps it up as settings change
            reserved=min(
                (config.guaranteed_streams + self.pushes.windows) * config.stream_window, config.receive_budget
            ),
        )

    @property
    def requests(self) -> int:
        """How many requests are open: all streams but the pushed ones."""
        return len(self.streams) - len(self.pushes)

    @property
    def windows(self) -> int:
        """How many streams the peer may fill the windows of: requests, and on a client as many pushes as may open."""
        return self.requests + self.pushes.windows

    def take(self, stream_id: int, size: int) -> None:
        """The application took *size* octets of a stream's data; credit goes back when half a window is owed."""
        if size:
            self.budget.take(size)
            self._return_credit(stream_id, size, taken=True)

    def discard(self, stream_id: int, size: int) -> None:
        """*size* octets of a stream's unread data were thrown away; they are credited all the same."""
        if size:
            self.budget.discard(size)
            self._return_credit(stream_id, size, taken=False)

    def _return_credit(self, stream_id: int, size: int, *, taken: bool) -> None:
        credit = self.credits[stream_id]
        credit.held -= size
        self._give_back_connection()
        stream = self.streams.get(stream_id)
        if stream is None:
            self.budget.unstrand(size)
            if not credit.held:
                del self.credits[stream_id]
            return
        credit.owed += size
        if stream.remote is not Side.ENDED:
            self._give_back_stream(stream_id, credit, tune=taken)

    def _give_back_connection(self) -> None:
        increment = self.budget.give_back()
        if increment:
            self.conn.increment_flow_control_window(increment)

    def _give_back_stream(self, stream_id: int, credit: StreamCredit, *, tune: bool) -> None:
        increment = credit.give_back()
        if not increment:
            return
        spare = self.budget.spare(self.windows, self._largest_window)
        if tune and spare > 0 and credit.held * 4 <= credit.target:  # read promptly: a larger window would be used
            received = self.budget.ledger.received
            increment += self.budget.grow(credit, self.tuner.target(credit.target), spare)
            if self.tuner.wants_probe(received, credit.target):
                self.conn.send_ping(PROBE_PAYLOAD)
        self.conn.increment_flow_control_window(increment, stream_id)

    def credit_padding(self, stream: WireStream, size: int, *, last: bool) -> None:
        """Credits *size* octets of padding at once; the *last* frame of a body needs no window of its stream."""
        self.credit_unread(size)
        stream.credit.owed += size
        if size and not last:
            self._give_back_stream(stream.id, stream.credit, tune=False)

    def credit_unread(self, size: int) -> None:
        """Credits *size* octets that nobody gets, for the session only.

        Also looks whether other credit is due by now: the peer may just have used up what it had, for streams that
        nobody reads.
        """
        self.budget.discard(size)
        self._give_back_connection()

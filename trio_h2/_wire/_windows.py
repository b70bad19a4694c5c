"""Flow control of one session: when credit is given back to the peer, how much, and what may still be sent.

RFC 9113 §§5.2 and 6.9. The books of the session are in `_flow.py`, those of a stream in `WireStream`; here they meet,
and become WINDOW_UPDATE frames. Windows are plain integers, which only this module and `WireStream` change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._codes import ErrorCode
from ._config import DEFAULT_WINDOW, MAX_WINDOW
from ._failure import SessionFaultError
from ._flow import ReceiveBudget
from ._tuning import PROBE_PAYLOAD, WindowTuner

if TYPE_CHECKING:
    from ._config import SessionConfig
    from ._output import Output
    from ._pushes import Pushes
    from ._stream import WireStream


class Windows:
    """The windows of one session and of its streams.

    Args:
        config: limits of the session.
        output: where WINDOW_UPDATE goes.
        streams: the streams that are open.
        pushes: those of them that were pushed.
    """

    def __init__(self, config: SessionConfig, output: Output, streams: dict[int, WireStream], pushes: Pushes) -> None:
        self._output = output
        self._streams = streams
        self._pushes = pushes
        self.unread: dict[int, WireStream] = {}
        """Streams that have closed, and whose data the application has not taken yet."""
        self.tuner: WindowTuner = WindowTuner()
        self.newest_read = 0
        """How many bytes came at once the last time."""
        self.initial: int = config.stream_window
        """The initial window of the peer's streams, in force; before the first acknowledgement, what we sent."""
        self.enforced_initial: int = DEFAULT_WINDOW
        """The laxest initial window that the peer may go by now (RFC 9113 §6.5.3)."""
        self.largest_initial: int = config.stream_window
        """The largest initial window that is in force or on its way there."""
        self.budget: ReceiveBudget = ReceiveBudget(
            config.receive_budget,
            window=DEFAULT_WINDOW,
            # the engine keeps it up as settings change
            reserved=min((config.guaranteed_streams + pushes.windows) * config.stream_window, config.receive_budget),
        )
        self.send_window: int = DEFAULT_WINDOW
        """What may be sent on all streams together, in bytes."""
        self.peer_initial: int = DEFAULT_WINDOW
        """The send window that a stream of this session starts with."""

    # -- streams -----------------------------------------------------------------------------------------------------

    @property
    def requests(self) -> int:
        """How many requests are open: all streams but the pushed ones."""
        return len(self._streams) - len(self._pushes)

    @property
    def open(self) -> int:
        """How many streams the peer may fill the windows of: requests, and on a client as many pushes as may open."""
        return len(self._streams) - len(self._pushes) + self._pushes.windows

    def fits(self, streams: int) -> bool:
        """Whether the budget has room for the windows of *streams* open streams."""
        return self.budget.fits(streams, self.largest_initial)

    @property
    def room(self) -> int | None:
        """How many further streams' windows the budget has room for; ``None`` if there is no end to it."""
        room = self.budget.room(self.largest_initial)
        return None if room is None else room - self.open

    def stream_closed(self, stream: WireStream) -> None:
        """Both sides of a stream have ended; what is unread can still be taken."""
        if stream.held or stream.target != self.initial:
            self.budget.close(stream, self.initial)
            if stream.held:
                self.unread[stream.id] = stream

    # -- credit for the peer -----------------------------------------------------------------------------------------

    def take(self, stream_id: int, size: int) -> None:
        """The application took *size* bytes of a stream's data; credit goes back when half a window is owed."""
        if size:
            budget = self.budget
            budget.ledger.taken += size
            budget.owed += size
            self._return_credit(stream_id, size, taken=True)

    def discard(self, stream_id: int, size: int) -> None:
        """*size* bytes of a stream's unread data were thrown away; they are credited all the same."""
        if size:
            self.budget.discard(size)
            self._return_credit(stream_id, size, taken=False)

    def _return_credit(self, stream_id: int, size: int, *, taken: bool) -> None:
        self.give_back_connection()
        stream = self._streams.get(stream_id)
        if stream is None:
            closed = self.unread[stream_id]
            closed.held -= size
            self.budget.unstrand(size)
            if not closed.held:
                del self.unread[stream_id]
            return
        stream.held -= size
        stream.owed += size
        if stream.held < stream.least_held:
            stream.least_held = stream.held
        if not stream.remote_ended:
            self.give_back(stream, tune=taken)

    def give_back_connection(self) -> None:
        """Gives the session's credit back, if it is due."""
        budget = self.budget
        if budget.owed >= budget.window:  # else it is not
            increment = budget.give_back()
            if increment:
                self._output.window_update(0, increment)

    def give_back(self, stream: WireStream, *, tune: bool = False) -> None:
        """Gives a stream's credit back, if it is due, and more where a larger window is worth having (*tune*).

        Due is it once for each half window.
        """
        increment = stream.owed
        if increment <= 0 or increment * 2 < stream.target:
            return
        stream.owed = 0
        least_held, stream.least_held = stream.least_held, stream.held
        if tune:
            spare = self.budget.spare(self.open, self.largest_initial)
            # Read promptly: a larger window would be used. What is held now says little: a window's worth may have
            # come in one read, of which the application has taken the half.
            if spare > 0 and least_held * 4 <= stream.target:
                received = self.budget.ledger.received
                increment += self.budget.grow(stream, self.tuner.target(stream.target), spare)
                if self.tuner.wants_probe(received, stream.target, self.newest_read):
                    self._output.ping(PROBE_PAYLOAD)
        stream.receive_window += increment
        self._output.window_update(stream.id, increment)

    def credit_padding(self, stream: WireStream, size: int, *, last: bool) -> None:
        """Credits *size* bytes of padding at once; the *last* frame of a body needs no window of its stream."""
        self.credit_unread(size)
        stream.owed += size
        if size and not last:
            self.give_back(stream)

    def credit_unread(self, size: int) -> None:
        """Credits *size* bytes that nobody gets, for the session only.

        Also looks whether other credit is due by now: the peer may just have used up what it had, for streams that
        nobody reads.
        """
        self.budget.discard(size)
        self.give_back_connection()

    def resize(self, size: int) -> None:
        """Makes the budget *size* bytes; the caller has seen that the open streams fit."""
        increment = self.budget.resize(size)
        if increment:
            self._output.window_update(0, increment)

    # -- initial windows ---------------------------------------------------------------------------------------------

    def initial_sent(self, window: int) -> None:
        """We sent SETTINGS_INITIAL_WINDOW_SIZE: from now on the peer may act on it, if that lets it send more."""
        if window > self.enforced_initial:
            self._enforce(window)

    def initial_acknowledged(self, window: int) -> None:
        """The peer has acknowledged SETTINGS_INITIAL_WINDOW_SIZE, which is in force from now on, also if it is smaller.

        A smaller window may leave a stream with less than nothing although its data was all read, so what is owed by
        the measure of the new window is given back here: nothing else would do it, since the peer has to stay silent.
        """
        if window != self.enforced_initial:
            self._enforce(window)
        change = window - self.initial
        self.initial = window
        for stream in self._streams.values():
            stream.target += change
            if change < 0 and not stream.remote_ended:
                self.give_back(stream)

    def _enforce(self, window: int) -> None:
        change = window - self.enforced_initial
        self.enforced_initial = window
        for stream in self._streams.values():
            stream.receive_window += change

    # -- credit from the peer ----------------------------------------------------------------------------------------

    def peer_initial_changed(self, window: int) -> None:
        """The peer sent SETTINGS_INITIAL_WINDOW_SIZE.

        Raises:
            SessionFaultError: FLOW_CONTROL_ERROR, a stream's window overflows.
        """
        change = window - self.peer_initial
        self.peer_initial = window
        for stream in self._streams.values():
            if stream.send_window + change > MAX_WINDOW:
                # RFC 9113 §6.9.2: "An endpoint MUST treat a change to SETTINGS_INITIAL_WINDOW_SIZE that causes any
                # flow-control window to exceed the maximum size as a connection error of type FLOW_CONTROL_ERROR."
                raise SessionFaultError(
                    ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE overflows the window of a stream"
                )
            stream.send_window += change

    def receive_update(self, increment: int) -> None:
        """The peer gave credit for the session.

        Raises:
            SessionFaultError: FLOW_CONTROL_ERROR, the window overflows.
        """
        window = self.send_window + increment
        if window > MAX_WINDOW:
            # RFC 9113 §6.9.1: "for the connection, a GOAWAY frame with an error code of FLOW_CONTROL_ERROR is sent."
            raise SessionFaultError(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window overflows")
        self.send_window = window

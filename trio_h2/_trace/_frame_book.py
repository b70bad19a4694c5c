"""What the frames of both directions say of a session, booked for instruments: streams, windows, stalls, pings.

It knows nothing but the frames on the wire, so it cannot disturb the engine, nor be led astray by it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from .._wire._codes import Initiator, Role, SettingCode
from .._wire._config import DEFAULT_WINDOW
from .._wire._frames import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from ._frame_tap import FrameTap, table_size_of
from ._seen import PingAnswer, StreamInfo, Window
from ._stalls import Stalls
from ._stream_book import StreamBook

if TYPE_CHECKING:
    from typing import Literal

    from .._wire._codes import ErrorCode
    from ._audience import Audience
    from ._instrument import Instrument
    from ._seen import Frame, SessionInfo, Side, StreamEnd, WindowCause

_MAX_PINGS: Final = 1000
"""Pings without an answer that are remembered; a peer could send any number."""


class FrameBook:
    """The books of one HTTP/2 session.

    Args:
        audience: those who are told.
        session: whose they are.
        now: the time, as in all methods, in seconds of Trio's clock.
    """

    def __init__(self, audience: Audience, session: SessionInfo, now: float) -> None:
        self._audience = audience
        self._session = session
        is_client = session.role is Role.CLIENT
        self._is_client = is_client
        self._sent = FrameTap(preface=is_client)
        self._received = FrameTap(preface=not is_client)
        self.stalls = Stalls(audience, session)
        self._streams: dict[int, StreamBook] = {}
        self._highest = {True: 0, False: 0}
        """The highest stream id that a client has opened, and that a server has promised."""
        self.opened = 0
        """How many streams there were."""
        self._send_window = self._receive_window = DEFAULT_WINDOW
        self._first_send_window = self._first_receive_window = DEFAULT_WINDOW
        """Those of a new stream."""
        self._settings_sent: list[dict[int, int]] = []
        """Those that the peer has not acknowledged."""
        self._pings: dict[tuple[bool, bytes], float] = {}
        """When a PING without an answer was sent (``True``), or came."""
        self._window(0, "send", "opened", now)
        self._window(0, "receive", "opened", now)

    def sent(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Bytes were given to the transport."""
        for frame in self._sent.read(bytes(data)):
            self._audience.tell(partial(_tell_sent, self._session, frame, now))
            self._book(frame, now, sent=True)

    def received(self, data: bytes, now: float) -> None:
        """Bytes came from the transport."""
        for frame in self._received.read(data):
            self._audience.tell(partial(_tell_received, self._session, frame, now))
            self._book(frame, now, sent=False)

    def reset_known(self, stream_id: int, by: Initiator, reason: str) -> None:
        """A stream is going to be reset, and it is known why."""
        stream = self._streams.get(stream_id)
        if stream is not None and by is not Initiator.REMOTE:
            stream.reset_why, stream.reset_reason = by, reason

    def body_waits(self, stream_id: int, now: float, *, waits: bool) -> None:
        """Body bytes of ours wait to be framed, or do not."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        by_stream = waits and stream.send_window <= 0
        self.stalls.set(stream_id, "send", "stream_window", now, stalled=by_stream)
        by_session = waits and not by_stream and self._send_window <= 0
        self.stalls.set(stream_id, "send", "session_window", now, stalled=by_session)

    def end(self, by: Initiator, reason: str, now: float) -> None:
        """The session is over, and so are all its streams and stalls."""
        for stream_id in list(self._streams):
            self._close(stream_id, "session", by, now, reason=reason)
        self.stalls.session_ended(now)

    # -- frames ----------------------------------------------------------------------------------------------------

    def _book(self, frame: Frame, now: float, *, sent: bool) -> None:
        kind = frame.kind
        if kind == DATA:
            self._data(frame, now, sent=sent)
        elif kind == HEADERS:
            self._headers(frame, now, sent=sent)
        elif kind == WINDOW_UPDATE:
            self._window_update(frame, now, sent=sent)
        elif kind == RST_STREAM:
            by = Initiator.LOCAL if sent else Initiator.REMOTE
            self._close(frame.stream_id, "reset", by, now, code=frame.error_code)
        elif kind == SETTINGS:
            self._settings(frame, now, sent=sent)
        elif kind == PUSH_PROMISE:
            self._promise(frame, now, sent=sent)
        elif kind == PING and frame.ping is not None:
            self._ping(frame.ping, now, sent=sent, answer=bool(frame.flags & ACK))

    def _data(self, frame: Frame, now: float, *, sent: bool) -> None:
        stream = self._streams.get(frame.stream_id)
        if sent:
            self._send_window -= frame.length
        else:
            self._receive_window -= frame.length
        if stream is not None:
            if sent:
                stream.send_window -= frame.length
                stream.bytes_sent += frame.data_length or 0
            else:
                stream.receive_window -= frame.length
                stream.bytes_received += frame.data_length or 0
        if frame.length:
            side: Side = "send" if sent else "receive"
            if stream is not None:
                self._window(frame.stream_id, side, "data", now)
            self._window(0, side, "data", now)
        if frame.flags & END_STREAM:
            self._ended(frame.stream_id, now, sent=sent)
        if not sent:
            self._look_at_receiving(frame.stream_id, now)

    def _headers(self, frame: Frame, now: float, *, sent: bool) -> None:
        stream_id = frame.stream_id
        by_client = sent == self._is_client
        if stream_id not in self._streams and by_client and stream_id > self._highest[True]:
            self._highest[True] = stream_id
            by = Initiator.LOCAL if sent else Initiator.REMOTE
            self._open(StreamInfo(stream_id, by, False, frame.headers, now), now)
        stream = self._streams.get(stream_id)
        if stream is not None and not by_client and frame.message == "response":
            stream.response(None if frame.headers is None else frame.headers.first(b":status"), now)
        if frame.flags & END_STREAM:
            self._ended(stream_id, now, sent=sent)

    def _promise(self, frame: Frame, now: float, *, sent: bool) -> None:
        promised = frame.promised_stream_id
        if promised is None or promised <= self._highest[False] or sent == self._is_client:
            return
        self._highest[False] = promised
        by = Initiator.LOCAL if sent else Initiator.REMOTE
        self._open(StreamInfo(promised, by, True, frame.headers, now, frame.stream_id), now)
        stream = self._streams[promised]
        # RFC 9113 §8.4.1: a promised request has no content, so the client has nothing to send on its stream.
        if sent:
            stream.remote_ended = True
        else:
            stream.local_ended = True

    def _open(self, info: StreamInfo, now: float) -> None:
        stream_id = info.stream_id
        self.opened += 1
        self._streams[stream_id] = StreamBook(info, self._first_send_window, self._first_receive_window)
        self._audience.tell(lambda one: one.stream_opened(self._session, info, now))
        self._window(stream_id, "send", "opened", now)
        self._window(stream_id, "receive", "opened", now)

    def _ended(self, stream_id: int, now: float, *, sent: bool) -> None:
        """One side has sent END_STREAM."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if sent:
            stream.local_ended = True
            self.stalls.stream_ended(stream_id, now, "send")
        else:
            stream.remote_ended = True
            self.stalls.stream_ended(stream_id, now, "receive")
        if stream.local_ended and stream.remote_ended:
            self._close(stream_id, "complete", Initiator.LOCAL if sent else Initiator.REMOTE, now)

    def _close(
        self,
        stream_id: int,
        how: Literal["complete", "reset", "session"],
        by: Initiator,
        now: float,
        *,
        code: ErrorCode | int | None = None,
        reason: str | None = None,
    ) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        self.stalls.stream_ended(stream_id, now)
        end: StreamEnd = stream.end(how, by, now, code=code, reason=reason)
        self._audience.tell(lambda one: one.stream_closed(self._session, stream.info, end, now))
        if not self._streams:
            self._look_at_receiving(0, now)

    # -- windows ---------------------------------------------------------------------------------------------------

    def _window_update(self, frame: Frame, now: float, *, sent: bool) -> None:
        """Credit given: what the one side sends is what the other side may send more."""
        increment = frame.increment or 0
        stream = self._streams.get(frame.stream_id)
        if frame.stream_id and stream is None:
            return
        if stream is None:
            if sent:
                self._receive_window += increment
            else:
                self._send_window += increment
        elif sent:
            stream.receive_window += increment
        else:
            stream.send_window += increment
        self._window(frame.stream_id, "receive" if sent else "send", "window_update", now)
        if sent:
            self._look_at_receiving(frame.stream_id, now)
        else:
            self._look_at_sending(frame.stream_id, now)

    def _settings(self, frame: Frame, now: float, *, sent: bool) -> None:
        if frame.flags & ACK:
            # RFC 9113 §6.5.3: ours hold when the peer has acknowledged them; its own are obeyed when they come.
            if not sent and self._settings_sent:
                self._first_window_changed(self._settings_sent.pop(0), now, receive=True)
            return
        values = dict(frame.settings or ())
        table = table_size_of(frame)
        if table is not None:
            (self._received if sent else self._sent).allow_table(table)
        if sent:
            self._settings_sent.append(values)
        else:
            self._first_window_changed(values, now, receive=False)

    def _first_window_changed(self, values: dict[int, int], now: float, *, receive: bool) -> None:
        """RFC 9113 §6.9.2: a change of SETTINGS_INITIAL_WINDOW_SIZE moves the windows of all streams."""
        size = values.get(SettingCode.INITIAL_WINDOW_SIZE)
        if size is None:
            return
        if receive:
            change, self._first_receive_window = size - self._first_receive_window, size
        else:
            change, self._first_send_window = size - self._first_send_window, size
        if not change:
            return
        for stream_id, stream in self._streams.items():
            if receive:
                stream.receive_window += change
                self._window(stream_id, "receive", "settings", now)
                self._look_at_receiving(stream_id, now)
            else:
                stream.send_window += change
                self._window(stream_id, "send", "settings", now)
        if not receive:
            self._look_at_sending(0, now)

    def _window(self, stream_id: int, side: Side, cause: WindowCause, now: float) -> None:
        if stream_id:
            stream = self._streams[stream_id]
            size = stream.send_window if side == "send" else stream.receive_window
        else:
            size = self._send_window if side == "send" else self._receive_window
        window = Window(stream_id, side, size, cause)
        self._audience.tell(lambda one: one.window_updated(self._session, window, now))

    def _look_at_receiving(self, stream_id: int, now: float) -> None:
        """The peer may be out of credit, or may have some again."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stalled = stream.receive_window <= 0 and not stream.remote_ended
            self.stalls.set(stream_id, "receive", "stream_window", now, stalled=stalled)
        stalled = self._receive_window <= 0 and any(not stream.remote_ended for stream in self._streams.values())
        self.stalls.set(0, "receive", "session_window", now, stalled=stalled)

    def _look_at_sending(self, stream_id: int, now: float) -> None:
        """The peer has given credit: what it was that kept us may be over. 0 stands for all streams."""
        for waiting in list(self._streams) if stream_id == 0 else [stream_id]:
            if self._streams[waiting].send_window > 0:
                self.stalls.set(waiting, "send", "stream_window", now, stalled=False)
            if self._send_window > 0:
                self.stalls.set(waiting, "send", "session_window", now, stalled=False)

    # -- pings -----------------------------------------------------------------------------------------------------

    def _ping(self, payload: bytes, now: float, *, sent: bool, answer: bool) -> None:
        if not answer:
            if len(self._pings) < _MAX_PINGS:
                self._pings[sent, payload] = now
            return
        asked = self._pings.pop((not sent, payload), None)
        if asked is not None:
            found = PingAnswer(payload, Initiator.REMOTE if sent else Initiator.LOCAL, now - asked)
            self._audience.tell(lambda one: one.ping_answered(self._session, found, now))


def _tell_sent(session: SessionInfo, frame: Frame, now: float, instrument: Instrument) -> None:
    instrument.frame_sent(session, frame, now)


def _tell_received(session: SessionInfo, frame: Frame, now: float, instrument: Instrument) -> None:
    instrument.frame_received(session, frame, now)

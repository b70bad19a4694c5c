"""What may be received, and what it means: the rules of RFC 9113 that a peer can break.

Each frame is checked here, or in `MessageReceiver`, before h2 books it. An error of one stream raises
`StreamFaultError` and becomes RST_STREAM; an error of the connection raises `SessionFaultError` and becomes GOAWAY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hyperframe.frame import (
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)

from ._codes import ErrorCode, Initiator, Role, SettingCode, code_name, error_code
from ._config import MAX_WINDOW
from ._events import (
    GoAwayReceived,
    PingAcknowledged,
    PingReceived,
    SessionFailed,
    SettingsAcknowledged,
    SettingsReceived,
    StreamFailed,
    WindowOpened,
)
from ._failure import SessionFailure, SessionFaultError, StreamFailure, StreamFaultError
from ._fields import MalformedMessageError
from ._framing import ReceivedSettings
from ._receive_extensions import ExtensionReceiver
from ._receive_messages import MessageReceiver
from ._receive_push import PushReceiver
from ._reception import Reception
from ._settings import check_peer_setting
from ._tuning import PROBE_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._engine import Engine
    from ._events import Event

SMALL_INCREMENT = 1024
"""A WINDOW_UPDATE of fewer octets counts as overhead: it costs more than it permits."""
MAX_UNKNOWN_SETTINGS = 32
"""Settings we do not know that are kept for the application; a peer could name 65 536 of them."""
_HIGHEST_KNOWN_SETTING = max(SettingCode)


class Receiver:
    """The receiving half of one `Engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reception = Reception(engine)
        self._extensions = ExtensionReceiver(self._reception)
        self._pushes = PushReceiver(self._reception)
        self._messages = MessageReceiver(self._reception, self._extensions, self._pushes)
        self._opened: set[int] = set()

    def receive(self, data: bytes, now: float) -> list[Event]:
        """See `Engine.receive_bytes`."""
        events = self._reception.begin(now)
        try:
            self._engine.conn.receive(data)
        except SessionFaultError as exc:
            failure = SessionFailure(exc.cause, exc.code, Initiator.LIBRARY, exc.reason)
            self._engine.fail(failure)
            events.append(SessionFailed(failure))
        self._reception.end()
        self._opened.clear()
        return events

    def report(self, event: Event) -> None:
        """Adds an event to those of the bytes that are being read."""
        self._reception.events.append(event)

    def release(self) -> None:
        """The session is over: drops the references to the engine."""
        del self._engine, self._reception, self._messages, self._extensions, self._pushes

    def on_frame(self, frame: Frame | StreamFaultError) -> None:
        """Checks and books one frame."""
        if isinstance(frame, StreamFaultError):
            # RST_STREAM must not be sent on an idle stream (RFC 9113 §6.4).
            self._reception.require_not_idle(frame.stream_id, frame.reason, frame.code)
            self._reception.stream_error(frame)
            return
        handler = _HANDLERS.get(type(frame))
        if handler is None:
            # PRIORITY. RFC 9113 §5.3.2: what it says is deprecated, and our SETTINGS_NO_RFC7540_PRIORITIES says that
            # we do not follow it. The reader has parsed it.
            self._reception.overhead()
            return
        try:
            handler(self, frame)
        except StreamFaultError as exc:
            self._reception.stream_error(exc)
        except MalformedMessageError as exc:
            # RFC 9113 §8.1.1: "Malformed requests or responses that are detected MUST be treated as a stream error
            # (Section 5.4.2) of type PROTOCOL_ERROR."
            self._reception.stream_error(StreamFaultError(frame.stream_id, ErrorCode.PROTOCOL_ERROR, exc.reason))

    def _extension(self, frame: ExtensionFrame) -> None:
        self._extensions.frame(frame)

    def _headers(self, frame: HeadersFrame) -> None:
        self._engine.newest_received_id = frame.stream_id
        self._messages.headers(frame)

    def _data(self, frame: DataFrame) -> None:
        self._engine.newest_received_id = frame.stream_id
        self._messages.data(frame)

    def _window_update(self, frame: WindowUpdateFrame) -> None:
        engine = self._engine
        increment, stream_id = frame.window_increment, frame.stream_id
        if increment < SMALL_INCREMENT:
            self._reception.overhead()
        if not stream_id:
            window = engine.conn.outbound_flow_control_window + increment
            if window > MAX_WINDOW:
                # RFC 9113 §6.9.1: "for the connection, a GOAWAY frame with an error code of FLOW_CONTROL_ERROR is
                # sent."
                raise SessionFaultError(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window overflows")
            engine.conn.outbound_flow_control_window = window
            self._window_opened(0)
            return
        self._reception.require_not_idle(stream_id, "WINDOW_UPDATE")
        if stream_id not in engine.streams:
            self._reception.overhead()  # late, and allowed to be (RFC 9113 §5.1, closed)
            return
        if engine.role is Role.CLIENT:
            self._reception.require_not_reserved(stream_id, "WINDOW_UPDATE")
        stream = engine.conn.stream(stream_id)
        window = stream.outbound_flow_control_window + increment
        if window > MAX_WINDOW:
            raise StreamFaultError(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window overflows")
        stream.outbound_flow_control_window = window
        self._window_opened(stream_id)

    def _window_opened(self, stream_id: int) -> None:
        """Reports once per read: whoever hears of it looks at the window as it is after the whole read."""
        if stream_id not in self._opened:
            self._opened.add(stream_id)
            self.report(WindowOpened(stream_id))

    def _rst_stream(self, frame: RstStreamFrame) -> None:
        engine = self._engine
        stream_id = frame.stream_id
        self._reception.require_not_idle(stream_id, "RST_STREAM")
        if stream_id not in engine.streams:
            self._reception.overhead()
            return
        if stream_id % 2 == (engine.role is Role.SERVER):  # the peer opened or promised it
            engine.guard.count_reset(self._reception.now)
        refused = frame.error_code == ErrorCode.REFUSED_STREAM
        failure = StreamFailure(
            stream_id,
            error_code(frame.error_code),
            Initiator.REMOTE,
            f"the peer reset the stream with {code_name(frame.error_code)}",
            retryable=refused,  # RFC 9113 §8.7: it "can be safely retried"
            refused=refused,
        )
        self.report(StreamFailed(stream_id, failure))
        engine.close_stream(stream_id)

    def _settings(self, frame: ReceivedSettings) -> None:
        engine = self._engine
        self._reception.overhead()
        if "ACK" in frame.flags:
            acknowledged = engine.settings_acknowledged()
            if acknowledged is not None:
                self.report(SettingsAcknowledged(acknowledged))
            return
        values: dict[int, int] = {}
        for code, value in frame.pairs:
            self._check_setting(code, value)
            known = code <= _HIGHEST_KNOWN_SETTING or code in engine.peer_settings or code in values
            if known or len(engine.peer_settings) + len(values) < MAX_UNKNOWN_SETTINGS:
                values[code] = value
        engine.peer_settings_seen = True
        engine.peer_settings.update(values)
        engine.conn.apply_remote_settings([pair for pair in frame.pairs if pair[0] in values])
        engine.guard.count_reply()
        self.report(SettingsReceived(values))
        if SettingCode.INITIAL_WINDOW_SIZE in values:
            self._window_opened(0)  # or shrunk: writers recheck

    def _check_setting(self, code: int, value: int) -> None:
        error = check_peer_setting(code, value, peer_is_server=self._engine.role is Role.CLIENT)
        if code == SettingCode.ENABLE_CONNECT_PROTOCOL and not value and self._engine.peer_settings.get(code):
            # RFC 8441 §3: "a sender MUST NOT send a SETTINGS_ENABLE_CONNECT_PROTOCOL parameter with the value of 0
            # after previously sending a value of 1."
            error = ErrorCode.PROTOCOL_ERROR
        if error is not None:
            raise SessionFaultError(error, f"the peer sent setting {code:#x} with the value {value}")

    def _ping(self, frame: PingFrame) -> None:
        engine = self._engine
        self._reception.overhead()
        payload = bytes(frame.opaque_data)
        if "ACK" not in frame.flags:
            engine.conn.send_ping(payload, ack=True)
            engine.guard.count_reply()
            self.report(PingReceived(payload))
        elif payload == PROBE_PAYLOAD:
            engine.tuner.acknowledged(engine.budget.ledger.received)
        else:
            self.report(PingAcknowledged(payload))

    def _goaway(self, frame: GoAwayFrame) -> None:
        engine = self._engine
        self._reception.overhead()
        code = error_code(frame.error_code)
        debug_data = bytes(frame.additional_data)
        # RFC 9113 §4.1, on reserved bits: "MUST be ignored when receiving".
        last = engine.shutdown.receive(frame.last_stream_id & 0x7FFF_FFFF, code, debug_data)
        self.report(GoAwayReceived(last, code, debug_data))
        ours = 1 if engine.role is Role.CLIENT else 0
        for stream_id in [i for i in engine.streams if i > last and i % 2 == ours]:
            failure = StreamFailure(
                stream_id,
                ErrorCode.REFUSED_STREAM,
                Initiator.REMOTE,
                f"the peer is leaving (GOAWAY {code_name(code)}) and did not process the stream",
                retryable=True,  # RFC 9113 §6.8: it "can be safely retried using a new connection"
                refused=True,
                debug_data=debug_data,
            )
            self.report(StreamFailed(stream_id, failure))
            engine.remember_reset(stream_id, engine.conn.inbound_window(stream_id))
            engine.close_stream(stream_id)

    def _push_promise(self, frame: PushPromiseFrame) -> None:
        self._pushes.promise(frame)


_HANDLERS = cast(  # each handler gets the frames of its own type only
    "dict[type[Frame], Callable[[Receiver, Frame], None]]",
    {
        HeadersFrame: Receiver._headers,
        DataFrame: Receiver._data,
        WindowUpdateFrame: Receiver._window_update,
        RstStreamFrame: Receiver._rst_stream,
        ReceivedSettings: Receiver._settings,
        PingFrame: Receiver._ping,
        GoAwayFrame: Receiver._goaway,
        PushPromiseFrame: Receiver._push_promise,
        ExtensionFrame: Receiver._extension,
    },
)

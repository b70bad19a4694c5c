"""What may be received, and what it means: every rule of RFC 9113 that a peer can break.

Each frame is checked here before h2 books it. An error of one stream raises `StreamFaultError` and becomes RST_STREAM;
an error of the connection raises `SessionFaultError` and becomes GOAWAY. The field block of HEADERS is decoded first,
whatever
happens to the frame: HPACK must stay in step.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from ._codes import ErrorCode, Initiator, Role, SettingCode, code_name, error_code
from ._config import MAX_WINDOW, ServerConfig
from ._events import (
    DataReceived,
    GoAwayReceived,
    InformationalReceived,
    PingAcknowledged,
    PingReceived,
    RequestReceived,
    ResponseReceived,
    SessionFailed,
    SettingsAcknowledged,
    SettingsReceived,
    StreamFailed,
    TrailersReceived,
    WindowOpened,
)
from ._failure import SessionFailure, SessionFaultError, StreamFailure, StreamFaultError
from ._fields import MalformedMessageError, check_request, check_response, check_trailers, field_section_size
from ._flow import StreamCredit
from ._headers import Headers
from ._settings import check_peer_setting
from ._state import Side, WireStream
from ._tuning import PROBE_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._engine import Engine
    from ._events import Event
    from ._headers import RawField

SMALL_INCREMENT = 1024
"""A WINDOW_UPDATE of fewer octets counts as overhead: it costs more than it permits."""
MAX_SKIPPED_RANGES = 100
MAX_UNKNOWN_SETTINGS = 32
"""Settings we do not know that are kept for the application; a peer could name 65 536 of them."""


class Receiver:
    """The receiving half of one `Engine`."""

    def __init__(self, engine: Engine) -> None:
        self.events: list[Event] = []
        self._engine = engine
        self._now = 0.0
        self._skipped: deque[range] = deque(maxlen=MAX_SKIPPED_RANGES)
        """Ids the peer jumped over: they are closed, and were never open."""

    def receive(self, data: bytes, now: float) -> list[Event]:
        """See `Engine.receive_bytes`."""
        events: list[Event] = []
        self.events = events
        self._now = now
        try:
            self._engine.conn.receive(data)
        except SessionFaultError as exc:
            failure = SessionFailure(exc.cause, exc.code, Initiator.LIBRARY, exc.reason)
            self._engine.fail(failure)
            events.append(SessionFailed(failure))
        return events

    def release(self) -> None:
        """The session is over: drops the reference to the engine."""
        del self._engine

    def on_frame(self, frame: Frame | StreamFaultError) -> None:
        """Checks and books one frame."""
        engine = self._engine
        if not engine.peer_settings_seen and not (isinstance(frame, SettingsFrame) and "ACK" not in frame.flags):
            # RFC 9113 §3.4: "This sequence MUST be followed by a SETTINGS frame", "The server connection preface
            # consists
            # of a potentially empty SETTINGS frame that MUST be the first frame".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        try:
            if isinstance(frame, StreamFaultError):
                self._require_not_idle(frame.stream_id, "a malformed frame")
                raise frame
            handler = _HANDLERS.get(type(frame))
            if handler is None:
                # RFC 9113 §5.5: "Implementations MUST discard frames that have unknown or unsupported types."
                engine.guard.count_overhead(self._now)
            else:
                handler(self, frame)
        except StreamFaultError as exc:
            self._stream_error(exc)
        except MalformedMessageError as exc:
            # RFC 9113 §8.1.1: "Malformed requests or responses that are detected MUST be treated as a stream error
            # of type PROTOCOL_ERROR."
            self._stream_error(StreamFaultError(frame.stream_id, ErrorCode.PROTOCOL_ERROR, exc.reason))

    # -- ids and errors --------------------------------------------------------------------------------------------

    def _is_idle(self, stream_id: int) -> bool:
        """Whether an id that is not open has never been used (RFC 9113 §5.1.1)."""
        conn = self._engine.conn
        ours = (stream_id % 2 == 1) is (self._engine.role is Role.CLIENT)
        return stream_id > (conn.highest_outbound_stream_id if ours else conn.highest_inbound_stream_id)

    def _require_not_idle(self, stream_id: int, what: str) -> None:
        """RFC 9113 §5.1 (idle): other than HEADERS or PRIORITY, "MUST be treated as a connection error of type
        PROTOCOL_ERROR".
        """
        if stream_id not in self._engine.streams and self._is_idle(stream_id):
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"{what} on idle stream {stream_id}")

    def _on_closed_stream(self, stream_id: int, what: str) -> None:
        """A frame on a closed stream: dropped if it may have been under way when we reset, else a stream error.

        RFC 9113 §5.1 (closed): "An endpoint MUST minimally process and then discard any frames it receives in this state."
        """
        engine = self._engine
        engine.guard.count_overhead(self._now)
        if stream_id not in engine.reset_by_us and not engine.shutdown.refuses(stream_id):
            raise StreamFaultError(stream_id, ErrorCode.STREAM_CLOSED, f"{what} on closed stream {stream_id}")

    def _stream_error(self, fault: StreamFaultError) -> None:
        """Sends one RST_STREAM (RFC 9113 §5.4.2), also for a stream that never opened."""
        engine = self._engine
        engine.guard.count_reset(self._now)
        stream_id = fault.stream_id
        if stream_id in engine.streams:
            failure = StreamFailure(
                stream_id, fault.code, Initiator.LIBRARY, fault.reason, refused=fault.code is ErrorCode.REFUSED_STREAM
            )
            self.events.append(StreamFailed(stream_id, failure))
            engine.reset(stream_id, fault.code)
        elif stream_id not in engine.reset_by_us:
            engine.conn.send_reset(stream_id, fault.code)
            engine.remember_reset(stream_id)
        engine.guard.count_reply()

    # -- HEADERS ---------------------------------------------------------------------------------------------------

    def _headers(self, frame: HeadersFrame) -> None:
        engine = self._engine
        fields = engine.conn.decode_block(frame.data)
        end_stream = "END_STREAM" in frame.flags
        stream = engine.streams.get(frame.stream_id)
        if stream is None:
            if engine.role is Role.SERVER:
                self._new_request(frame.stream_id, fields, end_stream)
            else:
                # A server opens streams with PUSH_PROMISE only, and an odd id that we never used is idle.
                self._require_not_idle(frame.stream_id, "HEADERS")
                self._on_closed_stream(frame.stream_id, "HEADERS")
            return
        if stream.remote is Side.ENDED:
            # RFC 9113 §5.1 (half-closed (remote)): "it MUST respond with a stream error of type STREAM_CLOSED".
            raise StreamFaultError(stream.id, ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM")
        if self._too_large(fields):
            raise StreamFaultError(stream.id, ErrorCode.ENHANCE_YOUR_CALM, "header list larger than we advertised")
        if stream.remote is Side.IDLE:
            self._response(stream, fields, end_stream)
        else:
            self._trailers(stream, fields, end_stream)

    def _too_large(self, fields: list[RawField]) -> bool:
        config = self._engine.config
        if len(fields) > config.max_header_fields:
            return True
        return field_section_size(fields) > config.max_header_list_size

    def _new_request(self, stream_id: int, fields: list[RawField], end_stream: bool) -> None:
        engine = self._engine
        if stream_id % 2 == 0:
            # RFC 9113 §5.1.1: "Streams initiated by a client MUST use odd-numbered stream identifiers".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"the client opened the even stream {stream_id}")
        highest = engine.conn.highest_inbound_stream_id
        if stream_id <= highest:
            if any(stream_id in skipped for skipped in self._skipped):
                # RFC 9113 §5.1.1: "An endpoint that receives an unexpected stream identifier MUST respond with a
                # connection
                # error of type PROTOCOL_ERROR."
                raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} opened after stream {highest}")
            self._on_closed_stream(stream_id, "HEADERS")
            return
        if stream_id > highest + 2 or (highest == 0 and stream_id > 1):
            self._skipped.append(range(highest + 1, stream_id))
        engine.conn.stream_id_used_by_peer(stream_id)
        if engine.shutdown.refuses(stream_id):
            return  # RFC 9113 §6.8: frames above the last id of our GOAWAY can be discarded
        config = engine.config
        assert isinstance(config, ServerConfig)
        if len(engine.slots) >= config.max_concurrent_streams:
            # RFC 9113 §5.1.2: "MUST treat this as a stream error of type PROTOCOL_ERROR or REFUSED_STREAM"; the
            # latter tells
            # that a retry is safe.
            raise StreamFaultError(stream_id, ErrorCode.REFUSED_STREAM, "too many streams")
        if engine.memory > config.session_memory:
            raise StreamFaultError(stream_id, ErrorCode.ENHANCE_YOUR_CALM, "max_session_memory is used up")
        too_large = self._too_large(fields)
        head = None
        if not too_large:
            head = check_request(
                fields, extended_connect=bool(engine.local_settings.get(SettingCode.ENABLE_CONNECT_PROTOCOL))
            )
            if end_stream and head.content_length:
                raise StreamFaultError(
                    stream_id,
                    ErrorCode.PROTOCOL_ERROR,
                    f"content-length is {head.content_length}, but there is no body",
                )
        engine.conn.stream_opened_by_peer(stream_id, fields, end_stream=end_stream)
        stream = WireStream(stream_id, b"", StreamCredit(engine.initial_window))
        stream.remote = Side.ENDED if end_stream else Side.OPEN
        if head is None:
            self._answer_431(stream)
            return
        stream.method = head.method or b""
        stream.expected_length = head.content_length
        engine.accept_stream(stream)
        self.events.append(RequestReceived(stream_id, Headers.from_raw(fields), end_stream))

    def _answer_431(self, stream: WireStream) -> None:
        """RFC 9113 §10.5.1: "A server that receives a larger field block than it is willing to handle can send an HTTP
        431 (Request Header Fields Too Large) status code".
        """
        engine = self._engine
        engine.guard.count_reset(self._now)
        engine.add_stream(stream)
        engine.send_response(stream.id, [(b":status", b"431"), (b"content-length", b"0")], end_stream=True)
        if stream.id in engine.streams:
            engine.reset(stream.id, ErrorCode.NO_ERROR)
        engine.guard.count_reply()
        self.events.pop()  # its StreamClosed: nobody above has heard of this stream

    def _response(self, stream: WireStream, fields: list[RawField], end_stream: bool) -> None:
        head = check_response(fields)
        status = head.status or 0
        if status < 200:
            if end_stream:
                raise MalformedMessageError(f"status {status} with END_STREAM")
            self._engine.conn.book_headers(stream.id, fields, end_stream=False)
            self.events.append(InformationalReceived(stream.id, Headers.from_raw(fields)))
            return
        # RFC 9110 §6.4.1 and §9.3.6: no content in answers to HEAD, with 204 or 304; a tunnel has no length.
        stream.body_forbidden = stream.method == b"HEAD" or status in (204, 304)
        tunnel = stream.method == b"CONNECT" and 200 <= status < 300
        if not stream.body_forbidden and not tunnel:
            stream.expected_length = head.content_length
            if end_stream and head.content_length:
                raise MalformedMessageError(f"content-length is {head.content_length}, but there is no body")
        self._engine.conn.book_headers(stream.id, fields, end_stream=end_stream)
        stream.remote = Side.OPEN
        self.events.append(ResponseReceived(stream.id, Headers.from_raw(fields), end_stream))
        if end_stream:
            self._remote_ended(stream)

    def _trailers(self, stream: WireStream, fields: list[RawField], end_stream: bool) -> None:
        if not end_stream:
            # RFC 9113 §8.1: "a HEADERS frame without the END_STREAM flag set after receiving the HEADERS frame that
            # opens a request or after receiving a final (non-informational) status code [...] malformed".
            raise MalformedMessageError("trailers without END_STREAM")
        check_trailers(fields)
        self._check_length(stream, 0, end_stream=True)
        self._engine.conn.book_headers(stream.id, fields, end_stream=True)
        self.events.append(TrailersReceived(stream.id, Headers.from_raw(fields)))
        self._remote_ended(stream)

    def _remote_ended(self, stream: WireStream) -> None:
        stream.remote = Side.ENDED
        if stream.closed:
            self._engine.close_stream(stream.id)

    def _check_length(self, stream: WireStream, size: int, *, end_stream: bool) -> None:
        """RFC 9113 §8.1.1: malformed if "the value of a content-length header field does not equal the sum of the DATA
        frame payload lengths".
        """
        received = stream.received_length + size
        if size and stream.body_forbidden:
            raise MalformedMessageError("content in a response that must not have any")
        expected = stream.expected_length
        if expected is not None and (received > expected or (end_stream and received != expected)):
            more = "" if end_stream else " or more"
            raise MalformedMessageError(f"content-length is {expected}, the body has {received} octets{more}")
        stream.received_length = received

    # -- DATA ------------------------------------------------------------------------------------------------------

    def _data(self, frame: DataFrame) -> None:
        engine = self._engine
        size = frame.flow_controlled_length
        stream_id = frame.stream_id
        self._require_not_idle(stream_id, "DATA")
        if not engine.budget.receive(size):
            # RFC 9113 §6.9.1: "the receiver [...] MUST" treat it as FLOW_CONTROL_ERROR, of the connection here.
            raise SessionFaultError(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window")
        engine.conn.consume_connection_window(size)
        stream = engine.streams.get(stream_id)
        if stream is None:
            engine.credit_padding(stream_id, size)
            self._on_closed_stream(stream_id, "DATA")
            return
        data = frame.data
        end_stream = "END_STREAM" in frame.flags
        try:
            self._check_data(stream, size, len(data), end_stream=end_stream)
        except (StreamFaultError, MalformedMessageError):
            engine.credit_padding(stream_id, size)
            raise
        engine.conn.book_data(stream_id, data, size, end_stream=end_stream)
        stream.credit.held += len(data)
        if size > len(data):
            engine.credit_padding(stream_id, size - len(data))
        if not data and not end_stream:
            engine.guard.count_overhead(self._now)
            return
        self.events.append(DataReceived(stream_id, data, end_stream))
        if end_stream:
            self._remote_ended(stream)

    def _check_data(self, stream: WireStream, size: int, length: int, *, end_stream: bool) -> None:
        if stream.remote is Side.ENDED:
            # RFC 9113 §6.1: "If a DATA frame is received whose stream is not in the "open" or "half-closed (local)"
            # state,
            # the recipient MUST respond with a stream error of type STREAM_CLOSED."
            raise StreamFaultError(stream.id, ErrorCode.STREAM_CLOSED, "DATA after END_STREAM")
        if stream.remote is Side.IDLE:
            raise MalformedMessageError("DATA before the response headers")
        if size > self._engine.conn.stream(stream.id).inbound_flow_control_window:
            raise StreamFaultError(stream.id, ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the stream's window")
        self._check_length(stream, length, end_stream=end_stream)

    # -- the other frames ------------------------------------------------------------------------------------------

    def _window_update(self, frame: WindowUpdateFrame) -> None:
        engine = self._engine
        increment, stream_id = frame.window_increment, frame.stream_id
        if increment < SMALL_INCREMENT:
            engine.guard.count_overhead(self._now)
        if not stream_id:
            window = engine.conn.outbound_flow_control_window + increment
            if window > MAX_WINDOW:
                # RFC 9113 §6.9.1: "for the connection, a GOAWAY frame with an error code of FLOW_CONTROL_ERROR is
                # sent."
                raise SessionFaultError(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window overflows")
            engine.conn.outbound_flow_control_window = window
            self.events.append(WindowOpened(0))
            return
        self._require_not_idle(stream_id, "WINDOW_UPDATE")
        if stream_id not in engine.streams:
            engine.guard.count_overhead(self._now)  # late, and allowed to be (RFC 9113 §5.1, closed)
            return
        stream = engine.conn.stream(stream_id)
        window = stream.outbound_flow_control_window + increment
        if window > MAX_WINDOW:
            raise StreamFaultError(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window overflows")
        stream.outbound_flow_control_window = window
        self.events.append(WindowOpened(stream_id))

    def _rst_stream(self, frame: RstStreamFrame) -> None:
        engine = self._engine
        stream_id = frame.stream_id
        self._require_not_idle(stream_id, "RST_STREAM")
        if stream_id not in engine.streams:
            engine.guard.count_overhead(self._now)
            return
        if engine.role is Role.SERVER:
            engine.guard.count_reset(self._now)
        refused = frame.error_code == ErrorCode.REFUSED_STREAM
        failure = StreamFailure(
            stream_id,
            error_code(frame.error_code),
            Initiator.REMOTE,
            f"the peer reset the stream with {code_name(frame.error_code)}",
            retryable=refused,  # RFC 9113 §8.7: "can be automatically retried"
            refused=refused,
        )
        self.events.append(StreamFailed(stream_id, failure))
        engine.close_stream(stream_id)

    def _settings(self, frame: SettingsFrame) -> None:
        engine = self._engine
        engine.guard.count_overhead(self._now)
        if "ACK" in frame.flags:
            values = engine.settings_acknowledged()
            if values is not None:
                self.events.append(SettingsAcknowledged(values))
            return
        values = {}
        for code, value in frame.settings.items():
            error = check_peer_setting(code, value, peer_is_server=engine.role is Role.CLIENT)
            if error is None and code == SettingCode.ENABLE_CONNECT_PROTOCOL and not value:
                # RFC 8441 §3: "a sender MUST NOT send a SETTINGS_ENABLE_CONNECT_PROTOCOL parameter with the value of
                # 0 after previously sending a value of 1."
                error = ErrorCode.PROTOCOL_ERROR if engine.peer_settings.get(code) else None
            if error is not None:
                raise SessionFaultError(error, f"the peer sent setting {code:#x} with the value {value}")
            if code in engine.peer_settings or code <= 0x9 or len(engine.peer_settings) < MAX_UNKNOWN_SETTINGS:
                values[int(code)] = value
        engine.peer_settings_seen = True
        engine.peer_settings.update(values)
        engine.conn.apply_remote_settings(values)
        engine.guard.count_reply()
        self.events.append(SettingsReceived(values))
        if SettingCode.INITIAL_WINDOW_SIZE in values:
            self.events.append(WindowOpened(0))  # or shrunk: writers recheck

    def _ping(self, frame: PingFrame) -> None:
        engine = self._engine
        engine.guard.count_overhead(self._now)
        payload = bytes(frame.opaque_data)
        if "ACK" not in frame.flags:
            engine.conn.send_ping(payload, ack=True)
            engine.guard.count_reply()
            self.events.append(PingReceived(payload))
        elif payload == PROBE_PAYLOAD:
            engine.tuner.acknowledged(engine.budget.ledger.received)
        else:
            self.events.append(PingAcknowledged(payload))

    def _goaway(self, frame: GoAwayFrame) -> None:
        engine = self._engine
        code = error_code(frame.error_code)
        last = engine.shutdown.receive(frame.last_stream_id, code, bytes(frame.additional_data))
        self.events.append(GoAwayReceived(last, code, bytes(frame.additional_data)))
        ours = 1 if engine.role is Role.CLIENT else 0
        for stream_id in [i for i in engine.streams if i > last and i % 2 == ours]:
            failure = StreamFailure(
                stream_id,
                ErrorCode.REFUSED_STREAM,
                Initiator.REMOTE,
                f"the peer is leaving (GOAWAY {code_name(code)}) and did not process the stream",
                retryable=True,  # RFC 9113 §6.8: streams above the last id "might be retried"
                refused=True,
                debug_data=bytes(frame.additional_data),
            )
            self.events.append(StreamFailed(stream_id, failure))
            engine.remember_reset(stream_id)
            engine.close_stream(stream_id)

    def _push_promise(self, frame: PushPromiseFrame) -> None:
        # RFC 9113 §6.6 and §8.4: a client never pushes, and we sent SETTINGS_ENABLE_PUSH 0: "A receiver MUST treat the
        # receipt of a PUSH_PROMISE frame as a connection error of type PROTOCOL_ERROR".
        raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE although push is off")


_HANDLERS = cast(  # each handler gets the frames of its own type only
    "dict[type[Frame], Callable[[Receiver, Frame], None]]",
    {
        HeadersFrame: Receiver._headers,
        DataFrame: Receiver._data,
        WindowUpdateFrame: Receiver._window_update,
        RstStreamFrame: Receiver._rst_stream,
        SettingsFrame: Receiver._settings,
        PingFrame: Receiver._ping,
        GoAwayFrame: Receiver._goaway,
        PushPromiseFrame: Receiver._push_promise,
    },
)

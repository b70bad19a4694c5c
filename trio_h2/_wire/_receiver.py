"""What may be received, and what it means: the rules of RFC 9113 that a peer can break.

One rule for each type of frame, found in a table. A rule checks first and books then. An error of one stream raises
`StreamFaultError` and becomes RST_STREAM; an error of the connection raises `SessionFaultError` and becomes GOAWAY.

The field block of HEADERS and PUSH_PROMISE is decoded whatever happens to the frame: header compression must stay in
step. The bytes of DATA are credited whatever happens to the frame: the session's window must not leak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._codes import ErrorCode, Initiator, Role, SettingCode, code_name, error_code
from ._events import (
    AltSvcAnnounced,
    DataReceived,
    GoAwayReceived,
    InformationalReceived,
    OriginsAnnounced,
    PingAcknowledged,
    PingReceived,
    PriorityUpdated,
    PushPromised,
    RequestAnswered,
    RequestReceived,
    ResponseReceived,
    SessionFailed,
    SettingsAcknowledged,
    SettingsReceived,
    StreamClosed,
    StreamFailed,
    TrailersReceived,
    WindowOpened,
)
from ._extframes import Dependency, read_altsvc, read_origin, read_priority_update
from ._failure import (
    Cause,
    SessionFailure,
    SessionFaultError,
    StreamFailure,
    StreamFaultError,
    StreamRejectedError,
)
from ._fields import (
    MalformedMessageError,
    MessageHead,
    check_request,
    check_response,
    check_trailers,
    normal_request,
    normal_response,
    normal_trailers,
    request_origin,
    same_authority,
)
from ._frames import (
    ACK,
    ALTSVC,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    ORIGIN,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_MASK,
    WINDOW_UPDATE,
    unpack_settings,
)
from ._headers import Headers
from ._hpack import Block, HeaderListTooLargeError, HpackError
from ._schedule import parse_priority
from ._settings import check_peer_setting
from ._tuning import PROBE_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._config import ClientConfig
    from ._engine import Engine
    from ._events import Event
    from ._reader import Frame
    from ._schedule import Priority
    from ._stream import WireStream

SMALL_INCREMENT = 1024
"""A WINDOW_UPDATE of fewer bytes counts as overhead: it costs more than it permits."""
SMALL_FRAME = 64
"""Bytes of a frame that counts once as overhead. A larger one counts once more for each so many: 16 KiB of SETTINGS
take as long to read as some hundred PINGs."""
SMALL_LIST = 1024
"""The same for the fields of HEADERS that nobody gets, and for payloads that are only passed over."""
LATE_FRAMES = 4
"""Frames that may honestly arrive for a stream when it has closed: WINDOW_UPDATE, RST_STREAM, trailers, PRIORITY."""
MAX_UNKNOWN_SETTINGS = 32
"""Settings we do not know that are kept for the application; a peer could name 65 536 of them."""
MAX_SKIPPED_RANGES = 100
MAX_SAID = 200
"""Bytes of what a server says about itself that an error message has."""
MERGED_SIZE = 4096
"""DATA frames of one stream and read are reported together up to this size, in bytes."""
SAFE_METHODS: Final = frozenset((b"GET", b"HEAD"))
"""RFC 9113 §8.4: "Promised requests MUST be safe (see Section 9.2.1 of [HTTP]) and cacheable (see Section 9.2.3 of
[HTTP])": RFC 9110 has only these two that are both."""
UNCHECKED: Final = MessageHead(None, None, None, None)
"""What is known of a request whose header section was not even looked at."""

_HIGHEST_KNOWN_SETTING: Final = max(SettingCode)


class CheckedMessage:
    """The header section of a request or a final response that was found right: kept with a remembered field block."""

    __slots__ = ("head", "headers")

    def __init__(self, head: MessageHead, headers: Headers) -> None:
        self.head = head
        self.headers = headers


class Receiver:
    """The receiving half of one `Engine`: the events of the bytes being read, and every rule about them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._client = engine.role is Role.CLIENT
        self._events: list[Event] = []
        self._now = 0.0
        self._small_data: dict[int, DataReceived] = {}
        """The last event with DATA of each stream in this read, if it was small."""
        self._opened: set[int] = set()
        """The windows that were reported as opened in this read."""
        self._skipped: list[range] = []
        """Ids the peer jumped over: they are closed, and were never open."""
        self._early: dict[int, Priority] = {}
        """Priorities of streams that are not open yet."""

    def receive(self, data: bytes, now: float) -> list[Event]:
        """See `Engine.receive_bytes`."""
        engine = self._engine
        self._now = now
        engine.windows.newest_read = len(data)
        events = self._events
        touched = engine.touched
        engine.guard.reads += 1
        try:
            for frame in engine.reader.read(data):
                if touched is not None:
                    touched.add(frame.stream_id)
                try:
                    _RULES.get(frame.kind, Receiver._unknown)(self, frame)
                except StreamFaultError as exc:
                    self._stream_error(exc)
                except MalformedMessageError as exc:
                    # RFC 9113 §8.1.1: "Malformed requests or responses that are detected MUST be treated as a stream
                    # error (Section 5.4.2) of type PROTOCOL_ERROR."
                    self._stream_error(StreamFaultError(frame.stream_id, ErrorCode.PROTOCOL_ERROR, exc.reason))
        except SessionFaultError as exc:
            failure = SessionFailure(exc.cause, exc.code, Initiator.LIBRARY, exc.reason)
            engine.fail(failure)
            events.append(SessionFailed(failure))
        # An idle session does not keep the bytes of its last read.
        self._events = []
        self._small_data.clear()
        self._opened.clear()
        return events

    def stream_closed(self, stream_id: int) -> None:
        """What is being read has closed a stream: reports it, in its turn."""
        self._events.append(StreamClosed(stream_id))

    def release(self) -> None:
        """The session is over: drops the reference to the engine."""
        del self._engine

    # -- what the rules share ----------------------------------------------------------------------------------------

    def _is_idle(self, stream_id: int) -> bool:
        """Whether an id that is not open has never been used (RFC 9113 §5.1.1)."""
        engine = self._engine
        ours = (stream_id % 2 == 1) is self._client
        return stream_id > (engine.highest_outbound_id if ours else engine.highest_inbound_id)

    def _require_not_idle(self, stream_id: int, what: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        """Refuses frames on streams that nobody has opened.

        RFC 9113 §5.1 (idle): "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be
        treated as a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
        """
        if self._is_idle(stream_id):
            raise SessionFaultError(code, f"{what} on idle stream {stream_id}")

    def _decode(self, block: bytes) -> Block:
        """Decodes a field block.

        Raises:
            SessionFaultError: it cannot be decoded, so the session cannot go on.
        """
        try:
            return self._engine.decoder.decode_entry(block)
        except HeaderListTooLargeError as exc:
            engine = self._engine
            limit = engine.config.named("max_header_list_size", engine.max_header_list_size)
            reason = f"header list far too large: {exc}, which goes far beyond {limit}"
            raise SessionFaultError(ErrorCode.ENHANCE_YOUR_CALM, reason) from exc
        except HpackError as exc:
            # RFC 9113 §4.3: "A decoding error in a field block MUST be treated as a connection error of type
            # COMPRESSION_ERROR."
            raise SessionFaultError(ErrorCode.COMPRESSION_ERROR, f"field block cannot be decoded ({exc})") from exc

    def _too_large(self, block: Block) -> str | None:
        """Returns what is wrong if a header section is more than we take, else ``None``."""
        engine = self._engine
        most = engine.max_header_list_size
        if block.size > most:
            return f"header list of {block.size} bytes, more than {engine.config.named('max_header_list_size', most)}"
        fields, limit = block.fields, engine.config.max_header_fields
        if len(fields) <= limit:
            return None
        # RFC 9113 §8.2.3: a cookie "MAY be split into separate header fields, each with one or more cookie-pairs", and
        # browsers make many of it. It is one field all the same.
        crumbs = sum(1 for name, _ in fields if name == b"cookie")
        count = len(fields) - max(0, crumbs - 1)
        if count <= limit:
            return None
        return f"header list of {count} fields, more than {engine.config.named('max_header_fields')}"

    def _overhead(self, size: int = 0, unit: int = SMALL_FRAME) -> None:
        """Counts a frame that moves nothing forward; one of *size* bytes counts once more for each *unit* of them."""
        self._engine.guard.count_overhead(self._now, 1 + size // unit)

    def _on_closed_stream(self, stream_id: int, what: str, size: int = 0) -> None:
        """A frame on a closed stream: dropped if it may have been under way when we reset, else a stream error.

        RFC 9113 §5.1 (closed): "An endpoint MUST minimally process and then discard any frames it receives in this
        state." DATA of *size* bytes that still fit the stream's window are no overhead: the peer did not know yet.
        """
        late = self._engine.resets
        under_way = late.by_us.get(stream_id, 0)
        if 0 < size <= under_way:
            late.by_us[stream_id] = under_way - size
            return
        self._overhead()
        if stream_id not in late.by_us:
            raise StreamFaultError(stream_id, ErrorCode.STREAM_CLOSED, f"{what} on closed stream {stream_id}")

    def _headers_on_closed_stream(self, stream_id: int, block: Block) -> None:
        """HEADERS on a closed stream: nothing but a late one, if it was reset.

        RFC 7540 §5.1, which RFC 9113 leaves to the endpoint: "An endpoint that receives any frames after receiving a
        frame with the END_STREAM flag set MUST treat that as a connection error (Section 5.4.1) of type STREAM_CLOSED".
        """
        if self._engine.resets.ended_on_both_sides(stream_id) and not self._was_skipped(stream_id):
            raise SessionFaultError(ErrorCode.STREAM_CLOSED, f"HEADERS on stream {stream_id}, which has ended")
        if block.size >= SMALL_LIST:
            self._overhead(block.size, SMALL_LIST)  # it was decoded all the same
        self._on_closed_stream(stream_id, "HEADERS")

    def _stream_error(self, fault: StreamFaultError) -> None:
        """Sends one RST_STREAM (RFC 9113 §5.4.2), also for a stream that never opened."""
        engine = self._engine
        engine.guard.count_reset(self._now)
        if not isinstance(fault, StreamRejectedError):
            engine.guard.count_invalid()
        elif not engine.settings_pending:
            engine.guard.count_rejected()
        stream_id = fault.stream_id
        if stream_id in engine.streams:
            failure = StreamFailure(stream_id, fault.code, Initiator.LIBRARY, fault.reason)
            self._events.append(StreamFailed(stream_id, failure))
            engine.reset(stream_id, fault.code)
        elif stream_id not in engine.resets.by_us:
            engine.output.reset(stream_id, fault.code)
            engine.resets.add_ours(stream_id, engine.windows.enforced_initial)
        engine.guard.count_reply()

    # -- HEADERS -----------------------------------------------------------------------------------------------------

    def _headers(self, frame: Frame) -> None:
        engine = self._engine
        stream_id = frame.stream_id
        engine.newest_received_id = stream_id
        block = self._decode(frame.payload)
        stream = engine.streams.get(stream_id)
        if stream is None:
            if not self._client:
                self._new_request(frame, block)
                return
            # A server opens streams with PUSH_PROMISE only, and an odd id that we never used is idle.
            self._require_not_idle(stream_id, "HEADERS")
            self._headers_on_closed_stream(stream_id, block)
            return
        if stream.reserved:
            self._promised_response(stream)
        if stream.remote_ended:
            # RFC 9113 §5.1 (half-closed (remote)): "it MUST respond with a stream error (Section 5.4.2) of type
            # STREAM_CLOSED."
            raise StreamFaultError(stream_id, ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM")
        _check_dependency(frame.dependency, stream_id)
        too_large = self._too_large(block)
        if too_large is not None:
            raise StreamFaultError(stream_id, ErrorCode.ENHANCE_YOUR_CALM, too_large)
        if stream.headers_received:
            self._trailers(stream, frame, block)
        else:
            self._response(stream, frame, block)

    def _new_request(self, frame: Frame, block: Block) -> None:
        engine = self._engine
        stream_id = frame.stream_id
        if stream_id <= engine.highest_inbound_id or stream_id % 2 == 0:
            self._refuse_id(stream_id, block)
            return
        self._use_id(stream_id)
        if engine.shutdown.refuses(stream_id):
            # RFC 9113 §6.8: "the sender can discard frames for streams initiated by the receiver with identifiers
            # higher than the identified last stream."
            self._overhead(block.size, SMALL_LIST)
            engine.resets.add_ours(stream_id, engine.windows.enforced_initial)
            return
        try:
            self._take_request(frame, block)
        except StreamFaultError as exc:
            engine.on_refused(block.fields, None, exc.code, exc.reason)
            raise
        except MalformedMessageError as exc:
            engine.on_refused(block.fields, None, ErrorCode.PROTOCOL_ERROR, exc.reason)
            raise

    def _take_request(self, frame: Frame, block: Block) -> None:
        """Opens a stream for a request, if there is room and nothing is wrong with it."""
        engine = self._engine
        stream_id = frame.stream_id
        self._refuse_surplus_request(stream_id)
        _check_dependency(frame.dependency, stream_id)
        end_stream = bool(frame.flags & END_STREAM)
        too_large = self._too_large(block)
        if too_large is not None:
            engine.on_refused(block.fields, 431, None, too_large)
            self._answer_431(stream_id, end_stream)
            return
        checked = block.checked
        if not isinstance(checked, CheckedMessage):
            head = check_request(
                block.fields, extended_connect=bool(engine.local_settings.get(SettingCode.ENABLE_CONNECT_PROTOCOL))
            )
            fields = block.fields if head.normal else normal_request(block.fields, head)
            checked = CheckedMessage(head, Headers.from_raw(fields, flags=frame.flags))
            block.checked = checked
        head = checked.head
        stream = engine.make_stream(stream_id, head.method or b"")
        stream.receive_request(head, end_stream=end_stream)
        engine.accept_stream(stream)
        engine.guard.progress(LATE_FRAMES)
        self._events.append(RequestReceived(stream_id, checked.headers.with_flags(frame.flags), end_stream))
        if self._early:
            self._apply_early_priority(stream_id)

    def _use_id(self, stream_id: int) -> None:
        """The peer uses an id, whether its stream is accepted or not; those it jumped over are closed by that."""
        highest = self._engine.highest_inbound_id
        if stream_id > highest + 2:
            if len(self._skipped) == MAX_SKIPPED_RANGES:
                del self._skipped[0]
            self._skipped.append(range(highest + 1, stream_id))
        self._engine.highest_inbound_id = stream_id

    def _was_skipped(self, stream_id: int) -> bool:
        return any(stream_id in skipped for skipped in self._skipped)

    def _refuse_id(self, stream_id: int, block: Block) -> None:
        """A client's HEADERS on a stream that is not open and cannot be opened."""
        if stream_id % 2 == 0:
            # RFC 9113 §5.1.1: "Streams initiated by a client MUST use odd-numbered stream identifiers".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"the client opened the even stream {stream_id}")
        if self._was_skipped(stream_id):
            # RFC 9113 §5.1.1: "An endpoint that receives an unexpected stream identifier MUST respond with a
            # connection error (Section 5.4.1) of type PROTOCOL_ERROR."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} opened after a higher one")
        self._headers_on_closed_stream(stream_id, block)

    def _refuse_surplus_request(self, stream_id: int) -> None:
        """Refuses a stream for which there is no room."""
        engine = self._engine
        # Streams that are gone while their handlers still end take no place on the wire; the session starts no handler
        # before one has ended, and drops who leaves before its turn, so as many again may wait at most.
        if engine.windows.requests >= engine.max_streams or len(engine.slots) >= 2 * engine.max_streams:
            # RFC 9113 §5.1.2: "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream
            # limit to be exceeded MUST treat this as a stream error (Section 5.4.2) of type PROTOCOL_ERROR or
            # REFUSED_STREAM"; the latter tells that a retry is safe.
            limit = engine.config.named("max_concurrent_streams", engine.max_streams)
            raise StreamRejectedError(stream_id, ErrorCode.REFUSED_STREAM, f"too many streams: more than {limit}")
        self._check_memory(stream_id)

    def _check_memory(self, stream_id: int) -> None:
        """Refuses a stream while the session holds too much already."""
        engine = self._engine
        if engine.memory > engine.memory_limit:
            limit = engine.config.named("max_session_memory", engine.memory_limit)
            raise StreamRejectedError(stream_id, ErrorCode.ENHANCE_YOUR_CALM, f"the session holds more than {limit}")

    def _answer_431(self, stream_id: int, end_stream: bool) -> None:
        """Answers a request for which no handler is started; above, only the rest of it is waited for.

        RFC 9113 §10.5.1: "A server that receives a larger field block than it is willing to handle can send an HTTP
        431 (Request Header Fields Too Large) status code".
        """
        engine = self._engine
        engine.guard.count_reset(self._now)
        engine.guard.count_reply()
        fields = [(b":status", b"431"), (b"content-length", b"0")]
        if end_stream:
            engine.output.headers(stream_id, engine.encoder.encode(fields), end_stream=True)
            return
        # Its body may be on its way, and to refuse that at once would hide the answer from many clients.
        stream = engine.make_stream(stream_id, b"")
        stream.receive_request(UNCHECKED, end_stream=False)
        engine.accept_stream(stream)
        engine.send_response(stream_id, fields, end_stream=True)
        self._events.append(RequestAnswered(stream_id))

    def _response(self, stream: WireStream, frame: Frame, block: Block) -> None:
        end_stream = bool(frame.flags & END_STREAM)
        checked = block.checked
        if not isinstance(checked, CheckedMessage):
            head = check_response(block.fields)
            fields = block.fields if head.normal else normal_response(block.fields, head.status or 0)
            headers = Headers.from_raw(fields, flags=frame.flags)
            if (head.status or 0) < 200:
                self._interim_response(stream, head, headers, block.size, end_stream)
                return
            checked = CheckedMessage(head, headers)
            block.checked = checked
        stream.receive_response(checked.head, end_stream=end_stream)
        headers = checked.headers.with_flags(frame.flags)
        if stream.tunnel and checked.head.content_length is not None:
            # RFC 9110 §9.3.6: "A client MUST ignore any Content-Length or Transfer-Encoding header fields received in a
            # successful response to CONNECT." Nor may whoever passes it on send one.
            fields = [field for field in headers.raw if field[0] != b"content-length"]
            headers = Headers.from_raw(fields, flags=frame.flags)
        self._events.append(ResponseReceived(stream.id, headers, end_stream))
        if end_stream and stream.closed:
            self._engine.close_stream(stream.id)

    def _interim_response(
        self, stream: WireStream, head: MessageHead, headers: Headers, size: int, end_stream: bool
    ) -> None:
        if end_stream:
            raise MalformedMessageError(f"status {head.status} with END_STREAM")
        self._overhead()
        # They are kept for the application, so a server that sends them for ever must not fill our memory. RFC 9113
        # §10.5: "An endpoint MAY treat activity that is suspicious as a connection error (Section 5.4.1) of type
        # ENHANCE_YOUR_CALM"; the stream is enough.
        stream.interim_size += size
        if stream.interim_size > self._engine.max_header_list_size:
            limit = self._engine.config.named("max_header_list_size", self._engine.max_header_list_size)
            reason = f"the interim responses together are larger than {limit}"
            raise StreamFaultError(stream.id, ErrorCode.ENHANCE_YOUR_CALM, reason)
        self._events.append(InformationalReceived(stream.id, headers))

    def _trailers(self, stream: WireStream, frame: Frame, block: Block) -> None:
        if stream.tunnel:
            # RFC 9113 §8.5: "Frame types other than DATA or stream management frames (RST_STREAM, WINDOW_UPDATE, and
            # PRIORITY) MUST NOT be sent on a connected stream and MUST be treated as a stream error (Section 5.4.2) if
            # received."
            raise MalformedMessageError("HEADERS in the tunnel of a CONNECT")
        if not frame.flags & END_STREAM:
            # RFC 9113 §8.1: "An endpoint that receives a HEADERS frame without the END_STREAM flag set after receiving
            # the HEADERS frame that opens a request or after receiving a final (non-informational) status code MUST
            # treat the corresponding request or response as malformed".
            raise MalformedMessageError("trailers without END_STREAM")
        fields = block.fields if check_trailers(block.fields) else normal_trailers(block.fields)
        stream.receive_trailers()
        self._events.append(TrailersReceived(stream.id, Headers.from_raw(fields, flags=frame.flags)))
        if stream.closed:
            self._engine.close_stream(stream.id)

    # -- DATA --------------------------------------------------------------------------------------------------------

    def _data(self, frame: Frame) -> None:
        engine = self._engine
        size = frame.size
        stream_id = frame.stream_id
        engine.newest_received_id = stream_id
        windows = engine.windows
        stream = engine.streams.get(stream_id)
        if stream is None:
            self._require_not_idle(stream_id, "DATA")
        if not windows.budget.receive(size):
            # RFC 9113 §6.9: "A receiver MAY respond with a stream error (Section 5.4.2) or connection error
            # (Section 5.4.1) of type FLOW_CONTROL_ERROR if it is unable to accept a frame."
            raise SessionFaultError(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window")
        if stream is None:
            windows.credit_unread(size)
            self._on_closed_stream(stream_id, "DATA", size)
            return
        data = b"" if stream.drops_content else frame.payload  # credited below, as padding is
        length = len(data)
        end_stream = bool(frame.flags & END_STREAM)
        try:
            closed = stream.receive_data(size, length, end_stream=end_stream)
        except (StreamFaultError, MalformedMessageError, SessionFaultError):
            windows.credit_unread(size)
            raise
        if size != length:
            windows.credit_padding(stream, size - length, last=end_stream)
        windows.give_back_connection()  # the peer may just have used up what it had, for streams that nobody reads
        if not length and not end_stream:
            self._overhead(size)
            return
        if length > MERGED_SIZE:
            self._small_data.pop(stream_id, None)
            self._events.append(DataReceived(stream_id, data, end_stream))
        else:
            self._report_small_data(stream_id, data, end_stream)
        if closed:
            engine.close_stream(stream_id)

    def _report_small_data(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Reports bytes of a body; small pieces of one read come together.

        Else thousands of tiny frames, which the window allows, would cost thousands of events that take much more
        memory than their bytes.
        """
        last = self._small_data.get(stream_id)
        if last is not None and len(last.data) + len(data) <= MERGED_SIZE:
            last.data += data
            last.end_stream = end_stream
        else:
            self._small_data[stream_id] = event = DataReceived(stream_id, data, end_stream)
            self._events.append(event)

    # -- stream management -------------------------------------------------------------------------------------------

    def _priority(self, frame: Frame) -> None:
        """PRIORITY. RFC 9113 §5.3.2: what it says is deprecated, and our SETTINGS_NO_RFC7540_PRIORITIES says that we do
        not follow it. Only its form is looked at, and an error makes its own stream suffer.
        """
        stream_id, payload = frame.stream_id, frame.payload
        if len(payload) != 5:
            # RFC 9113 §6.3: "A PRIORITY frame with a length other than 5 octets MUST be treated as a stream error
            # (Section 5.4.2) of type FRAME_SIZE_ERROR."
            self._fault_on(stream_id, ErrorCode.FRAME_SIZE_ERROR, f"PRIORITY with {len(payload)} bytes")
        if Dependency.unpack(payload).depends_on == stream_id:
            # RFC 7540 §5.3.1: "A stream cannot depend on itself. An endpoint MUST treat this as a stream error
            # (Section 5.4.2) of type PROTOCOL_ERROR." RFC 9113 only says that nobody should send priorities any more.
            self._fault_on(stream_id, ErrorCode.PROTOCOL_ERROR, "the stream depends on itself")
        self._overhead()

    def _fault_on(self, stream_id: int, code: ErrorCode, reason: str) -> None:
        """Raises a stream error, which must be one of the connection if the stream is idle: RST_STREAM must not be sent
        on it (RFC 9113 §6.4).
        """
        if stream_id not in self._engine.streams:
            self._require_not_idle(stream_id, reason, code)
        raise StreamFaultError(stream_id, code, reason)

    def _window_update(self, frame: Frame) -> None:
        engine = self._engine
        stream_id = frame.stream_id
        increment = int.from_bytes(frame.payload, "big") & STREAM_MASK  # the bit before it is reserved
        if not increment:
            # RFC 9113 §6.9: "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window
            # increment of 0 as a stream error (Section 5.4.2) of type PROTOCOL_ERROR; errors on the connection
            # flow-control window MUST be treated as a connection error".
            if not stream_id:
                raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self._fault_on(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        if increment < SMALL_INCREMENT:
            self._overhead()
        if not stream_id:
            engine.windows.receive_update(increment)
            self._window_opened(0)
            return
        stream = engine.streams.get(stream_id)
        if stream is None:
            self._require_not_idle(stream_id, "WINDOW_UPDATE")
            self._overhead()  # late, and allowed to be (RFC 9113 §5.1, closed)
            return
        stream.receive_window_update(increment)
        self._window_opened(stream_id)

    def _window_opened(self, stream_id: int) -> None:
        """Reports once per read: whoever hears of it looks at the window as it is after the whole read."""
        if stream_id not in self._opened:
            self._opened.add(stream_id)
            self._events.append(WindowOpened(stream_id))

    def _rst_stream(self, frame: Frame) -> None:
        engine = self._engine
        stream_id = frame.stream_id
        stream = engine.streams.get(stream_id)
        if stream is None:
            self._require_not_idle(stream_id, "RST_STREAM")
            self._overhead()
            return
        if stream_id % 2 == (not self._client):  # the peer opened or promised it
            engine.guard.count_reset(self._now)
        code = int.from_bytes(frame.payload, "big")
        refused = code == ErrorCode.REFUSED_STREAM
        failure = StreamFailure(
            stream_id,
            error_code(code),
            Initiator.REMOTE,
            f"the peer reset the stream with {code_name(code)}",
            retryable=refused,  # RFC 9113 §8.7: it "can be safely retried"
            refused=refused,
        )
        self._events.append(StreamFailed(stream_id, failure))
        stream.receive_reset()
        engine.resets.add_theirs(stream_id)
        engine.close_stream(stream_id)

    # -- the session -------------------------------------------------------------------------------------------------

    def _settings(self, frame: Frame) -> None:
        engine = self._engine
        self._overhead(frame.size)
        if frame.flags & ACK:
            acknowledged = engine.settings_acknowledged()
            if acknowledged is not None:
                self._events.append(SettingsAcknowledged(acknowledged))
            return
        values: dict[int, int] = {}
        # RFC 9113 §6.5.3: "The values in the SETTINGS frame MUST be processed in the order they appear".
        for code, value in unpack_settings(frame.payload):
            self._check_setting(code, value)
            known = code <= _HIGHEST_KNOWN_SETTING or code in engine.peer_settings or code in values
            if known or len(engine.peer_settings) + len(values) < MAX_UNKNOWN_SETTINGS:
                values[code] = value
            if code == SettingCode.HEADER_TABLE_SIZE:
                engine.encoder.allow_table_size(value)
        engine.peer_settings_seen = True
        engine.peer_settings.update(values)
        engine.apply_peer_settings(values)
        engine.guard.count_reply()
        self._events.append(SettingsReceived(values))
        if SettingCode.INITIAL_WINDOW_SIZE in values:
            self._window_opened(0)  # or shrunk: writers recheck

    def _check_setting(self, code: int, value: int) -> None:
        error = check_peer_setting(code, value, peer_is_server=self._client)
        if code == SettingCode.ENABLE_CONNECT_PROTOCOL and not value and self._engine.peer_settings.get(code):
            # RFC 8441 §3: "a sender MUST NOT send a SETTINGS_ENABLE_CONNECT_PROTOCOL parameter with the value of 0
            # after previously sending a value of 1."
            error = ErrorCode.PROTOCOL_ERROR
        if error is not None:
            raise SessionFaultError(error, f"the peer sent setting {code:#x} with the value {value}")

    def _ping(self, frame: Frame) -> None:
        engine = self._engine
        self._overhead()
        payload = frame.payload
        if not frame.flags & ACK:
            engine.output.ping(payload, ack=True)
            engine.guard.count_reply()
            self._events.append(PingReceived(payload))
        elif payload == PROBE_PAYLOAD:
            windows = engine.windows
            windows.tuner.acknowledged(windows.budget.ledger.received)
        else:
            self._events.append(PingAcknowledged(payload))

    def _goaway(self, frame: Frame) -> None:
        engine = self._engine
        self._overhead(frame.size, SMALL_LIST)
        payload = frame.payload
        code = error_code(int.from_bytes(payload[4:8], "big"))
        debug_data = payload[8:]
        last = engine.shutdown.receive(int.from_bytes(payload[:4], "big") & STREAM_MASK, code, debug_data)
        self._events.append(GoAwayReceived(last, code, debug_data))
        if self._client and code == ErrorCode.INADEQUATE_SECURITY and not last:
            # RFC 9113 §7: "The underlying transport has properties that do not meet minimum security requirements". A
            # new connection like this one would meet the same, so its requests are not to be sent again.
            reason = "the server does not find the connection safe enough for HTTP/2"
            if debug_data:
                reason += f", and says: {debug_data[:MAX_SAID].decode('utf-8', 'replace')!a}"
            raise SessionFaultError(ErrorCode.INADEQUATE_SECURITY, reason, Cause.HANDSHAKE)
        ours = 1 if self._client else 0
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
            self._events.append(StreamFailed(stream_id, failure))
            stream = engine.streams[stream_id]
            engine.resets.add_ours(stream_id, stream.receive_window)
            stream.receive_reset()
            engine.close_stream(stream_id)

    # -- extensions --------------------------------------------------------------------------------------------------

    def _unknown(self, frame: Frame) -> None:
        """RFC 9113 §5.5: "Implementations MUST discard frames that have unknown or unsupported types." They count as
        overhead, so that a peer cannot keep us busy with them; those that we know do, too.
        """
        self._overhead(frame.size, SMALL_LIST)

    def _altsvc(self, frame: Frame) -> None:
        self._overhead(frame.size)
        if not self._client:
            return  # RFC 7838 §4: a server "MUST ignore it"
        stream_id = frame.stream_id
        announced = read_altsvc(stream_id, frame.payload)
        # On a stream it is about the origin of its request, which we only know as long as the stream is open.
        if announced is not None and (not stream_id or stream_id in self._engine.streams):
            self._events.append(AltSvcAnnounced(*announced, stream_id))

    def _origin(self, frame: Frame) -> None:
        self._overhead(frame.size)
        if self._client:
            origins = read_origin(frame.stream_id, frame.flags, frame.payload)
            if origins is not None:
                self._events.append(OriginsAnnounced(origins))

    def _priority_update(self, frame: Frame) -> None:
        self._overhead(frame.size)
        if self._client:
            # RFC 9218 §7.1: "If a client receives a PRIORITY_UPDATE frame, it MUST respond with a connection error of
            # type PROTOCOL_ERROR."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "the server sent PRIORITY_UPDATE")
        prioritized, value = read_priority_update(frame.stream_id, frame.payload)
        priority = parse_priority(value)  # what is kept must not be as large as the client likes
        if prioritized in self._engine.streams:
            self._events.append(PriorityUpdated(prioritized, priority))
        elif self._is_idle(prioritized):
            self._keep_early_priority(prioritized, priority)

    def _keep_early_priority(self, stream_id: int, priority: Priority) -> None:
        """Keeps what was said of a stream that is not open yet."""
        engine = self._engine
        if stream_id % 2 == 0:
            # RFC 9218 §7.1, of a push stream: in the idle state, the server "MUST respond with a connection error of
            # type PROTOCOL_ERROR".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"PRIORITY_UPDATE of idle stream {stream_id}")
        for skipped in [early for early in self._early if not self._is_idle(early)]:
            del self._early[skipped]  # the client jumped over it
        self._early[stream_id] = priority
        # RFC 9218 §7.1: "the number of streams that have been prioritized but remain in the 'idle' state plus the
        # number of active streams […] MUST NOT exceed the value of the SETTINGS_MAX_CONCURRENT_STREAMS parameter."
        if len(self._early) + engine.windows.requests > engine.max_streams:
            if engine.settings_pending:  # the client may not know that limit yet
                del self._early[stream_id]
                return
            limit = engine.config.named("max_concurrent_streams", engine.max_streams)
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"more prioritized streams than {limit}")

    def _apply_early_priority(self, stream_id: int) -> None:
        """A stream of the peer has opened: what was said of it before holds now, over its own `priority` field."""
        priority = self._early.pop(stream_id, None)
        if priority is not None:
            self._events.append(PriorityUpdated(stream_id, priority))

    # -- pushes ------------------------------------------------------------------------------------------------------

    def _push_promise(self, frame: Frame) -> None:
        """PUSH_PROMISE. One that is not wanted is refused with RST_STREAM on the promised stream: its id is used up,
        and the server may already be sending.
        """
        engine = self._engine
        if not self._client:
            # RFC 9113 §8.4: "A client cannot push. Thus, servers MUST treat the receipt of a PUSH_PROMISE frame as a
            # connection error (Section 5.4.1) of type PROTOCOL_ERROR."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")
        if not engine.takes_pushes:
            # RFC 9113 §6.6, on SETTINGS_ENABLE_PUSH 0: "An endpoint that has set this setting and has received
            # acknowledgment MUST treat the receipt of a PUSH_PROMISE frame as a connection error (Section 5.4.1) of
            # type PROTOCOL_ERROR." Push that was off from the start was so before the request that is promised on.
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE although push is off")
        parent_id, stream_id = frame.stream_id, frame.promised_id
        self._check_parent(parent_id)
        block = self._decode(frame.payload)
        if stream_id <= engine.highest_inbound_id:
            # RFC 9113 §6.6: "A receiver MUST treat the receipt of a PUSH_PROMISE that promises an illegal stream
            # identifier (Section 5.1.1) as a connection error (Section 5.4.1) of type PROTOCOL_ERROR. Note that an
            # illegal stream identifier is an identifier for a stream that is not currently in the "idle" state."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} was promised, and is not idle")
        self._use_id(stream_id)
        parent = engine.streams.get(parent_id)
        if parent is None or engine.shutdown.refuses(stream_id):
            self._refuse_late_promise(stream_id)
            return
        if parent.tunnel:
            self._refuse_late_promise(stream_id)
            # RFC 9113 §8.5: "Frame types other than DATA or stream management frames (RST_STREAM, WINDOW_UPDATE, and
            # PRIORITY) MUST NOT be sent on a connected stream and MUST be treated as a stream error (Section 5.4.2) if
            # received."
            raise MalformedMessageError("PUSH_PROMISE in the tunnel of a CONNECT")
        self._refuse_surplus_promise(stream_id)
        try:
            head = self._check_promised_request(stream_id, parent, block)
        except MalformedMessageError as exc:
            raise StreamFaultError(stream_id, ErrorCode.PROTOCOL_ERROR, exc.reason) from exc
        stream = engine.make_stream(stream_id, head.method or b"")
        stream.promised_by_peer()
        engine.add_promised(stream)
        engine.handler_begins(stream_id)
        fields = block.fields if head.normal else normal_request(block.fields, head)
        headers = Headers.from_raw(fields, flags=frame.flags)
        self._events.append(PushPromised(parent_id, stream_id, headers))

    def _promised_response(self, stream: WireStream) -> None:
        """HEADERS on a reserved stream: the response that was promised begins."""
        engine = self._engine
        if not self._client:
            # RFC 9113 §5.1, reserved (local): "Receiving any type of frame other than RST_STREAM, PRIORITY, or
            # WINDOW_UPDATE on a stream in this state MUST be treated as a connection error (Section 5.4.1) of type
            # PROTOCOL_ERROR."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"HEADERS on reserved stream {stream.id}")
        if not engine.has_room_for_push():
            # RFC 9113 §5.1.2: "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream
            # limit to be exceeded MUST treat this as a stream error (Section 5.4.2) of type PROTOCOL_ERROR or
            # REFUSED_STREAM."
            limit = engine.config.named("max_concurrent_pushes", engine.max_streams)
            raise StreamRejectedError(
                stream.id, ErrorCode.REFUSED_STREAM, f"too many pushed streams: more than {limit}"
            )
        engine.begin_push(stream)
        engine.guard.progress(LATE_FRAMES)

    def _check_parent(self, parent_id: int) -> None:
        """Refuses promises on streams where none can be.

        RFC 9113 §6.6: "A receiver MUST treat the receipt of a PUSH_PROMISE on a stream that is neither "open" nor
        "half-closed (local)" as a connection error (Section 5.4.1) of type PROTOCOL_ERROR. However, an endpoint that
        has sent RST_STREAM on the associated stream MUST handle PUSH_PROMISE frames that might have been created before
        the RST_STREAM frame is received and processed."
        """
        engine = self._engine
        if parent_id % 2 == 0:
            # RFC 9113 §8.4.1: "Promised requests are always associated with an explicit request from the client."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"PUSH_PROMISE on stream {parent_id} of the server")
        parent = engine.streams.get(parent_id)
        if parent is None:
            self._require_not_idle(parent_id, "PUSH_PROMISE")
        if parent_id not in engine.resets.by_us if parent is None else parent.remote_ended:
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"PUSH_PROMISE on closed stream {parent_id}")

    def _refuse_late_promise(self, stream_id: int) -> None:
        """Refuses a promise that came too late to be wanted: nobody did anything wrong.

        RFC 9113 §5.1 (closed), of a stream that was reset: "receiving a PUSH_PROMISE frame […] causes the promised
        stream to become "reserved" even if the associated stream has been reset. Therefore, a RST_STREAM is needed to
        close an unwanted promised stream."
        """
        engine = self._engine
        self._overhead()
        engine.output.reset(stream_id, ErrorCode.CANCEL)
        engine.resets.add_ours(stream_id, engine.windows.enforced_initial)
        engine.guard.count_reply()

    def _refuse_surplus_promise(self, stream_id: int) -> None:
        engine = self._engine
        config: ClientConfig = engine.config  # type: ignore[assignment]  # servers do not get here
        limit = config.max_reserved_remote_streams
        # Handlers outlive their streams. What they hold is bounded otherwise, their number only here.
        if len(engine.pushes.reserved) >= limit or len(engine.slots) >= limit + 2 * engine.max_streams:
            reason = f"too many promised streams: more than {config.named('max_reserved_remote_streams')}"
            raise StreamRejectedError(stream_id, ErrorCode.REFUSED_STREAM, reason)
        self._check_memory(stream_id)

    def _check_promised_request(self, stream_id: int, parent: WireStream, block: Block) -> MessageHead:
        """Returns what a promised request says."""
        too_large = self._too_large(block)
        if too_large is not None:
            raise StreamFaultError(stream_id, ErrorCode.ENHANCE_YOUR_CALM, too_large)
        fields = block.fields
        head = check_request(fields)
        if head.method not in SAFE_METHODS:
            # RFC 9113 §8.4: "Clients that receive a promised request that is not cacheable, that is not known to be
            # safe, or that indicates the presence of request content MUST reset the promised stream with a stream error
            # (Section 5.4.2) of type PROTOCOL_ERROR."
            raise MalformedMessageError("the promised request is neither GET nor HEAD")
        if head.content_length:
            raise MalformedMessageError("the promised request has content")
        scheme, authority = request_origin(fields)
        ours, host = parent.origin
        # RFC 9113 §8.4: "The server MUST include a value in the ":authority" pseudo-header field for which the server
        # is authoritative (see Section 10.1). A client MUST treat a PUSH_PROMISE for which the server is not
        # authoritative as a stream error (Section 5.4.2) of type PROTOCOL_ERROR."
        same = scheme.lower() == ours.lower() and same_authority(authority, host, scheme)
        if not authority or not (same or self._engine.authoritative(scheme, authority)):
            raise MalformedMessageError("the server is not authoritative for the promised request")
        return head


def _check_dependency(dependency: Dependency | None, stream_id: int) -> None:
    if dependency is not None and dependency.depends_on == stream_id:
        # RFC 7540 §5.3.1, as for the PRIORITY frame.
        raise StreamFaultError(stream_id, ErrorCode.PROTOCOL_ERROR, "the stream depends on itself")


_RULES: Final[dict[int, Callable[[Receiver, Frame], None]]] = {
    DATA: Receiver._data,
    HEADERS: Receiver._headers,
    PRIORITY: Receiver._priority,
    RST_STREAM: Receiver._rst_stream,
    SETTINGS: Receiver._settings,
    PUSH_PROMISE: Receiver._push_promise,
    PING: Receiver._ping,
    GOAWAY: Receiver._goaway,
    WINDOW_UPDATE: Receiver._window_update,
    ALTSVC: Receiver._altsvc,
    ORIGIN: Receiver._origin,
    PRIORITY_UPDATE: Receiver._priority_update,
}

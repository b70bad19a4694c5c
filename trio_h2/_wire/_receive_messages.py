"""HEADERS and DATA: what a message is made of, and every rule about it that a peer can break (RFC 9113 §§5.1 and 8.1).

The field block of HEADERS is decoded first, whatever happens to the frame: HPACK must stay in step. The octets of DATA
are credited whatever happens to the frame: the session's window must not leak.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ._codes import ErrorCode, Role, SettingCode
from ._events import DataReceived, InformationalReceived, RequestReceived, ResponseReceived, TrailersReceived
from ._failure import SessionFaultError, StreamFaultError, StreamRejectedError
from ._fields import MalformedMessageError, check_request, check_response, check_trailers, field_section_size
from ._flow import StreamCredit
from ._framing import frame_flags
from ._headers import Headers
from ._push import LATE_FRAMES
from ._state import Side, WireStream

if TYPE_CHECKING:
    from hyperframe.frame import DataFrame, HeadersFrame

    from ._headers import RawField
    from ._receive_extensions import ExtensionReceiver
    from ._receive_push import PushReceiver
    from ._reception import Reception

MAX_SKIPPED_RANGES = 100
MERGED_OCTETS = 4096
"""DATA frames of one stream and read are reported together up to this size."""


class MessageReceiver:
    """Turns HEADERS and DATA of one session into requests, responses, bodies and trailers."""

    def __init__(self, reception: Reception, extensions: ExtensionReceiver, pushes: PushReceiver) -> None:
        self._reception = reception
        self._extensions = extensions
        self._pushes = pushes
        self._engine = reception.engine
        self._skipped: deque[range] = deque(maxlen=MAX_SKIPPED_RANGES)
        """Ids the peer jumped over: they are closed, and were never open."""

    # -- HEADERS ---------------------------------------------------------------------------------------------------

    def headers(self, frame: HeadersFrame) -> None:
        """Checks and books HEADERS with its CONTINUATION frames."""
        engine = self._engine
        fields = engine.conn.decode_block(frame.data)
        end_stream = "END_STREAM" in frame.flags
        stream = engine.streams.get(frame.stream_id)
        if stream is None:
            if engine.role is Role.SERVER:
                self._new_request(frame, fields, end_stream)
            else:
                # A server opens streams with PUSH_PROMISE only, and an odd id that we never used is idle.
                self._reception.require_not_idle(frame.stream_id, "HEADERS")
                self._reception.on_closed_stream(frame.stream_id, "HEADERS")
            return
        if stream.reserved:
            self._pushes.response(stream)
        if stream.remote is Side.ENDED:
            # RFC 9113 §5.1 (half-closed (remote)): "it MUST respond with a stream error (Section 5.4.2) of type
            # STREAM_CLOSED."
            raise StreamFaultError(stream.id, ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM")
        _check_priority(frame)
        if self._reception.too_large(fields):
            raise StreamFaultError(stream.id, ErrorCode.ENHANCE_YOUR_CALM, "header list larger than we advertised")
        if stream.remote is Side.IDLE:
            self._response(stream, frame, fields, end_stream)
        else:
            self._trailers(stream, frame, fields, end_stream)

    def _new_request(self, frame: HeadersFrame, fields: list[RawField], end_stream: bool) -> None:
        engine = self._engine
        stream_id = frame.stream_id
        if stream_id % 2 == 0:
            # RFC 9113 §5.1.1: "Streams initiated by a client MUST use odd-numbered stream identifiers".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"the client opened the even stream {stream_id}")
        highest = engine.conn.highest_inbound_stream_id
        if stream_id <= highest:
            if any(stream_id in skipped for skipped in self._skipped):
                # RFC 9113 §5.1.1: "An endpoint that receives an unexpected stream identifier MUST respond with a
                # connection error (Section 5.4.1) of type PROTOCOL_ERROR."
                raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} opened after stream {highest}")
            self._reception.on_closed_stream(stream_id, "HEADERS")
            return
        if stream_id > highest + 2:
            self._skipped.append(range(highest + 1, stream_id))
        engine.conn.stream_id_used_by_peer(stream_id)
        if engine.shutdown.refuses(stream_id):
            # RFC 9113 §6.8: "the sender can discard frames for streams initiated by the receiver with identifiers
            # higher than the identified last stream."
            self._reception.overhead()
            engine.remember_reset(stream_id, engine.conn.initial_inbound_window)
            return
        self._refuse_surplus(stream_id)
        _check_priority(frame)
        if self._reception.too_large(fields):
            self._answer_431(stream_id, end_stream)
            return
        head = check_request(
            fields, extended_connect=bool(engine.local_settings.get(SettingCode.ENABLE_CONNECT_PROTOCOL))
        )
        if end_stream and head.content_length:
            raise MalformedMessageError(f"content-length is {head.content_length}, but there is no body")
        engine.conn.stream_opened_by_peer(stream_id, end_stream=end_stream)
        stream = WireStream(stream_id, head.method or b"", StreamCredit(engine.initial_window))
        stream.remote = Side.ENDED if end_stream else Side.OPEN
        stream.expected_length = head.content_length
        stream.tunnel = head.method == b"CONNECT"
        engine.accept_stream(stream)
        engine.guard.progress(LATE_FRAMES)
        headers = Headers.from_raw(fields, flags=frame_flags(frame))
        self._reception.events.append(RequestReceived(stream_id, headers, end_stream))
        self._extensions.opened(stream_id)

    def _refuse_surplus(self, stream_id: int) -> None:
        """Refuses a stream for which there is no room."""
        engine = self._engine
        # Streams that are gone while their handlers still end take no place on the wire; the session starts no handler
        # before one has ended, and drops who leaves before its turn, so as many again may wait at most.
        if engine.requests >= engine.max_streams or len(engine.slots) >= 2 * engine.max_streams:
            # RFC 9113 §5.1.2: "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream
            # limit to be exceeded MUST treat this as a stream error (Section 5.4.2) of type PROTOCOL_ERROR or
            # REFUSED_STREAM"; the latter tells that a retry is safe.
            raise StreamRejectedError(stream_id, ErrorCode.REFUSED_STREAM, "too many streams")
        if engine.memory > engine.memory_limit:
            raise StreamRejectedError(stream_id, ErrorCode.ENHANCE_YOUR_CALM, "max_session_memory is used up")

    def _answer_431(self, stream_id: int, end_stream: bool) -> None:
        """Answers a request that nobody above hears of.

        RFC 9113 §10.5.1: "A server that receives a larger field block than it is willing to handle can send an HTTP
        431 (Request Header Fields Too Large) status code".
        """
        engine = self._engine
        engine.guard.count_reset(self._reception.now)
        conn = engine.conn
        conn.stream_opened_by_peer(stream_id, end_stream=end_stream)
        conn.send_headers(stream_id, [(b":status", b"431"), (b"content-length", b"0")], end_stream=True)
        if not end_stream:
            # RFC 9113 §8.1: a server that does not need the rest of a request "MAY request that the client abort
            # transmission of a request without error by sending a RST_STREAM with an error code of NO_ERROR".
            engine.remember_reset(stream_id, conn.inbound_window(stream_id))
            conn.send_reset(stream_id, ErrorCode.NO_ERROR)
        conn.forget(stream_id)
        engine.guard.count_reply()

    def _response(self, stream: WireStream, frame: HeadersFrame, fields: list[RawField], end_stream: bool) -> None:
        head = check_response(fields)
        headers = Headers.from_raw(fields, flags=frame_flags(frame))
        status = head.status or 0
        if status < 200:
            if end_stream:
                raise MalformedMessageError(f"status {status} with END_STREAM")
            self._reception.overhead()
            # They are kept for the application, so a server that sends them for ever must not fill our memory. RFC 9113
            # §10.5: "An endpoint MAY treat activity that is suspicious as a connection error (Section 5.4.1) of type
            # ENHANCE_YOUR_CALM"; the stream is enough.
            stream.interim_size += field_section_size(fields)
            if stream.interim_size > self._engine.max_header_list_size:
                reason = "the interim responses are together larger than the header list we advertised"
                raise StreamFaultError(stream.id, ErrorCode.ENHANCE_YOUR_CALM, reason)
            self._reception.events.append(InformationalReceived(stream.id, headers))
            return
        # RFC 9110 §9.3.6: after 2xx to a CONNECT follows the tunnel, whatever content-length says; §6.4.1: no content
        # in answers to HEAD, nor with 204 and 304.
        stream.tunnel = stream.method == b"CONNECT" and status < 300
        if not stream.tunnel:
            stream.body_forbidden = stream.method == b"HEAD" or status in (204, 304)
            if not stream.body_forbidden:
                stream.expected_length = head.content_length
        self._check_length(stream, 0, end_stream=end_stream)
        self._engine.conn.book_headers(stream.id, end_stream=end_stream)
        stream.remote = Side.OPEN
        self._reception.events.append(ResponseReceived(stream.id, headers, end_stream))
        if end_stream:
            self._remote_ended(stream)

    def _trailers(self, stream: WireStream, frame: HeadersFrame, fields: list[RawField], end_stream: bool) -> None:
        if stream.tunnel:
            # RFC 9113 §8.5: "Frame types other than DATA or stream management frames (RST_STREAM, WINDOW_UPDATE, and
            # PRIORITY) MUST NOT be sent on a connected stream and MUST be treated as a stream error (Section 5.4.2) if
            # received."
            raise MalformedMessageError("HEADERS in the tunnel of a CONNECT")
        if not end_stream:
            # RFC 9113 §8.1: "An endpoint that receives a HEADERS frame without the END_STREAM flag set after receiving
            # the HEADERS frame that opens a request or after receiving a final (non-informational) status code MUST
            # treat the corresponding request or response as malformed".
            raise MalformedMessageError("trailers without END_STREAM")
        check_trailers(fields)
        self._check_length(stream, 0, end_stream=True)
        self._engine.conn.book_headers(stream.id, end_stream=True)
        self._reception.events.append(TrailersReceived(stream.id, Headers.from_raw(fields, flags=frame_flags(frame))))
        self._remote_ended(stream)

    def _remote_ended(self, stream: WireStream) -> None:
        stream.remote = Side.ENDED
        if stream.closed:
            self._engine.close_stream(stream.id)

    def _check_length(self, stream: WireStream, size: int, *, end_stream: bool) -> None:
        """RFC 9113 §8.1.1: malformed if "the value of a Content-Length header field does not equal the sum of the DATA
        frame payload lengths that form the content".
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

    def data(self, frame: DataFrame) -> None:
        """Checks and books DATA."""
        engine = self._engine
        size = frame.flow_controlled_length
        stream_id = frame.stream_id
        self._reception.require_not_idle(stream_id, "DATA")
        self._reception.require_not_reserved(stream_id, "DATA")
        if not engine.budget.receive(size):
            # RFC 9113 §6.9: "A receiver MAY respond with a stream error (Section 5.4.2) or connection error
            # (Section 5.4.1) of type FLOW_CONTROL_ERROR if it is unable to accept a frame."
            raise SessionFaultError(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window")
        engine.conn.consume_connection_window(size)
        stream = engine.streams.get(stream_id)
        if stream is None:
            engine.credit_unread(size)
            self._reception.on_closed_stream(stream_id, "DATA", size)
            return
        data = frame.data
        end_stream = "END_STREAM" in frame.flags
        try:
            self._check_data(stream, size, len(data), end_stream=end_stream)
        except (StreamFaultError, MalformedMessageError):
            engine.credit_unread(size)
            raise
        engine.conn.book_data(stream_id, size, end_stream=end_stream)
        stream.credit.held += len(data)
        engine.credit_padding(stream, size - len(data), last=end_stream)
        if not data and not end_stream:
            self._reception.overhead()
            return
        self._report_data(stream_id, data, end_stream)
        if end_stream:
            self._remote_ended(stream)

    def _report_data(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Reports octets of a body; small pieces of one read come together.

        Else thousands of tiny frames, which the window allows, would cost thousands of events that take much more
        memory than their octets.
        """
        newest = self._reception.newest_data
        last = newest.get(stream_id)
        if last is not None and len(last.data) + len(data) <= MERGED_OCTETS:
            last.data += data
            last.end_stream = end_stream
        else:
            newest[stream_id] = event = DataReceived(stream_id, data, end_stream)
            self._reception.events.append(event)

    def _check_data(self, stream: WireStream, size: int, length: int, *, end_stream: bool) -> None:
        if stream.remote is Side.ENDED:
            # RFC 9113 §6.1: "If a DATA frame is received whose stream is not in the "open" or "half-closed (local)"
            # state, the recipient MUST respond with a stream error (Section 5.4.2) of type STREAM_CLOSED."
            raise StreamFaultError(stream.id, ErrorCode.STREAM_CLOSED, "DATA after END_STREAM")
        if stream.remote is Side.IDLE:
            raise MalformedMessageError("DATA before the response headers")
        # RFC 9113 §6.9.1: "an empty DATA frame) MAY be sent if there is no available space in either flow-control
        # window", so even when ours is negative because we shrank it.
        if size and size > self._engine.conn.inbound_window(stream.id):
            raise StreamFaultError(stream.id, ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the stream's window")
        self._check_length(stream, length, end_stream=end_stream)


def _check_priority(frame: HeadersFrame) -> None:
    if "PRIORITY" in frame.flags and frame.depends_on == frame.stream_id:
        # RFC 7540 §5.3.1, as for the PRIORITY frame.
        raise StreamFaultError(frame.stream_id, ErrorCode.PROTOCOL_ERROR, "the stream depends on itself")

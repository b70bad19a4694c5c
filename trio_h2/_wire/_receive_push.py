"""PUSH_PROMISE, and what may follow it: the rules of server push that a peer can break (RFC 9113 §§6.6 and 8.4).

The field block of a promise is decoded whatever happens to it: HPACK must stay in step. A promise that is not wanted is
refused with RST_STREAM on the promised stream: its id is used up, and the server may already be sending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._codes import ErrorCode, Role
from ._events import PushPromised
from ._failure import SessionFaultError, StreamFaultError, StreamRejectedError
from ._fields import MalformedMessageError, check_request, request_origin, same_authority
from ._flow import StreamCredit
from ._framing import frame_flags
from ._headers import Headers
from ._push import LATE_FRAMES
from ._state import Side, WireStream

if TYPE_CHECKING:
    from hyperframe.frame import PushPromiseFrame

    from ._config import ClientConfig
    from ._headers import RawField
    from ._reception import Reception

SAFE_METHODS = frozenset((b"GET", b"HEAD"))
"""RFC 9113 §8.4: "Promised requests MUST be safe (see Section 9.2.1 of [HTTP]) and cacheable (see Section 9.2.3 of
[HTTP])": RFC 9110 has only these two that are both."""


class PushReceiver:
    """Checks the promises of one session, and the beginning of what was promised."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._engine = reception.engine

    def promise(self, frame: PushPromiseFrame) -> None:
        """Checks and books PUSH_PROMISE with its CONTINUATION frames."""
        engine = self._engine
        if engine.role is Role.SERVER:
            # RFC 9113 §8.4: "A client cannot push. Thus, servers MUST treat the receipt of a PUSH_PROMISE frame as a
            # connection error (Section 5.4.1) of type PROTOCOL_ERROR."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")
        if not engine.takes_pushes:
            # RFC 9113 §6.6, on SETTINGS_ENABLE_PUSH 0: "An endpoint that has set this setting and has received
            # acknowledgment MUST treat the receipt of a PUSH_PROMISE frame as a connection error (Section 5.4.1) of
            # type PROTOCOL_ERROR." Push that was off from the start was so before the request that is promised on.
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE although push is off")
        # RFC 9113 §6.6: the promised id is an "unsigned 31-bit integer"; of the bit before it, hyperframe makes a part.
        parent_id, stream_id = frame.stream_id, frame.promised_stream_id & 0x7FFF_FFFF
        self._check_parent(parent_id)
        fields = engine.conn.decode_block(frame.data)
        if stream_id <= engine.conn.highest_inbound_stream_id:
            # RFC 9113 §6.6: "A receiver MUST treat the receipt of a PUSH_PROMISE that promises an illegal stream
            # identifier (Section 5.1.1) as a connection error (Section 5.4.1) of type PROTOCOL_ERROR. Note that an
            # illegal stream identifier is an identifier for a stream that is not currently in the "idle" state."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} was promised, and is not idle")
        engine.conn.stream_id_used_by_peer(stream_id)
        parent = engine.streams.get(parent_id)
        if parent is None or engine.shutdown.refuses(stream_id):
            self._refuse(stream_id)
            return
        if parent.tunnel:
            self._refuse(stream_id)
            # RFC 9113 §8.5: "Frame types other than DATA or stream management frames (RST_STREAM, WINDOW_UPDATE, and
            # PRIORITY) MUST NOT be sent on a connected stream and MUST be treated as a stream error (Section 5.4.2) if
            # received."
            raise MalformedMessageError("PUSH_PROMISE in the tunnel of a CONNECT")
        self._refuse_surplus(stream_id)
        try:
            method = self._check_request(stream_id, parent, fields)
        except MalformedMessageError as exc:
            raise StreamFaultError(stream_id, ErrorCode.PROTOCOL_ERROR, exc.reason) from exc
        engine.conn.stream_promised_by_peer(stream_id)
        stream = WireStream(stream_id, method, StreamCredit(engine.initial_window))
        stream.local = Side.ENDED
        engine.reserve(stream)
        engine.handler_begins(stream_id)
        headers = Headers.from_raw(fields, flags=frame_flags(frame))
        self._reception.events.append(PushPromised(parent_id, stream_id, headers))

    def response(self, stream: WireStream) -> None:
        """HEADERS on a reserved stream: the response that was promised begins."""
        engine = self._engine
        if engine.role is Role.SERVER:
            self._reception.require_not_reserved(stream.id, "HEADERS")
        if not engine.has_room_for_push():
            # RFC 9113 §5.1.2: "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream
            # limit to be exceeded MUST treat this as a stream error (Section 5.4.2) of type PROTOCOL_ERROR or
            # REFUSED_STREAM."
            raise StreamRejectedError(stream.id, ErrorCode.REFUSED_STREAM, "too many pushed streams")
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
        self._reception.require_not_idle(parent_id, "PUSH_PROMISE")
        parent = engine.streams.get(parent_id)
        if parent_id not in engine.reset_by_us if parent is None else parent.remote is Side.ENDED:
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"PUSH_PROMISE on closed stream {parent_id}")

    def _refuse(self, stream_id: int) -> None:
        """Refuses a promise that came too late to be wanted: nobody did anything wrong.

        RFC 9113 §5.1 (closed), of a stream that was reset: "receiving a PUSH_PROMISE frame […] causes the promised
        stream to become "reserved" even if the associated stream has been reset. Therefore, a RST_STREAM is needed to
        close an unwanted promised stream."
        """
        engine = self._engine
        self._reception.overhead()
        engine.conn.send_reset(stream_id, ErrorCode.CANCEL)
        engine.remember_reset(stream_id, engine.conn.initial_inbound_window)
        engine.guard.count_reply()

    def _refuse_surplus(self, stream_id: int) -> None:
        engine = self._engine
        config: ClientConfig = engine.config  # type: ignore[assignment]  # servers do not get here
        limit = config.max_reserved_remote_streams
        # Handlers outlive their streams. What they hold is bounded otherwise, their number only here.
        if len(engine.pushes.reserved) >= limit or len(engine.slots) >= limit + 2 * engine.max_streams:
            raise StreamRejectedError(stream_id, ErrorCode.REFUSED_STREAM, "too many promised streams")
        if engine.memory > engine.memory_limit:
            raise StreamRejectedError(stream_id, ErrorCode.ENHANCE_YOUR_CALM, "max_session_memory is used up")

    def _check_request(self, stream_id: int, parent: WireStream, fields: list[RawField]) -> bytes:
        """Returns the method of a promised request."""
        if self._reception.too_large(fields):
            raise StreamFaultError(stream_id, ErrorCode.ENHANCE_YOUR_CALM, "header list larger than we advertised")
        head = check_request(fields)
        method = head.method or b""
        if method not in SAFE_METHODS:
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
        return method

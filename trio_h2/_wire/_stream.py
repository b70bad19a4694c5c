"""One stream on the wire: its state, both its windows, and how much of its message has come.

The state of RFC 9113 §5.1 is kept by h2's state machine and nowhere else; this is the only module that imports h2.
What the rest of the library wants to know of the state is derived from it here. The rules that a peer can break on a
stream that is open are methods, which check first and then move the machine on: it is never asked for a transition
that it does not have, because its answer to one is the end of the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from h2.stream import H2StreamStateMachine, StreamInputs, StreamState

from ._codes import ErrorCode
from ._config import MAX_WINDOW
from ._failure import SessionFaultError, StreamFaultError
from ._fields import MalformedMessageError

if TYPE_CHECKING:
    from ._fields import MessageHead

_SEND_HEADERS: Final = StreamInputs.SEND_HEADERS
_SEND_END: Final = StreamInputs.SEND_END_STREAM
_RECEIVE_HEADERS: Final = StreamInputs.RECV_HEADERS
_RECEIVE_END: Final = StreamInputs.RECV_END_STREAM
_RECEIVE_DATA: Final = StreamInputs.RECV_DATA

# Indexed by StreamState, which is an int: asking a set would compute the hash of an enum member.
_LOCAL_ENDED: Final = tuple(
    state in (StreamState.RESERVED_REMOTE, StreamState.HALF_CLOSED_LOCAL, StreamState.CLOSED) for state in StreamState
)
_REMOTE_ENDED: Final = tuple(
    state in (StreamState.RESERVED_LOCAL, StreamState.HALF_CLOSED_REMOTE, StreamState.CLOSED) for state in StreamState
)
_STATE_NAMES: Final = {
    StreamState.IDLE: "idle",
    StreamState.RESERVED_REMOTE: "reserved (remote)",
    StreamState.RESERVED_LOCAL: "reserved (local)",
    StreamState.OPEN: "open",
    StreamState.HALF_CLOSED_REMOTE: "half-closed (remote)",
    StreamState.HALF_CLOSED_LOCAL: "half-closed (local)",
    StreamState.CLOSED: "closed",
}


class WireStream:
    """One stream that is not closed yet. Owned by the engine; everything above it goes by stream id.

    For the bytes that it receives, at all times once our SETTINGS are acknowledged::

        receive_window + held + owed = target

    Args:
        stream_id: RFC 9113 §5.1.1.
        method: the method of its request.
        target: the receive window (bytes) that the peer has when nothing is held or owed.
        receive_window: what the peer may send now, in bytes; as much as *target* unless given.
        send_window: what we may send, in bytes.
    """

    __slots__ = (
        "_machine",
        "body_forbidden",
        "drops_content",
        "expected_length",
        "held",
        "id",
        "interim_size",
        "least_held",
        "method",
        "origin",
        "owed",
        "receive_window",
        "received_length",
        "send_window",
        "target",
        "tunnel",
    )

    def __init__(
        self, stream_id: int, method: bytes, target: int, *, receive_window: int | None = None, send_window: int = 0
    ) -> None:
        self.id: int = stream_id
        self.method: bytes = method
        self._machine = H2StreamStateMachine(stream_id)
        self.target: int = target
        """The receive window that the peer has when nothing is held or owed."""
        self.held: int = 0
        """Bytes received which the application has not taken."""
        self.least_held: int = target
        """The least of that since credit was last given back: little, where the application keeps up."""
        self.owed: int = 0
        """Bytes taken whose credit has not been given back; negative for a while after a shrink."""
        self.receive_window: int = target if receive_window is None else receive_window
        """What the peer may still send; negative after we shrank it."""
        self.send_window: int = send_window
        """What we may still send; negative after the peer shrank it (RFC 9113 §6.9.2)."""
        self.origin: tuple[bytes, bytes] = (b"", b"")
        """``:scheme`` and ``:authority`` of a request of ours, which a push may be compared with."""
        self.received_length: int = 0
        self.expected_length: int | None = None
        """The peer's content-length, if it must agree with the body."""
        self.body_forbidden: bool = False
        """What we receive must not have content: the answer to HEAD, 204 or 304 (RFC 9110 §6.4.1)."""
        self.interim_size: int = 0
        """Size of the interim responses so far, counted like a header list."""
        self.drops_content: bool = False
        """What we receive should not have content, but some servers send it: 205 (RFC 9110 §15.3.6)."""
        self.tunnel: bool = False
        """What we receive belongs to the tunnel of a CONNECT (RFC 9113 §8.5)."""

    # -- the state ---------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The state's name in RFC 9113 §5.1."""
        return _STATE_NAMES[self._machine.state]

    @property
    def local_ended(self) -> bool:
        """Whether nothing more can be sent."""
        return _LOCAL_ENDED[self._machine.state]

    @property
    def remote_ended(self) -> bool:
        """Whether nothing more can be received."""
        return _REMOTE_ENDED[self._machine.state]

    @property
    def closed(self) -> bool:
        """Whether both sides have ended."""
        return self._machine.state is StreamState.CLOSED

    @property
    def reserved(self) -> bool:
        """Whether it was promised, and no header section of its response has been sent or received (RFC 9113 §5.1)."""
        state = self._machine.state
        return state is StreamState.RESERVED_LOCAL or state is StreamState.RESERVED_REMOTE

    @property
    def headers_received(self) -> bool:
        """Whether the peer's final header section has come: of the request, or of the response."""
        return bool(self._machine.headers_received)

    # -- what we sent ------------------------------------------------------------------------------------------------

    def sent_headers(self, *, end_stream: bool) -> bool:
        """A request, a final response, or trailers went into the output; returns whether the stream has closed."""
        machine = self._machine
        machine.process_input(_SEND_HEADERS)
        if not end_stream:
            return False
        machine.process_input(_SEND_END)
        return machine.state is StreamState.CLOSED

    def sent_end(self) -> bool:
        """DATA with END_STREAM went into the output; returns whether the stream has closed."""
        machine = self._machine
        machine.process_input(_SEND_END)
        return machine.state is StreamState.CLOSED

    def promised_by_us(self) -> None:
        """PUSH_PROMISE of this stream went into the output."""
        self._machine.process_input(StreamInputs.SEND_PUSH_PROMISE)

    def sent_reset(self) -> None:
        """RST_STREAM went into the output, or the stream is given up without one."""
        if not self.closed:
            self._machine.process_input(StreamInputs.SEND_RST_STREAM)

    # -- what we received --------------------------------------------------------------------------------------------

    def promised_by_peer(self) -> None:
        """PUSH_PROMISE of this stream was received, and checked."""
        self._machine.process_input(StreamInputs.RECV_PUSH_PROMISE)

    def leave_reserved(self) -> None:
        """The response of a promised stream begins, perhaps with an interim one (RFC 9113 §8.1).

        h2 has no transition for interim responses on a reserved stream. This is the one state that is set by hand.
        """
        machine = self._machine
        local = machine.state is StreamState.RESERVED_LOCAL
        machine.state = StreamState.HALF_CLOSED_REMOTE if local else StreamState.HALF_CLOSED_LOCAL

    def receive_reset(self) -> None:
        """RST_STREAM was received, or the peer's GOAWAY said that it will not process the stream."""
        if not self.closed:
            self._machine.process_input(StreamInputs.RECV_RST_STREAM)

    def receive_request(self, head: MessageHead, *, end_stream: bool) -> None:
        """Books the header section of a request.

        Raises:
            MalformedMessageError: it has a content-length but no body.
        """
        if end_stream and head.content_length:
            raise MalformedMessageError(f"content-length is {head.content_length}, but there is no body")
        self.expected_length = head.content_length
        self.tunnel = self.method == b"CONNECT"
        self._book_headers(end_stream)

    def receive_response(self, head: MessageHead, *, end_stream: bool) -> None:
        """Books the header section of a final response.

        Raises:
            MalformedMessageError: it ends the stream short of its content-length.
        """
        status = head.status or 0
        # RFC 9110 §9.3.6: after 2xx to a CONNECT follows the tunnel, whatever content-length says; §6.4.1: no content
        # in answers to HEAD, nor with 204 and 304.
        self.tunnel = self.method == b"CONNECT" and status < 300
        if not self.tunnel:
            self.body_forbidden = self.method == b"HEAD" or status in (204, 304)
            self.drops_content = status == 205
            if not (self.body_forbidden or self.drops_content):
                self.expected_length = head.content_length
        if end_stream:
            self._check_length(0, end_stream=True)
        self._book_headers(end_stream)

    def receive_trailers(self) -> None:
        """Books a trailer section, which has been checked by itself, and the end of the body.

        Raises:
            MalformedMessageError: the body is short of its content-length.
        """
        self._check_length(0, end_stream=True)
        self._book_headers(end_stream=True)

    def _book_headers(self, end_stream: bool) -> None:
        machine = self._machine
        machine.process_input(_RECEIVE_HEADERS)
        if end_stream:
            machine.process_input(_RECEIVE_END)

    def receive_end(self) -> None:
        """The end of the body was received by itself, as HTTP/1.1 has it."""
        self._machine.process_input(_RECEIVE_END)

    def receive_data(self, size: int, length: int, *, end_stream: bool) -> bool:
        """Checks and books DATA; returns whether the stream has closed.

        Args:
            size: what counts for flow control, padding included.
            length: bytes of content.
            end_stream: whether it ends the peer's side.

        Raises:
            StreamFaultError, MalformedMessageError: the peer must not send it; nothing was booked.
            SessionFaultError: the peer must not send it, and the session is over.
        """
        machine = self._machine
        if _REMOTE_ENDED[machine.state]:
            self._refuse_reserved("DATA")
            # RFC 9113 §6.1: "If a DATA frame is received whose stream is not in the "open" or "half-closed (local)"
            # state, the recipient MUST respond with a stream error (Section 5.4.2) of type STREAM_CLOSED."
            raise StreamFaultError(self.id, ErrorCode.STREAM_CLOSED, "DATA after END_STREAM")
        if not machine.headers_received:
            self._refuse_reserved("DATA")
            raise MalformedMessageError("DATA before the response headers")
        # RFC 9113 §6.9.1: "an empty DATA frame) MAY be sent if there is no available space in either flow-control
        # window", so even when ours is negative because we shrank it.
        if size > self.receive_window and size:
            raise StreamFaultError(self.id, ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the stream's window")
        if self.expected_length is None and not self.body_forbidden:
            self.received_length += length
        else:
            self._check_length(length, end_stream=end_stream)
        self.receive_window -= size
        self.held += length
        machine.process_input(_RECEIVE_DATA)
        if not end_stream:
            return False
        machine.process_input(_RECEIVE_END)
        return machine.state is StreamState.CLOSED

    def _check_length(self, size: int, *, end_stream: bool) -> None:
        """RFC 9113 §8.1.1: malformed if "the value of a Content-Length header field does not equal the sum of the DATA
        frame payload lengths that form the content".
        """
        if size and self.body_forbidden:
            raise MalformedMessageError("content in a response that must not have any")
        received = self.received_length + size
        expected = self.expected_length
        if expected is not None and (received > expected or (end_stream and received != expected)):
            more = "" if end_stream else " or more"
            raise MalformedMessageError(f"content-length is {expected}, the body has {received} bytes{more}")
        self.received_length = received

    def _refuse_reserved(self, what: str) -> None:
        """Refuses what must not come on a stream that is only promised.

        RFC 9113 §5.1: "Receiving any type of frame other than HEADERS, RST_STREAM, or PRIORITY on a stream in this
        state [reserved (remote)] MUST be treated as a connection error (Section 5.4.1) of type PROTOCOL_ERROR"; in
        reserved (local), any "other than RST_STREAM, PRIORITY, or WINDOW_UPDATE".
        """
        if self.reserved:
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"{what} on reserved stream {self.id}")

    def receive_window_update(self, increment: int) -> None:
        """Books credit of the peer.

        Raises:
            StreamFaultError: the window overflows (RFC 9113 §6.9.1).
            SessionFaultError: the peer has only promised the stream.
        """
        if self._machine.state is StreamState.RESERVED_REMOTE:
            self._refuse_reserved("WINDOW_UPDATE")
        window = self.send_window + increment
        if window > MAX_WINDOW:
            raise StreamFaultError(self.id, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window overflows")
        self.send_window = window

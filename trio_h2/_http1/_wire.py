"""HTTP/1.1 sans-IO: h11 with its traps closed, in the shape that streams know from the engine; the importer of h11.

One exchange after the other; each has a number, which stands where HTTP/2 has a stream id. h11 has states of its own
and forgives nothing after an error, so what it would refuse to send is refused before it is asked. It is not told of
the transport's end, and not asked for more once a request is complete, until the next one may begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias

import h11

from .._util import forget_frames, http_date
from .._wire._config import MAX_WINDOW
from ._request import BadMessageError, RequestHead, request_head, request_trailers
from ._request_line import RequestLine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._wire._config import ServerConfig
    from .._wire._failure import OversizedSection
    from .._wire._headers import Headers, RawField

Sendable: TypeAlias = h11.Response | h11.InformationalResponse | h11.Data | h11.EndOfMessage
"""What h11 makes bytes of."""

DATA_SIZE: Final = 64 * 1024
"""Body bytes that are handed over at once, and so the size of a chunk."""
_ENDS_WITH_HEAD: Final = frozenset({204, 304})
"""RFC 9112 §6.3: responses with these statuses are "always terminated by the first empty line after the header fields",
unlike 205, which has no content either."""
_LINE_ROOM: Final = 8 * 1024
"""What a request line may have beside the header fields, in bytes."""


@dataclass(slots=True)
class BodyReceived:
    """Bytes of the request's body, or of the tunnel."""

    data: bytes


@dataclass(slots=True)
class EndReceived:
    """The request is complete."""

    trailers: Headers | None


@dataclass(slots=True)
class OpenExchange:
    """One request and its response, as far as they have got, in the words that streams know from HTTP/2."""

    id: int
    local_ended: bool = False
    remote_ended: bool = False
    received_length: int = 0
    reserved: bool = False

    @property
    def state(self) -> str:
        """The state's name in RFC 9113 §5.1."""
        return _STATE_NAMES[self.local_ended, self.remote_ended]


_STATE_NAMES: Final = {
    (False, False): "open",
    (True, False): "half-closed (local)",
    (False, True): "half-closed (remote)",
    (True, True): "closed",
}


class Http1Wire:
    """One connection's protocol state: bytes in, events out; commands in, bytes out."""

    def __init__(self, config: ServerConfig, scheme: bytes, closed: Callable[[int], None]) -> None:
        self._config = config
        self._scheme = scheme
        self._closed = closed
        self._h11 = self._fresh()
        self._line = RequestLine()
        self._number = 0
        self._head: RequestHead | None = None
        self._chunked = False
        self._tail = bytearray()
        """What has come of a tunnel and is not an event yet."""
        self.streams: dict[int, OpenExchange] = {}
        """The exchange that is open, if one is."""
        self.queued_body = 0
        """Body bytes that wait to be framed."""
        self.copied_body = 0
        """Those of them that were copied."""
        self.output: bytearray = bytearray()
        """What is to be sent."""
        self.backlog: int = 0
        """Bytes that came after the end of a request, and wait for their turn."""
        self.begun: bool = False
        """Bytes of a request have come whose head is not complete."""
        self.request_complete: bool = False
        """The current request has ended, and nothing more of it will come."""
        self.waits_for_continue: bool = False
        """The client sends its body only after 100 (RFC 9110 §10.1.1), and was sent none; h11 takes any 1xx for it."""
        self.closing = False
        """The connection ends with the next response that begins, which will say so; with a later one if another
        request has arrived and `more_may_follow`."""
        self.more_may_follow = False
        self.answered: int | None = None
        """The status that was answered in place of a response."""
        self.close_after: bool = False
        """The connection ends with the current exchange; its response says so, if it begins only now."""
        self.aborted: bool = False
        """The exchange was reset before its response was whole: the connection cannot be used any more."""
        self.raw: bool = False
        """Bytes are passed on as they are, after a CONNECT that was accepted."""
        self.tunnel_wanted: bool = False
        """A task waits for bytes of a tunnel that has not been accepted."""
        self.half_closed: bool = False
        """Nothing more will be sent in a tunnel."""

    # -- receiving -------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Takes bytes from the transport, which `next` makes events of."""
        if self.raw:
            self._tail += data
            return
        if self.request_complete or self.method == b"CONNECT":
            self.backlog += len(data)
        elif not self.streams and not self.begun and self._h11.their_state is h11.IDLE:
            # RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one
            # empty line (CRLF) received prior to the request-line".
            data = data.lstrip(b"\r\n")
        if data:
            self.begun = self.begun or self._h11.their_state is h11.IDLE
            self._h11.receive_data(self._line.feed(data))

    def next(self) -> RequestHead | BodyReceived | EndReceived | None:
        """Returns the next event, ``None`` if more bytes are needed or the current exchange must end first.

        Raises:
            BadMessageError: the client broke a rule; nothing more can be received.
        """
        if self.raw:
            return self._next_raw()
        if self.request_complete:
            return None
        try:
            event = self._h11.next_event()
        except h11.RemoteProtocolError as exc:
            forget_frames(exc)  # one of h11's own holds the error
            if exc.error_status_hint == 431:
                reason = f"a head, or a part of one, of more bytes than {self._config.named('max_header_list_size')}"
            else:  # what comes after a colon is the client's: long, perhaps, or secret
                reason = str(exc).partition(": b")[0]
            raise BadMessageError(exc.error_status_hint, reason) from None
        if isinstance(event, h11.Request):
            return self._request(event)
        if isinstance(event, h11.Data):
            self.waits_for_continue = False
            data = bytes(event.data)
            if (stream := self.streams.get(self._number)) is not None:
                stream.received_length += len(data)
            return BodyReceived(data)
        if isinstance(event, h11.EndOfMessage):
            return self._end(event)
        return None

    def _request(self, event: h11.Request) -> RequestHead:
        try:
            self._head = head = request_head(
                event.method,
                event.target,
                event.http_version,
                list(event.headers),
                event.headers.raw_items,
                scheme=self._scheme,
                config=self._config,
            )
        except BadMessageError as exc:
            exc.fields = [(b":method", event.method), (b":path", event.target), *event.headers]
            raise
        self._number += 1
        self.begun = False
        self.waits_for_continue = self._h11.they_are_waiting_for_100_continue and not head.bodiless
        self.streams[self._number] = OpenExchange(self._number)
        return head

    def _end(self, event: h11.EndOfMessage) -> EndReceived | None:
        if self.method == b"CONNECT":
            return None  # RFC 9110 §9.3.6: what comes belongs to the tunnel, if there is going to be one
        assert self._head is not None
        trailers = request_trailers(list(event.headers), self._head, self._config)
        self._head.spelled_trailers = event.headers.raw_items
        self._request_ended()
        self.backlog = len(self._h11.trailing_data[0])
        return EndReceived(trailers)

    def _next_raw(self) -> BodyReceived | None:
        data, self._tail = bytes(self._tail), bytearray()
        return BodyReceived(data) if data else None

    def _request_ended(self) -> None:
        self.request_complete = True
        self._remote_ended()

    @property
    def number(self) -> int:
        """Of the current exchange, from 1 on; 0 before the first."""
        return self._number

    @property
    def method(self) -> bytes:
        """Of the current request."""
        return b"" if self._head is None else self._head.method

    # -- sending: what streams ask of an engine --------------------------------------------------------------------

    def send_response(self, stream_id: int, fields: Sequence[RawField], *, end_stream: bool) -> None:
        """Sends the final response headers, with what frames the body that follows."""
        assert self._head is not None
        status = int(fields[0][1])
        head, connect = self.method == b"HEAD", self.method == b"CONNECT"
        # h11 takes no lengths with many zeros before them.
        headers = [(name, b"%d" % int(value) if name == b"content-length" else value) for name, value in fields[1:]]
        named = any(name == b"content-length" for name, _ in headers)
        if connect and status < 300:
            # RFC 9110 §9.3.6: "A server MUST NOT send any Transfer-Encoding or Content-Length header fields in a 2xx
            # (Successful) response to CONNECT."
            headers = [field for field in headers if field[0] != b"content-length"]
        elif end_stream and not named and not head and status not in _ENDS_WITH_HEAD:
            headers.append((b"content-length", b"0"))
            named = True
        bodiless = head or status in _ENDS_WITH_HEAD
        self._chunked = not (named or bodiless or connect) and self._head.version == "1.1"
        if connect:
            self.close_after = True
        if self.waits_for_continue:
            # RFC 9110 §10.1.1: whether the body comes now is the client's choice, which we cannot tell from the next
            # request.
            self.close_after = True
            self.waits_for_continue = False
        if self.closing and not (self.backlog and self.more_may_follow):
            self.close_after = True
        if self.close_after and not (connect and status < 300):
            headers.append((b"connection", b"close"))
        self.output += self._send(h11.Response(status_code=status, headers=headers, reason=_reason(status)))
        if connect:
            self._decide_tunnel(accepted=status < 300)
        if end_stream:
            self._end_message([])

    def _decide_tunnel(self, *, accepted: bool) -> None:
        if accepted:
            self._pass_on()
        else:
            self._request_ended()

    def _pass_on(self) -> None:
        self.raw = True
        self._tail += self._h11.trailing_data[0]
        self.backlog = 0

    def switch_protocols(self, stream_id: int, protocol: bytes, fields: Sequence[RawField]) -> None:
        """Answers 101 to a complete request that asked for *protocol*; bytes are passed on from then on."""
        headers = [(b"connection", b"upgrade"), (b"upgrade", protocol), *fields]
        self.output += self._send(h11.InformationalResponse(status_code=101, headers=headers, reason=_reason(101)))
        self.close_after = True
        self.streams[stream_id].remote_ended = False
        self._pass_on()

    def tunnel_ended(self) -> None:
        """The client has ended its side of a tunnel, or of another protocol: no more bytes come."""
        self._remote_ended()

    def send_informational(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Sends a 1xx response; to HTTP/1.0 none, which knows no such thing (RFC 9110 §15.2)."""
        if self._head is not None and self._head.version != "1.0":
            status = int(fields[0][1])
            self.waits_for_continue = self.waits_for_continue and status != 100
            event = h11.InformationalResponse(status_code=status, headers=list(fields[1:]), reason=_reason(status))
            self.output += self._send(event)

    def send_data(self, stream_id: int, data: bytes | memoryview, *, end_stream: bool) -> None:
        """Sends body bytes, and perhaps the end."""
        if self.raw:
            self.output += data
        elif data and self._chunked:
            # As h11 would write it (RFC 9112 §7.1), which looks at nothing but joins it anew.
            self.output += b"%x\r\n" % len(data)
            self.output += data
            self.output += b"\r\n"
        elif data:
            self.output += self._send(h11.Data(data=bytes(data)))
        if end_stream:
            self._end_message([])

    def send_trailers(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Ends the response with trailers, where the body is chunked; elsewhere HTTP/1.1 has no place for them.

        RFC 9110 §6.5.1: "Trailer fields ought to be processed and stored separately […] or discarded".
        """
        self._end_message(list(fields) if self._chunked else [])

    def _end_message(self, trailers: list[RawField]) -> None:
        if self.raw:
            self.half_closed = True
        else:
            self.output += self._send(h11.EndOfMessage(headers=[(name, value) for name, value in trailers]))
        self._local_ended()

    def reset(self, stream_id: int, code: int) -> None:
        """Gives the exchange up: the rest of the request, if the response is whole, and the connection, if it is not.

        HTTP/1.1 has no way to say *code*.
        """
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        if not stream.local_ended:
            self.aborted = True
        stream.local_ended = stream.remote_ended = True
        self._settle(stream)

    def answer(self, status: int) -> None:
        """Answers what is no request, or has gone wrong before its response; the connection must end then."""
        self.answered = status
        lines = [f"HTTP/1.1 {status} {_reason(status).decode('ascii')}", "content-length: 0", "connection: close"]
        if self._config.send_date:
            lines.append(f"date: {http_date().decode('ascii')}")
        self.output += "\r\n".join([*lines, "", ""]).encode("ascii")
        self.close_after = True

    def remote_ended(self, stream_id: int) -> bool:
        """Whether the request is complete."""
        stream = self.streams.get(stream_id)
        return stream is None or stream.remote_ended

    def sendable(self, stream_id: int) -> int:
        """How many body bytes may be framed at once: the transport is the only bound."""
        return 0 if self.aborted else DATA_SIZE

    def stream_window(self, stream_id: int) -> int:
        """HTTP/1.1 has no windows."""
        return MAX_WINDOW

    def inbound_window(self, stream_id: int) -> int:
        """HTTP/1.1 has no windows."""
        return self._config.stream_window

    next_stream_id: None = None
    """Only clients open exchanges."""
    push_allowed = False

    def section_too_large(self, fields: Sequence[RawField]) -> OversizedSection | None:
        """No client says how much it takes."""
        return None

    def block_too_large(self, fields: Sequence[RawField]) -> str | None:
        """There is no header compression."""
        return None

    def send_extension(self, kind: int, stream_id: int, payload: bytes) -> None:
        """There are no frames."""

    # -- the next one ----------------------------------------------------------------------------------------------

    @property
    def reusable(self) -> bool:
        """Whether another request may follow: this one and its response are whole, and nobody said ``close``."""
        states = (self._h11.our_state, self._h11.their_state)
        return not (self.close_after or self.aborted or self.raw) and states == (h11.DONE, h11.DONE)

    def next_cycle(self) -> None:
        """The next request may begin."""
        early = self._h11.trailing_data[0]
        self._h11 = self._fresh()
        self._line = RequestLine()
        self._head = None
        self.request_complete = self.tunnel_wanted = False
        self.backlog = 0
        self.receive(early)

    def release(self) -> None:
        """Forgets whom to tell of ends."""
        self._closed = _ignore

    def _fresh(self) -> h11.Connection:
        # One for each request: the next one must begin with empty lines taken away, which h11 cannot do.
        return h11.Connection(h11.SERVER, max_incomplete_event_size=self._config.max_header_list_size + _LINE_ROOM)

    def _remote_ended(self) -> None:
        stream = self.streams.get(self._number)
        if stream is not None:
            stream.remote_ended = True
            self._settle(stream)

    def _local_ended(self) -> None:
        stream = self.streams.get(self._number)
        if stream is not None:
            stream.local_ended = True
            self._settle(stream)

    def _settle(self, stream: OpenExchange) -> None:
        if stream.local_ended and stream.remote_ended and self.streams.pop(stream.id, None) is not None:
            self._closed(stream.id)

    def _send(self, event: Sendable) -> bytes:
        try:
            return self._h11.send(event)
        except h11.LocalProtocolError as exc:
            raise AssertionError(f"h11 refuses what was checked before: {exc}") from exc


def _ignore(stream_id: int) -> None:
    """Tells nobody."""


def _reason(status: int) -> bytes:
    """RFC 9112 §4: the phrase may be empty, but people read it."""
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""

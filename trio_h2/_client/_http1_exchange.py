"""One request over HTTP/1.1 and its response, in the shape of a stream of HTTP/2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import h11
import trio

from .. import Headers, LocalProtocolError
from .._util import forget_frames, interrupt_safe
from .._websocket_key import accept_key, new_key
from ._errors import proxy_refusal
from ._http1_errors import lost, malformed, speaks_http2, speaks_tls

if TYPE_CHECKING:
    from .. import Priority
    from ._http1 import Http1Connection
    from ._outgoing import Outgoing

_NO_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
"""RFC 9110 §8.6: a user agent sends content-length with the methods that expect content, even if there is none."""
_DROPPED: Final = frozenset(
    (b"connection", b"host", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade")
)
_CONNECTION_FIELDS: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_NOT_IN_TRAILERS: Final = _CONNECTION_FIELDS | {b"content-length", b"host"}
"""RFC 9110 §6.5.1: not those "necessary for message framing", "routing" and the like."""
_MOST_PIECES: Final = 16
"""Chunks of a body that are joined, each of which may be a byte."""
_DIRECT: Final = 64 * 1024
_SETTINGS_HEAD: Final = b"\x04\x00\x00\x00\x00\x00"
"""Type, flags and stream of a SETTINGS frame, which come after three bytes of length."""
_FRAME_HEAD: Final = 9
_ALERT: Final = b"\x15\x03"
"""RFC 8446 §5.1, §6: the content type of an alert, and the first byte of the version."""
_ALERT_LENGTH: Final = b"\x00\x02"
_RECORD_HEAD: Final = 5
_FOREIGN: Final = frozenset((b"\x00", _ALERT[:1]))
"""How no response of HTTP/1.1 begins."""


@interrupt_safe
class Http1ClientExchange:
    """One exchange; see `Exchange` for what it can do."""

    def __init__(self, connection: Http1Connection, request: Outgoing) -> None:
        self._connection = connection
        self._wire = connection.wire
        self._request = request
        self._key: str | None = None
        """Of a WebSocket that is asked for."""
        self._tunnel = False
        """Bytes go both ways as they are."""
        self._sent_end = False
        """Our side of the tunnel has ended."""
        self._error: h11.RemoteProtocolError | None = None
        """What is wrong with what came behind the head, for whoever receives the body."""
        self._sending = trio.Lock()
        self._receiving = trio.Lock()
        self._response: Headers | None = None
        self._chunked = False
        self._left = b""
        self._read_all = False
        self._over = False
        self._told = 0
        self._what = "a request"
        self._beginning = b""
        self.informational: list[Headers] = []
        self.trailers: Headers | None = None

    @property
    def send_unwanted(self) -> bool:
        """Whether the server has closed its side, or answered, so that nobody reads the rest."""
        return self._over or self._wire.our_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)

    @property
    def readable(self) -> bool:
        """Whether bytes of the body are here, or its end."""
        return self._read_all or bool(self._left) or self._error is not None

    @property
    def body_ended(self) -> bool:
        """Whether the body was taken to its end."""
        return self._read_all and not self._left

    async def begin(self, request: Outgoing, body: bytes, *, end_stream: bool) -> None:
        """Sends the head, and what there is of the body."""
        given = request.headers if isinstance(request.headers, Headers) else Headers(request.headers)
        end_stream = end_stream or request.switches
        fields = [field for field in given.raw if field[0] not in _DROPPED and field[0][:1] != b":"]
        authority = given.get(":authority") or given.get("host") or request.origin.authority
        head = [(b"host", authority.encode("latin-1")), *fields]
        names = {name for name, _ in fields}
        if b"content-length" not in names:
            if not end_stream:
                head.append((b"transfer-encoding", b"chunked"))
                self._chunked = True
            elif body or request.method not in _NO_BODY:
                head.append((b"content-length", b"%d" % len(body)))
        if request.protocol is not None:
            head += [(b"connection", b"upgrade"), (b"upgrade", request.protocol.encode("latin-1"))]
            if request.protocol.lower() == "websocket":
                self._key = new_key()
                head.append((b"sec-websocket-key", self._key.encode("ascii")))
        if request.expect_continue and (body or not end_stream) and b"expect" not in names:
            head.append((b"expect", b"100-continue"))
        target = request.target if request.method != "CONNECT" else authority
        forward = self._connection.forward
        if forward is not None:
            # RFC 9112 §3.2.2: "When making a request to a proxy, other than a CONNECT or server-wide OPTIONS request
            # […], a client MUST send the target URI in 'absolute-form' as the request-target."
            target = f"{request.origin}{request.target}"
            head += forward.headers.raw
            self._what = f"a request to {request.origin}"
        hold = request.expect_continue
        try:
            data = self._wire.send(h11.Request(method=request.method, target=target, headers=head)) or b""
            if not hold:
                data += self._framed(body, end=end_stream)
            await self._connection.send(data)
            if hold:
                with trio.move_on_after(self._connection.hold_seconds):
                    await self._wait_for_100()
                if self._response is None and not self._over:
                    await self._connection.send(self._framed(body, end=end_stream))
        except h11.LocalProtocolError as exc:
            forget_frames(exc)
            self.destroy()
            raise LocalProtocolError(f"HTTP/1.1 cannot say this request: {exc}") from None
        except BaseException:
            self.destroy()
            raise

    def _framed(self, body: bytes, *, end: bool) -> bytes:
        data = self._wire.send(h11.Data(data=body)) or b"" if body else b""
        return data + (self._wire.send(h11.EndOfMessage()) or b"") if end else data

    async def _wait_for_100(self) -> None:
        """Until the server asks for the body, or has answered."""
        while self._response is None and not any(head.status == 100 for head in self.informational):
            await self._next_head()

    async def send_all(self, data: bytes, /) -> None:
        """Sends bytes of the body; drops them when nobody reads them any more."""
        async with self._sending:
            if self.send_unwanted:
                return
            if self._tunnel:
                await self._connection.send(data)
                return
            for start in range(0, len(data), _DIRECT):
                try:
                    piece = self._wire.send(h11.Data(data=data[start : start + _DIRECT])) or b""
                except h11.LocalProtocolError as exc:
                    raise LocalProtocolError(f"the body of the request is not right: {exc}") from None
                await self._connection.send(piece)

    async def send_eof(self) -> None:
        """Ends the request."""
        await self._send_end([])

    async def send_trailers(self, headers: Headers, /) -> None:
        """Ends the request with trailers; they are dropped where the body is not chunked."""
        for name, _ in headers.raw:
            if name in _NOT_IN_TRAILERS or name[:1] == b":":
                raise ValueError(f"header field {name.decode('latin-1')!r} is not allowed in trailers")
        # RFC 9112 §7.1.2: trailers are a part of the chunked coding, and of no other.
        await self._send_end(headers.raw if self._chunked else [])

    def prioritize(self, priority: Priority, /) -> None:
        """HTTP/1.1 cannot say it."""

    async def _send_end(self, trailers: list[tuple[bytes, bytes]]) -> None:
        async with self._sending:
            if self.send_unwanted:
                return
            if self._tunnel:
                await self._connection.send_eof()
                self._sent_end = True
                if self._read_all:
                    self._finish()
                return
            try:
                end = self._wire.send(h11.EndOfMessage(headers=trailers)) or b""
            except h11.LocalProtocolError as exc:
                raise LocalProtocolError(f"the body of the request is not right: {exc}") from None
            await self._connection.send(end)
            if self._read_all:
                self._finish()

    async def receive_informational(self) -> Headers | None:
        """Waits for the next 1xx response, ``None`` if the final one has come."""
        await trio.lowlevel.checkpoint_if_cancelled()
        async with self._receiving:
            while len(self.informational) <= self._told and self._response is None:
                await self._next_head()
        if len(self.informational) > self._told:
            self._told += 1
            return self.informational[self._told - 1]
        return None

    async def receive_response(self) -> Headers:
        """Waits for the head of the final response."""
        await trio.lowlevel.checkpoint_if_cancelled()
        async with self._receiving:
            while self._response is None:
                await self._next_head()
        return self._response

    async def _next_head(self) -> None:
        event = await self._next()
        if isinstance(event, h11.InformationalResponse):
            if event.status_code == 101:
                self._response = self._agreed(list(event.headers))
                self._switch()
                return
            self.informational.append(headers_of(event.status_code, list(event.headers)))
            if len(self.informational) > 100:
                raise malformed("more than 100 interim responses")
        elif isinstance(event, h11.Response):
            head = headers_of(event.status_code, list(event.headers))
            forward = self._connection.forward
            if forward is not None and event.status_code == 407:
                self.destroy()
                reason = event.reason.decode("ascii", "backslashreplace")
                raise proxy_refusal(forward.url, self._what, 407, reason, head)
            self._response = head
            if self._request.switched(event.status_code, "1.1"):
                self._switch()
            else:
                self._take_what_is_here()
        else:
            self.destroy()
            raise lost("the server closed the connection without a response")

    def _agreed(self, fields: list[tuple[bytes, bytes]]) -> Headers:
        """Returns the head of a 101 that does what was asked for.

        Raises:
            RemoteProtocolError: it does something else.
        """
        protocol, named = self._request.protocol, dict(fields).get(b"upgrade", b"").decode("latin-1")
        if protocol is None or named.lower() != protocol.lower():
            self.destroy()
            raise malformed("101, which nobody asked for")
        head = headers_of(101, fields)
        if self._key is not None and head.get("sec-websocket-accept", "").strip() != accept_key(self._key):
            # RFC 6455 §4.1: "the client MUST _Fail the WebSocket Connection_."
            self.destroy()
            raise malformed("a sec-websocket-accept that does not belong to our key")
        return head

    def _switch(self) -> None:
        """From now on, bytes are passed on as they are."""
        self._tunnel = True
        self._left = self._wire.trailing_data[0]
        self._connection.switch()

    def _take_what_is_here(self) -> None:
        """Takes what came of the body with the head, so that `readable` and `body_ended` know of it."""
        for _ in range(_MOST_PIECES):
            try:
                event = self._wire.next_event()
            except h11.RemoteProtocolError as exc:
                self._error = exc  # the head is none the worse for it
                return
            if not isinstance(event, h11.Data | h11.EndOfMessage):
                return
            self._take(event)
            if self._read_all:
                return

    def _take(self, event: h11.Data | h11.EndOfMessage) -> None:
        if isinstance(event, h11.Data):
            self._left += bytes(event.data)
            return
        if event.headers:
            self.trailers = Headers.from_raw(list(event.headers))
        self._read_all = True
        self._finish()

    async def receive_some(self, max_bytes: int | None = None, /) -> bytes:
        """Receives bytes of the body, ``b""`` at its end."""
        limit = _DIRECT if max_bytes is None else max_bytes
        await trio.lowlevel.checkpoint_if_cancelled()
        async with self._receiving:
            while not self._left and not self._read_all:
                if self._tunnel:
                    await self._receive_bytes()
                    continue
                event = await self._next()
                if isinstance(event, h11.Data | h11.EndOfMessage):
                    self._take(event)
            data, self._left = self._left[:limit], self._left[limit:]
        return data

    def receive_some_nowait(self, max_bytes: int | None = None, /) -> bytes:
        """The same, but raises `trio.WouldBlock` where that would wait."""
        if not (self._left or self._read_all):
            raise trio.WouldBlock
        limit = _DIRECT if max_bytes is None else max_bytes
        data, self._left = self._left[:limit], self._left[limit:]
        return data

    async def _receive_bytes(self) -> None:
        if self._over:
            raise trio.ClosedResourceError("this exchange was given up")
        self._left = await self._connection.receive()
        if not self._left:
            self._read_all = True
            if self._sent_end:
                self._finish()

    async def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        ended = False
        while True:
            try:
                if self._error is not None:
                    raise self._error
                event = self._wire.next_event()
            except h11.RemoteProtocolError as exc:
                self._error = None
                forget_frames(exc)
                self.destroy()
                if ended:
                    what = "without a response" if self._response is None else "before its response had ended"
                    raise lost(f"the server closed the connection {what}") from None
                raise malformed(str(exc).partition(": b")[0]) from None
            if event is not h11.NEED_DATA:
                return event
            if self._over:
                raise trio.ClosedResourceError("this exchange was given up")
            data = await self._connection.receive()
            ended = not data
            first = self._response is None and not self.informational
            if first and (self._beginning or data[:1] in _FOREIGN):
                data = self._beginning = self._beginning + data
                if not ended and self._maybe_foreign(data):
                    continue  # h11 would refuse it at once, be it one byte of it
            self._wire.receive_data(data)

    def _maybe_foreign(self, data: bytes) -> bool:
        """Whether *data* may become the SETTINGS frame that a server of HTTP/2 begins with (RFC 9113 §3.4), or an alert
        of TLS.

        No server of HTTP/1.1 begins with a zero byte, and each SETTINGS frame of less than 64 KiB does.

        Raises:
            RemoteProtocolError: it is such a frame.
            HandshakeError: it is an alert.
        """
        if data[:1] == _ALERT[:1]:
            if len(data) < _RECORD_HEAD:
                return True
            if data.startswith(_ALERT) and data[3:_RECORD_HEAD] == _ALERT_LENGTH:
                self.destroy()
                raise speaks_tls()
            return False
        if len(data) < _FRAME_HEAD:
            return True
        if data[3:_FRAME_HEAD] == _SETTINGS_HEAD:
            self.destroy()
            raise speaks_http2()
        return False

    def _finish(self) -> None:
        """Both sides have ended, or ours never will: the response is whole."""
        if not self._over and self._wire.our_state is not h11.SEND_BODY:
            self._over = True
            self._connection.done(reusable=True)

    def destroy(self) -> None:
        """Gives the exchange up, and with it the connection, unless it has ended."""
        if not self._over:
            self._over = True
            if self._tunnel:
                self._connection.abort()
            self._connection.done(reusable=False)


def headers_of(status: int, fields: list[tuple[bytes, bytes]]) -> Headers:
    """Returns a response's head as HTTP/2 would have said it, without what is about the connection."""
    named = {option.strip().lower() for name, value in fields if name == b"connection" for option in value.split(b",")}
    dropped = _CONNECTION_FIELDS | (named - {b"content-length"})
    return Headers.from_raw([(b":status", b"%d" % status), *(field for field in fields if field[0] not in dropped)])

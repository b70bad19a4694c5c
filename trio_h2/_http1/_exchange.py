"""One request and its response over HTTP/1.1, in the shape of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .._errors import LocalProtocolError
from .._stream._inbox import Inbox
from .._stream._server import ServerStream
from .._util import interrupt_safe
from .._wire._headers import Headers
from .._wire._outbound import informational_fields

if TYPE_CHECKING:
    from .._stream._core import StreamCore
    from .._wire._headers import HeadersInput
    from ._connection import Http1Connection
    from ._request import RequestHead
    from ._wire import Http1Wire


@interrupt_safe
class Http1Exchange(ServerStream):
    """What a handler gets for a request over HTTP/1.1: a stream, as far as anybody who answers requests can tell.

    `id` counts the requests of the connection, and `session` is the `Http1Connection`. What is different:

    * `reset`, and whatever else cuts a response short, closes the connection; no code reaches the client.
    * What is unread of the request when its response is whole is read for a moment and thrown away; if there is more
      of it, the connection closes after the response.
    * Trailers need a chunked body: with a ``content-length``, or to an HTTP/1.0 client, they are left out.
    * After a CONNECT was answered with 2xx, or after `switch_protocols`, bytes are passed on in both directions as
      they are. TLS cannot end one direction: there `send_eof` ends both, and what still comes is thrown away.
    * A handler that runs on when request and response are whole does not keep the connection from the next request: up
      to eight may do so.
    * The handler is cancelled when the client has left: when the connection breaks, or the client ends its side of it
      before the response is whole. ``ServerConfig.allow_half_open`` lets clients without TLS end their side and wait.
    """

    def __init__(self, core: StreamCore, wire: Http1Wire, head: RequestHead) -> None:
        super().__init__(core, pushes=None)
        self._wire = wire
        self._head = head

    @property
    def session(self) -> Http1Connection:  # type: ignore[override]  # a stream of HTTP/1.1 has no HTTP/2 session
        """The connection that the request came on; the same still when it is over."""
        return cast("Http1Connection", self._core.session)

    @property
    def http_version(self) -> str:
        """``"1.1"`` or ``"1.0"``."""
        return self._head.version

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The request headers as pairs, in order, with duplicates; names in the case in which the client sent them."""
        return self._head.raw_headers()

    @property
    def field_lines(self) -> list[tuple[bytes, bytes]]:
        """All that the client has sent as header fields, in order, names in its case: also what is about the connection
        alone, ``connection`` and ``transfer-encoding`` say, which `headers` and `raw_headers` leave out.
        """
        return list(self._head.spelled())

    @property
    def raw_trailers(self) -> list[tuple[bytes, bytes]]:
        """The trailers likewise; empty before they came."""
        return self._head.raw_trailers()

    @property
    def expects_continue(self) -> bool:
        """Whether the client asked for 100 before it sends the body.

        RFC 9110 §10.1.1: a server that receives the expectation "in an HTTP/1.0 request MUST ignore" it.
        """
        return self._head.version != "1.0" and super().expects_continue

    @property
    def sent_status(self) -> int | None:
        """As `ServerStream.sent_status`; if the client has broken the rules, then what the library told it, 400 say."""
        status = super().sent_status
        return self._wire.answered if status is None else status

    @property
    def upgrade(self) -> str:
        """The protocols that the client would rather speak, from its ``upgrade`` field; empty if there are none.

        RFC 9110 §7.8: a server "MUST ignore an Upgrade header field that is received in an HTTP/1.0 request", and the
        field counts only if ``connection`` names it.
        """
        fields = self._head.connection_fields
        named = b",".join(value for name, value in fields if name == b"connection").lower().split(b",")
        if self._head.version == "1.0" or b"upgrade" not in (one.strip() for one in named):
            return ""
        return b", ".join(value for name, value in fields if name == b"upgrade").decode("latin-1")

    async def switch_protocols(self, protocol: str, headers: HeadersInput | None = None) -> None:
        """Answers 101 to a request that asked for another protocol (RFC 9110 §15.2.2), instead of `respond`.

        From then on `send_all` and `receive_some` pass bytes on as they are, and the connection ends with the
        exchange. Cancelled: nothing was sent.

        Args:
            protocol: one of those in `upgrade`.
            headers: further fields, without ``connection`` and ``upgrade``.

        Raises:
            ValueError: a field is not allowed, or the client did not ask for *protocol*.
            LocalProtocolError: the headers were sent before, or the request's body has not been received.
            StreamResetError, SessionError: the exchange, or the connection, broke.
            trio.ClosedResourceError: this side closed the exchange.
        """
        if protocol not in (one.strip() for one in self.upgrade.split(",")) or not protocol:
            raise ValueError(f"the client asked for {self.upgrade or 'no other protocol'!r}, not for {protocol!r}")
        fields = informational_fields(103, headers)[1:]
        core, wire = self._core, self._wire
        with core.outbox.turn:
            self._check_can_switch()
            await core.port.control_room()
            self._check_can_switch()
            core.sent_headers = Headers.from_raw([(b":status", b"101"), *fields])
            self._no_trailers = True
            core.end_after_headers = False
            core.inbox = Inbox(core.port, core.id, core.whose)  # the old one has ended with the request
            wire.switch_protocols(core.id, protocol.encode("latin-1"), fields)
            core.port.wake_writer()

    def _check_can_switch(self) -> None:
        self._check_can_respond()
        if not self._wire.request_complete:
            raise LocalProtocolError("the request's body must be received first", stream_id=self._core.id, stream=self)

    def _about_to_wait(self) -> None:
        super()._about_to_wait()
        if self.method == "CONNECT" and not self.headers_sent:
            self._wire.tunnel_wanted = True
            self._core.port.wake_writer()  # the client may have gone

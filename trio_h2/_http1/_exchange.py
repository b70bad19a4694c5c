"""One request and its response over HTTP/1.1, in the shape of a stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

import trio

from .._errors import LocalProtocolError
from .._stream._inbox import Inbox
from .._stream._server import ServerStream
from .._wire._headers import Headers
from .._wire._outbound import response_fields

if TYPE_CHECKING:
    from .._stream._port import SessionPort
    from .._wire._headers import HeadersInput, RawField
    from ._request import RequestHead
    from ._wire import Http1Wire

_PROTOCOL: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?")
"""RFC 9110 §7.8: protocol-name ["/" protocol-version]"""


class Http1Exchange(ServerStream):
    """What a handler gets for a request over HTTP/1.1: a stream, as far as anybody who answers requests can tell.

    `id` counts the requests of the connection, and `session` is the `Http1Connection`. What is different:

    * `reset`, and whatever else cuts a response short, closes the connection; no code reaches the client.
    * What is unread of the request when its response is whole is read for a moment and thrown away; if there is more
      of it, the connection closes after the response.
    * Trailers need a chunked body: with a ``content-length``, or to an HTTP/1.0 client, they are left out.
    * After a CONNECT was answered with 2xx, or any request by `switch_protocols`, octets are passed on in both
      directions as they are.
    * The handler is cancelled when the connection breaks, or ends before the request does. A client that only ends its
      own side, over TCP or a Unix socket, still gets its response; TLS knows no such thing, there it has left.
    """

    def __init__(self, port: SessionPort, number: int, head: RequestHead, end_stream: bool) -> None:
        super().__init__(port, number, head.headers, end_stream)
        self._http_version = head.version
        self._connection_fields = head.connection_fields

    @property
    def http_version(self) -> str:
        """``"1.1"`` or ``"1.0"``."""
        return self._http_version

    @property
    def expects_continue(self) -> bool:
        """Whether the client asked for 100 before it sends the body.

        RFC 9110 §10.1.1: a server that receives the expectation "in an HTTP/1.0 request MUST ignore" it.
        """
        return self._http_version != "1.0" and super().expects_continue

    @property
    def upgrade(self) -> tuple[str, ...]:
        """The protocols that the client would rather speak on this connection, in lower case (RFC 9110 §7.8).

        Empty for requests with a body, whose end would have to come first, and over HTTP/1.0.
        """
        fields = [(name, value.decode("latin-1").lower().split(",")) for name, value in self._connection_fields]
        options = [option.strip() for name, values in fields if name == b"connection" for option in values]
        if self._http_version == "1.0" or not self._end_after_headers or "upgrade" not in options:
            return ()
        return tuple(one.strip() for name, values in fields if name == b"upgrade" for one in values if one.strip())

    async def switch_protocols(self, protocol: str, headers: HeadersInput | None = None) -> None:
        """Answers with 101: from now on, octets are passed on in both directions as they are (RFC 9110 §15.2.2).

        Takes the place of `respond`; the connection ends with this exchange. Cancelled: nothing was sent.

        Args:
            protocol: one of those in `upgrade`.
            headers: further fields.

        Raises:
            ValueError: *protocol* or a field is not allowed.
            LocalProtocolError: the client has not offered it, or the response was sent before.
            trio.ClosedResourceError: this side closed the exchange.
            SessionError: the connection broke.
        """
        if not _PROTOCOL.fullmatch(protocol):
            raise ValueError(f"protocol must be a name like 'websocket', not {protocol!r}")
        given = Headers({} if headers is None else headers)
        fields: list[RawField] = response_fields(Headers([(":status", "200"), *given.raw]))[1:]
        with self._outbox.exclusive():
            self._check_can_switch(protocol)
            await trio.lowlevel.checkpoint()
            self._check_can_switch(protocol)
            name = protocol.encode("ascii")
            fields = [(b"connection", b"upgrade"), (b"upgrade", name), *fields]
            self._sent_headers = Headers.from_raw([(b":status", b"101"), *fields])
            self._no_trailers = True
            self._inbox = Inbox(self._port, self._id)  # that of the request has ended
            cast("Http1Wire", self._port._engine).switch_protocols(self._id, fields)
            self._port._wake_writer()

    def _check_can_switch(self, protocol: str) -> None:
        self._check_can_respond()
        if protocol.lower() not in self.upgrade:
            raise LocalProtocolError(f"the client does not offer to switch to {protocol!r}")

    def _respond_500(self) -> None:
        self._port._engine.send_response(self._id, [(b":status", b"500"), (b"content-length", b"0")], end_stream=True)
        self._outbox.end_with_headers()
        self._port._wake_writer()

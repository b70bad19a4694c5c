"""One request and its response over HTTP/1.1, in the shape of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._stream._server import ServerStream

if TYPE_CHECKING:
    from .._stream._port import SessionPort
    from ._request import RequestHead


class Http1Exchange(ServerStream):
    """What a handler gets for a request over HTTP/1.1: a stream, as far as anybody who answers requests can tell.

    `id` counts the requests of the connection, and `session` is the `Http1Connection`. What is different:

    * `reset`, and whatever else cuts a response short, closes the connection; no code reaches the client.
    * What is unread of the request when its response is whole is read for a moment and thrown away; if there is more
      of it, the connection closes after the response.
    * Trailers need a chunked body: with a ``content-length``, or to an HTTP/1.0 client, they are left out.
    * After a CONNECT was answered with 2xx, octets are passed on in both directions as they are.
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

    def _respond_500(self) -> None:
        self._port._engine.send_response(self._id, [(b":status", b"500"), (b"content-length", b"0")], end_stream=True)
        self._outbox.end_with_headers()
        self._port._wake_writer()

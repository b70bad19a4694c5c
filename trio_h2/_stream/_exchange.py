"""One request and its response as a handler sees them, whatever the HTTP version below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .._content import DEFAULT_MAX_BODY_SIZE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .._content import JSONValue
    from .._wire._headers import Headers, HeadersInput
    from .._wire._schedule import Priority
    from ._port import StreamSession
    from ._proxied import Address
    from ._transport import TransportView


@runtime_checkable
class ServerExchange(Protocol):
    """What a handler needs of one request and its response: a `ServerStream`, over HTTP/1.1 an `Http1Exchange`.

    A handler that keeps to this serves both. Everything means the same on both; where HTTP/1.1 has no such thing, the
    docstring says what comes nearest. Every exchange is a `trio.abc.HalfCloseableStream`, too, whose bytes are the
    bodies. `Http1Exchange` is a `ServerStream` as well, so that whatever takes one serves both; what it cannot do over
    HTTP/1.1, push and priorities, does nothing or says that the client allows none.
    """

    @property
    def id(self) -> int:
        """The stream identifier; over HTTP/1.1, the number of the request on its connection."""

    # -- the request -----------------------------------------------------------------------------------------------

    @property
    def http_version(self) -> str:
        """``"2.0"``, ``"1.1"`` or ``"1.0"``: what the client speaks."""

    @property
    def headers(self) -> Headers:
        """The request headers, pseudo-headers included.

        Over HTTP/1.1 these are made of the request line and ``host``, which is left out then; so are the fields that
        are about the connection, and those that ``connection`` names (RFC 9110 §7.6.1).
        """

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The same as pairs, in order, with duplicates; over HTTP/1.1 with names in the case in which they came."""

    @property
    def method(self) -> str:
        """The request method."""

    @property
    def path(self) -> str:
        """Path and query as they came, but for bytes beyond ASCII, which are percent-encoded; empty for CONNECT."""

    @property
    def scheme(self) -> str:
        """``"https"`` or ``"http"``, with ``trusted_proxies`` as they tell it; empty for CONNECT."""

    @property
    def peer_address(self) -> Address | None:
        """The client's address, with ``trusted_proxies`` as they tell it; else that of the transport."""

    @property
    def priority(self) -> Priority:
        """How much the response matters to the client; over HTTP/1.1, as its ``priority`` field tells."""

    @property
    def authority(self) -> str:
        """The host (and port) the client asked for; empty if an HTTP/1.0 client names none."""

    @property
    def end_after_headers(self) -> bool:
        """Whether the request has no body and no trailers."""

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for 100 before it sends the body; the first wait for the body sends it."""

    @property
    def trailers(self) -> Headers | None:
        """The trailers that were received, ``None`` before; `receive_trailers` waits for them."""

    @property
    def raw_trailers(self) -> list[tuple[bytes, bytes]]:
        """The same as pairs, in order, with duplicates, and over HTTP/1.1 in their case; empty before they came."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives bytes of the request's body; ``b""`` at its end."""

    async def read(self, *, max_size: int = DEFAULT_MAX_BODY_SIZE) -> bytes:
        """Waits for the whole body, up to *max_size* bytes."""

    async def text(self, *, max_size: int = DEFAULT_MAX_BODY_SIZE, encoding: str | None = None) -> str:
        """Waits for the whole body, up to *max_size* bytes, and returns it as text."""

    async def json(self, *, max_size: int = DEFAULT_MAX_BODY_SIZE) -> JSONValue:
        """Waits for the whole body, up to *max_size* bytes, and returns what it says as JSON."""

    async def receive_trailers(self) -> Headers | None:
        """Discards what is unread of the body, and waits for the trailers; ``None`` if there are none."""

    def __aiter__(self) -> AsyncIterator[bytes | bytearray]:
        """Iterates over the bytes of the request's body."""

    # -- the response ----------------------------------------------------------------------------------------------

    @property
    def headers_sent(self) -> bool:
        """Whether the final response headers were sent."""

    @property
    def sent_headers(self) -> Headers | None:
        """The final response headers, ``None`` before."""

    @property
    def sent_info_headers(self) -> list[Headers]:
        """The 1xx responses that were sent, in order."""

    @property
    def sent_trailers(self) -> Headers | None:
        """The trailers handed over for sending, ``None`` before."""

    @property
    def buffer_size(self) -> int:
        """Bytes accepted for sending that are not on their way yet."""

    @property
    def body_sent(self) -> int:
        """Bytes of the response's body accepted for sending so far."""

    async def send_continue(self) -> None:
        """Sends 100 to a client that still waits for it; to others, nothing."""

    @property
    def send_unwanted(self) -> bool:
        """Whether what is sent is dropped, since the client wants nothing more: after HEAD, for example."""

    async def respond(
        self,
        headers: HeadersInput | int | None = None,
        *,
        body: bytes | None = None,
        end_stream: bool = False,
        send_date: bool = True,
    ) -> None:
        """Sends the final response headers; with *body*, the whole response; without *send_date*, none is added."""

    async def send_informational(self, status: int, headers: HeadersInput | None = None) -> None:
        """Sends a 1xx response; an HTTP/1.0 client is sent none (RFC 9110 §15.2)."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends body bytes."""

    async def wait_send_all_might_not_block(self) -> None:
        """Waits until there is room for body bytes."""

    async def send_eof(self) -> None:
        """Ends the response."""

    async def send_trailers(self, headers: HeadersInput) -> None:
        """Ends the response with trailers."""

    # -- what it runs on -------------------------------------------------------------------------------------------

    @property
    def session(self) -> StreamSession:
        """The HTTP/2 session, or the HTTP/1.1 connection: how a handler learns that it drains, for instance."""

    @property
    def transport(self) -> TransportView:
        """The transport, to look at: addresses, certificates, what ALPN agreed on."""

    @property
    def idle_timeout(self) -> float:
        """Seconds without a byte in either direction after which the exchange ends; 0 and ``None`` turn it off, which
        reads as `math.inf`.
        """

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None: ...

    def set_idle_timeout(self, seconds: float | None, on_idle: Callable[[], object] | None = None) -> None:
        """Sets `idle_timeout`; *on_idle* is called instead of ending the exchange, and the time begins anew.

        0 and ``None`` turn it off.
        """

    # -- its end ---------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether both sides have ended on the wire, or the exchange broke."""

    @property
    def aborted(self) -> bool:
        """Whether the exchange broke while our side was still open, whoever broke it."""

    @property
    def destroyed(self) -> bool:
        """Whether it is closed and given up on this side, so that nothing can be done with it."""

    async def wait_closed(self) -> None:
        """Waits until the exchange is over, in both directions; raises if it broke."""

    def reset(self, code: int = 0) -> None:
        """Ends the exchange at once. Over HTTP/1.1 that closes the connection."""

    def destroy(self, error: BaseException | None = None) -> None:
        """Ends the exchange at once, and drops what is unread."""

    async def aclose(self) -> None:
        """Closes the exchange: ends the response if it is whole, else resets."""

"""The transport as applications see it: to look at, not to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, TypeVar, cast, overload

import trio

from .._errors import LocalProtocolError
from .._util import NoPublicConstructor
from ._below_tls import below_tls
from ._forwarded import ForwardedClient
from ._proxied import proxy_header, socket_below, without_tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from .._wire._headers import Headers
    from ._byte_count import ByteCount
    from ._forwarded import TrustedProxies
    from ._proxied import Address

T = TypeVar("T")
_NOBODY: Final = ForwardedClient()


class TransportView(metaclass=NoPublicConstructor):
    """What is below a session: addresses, and what TLS agreed on; made by `Session.transport`.

    The bytes belong to the session: reading, writing or closing them here raises `LocalProtocolError`.
    """

    def __init__(
        self,
        transport: trio.abc.Stream,
        count: ByteCount,
        *,
        cleartext: str | None = "h2c",
        proxies: TrustedProxies | None = None,
    ) -> None:
        self._transport = transport
        self._cleartext = cleartext
        self._tls = transport if isinstance(transport, trio.SSLStream) else None
        tls = below_tls(transport)
        self._count = count if tls is None else tls.count
        self._asked_name = None if tls is None else tls.asked_name
        told = proxy_header(transport)
        below = socket_below(transport)
        # Asked for now: the socket will not tell any more when it is closed.
        self._local_address: Address | None = None
        self._peer_address: Address | None = None
        if below is not None:
            self._local_address = _address(below.socket.getsockname)
            self._peer_address = _address(below.socket.getpeername)
        self._proxy_address = None if told is None else self._peer_address
        if told is not None and told.peer_address is not None:
            self._peer_address, self._local_address = told.peer_address, told.local_address
        self._proxies = proxies if proxies is not None and proxies.trust(self._peer_address) else None

    def __repr__(self) -> str:
        tls = " over TLS" if self.encrypted else ""
        return f"<TransportView {type(self._transport).__name__} to {self._peer_address!r}{tls}>"

    # -- addresses -------------------------------------------------------------------------------------------------

    @property
    def local_address(self) -> Address | None:
        """This side's address: ``(host, port, …)``, a Unix path, or ``None`` where there is no socket.

        With ``proxy_protocol=True`` what the load balancer says that the client connected to.
        """
        return self._local_address

    @property
    def peer_address(self) -> Address | None:
        """The peer's address: ``(host, port, …)``, a Unix path, or ``None`` where there is no socket.

        With ``proxy_protocol=True`` the client's, as the load balancer tells it; its own when it speaks for itself.
        What proxies tell that speak HTTP is different for each request: `ServerStream.peer_address`.
        """
        return self._peer_address

    @property
    def proxy_address(self) -> Address | None:
        """The address of the load balancer that told `peer_address`; ``None`` without the PROXY protocol."""
        return self._proxy_address

    def forwarded_client(self, headers: Headers) -> ForwardedClient:
        """Returns what a request says of the client behind the peer, if the peer is one of ``trusted_proxies``."""
        return _NOBODY if self._proxies is None else self._proxies.client(headers)

    # -- the socket ------------------------------------------------------------------------------------------------

    @property
    def bytes_received(self) -> int:
        """How many bytes have come from the transport: with TLS those of its records, the handshake included.

        Not counted are a header of the PROXY protocol, and what is thrown away while the connection closes.
        """
        return self._count.received

    @property
    def bytes_sent(self) -> int:
        """How many bytes the transport has taken: with TLS those of its records, the handshake included."""
        return self._count.sent

    @overload
    def getsockopt(self, level: int, option: int) -> int: ...
    @overload
    def getsockopt(self, level: int, option: int, length: int) -> bytes: ...
    def getsockopt(self, level: int, option: int, length: int | None = None) -> int | bytes:
        """Asks for an option of the socket, as `socket.socket.getsockopt` does.

        Args:
            level: the level, `socket.SOL_SOCKET` say.
            option: the option, `socket.SO_RCVBUF` say.
            length: of a value that is a structure, its bytes; ``None`` for an int.

        Returns:
            The value, of the type that *length* asks for.

        Raises:
            RuntimeError: there is no socket below, but a transport in memory, say, or a stream of another session.
            trio.ClosedResourceError: it is closed.
            OSError: the system does not know the option.
        """
        sock = self._socket()
        return sock.getsockopt(level, option) if length is None else sock.getsockopt(level, option, length)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Sets an option of the socket, as `socket.socket.setsockopt` does: a buffer's size, for instance.

        TCP_NODELAY is set already, and what the ``tcp_`` options of the configuration say. Those that change how bytes
        are read, written or closed are for you to leave alone.

        Args:
            level: the level, `socket.SOL_SOCKET` say.
            option: the option, `socket.SO_SNDBUF` say.
            value: an int, or the bytes of a structure.

        Raises:
            RuntimeError: there is no socket below, but a transport in memory, say, or a stream of another session.
            trio.ClosedResourceError: it is closed.
            OSError: the system does not take it.
        """
        self._socket().setsockopt(level, option, value)

    def _socket(self) -> trio.socket.SocketType:
        below = socket_below(self._transport)
        if below is None:
            kind = type(without_tls(self._transport)).__name__
            raise RuntimeError(f"this session has no socket of its own: its transport is a {kind}")
        if below.socket.fileno() < 0:
            raise trio.ClosedResourceError("the socket is closed")
        return below.socket

    # -- TLS -------------------------------------------------------------------------------------------------------

    @property
    def encrypted(self) -> bool:
        """Whether the session speaks TLS itself."""
        return self._tls is not None

    @property
    def alpn_protocol(self) -> str | None:
        """What ALPN agreed on; ``None`` where it gave nothing.

        Without TLS ``"h2c"`` (RFC 9113 §3.1), or ``None`` below HTTP/1.1.
        """
        tls = self._tls
        return self._cleartext if tls is None else _asked(lambda: tls.selected_alpn_protocol())

    @property
    def tls_version(self) -> str | None:
        """The version of TLS, for example ``"TLSv1.3"``; ``None`` without TLS."""
        tls = self._tls
        return None if tls is None else _asked(lambda: tls.version())

    @property
    def cipher(self) -> tuple[str, str, int] | None:
        """Name, protocol version and secret bits of the cipher in use; ``None`` without TLS."""
        tls = self._tls
        return None if tls is None else _asked(lambda: tls.cipher())

    @property
    def server_hostname(self) -> str | None:
        """The name that the client has asked for (RFC 6066 §3); ``None`` without one, and without TLS.

        On a client it is also the one that was verified. On a server it is in lower case, and nothing but what the
        client said: nobody has compared it with the authority of requests, nor with the certificate.
        """
        if self._asked_name is not None:
            return self._asked_name
        return None if self._tls is None else self._tls.server_hostname

    @property
    def peer_certificate(self) -> bytes | None:
        """The peer's certificate in DER; ``None`` if it showed none, and without TLS.

        `ssl.DER_cert_to_PEM_cert` makes PEM of it.
        """
        tls = self._tls
        return None if tls is None else _asked(lambda: tls.getpeercert(binary_form=True))

    @property
    def peer_certificate_fields(self) -> dict[str, object] | None:
        """The fields of the peer's certificate, as `ssl.SSLSocket.getpeercert` tells them.

        Empty if it was not verified, ``None`` if there is none.
        """
        tls = self._tls
        return None if tls is None else _asked(lambda: tls.getpeercert())

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The context that TLS was set up with; ``None`` without TLS."""
        return None if self._tls is None else self._tls.context

    # -- refused ---------------------------------------------------------------------------------------------------

    def send_all(self, data: bytes | bytearray | memoryview) -> NoReturn:
        """Refuses, at the call: `LocalProtocolError`."""
        _refuse("written to; send on a stream of the session")

    def receive_some(self, max_bytes: int | None = None) -> NoReturn:
        """Refuses, at the call: `LocalProtocolError`."""
        _refuse("read; receive from a stream of the session")

    def send_eof(self) -> NoReturn:
        """Refuses, at the call: `LocalProtocolError`."""
        _refuse("closed; end the session with aclose() or destroy()")

    def aclose(self) -> NoReturn:
        """Refuses, at the call: `LocalProtocolError`."""
        _refuse("closed; end the session with aclose() or destroy()")


def _refuse(what: str) -> NoReturn:
    raise LocalProtocolError(f"the transport belongs to its session and cannot be {what}")


def _address(ask: Callable[[], object]) -> Address | None:
    try:
        address = ask()
    except OSError:  # the peer was faster
        return None
    return cast("Address", address)


def _asked(ask: Callable[[], T]) -> T | None:
    """Returns what *ask* does, or ``None`` before the handshake of a stream that the application has brought.

    Even looking up a method may raise then, so *ask* does that, too.
    """
    try:
        return ask()
    except trio.NeedHandshakeError:
        return None

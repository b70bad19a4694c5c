"""TLS for HTTP/2: contexts, the check of a server's context, the handshake (RFC 9113 §3.2 and §9.2).

A context that the user made is never changed. What it leaves open is checked where it shows:
`check_server_context` looks at a server's context before the server listens, and after each handshake the
result must be HTTP/2 by ALPN on TLS 1.2 or later with a cipher that HTTP/2 allows. Python's own handshake is
no help there: without a common protocol it *succeeds*, with `None` as the ALPN result.

`close_notify` is neither sent nor awaited (`https_compatible`): END_STREAM says whether a message is whole,
and many peers close without it. HTTP/1.1 connections say it, for there it may be the end of a body.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from .._errors import HandshakeError, UnknownProtocolError
from .._wire._codes import ErrorCode, Initiator

if TYPE_CHECKING:
    import os

    Path = str | os.PathLike[str]

ALPN: Final = "h2"
"""RFC 9113 §3.1: the name of "the protocol where HTTP/2 uses Transport Layer Security (TLS)"."""

ALPN_HTTP1: Final = "http/1.1"
"""RFC 7301 §6: the name of what came before."""

# RFC 9113 §9.2.2 prohibits the TLS 1.2 suites of Appendix A: all without an ephemeral key exchange, and all
# with a stream or block cipher or none. What is left has both of these in its OpenSSL name ("ADH", "AECDH":
# not authenticated; "ECDH", "DH": static keys).
_EPHEMERAL: Final = ("ECDHE-", "DHE-")
_AEAD: Final = frozenset({"GCM", "CCM", "CCM8", "CHACHA20"})
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK"
_PROBE_CIPHERS: Final = "ECDHE+AESGCM:DHE+AESGCM:ECDHE+CHACHA20:DHE+CHACHA20:ECDHE+AESCCM:DHE+AESCCM:@SECLEVEL=0"

_VERSIONS: Final = frozenset({"TLSv1.2", "TLSv1.3"})
_FAREWELL_SECONDS: Final = 1.0
_NOT_TLS: Final = re.compile(
    r"wrong version number|http request|https proxy request|packet length too long|record layer"
)


def server_ssl_context(
    cert: Path, key: Path | None = None, *, password: str | bytes | None = None, allow_http1: bool = False
) -> ssl.SSLContext:
    """Makes a context for an HTTP/2 server: TLS 1.2 or later, ALPN `h2`, no cipher that RFC 9113 prohibits.

    Args:
        cert: A PEM file with the certificate and the intermediate ones up to the CA.
        key: A PEM file with the private key; `None` if *cert* holds it too.
        password: Opens an encrypted private key. Nobody is ever asked for it on the terminal.
        allow_http1: Whether ALPN offers `http/1.1` too, for a server with the same option.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is not what it should be, the key belongs to another certificate, or the password
            is missing
            or wrong.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _set_http2_rules(context)
    if allow_http1:
        context.set_alpn_protocols([ALPN, ALPN_HTTP1])
    key_file = cert if key is None else key
    for file in (cert, key_file):
        _check_readable(file)

    def tell_password() -> str | bytes:
        # Called only for an encrypted key. Without a callback OpenSSL would ask on the terminal and block the
        # program.
        if password is None:
            raise ValueError(f"the private key in {key_file!s} is encrypted: give its password=")
        return password

    try:
        context.load_cert_chain(cert, key, tell_password)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"the key in {key_file!s} does not belong to the certificate in {cert!s}") from exc
        or_password = "" if password is None else ", or the password is wrong"
        raise ValueError(
            f"{cert!s} and {key_file!s} must hold a PEM certificate and its private key{or_password}"
        ) from exc
    return context


def client_ssl_context(ca: Path | None = None, *, verify: bool = True) -> ssl.SSLContext:
    """Makes a context for an HTTP/2 client: TLS 1.2 or later, ALPN `h2`, no cipher that RFC 9113 prohibits.

    Args:
        ca: A PEM file with the only certificate authorities to trust; `None` trusts those of the system.
        verify: `False` accepts any certificate of anybody. Anyone on the way can then read and change
            everything.

    Raises:
        OSError: *ca* cannot be read.
        ValueError: *ca* holds no PEM certificate, or is given although nothing is verified.
    """
    if ca is None:
        context = ssl.create_default_context()
    else:
        if not verify:
            raise ValueError(f"ca={ca!s} has no effect with verify=False: leave one of them out")
        _check_readable(ca)
        try:
            context = ssl.create_default_context(cafile=ca)
        except ssl.SSLError as exc:
            raise ValueError(f"{ca!s} must hold PEM certificates of certificate authorities") from exc
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _set_http2_rules(context)
    return context


def _set_http2_rules(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9113 §9.2.1: "A deployment of HTTP/2 over TLS 1.2 MUST disable compression." and "MUST disable
    # renegotiation."
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols([ALPN])


def _check_readable(file: Path) -> None:
    # The ssl module raises FileNotFoundError without saying which file.
    with open(file, "rb"):
        pass


def is_blocklisted(cipher: str, version: str) -> bool:
    """Whether RFC 9113 §9.2.2 and Appendix A prohibit a cipher suite.

    Args:
        cipher: OpenSSL's name of the suite, as `ssl.SSLSocket.cipher` tells it.
        version: The version of TLS in use, as `ssl.SSLSocket.version` tells it. The list is about TLS 1.2 and
            earlier.
    """
    if version == "TLSv1.3":
        return False
    return not (cipher.startswith(_EPHEMERAL) and not _AEAD.isdisjoint(cipher.split("-")))


def check_server_context(context: ssl.SSLContext) -> None:
    """Checks that *context* can serve HTTP/2, by starting one handshake in memory.

    The context is not changed. An `sni_callback` of it is called once, with no name, as for a client that sends none;
    if the handshake fails then, the context may still be right for other names, and nothing is said against it.

    Raises:
        TypeError: *context* is no `ssl.SSLContext`.
        ValueError: It cannot serve HTTP/2; the message says what to change.
    """
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {type(context).__name__}")
    if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError("the ssl_context is for clients only: make it with server_ssl_context(cert, key)")
    try:
        chosen = _probe_alpn(context)
    except ssl.SSLError as exc:
        if context.sni_callback is None:
            raise ValueError(f"the ssl_context cannot serve HTTP/2: {_explain_probe(context, exc)}") from exc
    else:
        if chosen != ALPN:
            raise ValueError(
                "the ssl_context does not negotiate HTTP/2: call set_alpn_protocols(['h2']) on it, "
                "or make it with server_ssl_context(cert, key)"
            )


def _probe_alpn(context: ssl.SSLContext) -> str | None:
    """Returns what *context* chooses for a client that offers `h2`; `ssl.SSLError` if it cannot answer at all."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    client_context.minimum_version = ssl.TLSVersion.TLSv1_2
    client_context.set_ciphers(_PROBE_CIPHERS)
    client_context.set_alpn_protocols([ALPN])
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    # The server chooses when it reads the ClientHello, or the second one after a HelloRetryRequest. That is
    # before a client certificate is asked for, so a server that requires one is no special case here, unless
    # it chose nothing.
    while not _finishes_handshake(client):
        try:
            _finishes_handshake(server)
        except ssl.SSLError as exc:
            if exc.reason != "PEER_DID_NOT_RETURN_A_CERTIFICATE":
                raise
            break
        if server.selected_alpn_protocol() is not None:
            break
    return server.selected_alpn_protocol()


def _finishes_handshake(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _explain_probe(context: ssl.SSLContext, exc: ssl.SSLError) -> str:
    newest = context.maximum_version
    if exc.reason == "UNSUPPORTED_PROTOCOL" or 0 < newest < ssl.TLSVersion.TLSv1_2:
        return "it must allow TLS 1.2 or later"
    # get_ciphers() always names those of TLS 1.3, allowed or not.
    no_tls13 = newest == ssl.TLSVersion.TLSv1_2 or bool(context.options & ssl.OP_NO_TLSv1_3)
    ciphers = [cipher for cipher in context.get_ciphers() if not (no_tls13 and cipher["protocol"] == "TLSv1.3")]
    if all(is_blocklisted(cipher["name"], cipher["protocol"]) for cipher in ciphers):
        return "it allows only ciphers that RFC 9113 §9.2.2 prohibits; allow ECDHE with AES-GCM or ChaCha20"
    return f"it has no usable certificate; call load_cert_chain(cert, key) on it ({_reason(exc)})"


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a finished TLS handshake agreed on."""

    alpn: str | None
    """The protocol that ALPN chose, `None` if it chose none."""
    version: str
    """The version of TLS, such as `"TLSv1.3"`."""
    cipher: str
    """OpenSSL's name of the cipher suite."""
    compression: str | None
    """The method of TLS compression, `None` (as HTTP/2 wants it) without."""


def negotiated(stream: trio.SSLStream[trio.abc.Stream]) -> Negotiated:
    """Reads what the handshake of *stream*, which must be finished, agreed on."""
    # SSLStream forwards these to its SSLObject at run time, out of sight of a type checker.
    alpn: str | None = stream.selected_alpn_protocol()
    version: str | None = stream.version()
    cipher: tuple[str, str, int] | None = stream.cipher()
    compression: str | None = stream.compression()
    assert version is not None, "the handshake is not finished"
    assert cipher is not None
    return Negotiated(alpn, version, cipher[0], compression)


def weakness(agreed: Negotiated) -> str | None:
    """Says what makes a connection too weak for HTTP/2 by RFC 9113 §9.2, `None` if it is good enough."""
    if agreed.version not in _VERSIONS:
        # RFC 9113 §9.2: "Implementations of HTTP/2 MUST use TLS version 1.2 or higher for HTTP/2 over TLS."
        return f"{agreed.version} is in use"
    if is_blocklisted(agreed.cipher, agreed.version):
        return f"the cipher {agreed.cipher} is prohibited"
    if agreed.compression is not None:
        return f"TLS compression ({agreed.compression}) is in use"
    return None


async def wrap_client(
    transport: trio.abc.Stream,
    context: ssl.SSLContext,
    server_hostname: str | None,
    *,
    timeout: float,  # noqa: ASYNC109 - from the configuration; nobody above is in a position to hold a scope
) -> trio.SSLStream[trio.abc.Stream]:
    """Does the client's side of a TLS handshake over *transport* and makes sure that HTTP/2 came out of it.

    If this fails or is cancelled, *transport* is closed.

    Args:
        transport: The stream below; it belongs to the result.
        context: Offers `h2` by ALPN. It is not changed.
        server_hostname: The name or address that the certificate must be for, sent to the server (SNI) if it
            is a name.
        timeout: How many seconds the handshake may take; `math.inf` for no limit.

    Raises:
        UnknownProtocolError: The server did not choose HTTP/2.
        HandshakeError: Anything else went wrong; the code is `INADEQUATE_SECURITY` if it was RFC 9113 §9.2.
        ValueError: *context* must verify a name and none was given.
    """
    if server_hostname is not None:
        # Neither a zone nor a final dot is part of a certificate. RFC 6066 §3: the name is sent "without a
        # trailing dot".
        server_hostname = server_hostname.partition("%")[0].removesuffix(".")
    peer = "the server" if server_hostname is None else f"the server at {server_hostname}"
    return await _wrap(transport, context, timeout, peer, server_hostname=server_hostname, server_side=False)


async def wrap_server(
    transport: trio.abc.Stream,
    context: ssl.SSLContext,
    *,
    timeout: float,  # noqa: ASYNC109 - from the configuration; nobody above is in a position to hold a scope
    any_protocol: bool = False,
) -> trio.SSLStream[trio.abc.Stream]:
    """Does the server's side of a TLS handshake over *transport* and makes sure that HTTP/2 came out of it.

    If this fails or is cancelled, *transport* is closed.

    Args:
        transport: The stream below; it belongs to the result.
        context: Accepts `h2` by ALPN (see `check_server_context`). It is not changed.
        timeout: How many seconds the handshake may take; `math.inf` for no limit.
        any_protocol: Whether to return also what is not HTTP/2, see `negotiated`.

    Raises:
        UnknownProtocolError: TLS succeeded, but the client did not offer HTTP/2.
        HandshakeError: Anything else went wrong; the code is `INADEQUATE_SECURITY` if it was RFC 9113 §9.2.
    """
    peer = "the client"
    return await _wrap(
        transport, context, timeout, peer, server_hostname=None, server_side=True, any_protocol=any_protocol
    )


def unknown_protocol(alpn: str | None) -> UnknownProtocolError:
    """Returns the error about a client with which ALPN gave nothing that a server can use."""
    return _alpn_error(alpn, "the client", server_side=True)


async def _wrap(
    transport: trio.abc.Stream,
    context: ssl.SSLContext,
    seconds: float,
    peer: str,
    *,
    server_hostname: str | None,
    server_side: bool,
    any_protocol: bool = False,
) -> trio.SSLStream[trio.abc.Stream]:
    try:
        if not server_side and context.check_hostname and server_hostname is None:
            # Python refuses this for sockets only; with an in-memory handshake it would just not check the name.
            raise ValueError("server_hostname is needed: the ssl_context verifies the name of the server")
        stream = trio.SSLStream(
            transport,
            context,
            server_hostname=server_hostname,
            server_side=server_side,
            https_compatible=True,
        )
        with trio.move_on_after(seconds) as deadline:
            try:
                await stream.do_handshake()
            except trio.BrokenResourceError as broken:
                # Trio wraps the interesting error in an empty one.
                raise _tls_error(broken.__cause__, peer, server_side=server_side) from (broken.__cause__ or broken)
        if deadline.cancelled_caught:
            raise HandshakeError(
                f"the TLS handshake with {peer} was not finished after {seconds:g} seconds",
                initiator=Initiator.LIBRARY,
            )
        agreed = negotiated(stream)
        if agreed.alpn != ALPN and any_protocol:
            return stream
        if agreed.alpn != ALPN:
            raise _alpn_error(agreed.alpn, peer, server_side=server_side)
        why = weakness(agreed)
        if why is not None:
            await _send_goodbye(stream, why, server_side=server_side)
            raise HandshakeError(
                f"the TLS connection with {peer} is too weak for HTTP/2 (RFC 9113 §9.2): {why}; "
                "allow TLS 1.2 or later with an ECDHE cipher and AES-GCM or ChaCha20 on both sides",
                code=ErrorCode.INADEQUATE_SECURITY,
                initiator=Initiator.LIBRARY,
            )
    except BaseException:
        # Shielded and cancelled: closes at once, and no Cancelled of an outer scope replaces the error.
        with trio.CancelScope(shield=True) as at_once, contextlib.suppress(trio.BrokenResourceError):
            at_once.cancel()
            await transport.aclose()
        raise
    return stream


async def _send_goodbye(stream: trio.SSLStream[trio.abc.Stream], why: str, *, server_side: bool) -> None:
    """Tells the peer why its session ends before it began.

    RFC 9113 §9.2.2 allows "a connection error (Section 5.4.1) of type INADEQUATE_SECURITY", and §5.4.1: "An
    endpoint that encounters a connection error SHOULD first send a GOAWAY frame". There is no session yet, so
    the preface (§3.4) and the frame are written by hand.
    """
    debug = why.encode("ascii")
    data = b"" if server_side else b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    data += _frame(0x4, b"")  # SETTINGS
    data += _frame(0x7, struct.pack(">LL", 0, ErrorCode.INADEQUATE_SECURITY) + debug)  # GOAWAY
    transport = stream.transport_stream
    with trio.move_on_after(_FAREWELL_SECONDS), contextlib.suppress(trio.BrokenResourceError):
        await stream.send_all(data)
        if isinstance(transport, trio.abc.HalfCloseableStream):
            # TCP answers input that nobody has read with a reset, which can overtake what was just sent. So say
            # that this was all, and read until the peer closes.
            await transport.send_eof()
            while await transport.receive_some():
                pass


def _frame(frame_type: int, payload: bytes) -> bytes:
    return struct.pack(">LBBL", len(payload), frame_type, 0, 0)[1:] + payload


def _alpn_error(chosen: str | None, peer: str, *, server_side: bool) -> UnknownProtocolError:
    result = "ALPN chose nothing" if chosen is None else f"ALPN gave {chosen!r}"
    if chosen is None and not server_side:
        result += "; if the ssl_context is your own, call set_alpn_protocols(['h2']) on it"
    return UnknownProtocolError(f"{peer} did not negotiate HTTP/2 ({result})", initiator=Initiator.LIBRARY)


def _tls_error(cause: BaseException | None, peer: str, *, server_side: bool) -> HandshakeError:
    """Puts into words why a handshake failed, and who ended it."""
    if not isinstance(cause, ssl.SSLError):
        return HandshakeError(f"the connection to {peer} broke during the TLS handshake", initiator=Initiator.REMOTE)
    reason = _reason(cause)
    if isinstance(cause, ssl.SSLCertVerificationError):
        message = f"the certificate of {peer} was not accepted: {cause.verify_message}"
        if not server_side and "certificate" in cause.verify_message and "issuer" in cause.verify_message:
            message += " (trust its authority with client_ssl_context(ca=…))"
        return HandshakeError(message, initiator=Initiator.LIBRARY)
    if "alert no application protocol" in reason:
        return UnknownProtocolError(
            f"{peer} did not negotiate HTTP/2 (it refused ALPN 'h2')", initiator=Initiator.REMOTE
        )
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        message = f"{peer} closed the connection during the TLS handshake"
        return HandshakeError(message, initiator=Initiator.REMOTE)
    if " alert " in reason:
        return HandshakeError(f"{peer} refused the TLS handshake: {reason}", initiator=Initiator.REMOTE)
    if _NOT_TLS.search(reason):
        hint = "" if server_side else "; is it an http:// server?"
        return HandshakeError(f"{peer} does not speak TLS ({reason}){hint}", initiator=Initiator.LIBRARY)
    return HandshakeError(f"the TLS handshake with {peer} failed: {reason}", initiator=Initiator.LIBRARY)


def _reason(exc: ssl.SSLError) -> str:
    """What OpenSSL says, without the numbers and names of C files around it: `"wrong version number"`."""
    # `exc.reason` is None for whatever Python has no name for.
    return re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", str(exc.strerror or exc))

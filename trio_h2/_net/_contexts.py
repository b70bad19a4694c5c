"""Contexts for HTTP/2 over TLS: making right ones, and checking one that a user made (RFC 9113 §3.2 and §9.2).

A context that the user made is never changed. `check_server_context` looks at a server's before the server listens;
what it leaves open is checked after each handshake, see `_tls.py`.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from .._stream._alerts import reason_of

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
            is missing or wrong.
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


def client_ssl_context(ca: Path | None = None, *, verify: bool = True, allow_http1: bool = False) -> ssl.SSLContext:
    """Makes a context for an HTTP/2 client: TLS 1.2 or later, ALPN `h2`, no cipher that RFC 9113 prohibits.

    Args:
        ca: A PEM file with the only certificate authorities to trust; `None` trusts those of the system.
        verify: `False` accepts any certificate of anybody. Anyone on the way can then read and change
            everything.
        allow_http1: Whether ALPN offers `http/1.1` too, for a client that speaks it as well (`Client`; a session of
            `connect` does not).

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
    if allow_http1:
        context.set_alpn_protocols([ALPN, ALPN_HTTP1])
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


def check_server_context(
    context: ssl.SSLContext, *, allow_http1: bool | None = None, others_welcome: bool = False
) -> None:
    """Checks that *context* can serve HTTP/2, by starting handshakes in memory.

    The context is not changed. An `sni_callback` of it is called once, with no name, as for a client that sends none;
    if the handshake fails then, the context may still be right for other names, and nothing is said against it. Nor is
    it then asked about HTTP/1.1, which it may offer for some names only.

    Args:
        context: the context.
        allow_http1: Whether the server serves HTTP/1.1, which is to be what *context* offers; `None` does not check.
        others_welcome: Whether somebody takes the clients of other protocols, so that HTTP/1.1 may be among them.

    Raises:
        TypeError: *context* is no `ssl.SSLContext`.
        ValueError: It cannot serve HTTP/2, or offers HTTP/1.1 where the server does not or the other way round; the
            message says what to change.
    """
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {type(context).__name__}")
    if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError("the ssl_context is for clients only: make it with server_ssl_context(cert, key)")
    try:
        chosen = _probe_alpn(context, ALPN)
    except ssl.SSLError as exc:
        if context.sni_callback is None:
            raise ValueError(f"the ssl_context cannot serve HTTP/2: {_explain_probe(context, exc)}") from exc
    else:
        if chosen != ALPN:
            raise ValueError(
                "the ssl_context does not negotiate HTTP/2: call set_alpn_protocols(['h2']) on it, "
                "or make it with server_ssl_context(cert, key)"
            )
        if allow_http1 is not None and context.sni_callback is None:
            _check_http1(context, allow_http1=allow_http1, others_welcome=others_welcome)


def _check_http1(context: ssl.SSLContext, *, allow_http1: bool, others_welcome: bool) -> None:
    offered = _probe_alpn(context, ALPN_HTTP1) is not None
    if allow_http1 and not offered:
        raise ValueError(
            "with allow_http1=True the ssl_context must offer HTTP/1.1, too: call "
            "set_alpn_protocols(['h2', 'http/1.1']) on it, or make it with "
            "server_ssl_context(cert, key, allow_http1=True)"
        )
    if offered and not (allow_http1 or others_welcome):
        raise ValueError(
            "the ssl_context offers HTTP/1.1, which is not served: give the server allow_http1=True, "
            "or leave 'http/1.1' out of the context (server_ssl_context without allow_http1)"
        )


def _probe_alpn(context: ssl.SSLContext, offer: str) -> str | None:
    """Returns what *context* chooses for a client that offers *offer*; `ssl.SSLError` if it cannot answer at all."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    client_context.minimum_version = ssl.TLSVersion.TLSv1_2
    client_context.set_ciphers(_PROBE_CIPHERS)
    client_context.set_alpn_protocols([offer])
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
    return f"it has no usable certificate; call load_cert_chain(cert, key) on it ({reason_of(exc)})"

"""The TLS handshake for HTTP/2, and what must have come out of it (RFC 9113 §3.2 and §9.2).

It must be HTTP/2 by ALPN on TLS 1.2 or later with a cipher that HTTP/2 allows. Python's own handshake is no help there:
without a common protocol it *succeeds*, with `None` as the ALPN result.

`close_notify` is not awaited (`https_compatible`): END_STREAM says whether a message is whole, and many peers close
without it. It is sent where a connection ends in good order, and its alert where a handshake fails: see `BelowTls`.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import struct
from dataclasses import dataclass
from typing import Final

import trio

from .._errors import HandshakeError, UnknownProtocolError
from .._stream._alerts import alert_of, meaning_of, reason_of
from .._stream._below_tls import BelowTls
from .._util import http_date
from .._values import Value
from .._wire._codes import ErrorCode, Initiator
from ._contexts import ALPN, is_blocklisted
from ._hello import FirstBytes

_VERSIONS: Final = frozenset({"TLSv1.2", "TLSv1.3"})
_FAREWELL_SECONDS: Final = 1.0
_IN_CLEAR_TEXT: Final = b"This port speaks HTTPS: write https:// instead of http://.\n"
_NOT_TLS: Final = re.compile(
    r"wrong version number|http request|https proxy request|packet length too long|record layer"
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Negotiated(Value):
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
    any_protocol: bool = False,
) -> trio.SSLStream[trio.abc.Stream]:
    """Does the client's side of a TLS handshake over *transport* and makes sure that HTTP/2 came out of it.

    If this fails or is cancelled, *transport* is closed.

    Args:
        transport: The stream below; it belongs to the result.
        context: Offers `h2` by ALPN. It is not changed.
        server_hostname: The name or address that the certificate must be for, sent to the server (SNI) if it
            is a name.
        timeout: How many seconds the handshake may take; `math.inf` for no limit.
        any_protocol: Whether to return also what is not HTTP/2, see `negotiated`.

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
    return await _wrap(
        transport,
        context,
        timeout,
        peer,
        server_hostname=server_hostname,
        server_side=False,
        any_protocol=any_protocol,
    )


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
    below = BelowTls(transport)
    broken: trio.BrokenResourceError | None = None
    try:
        if not server_side and context.check_hostname and server_hostname is None:
            # Python refuses this for sockets only; with an in-memory handshake it would just not check the name.
            raise ValueError("server_hostname is needed: the ssl_context verifies the name of the server")
        first = FirstBytes()
        stream: trio.SSLStream[trio.abc.Stream] | None = None
        with trio.move_on_after(seconds) as deadline:
            try:
                if server_side:
                    await first.receive(below)
                    below.asked_name = first.server_name
                if not first.in_clear_text:
                    stream = below.wrap(
                        context, server_hostname=server_hostname, server_side=server_side, received=first.data
                    )
                    await stream.do_handshake()
                    below.shaken = True
            except trio.BrokenResourceError as exc:
                broken = exc
        if deadline.cancelled_caught:
            raise HandshakeError(
                f"the TLS handshake with {peer} was not finished after {seconds:g} seconds",
                initiator=Initiator.LIBRARY,
            )
        if first.in_clear_text:
            await _refuse_clear_text(below, first)
            raise HandshakeError(
                f"{peer} does not speak TLS, but HTTP in clear text: it must use https://", initiator=Initiator.REMOTE
            )
        if broken is not None:
            await _send_alert(below, linger=server_side)
            # Trio wraps the interesting error in an empty one.
            raise _tls_error(broken.__cause__, peer, server_side=server_side) from (broken.__cause__ or broken)
        assert stream is not None
        agreed = negotiated(stream)
        if agreed.alpn != ALPN and any_protocol:
            return stream
        if agreed.alpn != ALPN:
            raise _alpn_error(agreed.alpn, peer, server_side=server_side)
        why = weakness(agreed)
        if why is not None:
            await _send_goodbye(stream, below, why, server_side=server_side)
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
    finally:
        del broken  # its traceback knows this frame
    return stream


async def _send_goodbye(
    stream: trio.SSLStream[trio.abc.Stream], below: BelowTls, why: str, *, server_side: bool
) -> None:
    """Tells the peer why its session ends before it began.

    RFC 9113 §9.2.2 allows "a connection error (Section 5.4.1) of type INADEQUATE_SECURITY", and §5.4.1: "An
    endpoint that encounters a connection error SHOULD first send a GOAWAY frame". There is no session yet, so
    the preface (§3.4) and the frame are written by hand.
    """
    preface = b"" if server_side else b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    with trio.move_on_after(_FAREWELL_SECONDS), contextlib.suppress(trio.BrokenResourceError):
        await stream.send_all(preface + _goaway(why))
    await say_closed(stream, below)


async def say_closed(stream: trio.SSLStream[trio.abc.Stream], below: BelowTls) -> None:
    """Tells the peer of a connection that `wrap_server` has made that this was all, for a second at most.

    If that cannot be said any more, it is not. *below* is still to be closed.
    """
    with (
        trio.move_on_after(_FAREWELL_SECONDS),
        contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError),
    ):
        await below.send_close_notify(stream)
        await below.linger()


async def _send_alert(below: BelowTls, *, linger: bool) -> None:
    """Tells the peer why the handshake has failed.

    RFC 8446 §6.2: "Whenever an implementation encounters a fatal error condition, it SHOULD send an appropriate fatal
    alert and MUST close the connection without sending or receiving any additional data." A client of TLS 1.3 may have
    sent its first request before it learns that its certificate is missing; so a server reads on, and throws it away.
    """
    with trio.move_on_after(_FAREWELL_SECONDS), contextlib.suppress(trio.BrokenResourceError):
        await below.send_unsent()
        if linger:
            await below.linger()


async def _refuse_clear_text(below: BelowTls, first: FirstBytes) -> None:
    """Tells a client that speaks HTTP without TLS so, in its own words."""
    if first.is_http2:
        answer = _goaway("this port speaks TLS: use https")
    else:
        answer = (
            b"HTTP/1.1 400 Bad Request\r\ndate: %b\r\ncontent-type: text/plain; charset=utf-8\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n" % (http_date(), len(_IN_CLEAR_TEXT))
        )
        if not first.data.startswith(b"HEAD "):
            answer += _IN_CLEAR_TEXT
    with trio.move_on_after(_FAREWELL_SECONDS), contextlib.suppress(trio.BrokenResourceError):
        await below.send_all(answer)
        await below.linger()


def _goaway(why: str) -> bytes:
    """Returns the SETTINGS and the GOAWAY of a session that ends before it began: its transport is not safe enough."""
    payload = struct.pack(">LL", 0, ErrorCode.INADEQUATE_SECURITY) + why.encode("ascii")
    return _frame(0x4, b"") + _frame(0x7, payload)


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
    reason = reason_of(cause)
    if isinstance(cause, ssl.SSLCertVerificationError):
        message = f"the certificate of {peer} was not accepted: {cause.verify_message}"
        if not server_side and "certificate" in cause.verify_message and "issuer" in cause.verify_message:
            message += " (trust its authority with client_ssl_context(ca=…))"
        return HandshakeError(message, initiator=Initiator.LIBRARY)
    alert = alert_of(cause)
    if alert == "no application protocol":
        return UnknownProtocolError(
            f"{peer} did not negotiate HTTP/2 (it refused ALPN 'h2')", initiator=Initiator.REMOTE
        )
    if alert is not None:
        return HandshakeError(f"{peer} refused the TLS handshake: {meaning_of(alert)}", initiator=Initiator.REMOTE)
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        message = f"{peer} closed the connection during the TLS handshake"
        return HandshakeError(message, initiator=Initiator.REMOTE)
    if _NOT_TLS.search(reason):
        hint = "" if server_side else "; is it an http:// server?"
        return HandshakeError(f"{peer} does not speak TLS ({reason}){hint}", initiator=Initiator.LIBRARY)
    return HandshakeError(f"the TLS handshake with {peer} failed: {reason}", initiator=Initiator.LIBRARY)

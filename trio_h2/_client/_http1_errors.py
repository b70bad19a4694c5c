"""What is wrong with a connection of HTTP/1.1, in the words that sessions use."""

from __future__ import annotations

from .. import HandshakeError, Initiator, RemoteProtocolError, TransportLostError


def lost(reason: str) -> TransportLostError:
    """Returns the error for a connection that is gone."""
    return TransportLostError(reason, initiator=Initiator.REMOTE)


def malformed(reason: str) -> RemoteProtocolError:
    """Returns the error for a server that breaks the rules of HTTP/1.1."""
    return RemoteProtocolError(f"the server breaks the rules of HTTP/1.1: {reason}", initiator=Initiator.LIBRARY)


def speaks_http2() -> RemoteProtocolError:
    """Returns the error for a server of HTTP/2 that was asked over HTTP/1.1."""
    return RemoteProtocolError(
        "the server speaks HTTP/2: use Client(prior_knowledge=True)", initiator=Initiator.LIBRARY
    )


def speaks_tls() -> HandshakeError:
    """Returns the error for a server of TLS that was asked in clear text."""
    return HandshakeError(
        "the server answered with an alert of TLS, so it seems to speak TLS: use https://", initiator=Initiator.LIBRARY
    )

"""What is wrong with a connection of HTTP/1.1, in the words that sessions use."""

from __future__ import annotations

from .. import Initiator, RemoteProtocolError, TransportLostError


def lost(reason: str) -> TransportLostError:
    """Returns the error for a connection that is gone."""
    return TransportLostError(reason, initiator=Initiator.REMOTE)


def malformed(reason: str) -> RemoteProtocolError:
    """Returns the error for a server that breaks the rules of HTTP/1.1."""
    return RemoteProtocolError(f"the server breaks the rules of HTTP/1.1: {reason}", initiator=Initiator.LIBRARY)

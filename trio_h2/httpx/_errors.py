"""Our errors in the words of httpx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from .. import (
    GoAwayError,
    H2Error,
    HandshakeError,
    Initiator,
    LocalProtocolError,
    ProxyError,
    RemoteProtocolError,
    RequestTimeoutError,
    SessionError,
)

if TYPE_CHECKING:
    from ._libraries import Library

_TIMEOUTS: Final = {
    "connect": "ConnectTimeout",
    "slot": "PoolTimeout",
    "send": "WriteTimeout",
    "response": "ReadTimeout",
    "idle": "ReadTimeout",
}


def translated(library: Library, error: Exception, *, sending: bool) -> Exception:
    """Returns what httpx raises for an error of a client; what is none of a request's stays as it is.

    Args:
        library: httpx or httpx2.
        error: what the client has raised.
        sending: whether something of the request's body was still to be sent.
    """
    name = _name_of(error, sending=sending)
    return error if name is None else library.error(name, str(error))


def _name_of(error: Exception, *, sending: bool) -> str | None:
    if isinstance(error, RequestTimeoutError):
        return _TIMEOUTS[error.phase]
    if isinstance(error, ProxyError):
        return "ProxyError"
    if isinstance(error, (LocalProtocolError, ValueError, TypeError)):
        return "LocalProtocolError"
    if isinstance(error, (HandshakeError, OSError)):
        return "ConnectError"
    if isinstance(error, (RemoteProtocolError, GoAwayError)):
        return "RemoteProtocolError"
    if isinstance(error, (SessionError, trio.ClosedResourceError)):
        return "WriteError" if sending else "ReadError"
    if isinstance(error, H2Error):
        return "RemoteProtocolError" if error.initiator is Initiator.REMOTE else "LocalProtocolError"
    return None

"""Requests that the library answers by itself, for those who want to know: the access log, say."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final, runtime_checkable

from .._field_docs import describe_fields
from .._values import Value

if TYPE_CHECKING:
    from .._wire._codes import ErrorCode
    from .._wire._headers import Headers
    from ._proxied import Address
    from ._transport import TransportView

logger = logging.getLogger("trio_h2.server")


@describe_fields
@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RefusedRequest(Value):
    """A request that no handler has seen, since the library answered it: a malformed one, one with too many fields, or
    one for which there was no room.

    A handler that has a method ``request_refused(refused)``, as that of `access_log` has, is told of each, and of the
    HTTP/1.1 requests that cannot be read at all. The method must not block; what it raises is logged.
    """

    headers: Headers
    """What was received, pseudo-headers included: untrusted, perhaps malformed, and empty if it could not be read."""
    status: int | None
    """What it was answered with; ``None`` if the stream was reset."""
    code: ErrorCode | int | None
    """The code of the RST_STREAM that it was answered with; ``None`` if there was none."""
    reason: str
    """What was wrong with it, without anything that the client has sent."""
    http_version: str
    """As `ServerStream.http_version`."""
    transport: TransportView
    """The bytes below."""

    @property
    def method(self) -> str | None:
        """The method, ``None`` if there was none."""
        return self.headers.first(b":method")

    @property
    def path(self) -> str | None:
        """The path, ``None`` if there was none."""
        return self.headers.first(b":path")

    @property
    def authority(self) -> str | None:
        """The authority, ``None`` if there was none."""
        return self.headers.first(b":authority")

    @property
    def peer_address(self) -> Address | None:
        """As `ServerStream.peer_address`."""
        return self.transport.forwarded_client(self.headers).address or self.transport.peer_address

    def __str__(self) -> str:
        return f"{_shown(self.method)} {_shown(self.path or self.authority)}"


@runtime_checkable
class HearsOfRefusals(Protocol):
    """A handler that wants to know which requests never reach it."""

    def request_refused(self, refused: RefusedRequest) -> None:
        """A request was answered by the library."""


def tell_refused(handler: object, refused: RefusedRequest) -> None:
    """Tells a handler, if it wants to know, that a request never reached it."""
    if isinstance(handler, HearsOfRefusals):
        try:
            handler.request_refused(refused)
        except Exception:  # a hook must not end its session
            logger.exception("request_refused raised")


def _shown(text: str | None) -> str:
    """Returns what a client has sent so that it can stand in a line of the log."""
    return "?" if text is None else ascii(text[:100])[1:-1]

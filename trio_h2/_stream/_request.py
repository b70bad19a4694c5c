"""A request as its receiver looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._wire._headers import Headers


class RequestView:
    """The request of a stream: one that a client has sent, or that a server has promised to answer."""

    __slots__ = ("headers", "method")

    def __init__(self, headers: Headers) -> None:
        self.headers: Headers = headers
        """Pseudo-headers included."""
        self.method: str = headers.first(b":method") or ""

    @property
    def path(self) -> str:
        """Path and query as they came; empty for CONNECT."""
        return self.headers.first(b":path") or ""

    @property
    def scheme(self) -> str:
        """``"https"`` or ``"http"``; empty for CONNECT."""
        return self.headers.first(b":scheme") or ""

    @property
    def authority(self) -> str:
        """The host (and port) that was asked for: ``:authority``, else the ``host`` field."""
        return self.headers.first(b":authority") or self.headers.first(b"host") or ""

    @property
    def target(self) -> str:
        """Path, or the authority of a CONNECT, for logs and names of tasks: a control character (RFC 9113 §8.2.1 lets
        those above 0x7f pass) must not get there.
        """
        return (self.path or self.authority).encode("ascii", "backslashreplace").decode("ascii")

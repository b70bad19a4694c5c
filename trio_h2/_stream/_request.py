"""The parts of a request as its receiver looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._wire._headers import Headers


class RequestFacts:
    """The request of a stream: one that a client has sent, or that a server has promised to answer."""

    _headers: Headers

    @property
    def headers(self) -> Headers:
        """The request headers, pseudo-headers included."""
        return self._headers

    @property
    def method(self) -> str:
        """The request method."""
        return self._headers[":method"]

    @property
    def path(self) -> str:
        """Path and query as they came; empty for CONNECT."""
        return self._headers.get(":path") or ""

    @property
    def scheme(self) -> str:
        """``"https"`` or ``"http"``; empty for CONNECT."""
        return self._headers.get(":scheme") or ""

    @property
    def authority(self) -> str:
        """The host (and port) that was asked for: ``:authority``, else the ``host`` field."""
        return self._headers.get(":authority") or self._headers.get("host") or ""

    @property
    def _target(self) -> str:
        """Path, or the authority of a CONNECT, for logs and names of tasks: a control character (RFC 9113 §8.2.1 lets
        those above 0x7f pass) must not get there.
        """
        return (self.path or self.authority).encode("ascii", "backslashreplace").decode("ascii")

"""Finds the route of a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._route import Route

_T = TypeVar("_T")

_UNRESERVED: Final = re.compile("%(2[DEde]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
"""RFC 3986 §2.3: what "should be decoded" wherever it is found: letters, digits, ``-._~``."""
_DOTS: Final = re.compile(r"/\.\.?(/|$)").search


class DotSegmentsError(Exception):
    """A path has segments ``.`` or ``..``."""


class RouteTable(Generic[_T]):
    """The routes of a gateway, and what each of them leads to.

    Args:
        routes: each with where it leads to.
    """

    def __init__(self, routes: Iterable[tuple[Route, _T]]) -> None:
        self._exact: dict[str, list[tuple[Route, _T]]] = {}
        self._below: list[tuple[str, list[tuple[Route, _T]]]] = []
        self._any: list[tuple[Route, _T]] = []
        below: dict[str, list[tuple[Route, _T]]] = {}
        # A stable sort: of two that are the same, the first one wins.
        for route, leads_to in sorted(routes, key=lambda one: -len(one[0].prefix)):
            if route.host is None:
                found = self._any
            elif route.host.startswith("*."):
                found = below.setdefault(route.host[1:], [])
            else:
                found = self._exact.setdefault(route.host, [])
            found.append((route, leads_to))
        self._below = sorted(below.items(), key=lambda one: -len(one[0]))

    def find(self, authority: str, path: str) -> _T | None:
        """Returns where a request goes, ``None`` if nowhere.

        Args:
            authority: the host, perhaps with a port.
            path: with its query; one that is none (of ``OPTIONS *``, say) counts as ``/``.

        Raises:
            DotSegmentsError: the path leads up. Clients take such segments out before they send it (RFC 3986 §6.2.2.3),
                and a server behind might do so afterwards, which would lead past other routes.
        """
        if path[:1] != "/":
            path = "/"
        path = plain(path)
        if "/." in path and _DOTS(path.partition("?")[0]):
            raise DotSegmentsError
        if self._exact or self._below:
            host = _host_of(authority)
            for leads_to in self._of_host(host, path):
                return leads_to
        for route, leads_to in self._any:
            if _fits(route.prefix, path):
                return leads_to
        return None

    def _of_host(self, host: str, path: str) -> Iterable[_T]:
        for route, leads_to in self._exact.get(host, ()):
            if _fits(route.prefix, path):
                yield leads_to
        for end, routes in self._below:
            if host.endswith(end) and len(host) > len(end):
                for route, leads_to in routes:
                    if _fits(route.prefix, path):
                        yield leads_to

    def knows(self, authority: str) -> bool:
        """Whether there is anything for a host.

        Args:
            authority: the host, perhaps with a port.
        """
        host = _host_of(authority)
        return bool(self._any or self._exact.get(host) or any(host.endswith(end) for end, _ in self._below))


def plain(path: str) -> str:
    """Returns a path and its query without escapes that need not be.

    Args:
        path: as a client has sent it.
    """
    if "%" not in path:
        return path
    place, mark, query = path.partition("?")
    return _UNRESERVED.sub(lambda match: chr(int(match[1], 16)), place) + mark + query


def _fits(prefix: str, path: str) -> bool:
    """Whether a path is below a prefix."""
    if not path.startswith(prefix):
        return False
    return prefix[-1] == "/" or len(path) == len(prefix) or path[len(prefix)] in "/?"


def _host_of(authority: str) -> str:
    if authority.startswith("["):
        return (authority.partition("]")[0] + "]").lower()
    return authority.partition(":")[0].rstrip(".").lower()

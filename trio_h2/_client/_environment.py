"""The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.request import (  # type: ignore[attr-defined] # typeshed has only `proxy_bypass`, which may ask the system
    getproxies_environment,
    proxy_bypass_environment,
)

from .._util import bracketed, host_and_port
from ._proxy import Proxy

if TYPE_CHECKING:
    from .._address import Origin


class Environment:
    """What the environment says when this is made.

    The rules are those of `urllib.request`: lower case goes before upper case, and HTTP_PROXY counts for nothing in a
    CGI script (where REQUEST_METHOD is set), whose client could set it with a field ``Proxy``.

    Raises:
        ValueError: a variable does not name a proxy that we can use.
    """

    def __init__(self) -> None:
        self._found = getproxies_environment()
        self._proxies: dict[str, Proxy] = {}
        for scheme in "http", "https":
            for name in scheme, "all":
                if text := self._found.get(name):
                    self._proxies[scheme] = _proxy(name, text)
                    break

    def proxy(self, origin: Origin) -> Proxy | None:
        """Returns the proxy for an origin, ``None`` if there is none, or NO_PROXY names the host."""
        proxy = self._proxies.get(origin.scheme)
        if proxy is None:
            return None
        names = origin.host, bracketed(origin.host), host_and_port(origin.host, origin.port)
        if any(proxy_bypass_environment(name, self._found) for name in names):
            return None
        return proxy


def _proxy(name: str, text: str) -> Proxy:
    try:
        return Proxy(text if "://" in text else f"http://{text}")
    except ValueError as exc:
        raise ValueError(f"the environment variable {name.upper()}_PROXY is not right: {exc}") from exc

"""Opens what is below a client's connections, and finds out which version of HTTP the server wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import trio

from .. import Initiator, UnknownProtocolError, client_ssl_context, open_transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from .. import ClientConfig
    from .._address import Origin
    from ._proxies import Proxies
    from ._proxy import Proxy


class Dialed(NamedTuple):
    """A transport, and what to speak over it."""

    transport: trio.abc.Stream
    http2: bool
    forward: Proxy | None = None
    """The proxy at its other end, which forwards requests that have the whole URL."""


class Dialer:
    """Opens transports.

    Args:
        config: limits and timeouts of sessions.
        ssl_context: for ``https``; made when it is needed first, if none is given.
        transport: makes what is used instead of a TCP connection, for an origin.
        http1: whether HTTP/1.1 may be spoken.
        http2: whether HTTP/2 may be spoken.
        prior_knowledge: whether ``http`` means HTTP/2 (RFC 9113 §3.3), as it does where HTTP/1.1 may not be spoken.
        proxies: the ways through proxies, if there are any.
    """

    def __init__(
        self,
        config: ClientConfig,
        ssl_context: ssl.SSLContext | None,
        transport: Callable[[str], Awaitable[trio.abc.Stream]] | None,
        *,
        http1: bool,
        http2: bool,
        prior_knowledge: bool,
        proxies: Proxies | None = None,
    ) -> None:
        self._config = config
        self._given = ssl_context
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._transport = transport
        self.http1: bool = http1
        self._http2 = http2
        self._prior_knowledge = prior_knowledge
        self._proxies = proxies

    def begin(self, nursery: trio.Nursery) -> None:
        """The client's block is entered."""
        if self._proxies is not None:
            self._proxies.begin(nursery)

    def leave(self) -> None:
        """The client is closed."""
        if self._proxies is not None:
            self._proxies.leave()

    def proxy(self, origin: Origin) -> Proxy | None:
        """Returns the proxy on the way to an origin, if there is one."""
        return None if self._proxies is None else self._proxies.proxy(origin)

    def way(self, origin: Origin) -> str:
        """Says where a connection goes to, and through which proxy."""
        proxy = self.proxy(origin)
        return str(origin) if proxy is None else f"{origin} through the proxy {proxy.url}"

    def http1_only(self, origin: Origin) -> bool:
        """Whether an origin will get HTTP/1.1, as far as that is known beforehand."""
        return not self._http2 or (origin.scheme == "http" and self.http1 and not self._prior_knowledge)

    async def dial(self, origin: Origin, *, http1: bool) -> Dialed:
        """Connects to an origin, through a proxy if there is one.

        Args:
            origin: whom to connect to.
            http1: whether it is to be HTTP/1.1.
        """
        below: trio.abc.Stream | Callable[[str], Awaitable[trio.abc.Stream]] | None = self._transport
        proxy = self.proxy(origin)
        if proxy is not None:
            assert self._proxies is not None
            tunnel = origin.scheme == "https" or not http1
            below, forwards = await self._proxies.open(proxy, origin, tunnel=tunnel)
            if forwards:
                return Dialed(below, False, proxy)
        context = None if origin.scheme == "http" else self._ssl_context(http1=http1)
        transport = await open_transport(
            str(origin),
            transport=below,
            ssl_context=context,
            config=self._config,
        )
        if not isinstance(transport, trio.SSLStream):
            return Dialed(transport, not http1)
        chosen: str | None = transport.selected_alpn_protocol()
        http2 = chosen == "h2"
        if (http2 and http1) or not (http2 or self.http1):
            await trio.aclose_forcefully(transport)
            wanted, hint = ("http/1.1", "offer only that in the ssl_context") if http2 else ("h2", "allow http1")
            raise UnknownProtocolError(
                f"{origin} chose {chosen!r} by ALPN, where only {wanted!r} will do; {hint}", initiator=Initiator.LIBRARY
            )
        return Dialed(transport, http2)

    def _ssl_context(self, *, http1: bool) -> ssl.SSLContext:
        if self._given is not None:
            return self._given
        context = self._contexts.get(http1)
        if context is None:
            context = self._contexts[http1] = client_ssl_context(allow_http1=self.http1)
            if http1:
                context.set_alpn_protocols(["http/1.1"])
        return context

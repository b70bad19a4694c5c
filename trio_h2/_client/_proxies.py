"""The ways through the proxies of a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from .. import H2Error, UnknownProtocolError, client_ssl_context
from ..tunnel import TunnelRefusedError
from ._dialer import Dialer
from ._errors import ProxyError, RequestTimeoutError, proxy_refusal
from ._held_tunnel import HeldTunnel
from ._lane import Ticket
from ._pool import Pool
from ._pooled_session import PooledSession
from ._proxy import authority_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .. import ClientConfig
    from .._address import Origin
    from ._environment import Environment
    from ._proxy import Proxy
    from ._timeouts import Timeouts

_IDLE_SECONDS: Final = 60.0
"""How long a session with a proxy is kept without a tunnel."""


class Proxies:
    """Opens connections through proxies, and keeps sessions with those that speak HTTP/2, which tunnels share.

    Args:
        given: the proxy for everything, if there is one.
        environment: else names them.
        config: limits and timeouts of sessions.
        timeouts: of which ``connect`` counts here.
        transport: makes what is used instead of a TCP connection, for the origin of a proxy.
        max_sessions: sessions with one proxy; the client must not have more tunnels than that.
    """

    def __init__(
        self,
        given: Proxy | None,
        environment: Environment | None,
        config: ClientConfig,
        timeouts: Timeouts,
        transport: Callable[[str], Awaitable[trio.abc.Stream]] | None,
        *,
        max_sessions: int,
    ) -> None:
        self._given = given
        self._environment = environment
        self._config = config
        self._timeouts = timeouts
        self._transport = transport
        self._max_sessions = max_sessions
        self._pools: dict[Proxy, Pool] = {}
        self._http1: set[Proxy] = set()
        """Those that were asked, and speak no HTTP/2."""
        self._nursery: trio.Nursery | None = None

    def proxy(self, origin: Origin) -> Proxy | None:
        """Returns the proxy for an origin, ``None`` if it is connected to directly."""
        if self._given is not None:
            return self._given
        return None if self._environment is None else self._environment.proxy(origin)

    def begin(self, nursery: trio.Nursery) -> None:
        """The client's block is entered; sessions with proxies live in *nursery*."""
        self._nursery = nursery

    def leave(self) -> None:
        """The client is closed: sessions with proxies end with their last tunnel."""
        self._nursery = None
        for pool in self._pools.values():
            pool.leave()

    async def open(self, proxy: Proxy, origin: Origin, *, tunnel: bool) -> tuple[trio.abc.Stream, bool]:
        """Opens a way to *origin*; returns it, and whether the proxy is to get requests with the whole URL.

        Cancelled: what was opened is closed.

        Args:
            proxy: whom to ask.
            origin: where to.
            tunnel: whether it must be a tunnel, which forwards bytes.

        Raises:
            ProxyError: the proxy could not be reached, or refused.
            RequestTimeoutError: a session with it could not be opened in time.
        """
        try:
            if self._may_speak_http2(proxy):
                try:
                    return await self._tunnel_http2(proxy, origin), False
                except UnknownProtocolError:
                    if proxy.http2:
                        raise
                    self._http1.add(proxy)
            return await self._open_http1(proxy, origin, tunnel=tunnel)
        except (ProxyError, RequestTimeoutError):
            raise
        except TunnelRefusedError as exc:
            what = f"a tunnel to {authority_of(origin)}"
            raise proxy_refusal(proxy.url, what, exc.status, "", exc.headers, exc.body) from exc
        except (OSError, H2Error, trio.BrokenResourceError) as exc:
            message = f"connecting to {origin} failed at the proxy {proxy.url}: {str(exc) or type(exc).__name__}"
            raise ProxyError(message, proxy=proxy.url) from exc

    def _may_speak_http2(self, proxy: Proxy) -> bool:
        if proxy.http2 is None:
            return proxy.origin.scheme == "https" and proxy not in self._http1
        return proxy.http2

    async def _open_http1(self, proxy: Proxy, origin: Origin, *, tunnel: bool) -> tuple[trio.abc.Stream, bool]:
        dialer = Dialer(
            self._config, proxy.ssl_context, self._transport, http1=True, http2=False, prior_knowledge=False
        )
        dialed = await dialer.dial(proxy.origin, http1=True)
        if not tunnel:
            return dialed.transport, True
        # h11 is imported when the first connection needs it.
        from ._http1_tunnel import open_http1_tunnel

        return await open_http1_tunnel(dialed.transport, proxy, authority_of(origin), self._config), False

    async def _tunnel_http2(self, proxy: Proxy, origin: Origin) -> HeldTunnel:
        pool = self._pools.get(proxy) or self._new_pool(proxy)
        lane = pool.lane(proxy.origin)
        pooled = lane.acquire_nowait() or await lane.acquire(Ticket(pool.number()))
        assert isinstance(pooled, PooledSession)
        try:
            stream = await pooled.open_tunnel(authority_of(origin), proxy.headers)
        except BaseException:
            pooled.give_back()
            raise
        return HeldTunnel(stream, pooled)

    def _new_pool(self, proxy: Proxy) -> Pool:
        context = proxy.ssl_context
        if context is None and proxy.origin.scheme == "https":
            context = client_ssl_context(allow_http1=not proxy.http2)
        pool = self._pools[proxy] = Pool(
            Dialer(self._config, context, self._transport, http1=False, http2=True, prior_knowledge=True),
            self._config,
            self._timeouts,
            max_sessions=self._max_sessions,
            max_sessions_per_origin=self._max_sessions,
            max_http1_per_origin=1,
            idle_timeout=_IDLE_SECONDS,
        )
        if self._nursery is not None:
            pool.begin(self._nursery)
        return pool

"""The handler that finds the route of each request."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from .._util import interrupt_safe, interruptible, plain_interrupt, unwrap_body_error
from ._checker import Checker
from ._connecting import base_of, upstream_of
from ._group import Group
from ._passage import Passage
from ._route import Route
from ._servers import Servers
from ._statistics import GatewayStatistics
from ._table import DotSegmentsError, RouteTable, plain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    import trio_h2

    from ._backend import Backend

logger = logging.getLogger("trio_h2.gateway")


@interrupt_safe
class Gateway:
    """A handler that gives each request to the servers, or the handler, that it is for: ``async with Gateway(…)``.

    ::

        async with Gateway([Route("/", "http://localhost:3000")]) as gateway:
            await trio_h2.serve_tcp(gateway, 8080, allow_http1=True)

    Inside its block it can be served by every ``serve_*`` function, `trio_h2.open_server` and the test kit. The block
    holds the connections to servers, and asks them whether they are well; leaving it closes the connections, so leave
    what serves the gateway inside. WebSockets over HTTP/2 need ``ServerConfig(enable_connect_protocol=True)``.

    A request that no route fits is answered with 404, or 421 if there is no route for its host; one whose path has
    segments ``.`` or ``..`` with 400; one for which no server is well, or free in time, with 503. What the gateway does
    with servers is logged by ``trio_h2.gateway``.

    Args:
        routes: which requests go where.
        via: the name of the gateway in ``via``, as for `trio_h2.Upstream`.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """

    def __init__(self, routes: Iterable[Route], *, via: str | None = None) -> None:
        self._routes = tuple(routes)
        if not self._routes:
            raise ValueError("routes must have at least one Route")
        for route in self._routes:
            if not isinstance(route, Route):
                raise TypeError(f"routes must have nothing but Route objects, not {route!r}")
        seen: set[tuple[str | None, str]] = set()
        for route in self._routes:
            place = route.host, route.prefix
            if place in seen:
                raise ValueError(f"routes must differ: two are for host {route.host!r} and prefix {route.prefix!r}")
            seen.add(place)
        self._groups: dict[int, Group] = {}
        """By the identity of their `Servers`."""
        self._table = RouteTable([(route, self._handler(route, via)) for route in self._routes])
        self._block: AbstractAsyncContextManager[None] | None = None
        self._open = False
        self._running = self._requests = self._unrouted = self._refused = 0

    def _handler(self, route: Route, via: str | None) -> trio_h2.Handler:
        """Returns what answers the requests of a route."""
        target = route.target
        if not isinstance(target, Servers):
            assert not isinstance(target, str)
            return target
        group = self._groups.get(id(target))
        if group is None:
            group = self._groups[id(target)] = Group(target)
        rewrite = _rewriting(route)
        upstreams = {
            backend: upstream_of(target, backend.client, backend.url, via, rewrite) for backend in group.backends
        }

        @trio.lowlevel.enable_ki_protection
        async def pass_on(stream: trio_h2.ServerStream) -> None:
            refusal = await Passage(group, upstreams).run(stream)
            if refusal is not None:
                self._refused += 1
                logger.warning("%s %s: answered with 503: %s", stream.method, stream.path, refusal)
                headers = {":status": "503", "retry-after": "1", "content-type": "text/plain; charset=utf-8"}
                await stream.respond(headers, body=b"no server is free at the moment\n")

        return pass_on

    def __repr__(self) -> str:
        return f"<Gateway of {len(self._routes)} routes with {self._running} requests>"

    def statistics(self) -> GatewayStatistics:
        """Returns a snapshot of what it has done, and of how its servers do. For the task that runs Trio."""
        groups = self._groups.values()
        return GatewayStatistics(
            running=self._running,
            requests=self._requests,
            unrouted=self._unrouted,
            waiting=sum(group.waiting for group in groups),
            refused=self._refused,
            servers=tuple(backend.statistics() for group in groups for backend in group.backends),
        )

    # -- the block -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise RuntimeError("the block of a gateway can be entered only once; make another Gateway")
        self._block = self._run()
        with plain_interrupt():
            await self._block.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._block is not None
        try:
            return await self._block.__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, exc)
        finally:
            del exc, traceback

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[None, None]:
        async with AsyncExitStack() as clients:
            for group in self._groups.values():
                for backend in group.backends:
                    await clients.enter_async_context(backend.client)
            async with trio.open_nursery() as nursery:
                for group in self._groups.values():
                    for backend in group.backends:
                        self._start_checking(nursery, group, backend)
                self._open = True
                try:
                    yield
                finally:
                    self._open = False
                    nursery.cancel_scope.cancel()

    def _start_checking(self, nursery: trio.Nursery, group: Group, backend: Backend) -> None:
        check = group.servers.check
        if check is not None:
            checker = Checker(backend, check, base_of(backend.url), group.serve_line)
            nursery.start_soon(checker.run, name=f"trio_h2 health check of {backend.url}")

    # -- requests --------------------------------------------------------------------------------------------------

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        """Answers one request. Cancelled: it is given up.

        Raises:
            RuntimeError: the gateway's block is not entered, or left.
            StreamResetError, SessionError, trio.ClosedResourceError: the client has left.
        """
        if not self._open:
            raise RuntimeError("a gateway answers requests inside its block: async with Gateway(…) as gateway")
        self._requests += 1
        try:
            handler = self._table.find(stream.authority, stream.path)
        except DotSegmentsError:
            await self._refuse(stream, 400, b"this path has segments that lead up\n")
            return
        if handler is None:
            # RFC 9110 §15.5.20: 421 is for a server that "is unable or unwilling to produce an authoritative response
            # for the target URI".
            known = self._table.knows(stream.authority)
            await self._refuse(stream, 404 if known else 421, b"nothing is here\n")
            return
        self._running += 1
        try:
            await interruptible(handler, stream)
        finally:
            self._running -= 1

    async def _refuse(self, stream: trio_h2.ServerStream, status: int, body: bytes) -> None:
        self._unrouted += 1
        await stream.respond({":status": str(status), "content-type": "text/plain; charset=utf-8"}, body=body)


def _rewriting(route: Route) -> Callable[[trio_h2.Headers], trio_h2.HeadersInput] | None:
    """Returns what changes the requests of a route: its prefix is taken away first."""
    if not route.strip_prefix or route.prefix == "/":
        return route.rewrite
    length = len(route.prefix.rstrip("/"))
    rewrite = route.rewrite

    def strip(headers: trio_h2.Headers) -> trio_h2.HeadersInput:
        path = headers.get(":path")
        if path is not None:  # not for CONNECT, and OPTIONS *
            path = plain(path)[length:]
            headers = headers.forwarded(add={":path": path if path[:1] == "/" else f"/{path}"})
        return headers if rewrite is None else rewrite(headers)

    return strip

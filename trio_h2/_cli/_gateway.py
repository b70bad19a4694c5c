"""What `trio-h2 gateway` serves: servers behind URLs, and the routes of a file."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from trio_h2.gateway import Gateway, Route, Servers

from ._errors import UsageError
from ._route_tables import RouteTables

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import trio_h2

    from ._args import ServeOptions


class GatewayService:
    """One gateway. It is opened, and its applications start, before it serves.

    Args:
        options: what was asked for.

    Raises:
        UsageError: it cannot be meant.
    """

    def __init__(self, options: ServeOptions) -> None:
        routes: list[Route] = []
        if options.servers:
            try:
                routes.append(Route("/", Servers([_absolute(url) for url in options.servers])))
            except ValueError as exc:
                raise UsageError(f"the URL of the server: {exc}") from exc
        self._tables = RouteTables(options)
        routes += self._tables.routes
        if not routes:
            raise UsageError("give the URL of a server, or --config FILE.toml with [[route]] tables")
        try:
            self._gateway = Gateway(routes)
        except ValueError as exc:
            where = f"{options.routes_file}: " if options.routes_file else ""
            raise UsageError(f"{where}{exc}") from exc
        self.handler: trio_h2.Handler = self._gateway

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None, None]:
        """In this block it can be served.

        Raises:
            CommandError: an application could not start or shut down, or it failed in between.
        """
        async with AsyncExitStack() as stack:
            for application in self._tables.applications:
                await stack.enter_async_context(application.lifespan())
            await stack.enter_async_context(self._gateway)
            yield


def _absolute(url: str) -> str:
    """Returns a URL as it is typed: ``localhost:3000`` and ``:3000`` are ``http``."""
    if "://" in url or url.startswith("unix:"):
        return url
    return f"http://localhost{url}" if url.startswith(":") else f"http://{url}"

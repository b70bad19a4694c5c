"""A gateway of one's own."""

from __future__ import annotations

import trio_h2
from trio_h2.files import DirectoryHandler
from trio_h2.gateway import Ejection, Gateway, HealthCheck, Route, Servers


def signed(headers: trio_h2.Headers) -> trio_h2.Headers:
    """Tells servers that a request has come this way."""
    return headers.forwarded(drop=["x-gateway"], add={"x-gateway": "secret"})


def routes(site: str) -> list[Route]:
    """Returns which requests go where."""
    application = Servers(
        ["http://localhost:3000", "http://localhost:3001"],
        check=HealthCheck("/health"),
        ejection=Ejection(failures=5, statuses={502, 503}),
        max_running=50,
    )
    return [
        Route("/", application, rewrite=signed),
        Route("/api/v1", application, strip_prefix=True),
        Route("/static", DirectoryHandler(site, prefix="/static")),
    ]


async def main() -> None:
    """Serves until it is cancelled."""
    async with Gateway(routes("site")) as gateway:
        config = trio_h2.ServerConfig(enable_connect_protocol=True)  # WebSockets over HTTP/2
        await trio_h2.serve_tcp(gateway, 8080, config=config, allow_http1=True)


def healthy(gateway: Gateway) -> list[str]:
    """Returns the servers that get requests."""
    return [server.url for server in gateway.statistics().servers if server.healthy]

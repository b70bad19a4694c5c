"""A gateway with routes: two servers that take turns, and a directory of files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

import trio_h2
from trio_h2.files import DirectoryHandler
from trio_h2.gateway import Gateway, HealthCheck, Route, Servers


async def application(name: str, stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=f"{name} {stream.path}".encode())


async def main() -> None:
    async with (
        trio_h2.open_server(partial(application, "one"), allow_http1=True) as one,
        trio_h2.open_server(partial(application, "two"), allow_http1=True) as two,
    ):
        servers = Servers([one.url, two.url], check=HealthCheck("/health"))
        files = DirectoryHandler(Path(__file__).parent, prefix="/static")
        routes = [Route("/api", servers, strip_prefix=True), Route("/static", files)]
        async with (
            Gateway(routes) as gateway,
            trio_h2.open_server(gateway, allow_http1=True) as front,
            trio_h2.Client(http1=False) as client,
        ):
            for path in ("/api/a", "/api/b", "/static/gateway_routes.py", "/else"):
                response = await client.get(front.url + path)
                print(response.status, response.text.splitlines()[0])
            print([server.requests for server in gateway.statistics().servers])


if __name__ == "__main__":
    trio.run(main)

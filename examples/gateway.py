"""A gateway: HTTP/2 and HTTP/1.1 in front of an application that speaks HTTP/1.1; and a client that asks it."""

from __future__ import annotations

import trio

import trio_h2


async def application(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=f"{stream.path} over HTTP/{stream.http_version}\n".encode())


async def main() -> None:
    async with trio_h2.open_server(application, 0, allow_http1=True) as server, trio_h2.Client() as client:
        upstream = trio_h2.Upstream(client, server.url)

        async def gateway(stream: trio_h2.ServerStream) -> None:
            await trio_h2.relay(stream, upstream)

        async with (
            trio_h2.open_server(gateway, 0, allow_http1=True) as front,
            trio_h2.Client(http1=False) as visitor,
        ):
            response = await visitor.get(f"{front.url}/hello")
            print(f"over HTTP/{response.http_version}: {response.text}", end="")


if __name__ == "__main__":
    trio.run(main)

"""A CONNECT proxy by hand. It connects to any target, so use it on your own machine only."""

import trio

import trio_h2
from trio_h2.tunnel import join


async def proxy(stream: trio_h2.ServerStream) -> None:
    if stream.method != "CONNECT":
        await stream.respond(405)
        return
    host, _, port = stream.authority.rpartition(":")
    try:
        target = await trio.open_tcp_stream(host, int(port))
    except (OSError, ValueError):
        await stream.respond(502)
        return
    async with target:
        await stream.respond(200)
        await join(stream, target)


if __name__ == "__main__":
    trio.run(trio_h2.serve_tcp, proxy, 8080)

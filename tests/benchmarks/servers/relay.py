"""A plain Trio relay: each connection goes on to a fixed target, byte for byte. Usage: relay.py PORT TARGET_PORT."""

from __future__ import annotations

import sys

import trio


async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    async for data in source:
        await sink.send_all(data)
    await sink.send_eof()


async def main(port: int, target_port: int) -> None:
    async def relay(client: trio.SocketStream) -> None:
        try:
            async with (
                client,
                await trio.open_tcp_stream("127.0.0.1", target_port) as target,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(pump, client, target)
                nursery.start_soon(pump, target, client)
        except* trio.BrokenResourceError:
            pass  # one side is gone

    await trio.serve_tcp(relay, port, host="127.0.0.1")


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]))

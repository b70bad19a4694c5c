"""A forward proxy: it opens TCP connections for its clients, to this machine only. Try it with connect_client.py."""

from __future__ import annotations

import logging
import sys

import trio

import trio_h2
from trio_h2.tunnel import ConnectProxy


async def main(port: int) -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO)  # a line for every tunnel
    proxy = ConnectProxy(["127.0.0.1:*", "[::1]:*"], idle_timeout=60)
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve, proxy, port)
        print("Listening on", *server.urls, flush=True)


async def serve(proxy: ConnectProxy, port: int, *, task_status: trio.TaskStatus[trio_h2.Server]) -> None:
    await trio_h2.serve_tcp(proxy, port, host="localhost", task_status=task_status)


if __name__ == "__main__":
    try:
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass

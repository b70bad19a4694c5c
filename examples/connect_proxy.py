"""A forward proxy: it opens TCP connections for its clients, to this machine only. Try it with connect_client.py."""

from __future__ import annotations

import contextlib
import logging
import sys

import trio

import trio_h2
from trio_h2.tunnel import ConnectProxy


async def main(port: int) -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO)  # a line for every tunnel
    proxy = ConnectProxy(["127.0.0.1:*", "[::1]:*"], idle_timeout=60)
    async with trio_h2.open_server(proxy, port) as server:
        print("Listening on", *server.urls, flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)

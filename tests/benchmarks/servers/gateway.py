"""The gateway of trio_h2, in cleartext, in front of one server.

Usage: gateway.py PORT SERVER_PORT [h2]. With h2, the server speaks HTTP/2, and else HTTP/1.1.
"""

from __future__ import annotations

import sys
from functools import partial

import trio

import trio_h2
from trio_h2.gateway import Gateway, Route, Servers


async def main(port: int, server_port: int, *, http2: bool) -> None:
    servers = Servers(f"http://127.0.0.1:{server_port}", prior_knowledge=http2)
    async with Gateway([Route("/", servers)]) as gateway:
        await trio_h2.serve_tcp(gateway, port, host="127.0.0.1")


if __name__ == "__main__":
    trio.run(partial(main, int(sys.argv[1]), int(sys.argv[2]), http2="h2" in sys.argv))

"""The CONNECT proxy of trio_h2, by its public API. Usage: tunnel_proxy.py PORT."""

from __future__ import annotations

import sys

import trio

import trio_h2
from trio_h2.tunnel import ConnectProxy


async def main(port: int) -> None:
    await trio_h2.serve_tcp(ConnectProxy(["127.0.0.1:*"]), port, host="127.0.0.1")


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))

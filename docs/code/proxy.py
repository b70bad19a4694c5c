"""The ready proxy, with rules and a log. Run it with: python3 proxy.py"""

import logging

import trio

import trio_h2
from trio_h2.tunnel import ConnectProxy

PORT = 8080


async def main() -> None:
    logging.basicConfig(level=logging.INFO)  # a line for each tunnel, and for each that was refused
    proxy = ConnectProxy(["example.com:443", "127.0.0.1:*"])
    await trio_h2.serve_tcp(proxy, PORT, allow_http1=True)


if __name__ == "__main__":
    trio.run(main)

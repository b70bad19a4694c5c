"""Any protocol through a proxy, here that of `nc -l`. Run it with: python3 tunnel_client.py PROXY_URL HOST:PORT"""

import sys

import trio

import trio_h2
from trio_h2.tunnel import open_tunnel


async def main(proxy_url: str, target: str) -> None:
    async with trio_h2.connect(proxy_url) as proxy, open_tunnel(proxy, target) as stream:
        await stream.send_all(b"hello\n")
        await stream.send_eof()
        async for chunk in stream:
            print(chunk.decode(), end="")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])

"""A server that says hello, over cleartext HTTP/2. Try: curl --http2-prior-knowledge http://localhost:8080/you"""

from __future__ import annotations

import contextlib
import sys

import trio

import trio_h2


async def hello(stream: trio_h2.ServerStream) -> None:
    await stream.respond({":status": 200, "content-type": "text/plain"}, body=f"hello, {stream.path}\n".encode())


async def main(port: int) -> None:
    async with trio_h2.open_server(hello, port) as server:
        print("Listening on", *server.urls, flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)

"""A server that says hello, over cleartext HTTP/2. Try: curl --http2-prior-knowledge http://localhost:8080/you"""

from __future__ import annotations

import sys

import trio

import trio_h2


async def hello(stream: trio_h2.ServerStream) -> None:
    await stream.respond({":status": 200, "content-type": "text/plain"}, body=f"hello, {stream.path}\n".encode())


async def main(port: int) -> None:
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve, port)
        print("Listening on", *server.urls, flush=True)


async def serve(port: int, *, task_status: trio.TaskStatus[trio_h2.Server]) -> None:
    await trio_h2.serve_tcp(hello, port, host="localhost", task_status=task_status)


if __name__ == "__main__":
    try:
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass

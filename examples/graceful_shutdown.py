"""A server that drains on SIGTERM or Ctrl-C: running exchanges finish, new ones are told to go elsewhere."""

from __future__ import annotations

import signal
import sys

import trio

import trio_h2


async def work(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200)
    for number in range(3):
        await stream.send_all(f"part {number}\n".encode())
        await trio.sleep(0.1)


async def drain_on_signal(server: trio_h2.Server) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(signals)
        print("draining", flush=True)
        await server.aclose(grace=10)


async def main(port: int) -> None:
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve, port)
        print("Listening on", *server.urls, flush=True)
        await drain_on_signal(server)
    print("done", flush=True)


async def serve(port: int, *, task_status: trio.TaskStatus[trio_h2.Server]) -> None:
    await trio_h2.serve_tcp(work, port, host="localhost", task_status=task_status)


if __name__ == "__main__":
    try:
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass

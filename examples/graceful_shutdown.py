"""A server that drains on SIGTERM or Ctrl-C: running exchanges finish, new ones are told to go elsewhere."""

from __future__ import annotations

import contextlib
import signal
import sys

import trio

import trio_h2


async def work(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200)
    for number in range(3):
        await stream.send_all(f"part {number}\n".encode())
        await trio.sleep(0.1)


async def main(port: int) -> None:
    async with trio_h2.open_server(work, port, grace=10) as server:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            print("Listening on", *server.urls, flush=True)
            await anext(signals)
        print("draining", flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)

"""Moves bytes through a proxy: a tunnel of trio_h2, or a plain TCP relay.

Usage: tunnel.py tunnel|plain PORT TARGET_PORT VERB BYTES. The target is servers/unframed.py, VERB `down` or `up`.
Prints seconds, seconds of processor time, and how many bytes were moved.
"""

from __future__ import annotations

import sys
import time

import trio

PIECE = bytes(range(256)) * 256


async def move(stream: trio.abc.Stream, verb: str, count: int) -> None:
    await stream.send_all(f"{verb} {count}\n".encode())
    left = count
    while verb == "up" and left:
        await stream.send_all(PIECE[:left] if left < len(PIECE) else PIECE)
        left -= min(left, len(PIECE))
    missing = 1 if verb == "up" else count
    while missing:
        data = await stream.receive_some()
        if not data:
            raise EOFError(f"{missing} bytes are missing")
        missing -= len(data)


async def measure(stream: trio.abc.Stream, verb: str, count: int) -> None:
    await move(stream, verb, count // 4)
    start, cpu = time.perf_counter(), time.process_time()
    await move(stream, verb, count)
    sys.stdout.write(f"{time.perf_counter() - start} {time.process_time() - cpu} {count}\n")


async def main(arguments: list[str]) -> None:
    kind, port, target_port, verb, count = arguments
    if kind == "plain":
        async with await trio.open_tcp_stream("127.0.0.1", int(port)) as stream:
            await measure(stream, verb, int(count))
        return
    import trio_h2
    from trio_h2.tunnel import open_tunnel

    async with (
        trio_h2.connect(f"http://127.0.0.1:{port}") as session,
        open_tunnel(session, f"127.0.0.1:{target_port}") as tunnel,
    ):
        await measure(tunnel, verb, int(count))


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])

"""A bare Trio loop that sends the same bytes without a protocol: what TCP and Trio alone can carry.

Usage: unframed.py PORT. The client sends one line, `down N`, `up N` or `echo N`; then N bytes go that way. A byte says
that `up` has come.
"""

from __future__ import annotations

import sys

import trio

PIECE = bytes(range(256)) * 256
READ_SIZE = 64 * 1024


async def handler(stream: trio.SocketStream) -> None:
    buffered = b""
    while True:
        while b"\n" not in buffered:
            data = await stream.receive_some(READ_SIZE)
            if not data:
                return
            buffered += data
        line, buffered = buffered.split(b"\n", 1)
        verb, count = line.split()
        left = int(count)
        if verb == b"down":
            while left:
                await stream.send_all(PIECE[:left] if left < len(PIECE) else PIECE)
                left -= min(left, len(PIECE))
            continue
        while left:
            data = buffered or await stream.receive_some(READ_SIZE)
            if not data:
                return
            data, buffered = data[:left], data[left:]
            if verb == b"echo":
                await stream.send_all(data)
            left -= len(data)
        if verb == b"up":
            await stream.send_all(b".")


async def serve(stream: trio.SocketStream) -> None:
    try:
        await handler(stream)
    except trio.BrokenResourceError:
        pass  # the client is gone
    finally:
        await stream.aclose()


async def main(port: int) -> None:
    await trio.serve_tcp(serve, port, host="127.0.0.1")


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))

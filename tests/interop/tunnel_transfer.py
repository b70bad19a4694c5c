"""Moves very much through a tunnel, both ways at once, between three processes of ours; tells how much memory it took.

`python -m tests.interop.tunnel_transfer target` and `… proxy` print `listening WHERE`; `… client URL TARGET` prints the
result as JSON.
"""

from __future__ import annotations

import json
import sys
import time
import zlib

import trio

import trio_h2
from tests.interop.bodies import pieces
from tests.interop.transfer import TOTAL, WARM_UP, expected, memory, server_memory
from trio_h2.tunnel import ConnectProxy, open_tunnel


async def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    await trio.lowlevel.checkpoint()


async def send(stream: trio.abc.HalfCloseableStream, length: int) -> None:
    """Sends so many bytes."""
    for piece in pieces(length):
        await stream.send_all(piece)


class Reader:
    """Reads a line, then so many bytes, then the rest."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream
        self._rest = b""

    async def line(self) -> str:
        """Returns a line."""
        while b"\n" not in self._rest:
            self._rest += await self._some()
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    async def checksum(self, length: int) -> tuple[int, int]:
        """Reads so many bytes; returns how many, and their CRC."""
        crc, left = 0, length
        while left:
            chunk = self._rest or await self._some()
            self._rest = chunk[left:]
            crc = zlib.crc32(chunk[:left], crc)
            left -= min(left, len(chunk))
        return length, crc

    async def _some(self) -> bytes:
        chunk = bytes(await self._stream.receive_some())
        if not chunk:
            raise AssertionError("the stream ended early")
        return chunk


async def target(stream: trio.SocketStream) -> None:
    """Reads a length, then sends that much and receives as much at the same time, and tells what has come."""
    reader = Reader(stream)
    length = int(await reader.line())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, stream, length)
        received = await reader.checksum(length)
    await stream.send_all(json.dumps(received).encode() + b"\n")


async def serve_target() -> None:
    """Runs the target until it is killed."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await say(f"listening 127.0.0.1:{listener.socket.getsockname()[1]}")
    await trio.serve_listeners(target, [listener])


async def serve_proxy() -> None:
    """Runs the proxy until it is killed; it tells of its memory to whoever asks."""
    proxy = ConnectProxy(["127.0.0.1:*"])

    async def handle(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/memory":
            await stream.respond(200, body=json.dumps(memory()).encode())
        else:
            await proxy(stream)

    async def serve(*, task_status: trio.TaskStatus[trio_h2.Server]) -> None:
        await trio_h2.serve_tcp(handle, 0, host="127.0.0.1", task_status=task_status)

    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        await say(f"listening {server.urls[0]}")


async def move(session: trio_h2.ClientSession, authority: str, length: int) -> tuple[bool, bool]:
    """Moves so much both ways at once; returns whether it arrived there, and here."""
    async with open_tunnel(session, authority) as stream:
        await stream.send_all(b"%d\n" % length)
        reader = Reader(stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, stream, length)
            received = await reader.checksum(length)
        told: list[int] = json.loads(await reader.line())
        return tuple(told) == expected(length), received == expected(length)


async def client(url: str, authority: str) -> None:
    """Moves a warm-up, then the whole amount, and prints what that was like."""
    async with trio_h2.connect(url) as session:
        await move(session, authority, WARM_UP)
        before, proxy_before = memory()["now"], (await server_memory(session))["now"]
        start = time.perf_counter()
        up, down = await move(session, authority, TOTAL)
        seconds = time.perf_counter() - start
        after, proxy_after = memory()["peak"], (await server_memory(session))["peak"]
    result = {
        "length": TOTAL,
        "up_intact": up,
        "down_intact": down,
        "seconds": seconds,
        "client_growth": after - before,
        "proxy_growth": proxy_after - proxy_before,
    }
    await say(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1] == "client":
        trio.run(client, sys.argv[2], sys.argv[3])
    else:
        trio.run({"target": serve_target, "proxy": serve_proxy}[sys.argv[1]])

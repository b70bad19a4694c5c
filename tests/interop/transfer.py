"""Moves very large bodies between two processes, both ours, and tells how much memory that took.

`python -m tests.interop.transfer serve [CERTIFICATE KEY]` prints `listening URL`; `python -m tests.interop.transfer
MEASUREMENT URL [CA]` downloads or uploads, and prints the result as JSON: the bytes, the seconds, and by how much the
resident memory of either process has grown at its peak since the warm-up.
"""

from __future__ import annotations

import json
import sys
import time
import zlib

import trio

import trio_h2
from tests.interop.bodies import MIB, pieces

WARM_UP = 64 * MIB
TOTAL = 1024 * MIB


def memory() -> dict[str, int]:
    """Returns the resident memory of this process and its peak, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return {"now": int(lines["VmRSS"].split()[0]) * 1024, "peak": int(lines["VmHWM"].split()[0]) * 1024}


async def checksum(stream: trio_h2.Stream) -> tuple[int, int]:
    """Returns length and CRC of a body."""
    length = crc = 0
    async for chunk in stream:
        length += len(chunk)
        crc = zlib.crc32(chunk, crc)
    return length, crc


def expected(length: int) -> tuple[int, int]:
    """Returns length and CRC of what `pieces` yields."""
    crc = 0
    for piece in pieces(length):
        crc = zlib.crc32(piece, crc)
    return length, crc


async def send(stream: trio_h2.Stream, length: int) -> None:
    """Sends a body."""
    for piece in pieces(length):
        await stream.send_all(piece)
    await stream.send_eof()


async def handle(stream: trio_h2.ServerStream) -> None:
    """Sends or checks a body, or tells of the memory."""
    if stream.path == "/memory":
        await stream.respond(200, body=json.dumps(memory()).encode())
    elif stream.method == "GET":
        await stream.respond(200)
        await send(stream, int(stream.path[1:]))
    else:
        received = await checksum(stream)
        await stream.respond(200, body=json.dumps(received).encode())


async def serve(*files: str) -> None:
    """Serves until it is killed."""

    async def announce(*, task_status: trio.TaskStatus[trio_h2.Server]) -> None:
        if files:
            context = trio_h2.server_ssl_context(*files)
            await trio_h2.serve_ssl_over_tcp(handle, 0, context, host="127.0.0.1", task_status=task_status)
        else:
            await trio_h2.serve_tcp(handle, 0, host="127.0.0.1", task_status=task_status)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(announce)
        sys.stdout.write(f"listening {server.urls[0]}\n")
        sys.stdout.flush()


async def download(session: trio_h2.ClientSession, length: int) -> tuple[int, int]:
    """Returns length and CRC of what came."""
    async with session.request("GET", f"/{length}") as stream:
        return await checksum(stream)


async def upload(session: trio_h2.ClientSession, length: int) -> tuple[int, int]:
    """Returns length and CRC of what the server has received."""
    async with session.request("POST", f"/{length}", end_stream=False) as stream:
        await send(stream, length)
        told: list[int] = json.loads(b"".join([chunk async for chunk in stream]))
        return told[0], told[1]


async def server_memory(session: trio_h2.ClientSession) -> dict[str, int]:
    """Returns what `memory` returns on the other side."""
    async with session.request("GET", "/memory") as stream:
        told: dict[str, int] = json.loads(b"".join([chunk async for chunk in stream]))
        return told


async def measure(*arguments: str) -> None:
    """Moves a warm-up, then the whole amount, and prints what that was like."""
    direction, url, *ca = arguments
    move = {"download": download, "upload": upload}[direction]
    context = trio_h2.client_ssl_context(*ca) if ca else None
    async with trio_h2.connect(url, ssl_context=context) as session:
        await move(session, WARM_UP)
        before, server_before = memory()["now"], (await server_memory(session))["now"]
        start = time.perf_counter()
        moved = await move(session, TOTAL)
        seconds = time.perf_counter() - start
        after, server_after = memory()["peak"], (await server_memory(session))["peak"]
    result = {
        "length": moved[0],
        "intact": moved == expected(TOTAL),
        "seconds": seconds,
        "client_growth": after - before,
        "server_growth": server_after - server_before,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        trio.run(serve, *sys.argv[2:])
    else:
        trio.run(measure, *sys.argv[1:])

"""The client of trio_h2, by its public API.

Usage: ours.py URL CA COUNT STREAMS UPLOAD. Makes COUNT requests over one session, STREAMS at once: GETs, or POSTs with
UPLOAD bytes. Prints seconds, seconds of processor time, and the bytes that came. CA is "-" for cleartext.
"""

from __future__ import annotations

import sys
import time
from urllib.parse import urlsplit

import trio

import trio_h2

PIECE = bytes(range(256)) * 256


async def get(session: trio_h2.ClientSession, path: str) -> int:
    received = 0
    async with session.request("GET", path) as stream:
        await stream.receive_response()
        async for chunk in stream:
            received += len(chunk)
    return received


async def post(session: trio_h2.ClientSession, path: str, upload: int) -> int:
    received = 0
    async with session.request("POST", path, end_stream=False) as stream:
        for start in range(0, upload, len(PIECE)):
            await stream.send_all(PIECE[: upload - start])
        await stream.send_eof()
        await stream.receive_response()
        async for chunk in stream:
            received += len(chunk)
    return received


async def run(session: trio_h2.ClientSession, path: str, count: int, streams: int, upload: int) -> int:
    left, received = count, 0

    async def worker() -> None:
        nonlocal left, received
        while left:
            left -= 1
            length = await (post(session, path, upload) if upload else get(session, path))
            received += length

    async with trio.open_nursery() as nursery:
        for _ in range(min(streams, count)):
            nursery.start_soon(worker)
    return received


async def main(arguments: list[str]) -> None:
    url, ca, *numbers = arguments
    count, streams, upload = map(int, numbers)
    context = None if ca == "-" else trio_h2.client_ssl_context(ca=ca)
    path = urlsplit(url).path
    async with trio_h2.connect(url, ssl_context=context) as session:
        await run(session, path, max(streams, count // 4), streams, upload)  # warms up
        start, cpu = time.perf_counter(), time.process_time()
        received = await run(session, path, count, streams, upload)
        sys.stdout.write(f"{time.perf_counter() - start} {time.process_time() - cpu} {received}\n")


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])

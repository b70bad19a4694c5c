"""`trio_h2.Client`, which one hands URLs to. Usage and output are as in ours.py."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import trio

import trio_h2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PIECE = bytes(range(256)) * 256


async def body(upload: int) -> AsyncIterator[bytes]:
    for start in range(0, upload, len(PIECE)):
        yield PIECE[: upload - start]


async def exchange(client: trio_h2.Client, url: str, upload: int) -> int:
    if url.endswith("/small"):
        return len((await client.get(url)).content)
    received = 0
    content = body(upload) if upload else b""
    async with client.request("POST" if upload else "GET", url, body=content) as response:
        async for chunk in response:
            received += len(chunk)
    return received


async def run(client: trio_h2.Client, url: str, count: int, streams: int, upload: int) -> int:
    left, received = count, 0

    async def worker() -> None:
        nonlocal left, received
        while left:
            left -= 1
            length = await exchange(client, url, upload)
            received += length

    async with trio.open_nursery() as nursery:
        for _ in range(min(streams, count)):
            nursery.start_soon(worker)
    return received


async def main(arguments: list[str]) -> None:
    url, ca, *numbers = arguments
    count, streams, upload = map(int, numbers)
    context = None if ca == "-" else trio_h2.client_ssl_context(ca=ca)
    async with trio_h2.Client(ssl_context=context, prior_knowledge=True) as client:
        await run(client, url, max(streams, count // 4), streams, upload)  # warms up
        start, cpu = time.perf_counter(), time.process_time()
        received = await run(client, url, count, streams, upload)
        sys.stdout.write(f"{time.perf_counter() - start} {time.process_time() - cpu} {received}\n")


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])

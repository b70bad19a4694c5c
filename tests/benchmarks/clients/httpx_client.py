"""httpx or httpx2 on Trio. Usage: httpx_client.py LIBRARY URL CA COUNT STREAMS UPLOAD; the rest is as in ours.py."""

from __future__ import annotations

import importlib
import ssl
import sys
import time
from typing import TYPE_CHECKING, Protocol, cast

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

PIECE = bytes(range(256)) * 256


class Response(Protocol):
    """What both libraries have in common, as far as it is used here."""

    @property
    def content(self) -> bytes: ...

    def aiter_raw(self) -> AsyncIterator[bytes]: ...


class Client(Protocol):
    async def get(self, url: str) -> Response: ...

    def stream(
        self, method: str, url: str, *, content: AsyncIterator[bytes] | None = None
    ) -> AbstractAsyncContextManager[Response]: ...


class Library(Protocol):
    def AsyncClient(  # noqa: N802
        self, *, http1: bool, http2: bool, verify: ssl.SSLContext, timeout: None
    ) -> AbstractAsyncContextManager[Client]: ...


async def body(upload: int) -> AsyncIterator[bytes]:
    for start in range(0, upload, len(PIECE)):
        yield PIECE[: upload - start]


async def exchange(client: Client, url: str, upload: int) -> int:
    if url.endswith("/small"):
        return len((await client.get(url)).content)
    received = 0
    content = body(upload) if upload else None
    async with client.stream("POST" if upload else "GET", url, content=content) as response:
        async for chunk in response.aiter_raw():
            received += len(chunk)
    return received


async def run(client: Client, url: str, count: int, streams: int, upload: int) -> int:
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
    library, url, ca, *numbers = arguments
    count, streams, upload = map(int, numbers)
    httpx = cast("Library", importlib.import_module(library))
    context = ssl.create_default_context(cafile=None if ca == "-" else ca)
    async with httpx.AsyncClient(http1=False, http2=True, verify=context, timeout=None) as client:
        await exchange(client, url, upload)  # so that there is one connection, for all
        await run(client, url, max(streams, count // 4), streams, upload)  # warms up
        start, cpu = time.perf_counter(), time.process_time()
        received = await run(client, url, count, streams, upload)
        sys.stdout.write(f"{time.perf_counter() - start} {time.process_time() - cpu} {received}\n")


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])

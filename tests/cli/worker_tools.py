"""What the tests of `trio-h2 serve --workers` share."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import trio

import trio_h2
from tests.cli.tools import Running, read_all, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

APP = """
import os
import trio

async def who(stream):
    await stream.respond(200, body=str(os.getpid()).encode())

async def echo(stream):
    await stream.respond({":status": 200, "worker": os.getpid()})
    async for chunk in stream:
        await stream.send_all(chunk)

async def stubborn(stream):
    await stream.respond({":status": 200, "worker": os.getpid()})
    await trio.sleep_forever()

async def crash(stream):
    os._exit(7)
"""


async def ask(url: str) -> int:
    """Asks over a new connection which process serves it."""
    async with trio_h2.connect(url) as session, session.request("GET") as stream:
        return int(await read_all(stream))


async def who_serves(url: str, number: int) -> set[int]:
    """Asks until so many different processes have answered."""
    found: set[int] = set()
    while len(found) < number:
        found.add(await ask(url))
    return found


def alive(process: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except FileNotFoundError:
        return False


async def wait_gone(*processes: int) -> None:
    """Waits until these processes have ended."""
    for process in processes:
        try:
            descriptor = os.pidfd_open(process)
        except ProcessLookupError:
            continue
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)


async def said(server: Running, *words: str) -> None:
    """Waits until stderr has said all of this, in this order."""
    assert server.process.stderr is not None
    text = ""
    for word in words:
        while word not in text:
            text += (await server.process.stderr.receive_some()).decode()
        text = text.partition(word)[2]


@contextlib.asynccontextmanager
async def workers(app: Path, name: str, number: int, *more: str) -> AsyncGenerator[tuple[Running, str], None]:
    async with running("serve", "--app", f"{app}:{name}", "--workers", str(number), *more) as server:
        yield server, await server.url()

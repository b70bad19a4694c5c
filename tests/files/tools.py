"""What the tests of files share: asking for one, and counting descriptors."""

from __future__ import annotations

import os
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trio

from tests.stream.harness import pair
from trio_h2.files._reading import limiter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    import trio_h2
    from tests.session.scripted import Handler

PATIENCE = 30.0
"""Seconds after which a test hangs. Worker threads need real time."""
SECRET = b"the secret outside"
BIG = os.urandom(1_000_003)
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


class Answer(NamedTuple):
    """A whole response."""

    headers: trio_h2.Headers
    body: bytes
    trailers: trio_h2.Headers | None = None

    @property
    def status(self) -> int:
        """Its status."""
        return self.headers.status


def never(*_arguments: object) -> None:
    """A function that must not be called."""
    pytest.fail("this must not be called")


class Caller:
    """A handler that calls something, and keeps what it raised."""

    def __init__(self, call: Handler) -> None:
        self._call = call
        self.error: Exception | None = None

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        """The handler."""
        try:
            await self._call(stream)
        except Exception as exc:
            self.error = exc


@asynccontextmanager
async def session_with(
    handler: Handler, *, raise_handler_errors: bool = True
) -> AsyncGenerator[trio_h2.ClientSession, None]:
    """A client of a server with this handler, in memory; no descriptor may be left over."""
    before = descriptors()
    with trio.fail_after(PATIENCE):
        async with pair(handler, raise_handler_errors=raise_handler_errors) as (client, _server):
            yield client
        await wait_descriptors(before)


async def ask(
    session: trio_h2.ClientSession,
    path: str = "/",
    method: str = "GET",
    *,
    headers: Mapping[str, str | list[str]] | None = None,
    body: bytes = b"",
) -> Answer:
    """Sends a request, and returns the whole response."""
    async with session.request(method, path, headers=headers, body=body) as stream:
        response = await stream.receive_response()
        return Answer(response, await read_all(stream), await stream.receive_trailers())


async def read_all(stream: trio_h2.Stream) -> bytes:
    """Reads a body to its end."""
    return b"".join([chunk async for chunk in stream])


def descriptors() -> dict[int, tuple[int, int]]:
    """Returns the descriptors of this process that are open on regular files and directories, and on which."""
    found = {}
    for fd in range(1024):
        try:
            status = os.fstat(fd)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            found[fd] = (status.st_dev, status.st_ino)
    return found


async def wait_threads() -> None:
    """Waits until abandoned threads have ended: one may be about to open what it will then close."""
    with trio.fail_after(PATIENCE):
        while limiter().borrowed_tokens:  # noqa: ASYNC110 - that nobody waits for them is the point
            await trio.sleep(0.001)


async def wait_descriptors(before: dict[int, tuple[int, int]]) -> None:
    """Waits for the threads, and asserts that nothing is open that was not open before."""
    await wait_threads()
    assert descriptors().items() <= before.items()

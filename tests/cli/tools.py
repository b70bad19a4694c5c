"""Running the command line, in this process or in one of its own, and servers for it to talk to."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import trio

import trio_h2
from trio_h2._cli._args import GetOptions, parse
from trio_h2._cli._errors import report
from trio_h2._cli._get import get

if TYPE_CHECKING:
    import signal
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    Handler = Callable[[trio_h2.ServerStream], Awaitable[object]]


class Command(Protocol):
    """Runs a command in this process."""

    async def __call__(self, *argv: str) -> Ended:
        """Returns how it ended."""
        ...


PROGRAM = [sys.executable, "-m", "trio_h2"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(trio_h2.__file__).parents[1])}
PATIENCE = 40


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    def failed(self, code: int, *words: str) -> None:
        """Asserts that it failed as it should: an exit code, and one line on stderr which says all of *words*."""
        assert self.code == code, self
        assert_one_line(self.err, *words)


def assert_one_line(text: str, *words: str) -> None:
    """Asserts that this is all that stderr says."""
    assert text.startswith("trio-h2: "), text
    assert text.endswith("\n"), text
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    for word in words:
        assert word in text


async def fetch(*argv: str) -> int:
    """Runs `trio-h2 get` in this process; returns its exit code."""
    options = parse(["get", *argv])
    assert isinstance(options, GetOptions)
    try:
        return await get(options)
    except Exception as exc:
        return report(exc)


async def run(*argv: str, stdin: bytes = b"", cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ended:
    """Runs the command line in a process of its own, to its end."""
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(
            [*PROGRAM, *argv],
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=cwd,
            env={**ENVIRONMENT, **(env or {})},
        )
    return Ended(done.returncode, done.stdout, done.stderr.decode())


class Running:
    """A command that runs in a process of its own."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """Returns the next line of its stdout, byte by byte so that the rest is left."""
        assert self.process.stdout is not None
        text = b""
        while not text.endswith(b"\n"):
            octet = await self.process.stdout.receive_some(1)
            if not octet:
                ended = await self.ended()
                raise AssertionError(f"stdout ended after {text!r}: {ended}")
            text += octet
        return text.decode()

    async def url(self) -> str:
        """Waits until it listens, and returns where."""
        words, _, url = (await self.line()).rpartition(" ")
        assert words == "Listening on"
        return url.strip()

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    async def ended(self) -> Ended:
        """Waits for its end; `out` is what was not read before."""
        out, err = bytearray(), bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_collect, self.process.stdout, out)
            nursery.start_soon(_collect, self.process.stderr, err)
        return Ended(await self.process.wait(), bytes(out), err.decode())


async def _collect(pipe: trio.abc.ReceiveStream | None, into: bytearray) -> None:
    if pipe is not None:
        async for chunk in pipe:
            into += chunk


@asynccontextmanager
async def running(
    *argv: str,
    stdin: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
    program: Sequence[str] = PROGRAM,
    env: Mapping[str, str] | None = None,
) -> AsyncGenerator[Running, None]:
    """Runs the command line in a process of its own while the block lasts."""
    process = await trio.lowlevel.open_process(
        [*program, *argv], stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env={**ENVIRONMENT, **(env or {})}
    )
    try:
        with trio.fail_after(PATIENCE):
            yield Running(process)
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.kill()
            await process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    await pipe.aclose()


@asynccontextmanager
async def served(handler: Handler, ssl_context: ssl.SSLContext | None = None) -> AsyncGenerator[Site, None]:
    """Serves in this process while the block lasts."""
    site = Site()
    serve = (
        partial(trio_h2.serve_tcp, handler, 0, host="127.0.0.1", on_session=site.count)
        if ssl_context is None
        else partial(trio_h2.serve_ssl_over_tcp, handler, 0, ssl_context, host="127.0.0.1", on_session=site.count)
    )
    async with trio.open_nursery() as nursery:
        with trio.fail_after(PATIENCE):
            site.server = await nursery.start(serve)
            yield site
            nursery.cancel_scope.cancel()


class Site:
    """A server in this process."""

    server: trio_h2.Server

    def __init__(self) -> None:
        self.sessions = 0

    async def count(self, _session: trio_h2.ServerSession) -> None:
        """Counts the sessions."""
        self.sessions += 1

    def url(self, path: str = "/") -> str:
        """The URL of a path on it."""
        return f"{self.server.urls[0]}{path}"


async def read_all(stream: trio_h2.Stream) -> bytes:
    """Reads a body to its end."""
    return b"".join([chunk async for chunk in stream])

"""Foreign programs as subprocesses: found on the path, waited for, and never outliving a test."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

# Debian keeps nginx and nghttpd in /usr/sbin, which only root has on its path.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
_STOP_SECONDS = 5
_START_SECONDS = 30
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class PeerFinder:
    """Finds the program of a peer; one that is missing fails the test, or is left out with `--allow-missing`."""

    allow_missing: bool

    def program(self, name: str) -> str:
        """Returns the path of a program."""
        path = shutil.which(name, path=_PATH)
        if path is None:
            self.missing(f"the program {name} is not installed")
        assert path is not None
        return path

    def missing(self, what: str) -> None:
        """Ends the test, because a peer is missing."""
        if self.allow_missing:
            pytest.skip(what)
        pytest.fail(f"{what} (--allow-missing leaves its tests out)")


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that has ended."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Its standard output."""
        return self.stdout.decode(errors="replace")

    @property
    def errors(self) -> str:
        """Its standard error."""
        return self.stderr.decode(errors="replace")


async def run(*command: str | Path, stdin: bytes = b"", check: bool = True) -> Finished:
    """Runs a program to its end; cancelled, it is terminated, then killed.

    Args:
        command: The program and its arguments.
        stdin: What it can read.
        check: Whether an exit code other than 0 fails the test.
    """
    done = await trio.run_process(
        [os.fspath(part) for part in command], stdin=stdin, capture_stdout=True, capture_stderr=True, check=False
    )
    finished = Finished(done.returncode, done.stdout, done.stderr)
    if check and done.returncode != 0:
        pytest.fail(f"{command[0]} exited with {done.returncode}:\n{finished.text[-4000:]}\n{finished.errors[-4000:]}")
    return finished


class Program:
    """A running program and what it has said so far on standard output and standard error."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.output = ""
        self._grown = trio.Event()
        self._ended = False

    @property
    def pid(self) -> int:
        """The process id, which is also its process group."""
        return self.process.pid

    async def wait_for(self, pattern: str, seconds: float = _START_SECONDS) -> re.Match[str]:
        """Waits until the output matches a regular expression, in which `^` and `$` are ends of lines."""
        expression = re.compile(pattern, re.MULTILINE)
        with trio.move_on_after(seconds):
            while (match := expression.search(self.output)) is None and not self._ended:
                await self._grown.wait()
            if match is not None:
                return match
        pytest.fail(f"{self.process.args!r} did not say {pattern!r}, but:\n{self.output[-4000:]}")

    async def wait_for_port(self, port: int) -> None:
        """Waits until the program accepts TCP connections on 127.0.0.1."""
        with trio.move_on_after(_START_SECONDS):
            while self.process.poll() is None:
                with contextlib.suppress(OSError):
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                    return
                await trio.sleep(_POLL_SECONDS)
        pytest.fail(f"{self.process.args!r} does not listen on port {port}:\n{self.output[-4000:]}")

    async def wait_ended(self) -> int:
        """Waits until the program has ended and all its output was read; returns its exit code."""
        with trio.fail_after(_START_SECONDS):
            while not self._ended:
                await self._grown.wait()
            return await self.process.wait()

    async def say(self, line: str) -> None:
        """Writes a line to the standard input."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(line.encode() + b"\n")

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for data in self.process.stdout:
            self.output += data.decode(errors="replace")
            self._grown.set()
            self._grown = trio.Event()
        self._ended = True
        self._grown.set()

    async def _stop(self) -> None:
        """Ends the program with everything it has started, however it takes that."""
        with trio.CancelScope(shield=True):
            self._signal(signal.SIGTERM)
            with trio.move_on_after(_STOP_SECONDS):
                await self.process.wait()
            self._signal(signal.SIGKILL)
            await self.process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


@asynccontextmanager
async def running(
    *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> AsyncGenerator[Program, None]:
    """Starts a program in a process group of its own; leaving the block stops the whole group."""
    # Not interrupted in between: a process that was started is in our hands before anything can be cancelled.
    process = await trio.lowlevel.open_process(
        [os.fspath(part) for part in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=None if env is None else {**os.environ, **env},
        cwd=cwd,
    )
    program = Program(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(program._read)
            yield program
            nursery.cancel_scope.cancel()
    finally:
        await program._stop()
        with trio.CancelScope(shield=True):
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()


def free_port() -> int:
    """Returns a TCP port of 127.0.0.1 that was free a moment ago, for programs that cannot choose one themselves."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port

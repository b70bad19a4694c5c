"""The servers that get the same requests, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.interop.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[3]
APP: Final = "tests.interop.differential.app:app"
OURS: Final = "ours"
PEERS: Final = ("hypercorn", "anycorn")
_START_SECONDS = 30


def command(who: str, port: int) -> list[str]:
    """Returns how a server is started."""
    if who == OURS:
        return [sys.executable, "-m", "trio_h2", "serve", "--asgi", APP, "--port", str(port), "--host", "127.0.0.1"]
    worker = "asyncio" if who == "hypercorn" else "trio"  # hypercorn's worker for Trio is what anycorn has come of
    bind = ["--bind", f"127.0.0.1:{port}", "--worker-class", worker, "--workers", "0"]
    return [sys.executable, "-m", who, *bind, APP]


class Servers:
    """All of them. One that has died of what it was asked is started anew."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}
        self.starts = 0
        """How often one was started."""

    def ports(self) -> dict[str, int]:
        """Returns where each of them listens."""
        missing = [who for who in (OURS, *PEERS) if who not in self._running or not _listens(self._running[who][0])]
        for who in missing:
            if who in self._running:
                assert who != OURS, "ours has died"
                self._stop(who)
            self._start(who)
        for who in missing:
            _wait(who, self._running[who][0])
        return {who: port for who, (port, _) in self._running.items()}

    def _start(self, who: str) -> None:
        self.starts += 1
        port, quiet = free_port(), subprocess.DEVNULL
        process = subprocess.Popen(command(who, port), cwd=ROOT, stdout=quiet, stderr=quiet, start_new_session=True)
        self._running[who] = (port, process)

    def stop(self) -> None:
        """Ends them."""
        for who in list(self._running):
            self._stop(who)

    def _stop(self, who: str) -> None:
        _, process = self._running.pop(who)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def running() -> Iterator[Servers]:
    """Servers, until the block ends."""
    servers = Servers()
    try:
        yield servers
    finally:
        servers.stop()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _wait(who: str, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if _listens(port):
            return
        time.sleep(0.05)  # noqa: TID251 - before the test
    raise AssertionError(f"{who} does not listen")

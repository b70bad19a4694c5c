"""Runs the fleet: HAProxy in front of three servers of two processes each, which are deployed, crash and dawdle.

    python3 examples/fleet/run.py --requests 50000

While requests and WebSockets go through HAProxy, each server in turn gets a new version, one is stopped and started
again, processes of one are killed again and again, and one takes its time. It ends with 1 if a request has failed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

import trio_h2
from trio_h2.websocket import WebSocketBrokenError, WebSocketError, connect_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

FOLDER = Path(__file__).parent
NAMES = ("first", "second", "third")
SLOW = "third"
CRASHES = "second"
AT_ONCE = 40
WEBSOCKETS = 12
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])  # where Debian has HAProxy


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Server:
    """One of the servers: a process that looks after workers, all on one port."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port, self.health = free_port(), free_port()
        self.version = 1
        self._process: trio.Process | None = None

    async def start(self) -> None:
        """Starts it, and waits until it serves."""
        environment = {**os.environ, "VERSION": str(self.version), "SLOW": "0.02" if self.name == SLOW else "0"}
        command = ["serve", "--asgi", "app:app", "--app-dir", str(FOLDER), "--host", "127.0.0.1", "--workers", "2"]
        ports = ["--port", str(self.port), "--health-bind", f"127.0.0.1:{self.health}", "--graceful-timeout", "10"]
        self._process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "trio_h2", *command, *ports],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        await self.wait_healthy()

    async def wait_healthy(self) -> None:
        """Waits until all of it serves."""
        with trio.fail_after(60):
            while not await self._healthy():  # noqa: ASYNC110 - another process has no event for us
                await trio.sleep(0.1)

    async def _healthy(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.health}/healthz"
            async with trio_h2.Client(prior_knowledge=True) as client, client.request("GET", url) as response:
                return response.status == 200
        except (trio_h2.H2Error, OSError):
            return False

    async def deploy(self) -> None:
        """Starts a new version: its workers take the place of the former ones, which finish what they have."""
        self.version += 1
        self._signal(signal.SIGUSR1)
        await trio.sleep(2)
        await self.wait_healthy()

    async def restart(self) -> None:
        """Stops it, when it has finished what it had, and starts it again."""
        self._signal(signal.SIGTERM)
        assert self._process is not None
        await self._process.wait()
        await self.start()

    def workers(self) -> list[int]:
        """Returns the processes that serve."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> None:
        """Ends it with all that it has started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await self._process.wait()


class Fleet:
    """All of it, and what has become of the requests."""

    def __init__(self, requests: int) -> None:
        self.servers = {name: Server(name) for name in NAMES}
        self.front = free_port()
        self.left = requests
        self.answered: Counter[str] = Counter()
        """How many answers each process has given."""
        self.failed: list[str] = []
        self.echoes = 0
        self.reopened = 0
        """How many WebSockets were told that their process leaves, or lost it, and were opened again."""
        self.done = trio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Runs servers and HAProxy."""
        try:
            async with trio.open_nursery() as nursery:
                for server in self.servers.values():
                    nursery.start_soon(server.start)
            async with self._haproxy():
                yield
        finally:
            for server in self.servers.values():
                await server.stop()

    @asynccontextmanager
    async def _haproxy(self) -> AsyncGenerator[None, None]:
        ports = {"FRONT": f"127.0.0.1:{self.front}"}
        for name, server in self.servers.items():
            ports |= {name.upper(): f"127.0.0.1:{server.port}", f"{name.upper()}_HEALTH": str(server.health)}
        process = await trio.lowlevel.open_process(
            ["haproxy", "-f", str(FOLDER / "haproxy.cfg")],
            env={**os.environ, "PATH": PATH, **ports},
            stderr=subprocess.DEVNULL,
        )
        try:
            with trio.fail_after(20):
                while not await self._accepts():  # noqa: ASYNC110 - another process has no event for us
                    await trio.sleep(0.1)
            yield
        finally:
            process.kill()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await process.wait()

    async def _accepts(self) -> bool:
        try:
            await (await trio.open_tcp_stream("127.0.0.1", self.front)).aclose()
        except OSError:
            return False
        return True

    async def ask(self, client: trio_h2.Client) -> None:
        """Makes one request after the other."""
        while self.left > 0:
            self.left -= 1
            try:
                async with client.request("GET", f"http://127.0.0.1:{self.front}/") as response:
                    body = (await response.read()).decode()
            except (trio_h2.H2Error, OSError) as exc:
                self.failed.append(f"{type(exc).__name__}: {exc}")
                continue
            if response.status == 200 and re.fullmatch(r"version \d+, process \d+\n", body):
                self.answered[body.strip()] += 1
            else:
                self.failed.append(f"{response.status}: {body[:100]}")

    async def chat(self) -> None:
        """Has a WebSocket, and opens it again when its process has left."""
        while not self.done.is_set():
            try:
                async with connect_websocket(f"ws://127.0.0.1:{self.front}/chat") as websocket:
                    while not self.done.is_set():
                        await websocket.send_message("hello")
                        answer = await websocket.receive_message()
                        assert isinstance(answer, str)
                        assert answer.startswith("hello, version ")
                        self.echoes += 1
                        with trio.move_on_after(0.2):
                            await self.done.wait()
            except WebSocketBrokenError:
                self.reopened += 1
            except (WebSocketError, trio_h2.H2Error, OSError):
                self.reopened += 1
                await trio.sleep(0.05)

    async def trouble(self) -> None:
        """Does to the servers what happens to servers, until all requests are made."""
        while True:
            for name, server in self.servers.items():
                await server.deploy()
                if name == CRASHES:
                    for pid in server.workers()[:1]:
                        os.kill(pid, signal.SIGKILL)
                    await trio.sleep(0.5)
                    await server.wait_healthy()
            await self.servers["first"].restart()


async def main(requests: int) -> int:
    fleet = Fleet(requests)
    async with fleet.running():
        begun = trio.current_time()
        async with trio.open_nursery() as around:
            around.start_soon(fleet.trouble)
            async with trio.open_nursery() as chats:
                for _ in range(WEBSOCKETS):
                    chats.start_soon(fleet.chat)
                async with trio_h2.Client(prior_knowledge=True) as client, trio.open_nursery() as nursery:
                    for _ in range(AT_ONCE):
                        nursery.start_soon(fleet.ask, client)
                fleet.done.set()
            around.cancel_scope.cancel()
        seconds = trio.current_time() - begun
    versions = {server.name: server.version for server in fleet.servers.values()}
    print(f"{sum(fleet.answered.values())} requests answered in {seconds:.0f} s by {len(fleet.answered)} processes")
    print(f"{len(fleet.failed)} failed {fleet.failed[:5] or ''}")
    print(f"{fleet.echoes} echoes over {WEBSOCKETS} WebSockets, which were opened again {fleet.reopened} times")
    print(f"deployments: {versions}")
    return 1 if fleet.failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Runs a fleet of servers behind HAProxy, in trouble.")
    parser.add_argument("--requests", type=int, default=5000)
    sys.exit(trio.run(main, parser.parse_args().requests))

"""Behind a load balancer: HAProxy speaks HTTP/2 to several of our processes, which are restarted while it does."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.fetching import fetch
from tests.interop.processes import free_port, run, running
from tests.interop.test_h2load import check_report

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder, Program

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "behind_haproxy"
REQUESTS = 10_000


class Site:
    """HAProxy, and what runs behind it.

    Args:
        tls_files: certificates.
        tls: whether HAProxy speaks TLS to the processes.
    """

    def __init__(self, tls_files: TlsFiles, *, tls: bool) -> None:
        self.front = free_port()
        self.back = (free_port(), free_port())
        self.tls = tls
        verified = f"ssl verify required verifyhost localhost ca-file {tls_files.ca} alpn h2 check-alpn h2"
        self.speak = verified if tls else "proto h2"
        self._tls_files = tls_files

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.front}"

    def environment(self) -> dict[str, str]:
        """What the example's configuration asks for."""
        return {
            "FRONT": f"127.0.0.1:{self.front}",
            "FIRST": f"127.0.0.1:{self.back[0]}",
            "SECOND": f"127.0.0.1:{self.back[1]}",
            "SPEAK": self.speak,
        }

    @asynccontextmanager
    async def process(self, port: int, *more: str) -> AsyncGenerator[Program, None]:
        """Runs one of our processes until the block ends, or it ends by itself."""
        certificate = ["--cert", str(self._tls_files.certificate), "--key", str(self._tls_files.key)]
        command = ["serve", "--app", f"{EXAMPLE / 'app.py'}:handle", "--host", "127.0.0.1", "--port", str(port), *more]
        if self.tls:
            command += certificate
        async with running(sys.executable, "-m", "trio_h2", *command, cwd=ROOT) as program:
            await program.wait_for(r"^Listening on ")
            yield program


@pytest.fixture(params=["h2c", "tls"])
def site(request: pytest.FixtureRequest, tls_files: TlsFiles) -> Site:
    return Site(tls_files, tls=request.param == "tls")


@asynccontextmanager
async def haproxy(site: Site, peers: PeerFinder) -> AsyncGenerator[Program, None]:
    """Runs HAProxy with the configuration of the example."""
    command = [peers.program("haproxy"), "-f", str(EXAMPLE / "haproxy.cfg")]
    async with running(*command, env=site.environment()) as program:
        await program.wait_for_port(site.front)
        yield program


async def who_answers(site: Site) -> int:
    """Asks through HAProxy, on a new connection, which of our processes answers."""
    async with trio_h2.connect(site.url) as session:
        answer = await fetch(session, "/")
        assert answer.status == 200, answer
        found = re.fullmatch(rb"process (\d+) got 0 bytes\n", answer.body)
        assert found is not None, answer
        return int(found[1])


async def wait_for_process(site: Site, pid: int) -> None:
    """Waits until HAProxy sends requests to a process, which it does as soon as this passed a health check."""
    while True:
        if await who_answers(site) == pid:
            return


class Restarted:
    """One of our processes, and the one that follows it on the same port."""

    def __init__(self, site: Site, port: int) -> None:
        self._site = site
        self._port = port
        self._stop = trio.Event()
        self._replaced = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Runs the first until `restart`, then the second until it is cancelled."""
        async with self._site.process(self._port) as first:
            task_status.started()
            await self._stop.wait()
            os.kill(first.pid, signal.SIGTERM)
            assert await first.wait_ended() == 0, first.output
        async with self._site.process(self._port) as second:
            await wait_for_process(self._site, second.pid)
            self._replaced.set()
            await trio.sleep_forever()

    async def restart(self) -> None:
        """Lets the first end when it has finished, and waits until the second has its part of the load."""
        self._stop.set()
        await self._replaced.wait()


@pytest.mark.timeout(300)
async def test_a_rolling_restart_loses_no_request(site: Site, peers: PeerFinder) -> None:
    h2load = peers.program("h2load")
    async with trio.open_nursery() as nursery:
        processes = [Restarted(site, port) for port in site.back]
        for process in processes:
            await nursery.start(process.run)
        async with haproxy(site, peers):
            assert len({await who_answers(site) for _ in range(10)}) == 2, "both get requests"
            restarted, requests = trio.Event(), 0

            async def restart_all() -> None:
                for process in processes:
                    await process.restart()
                restarted.set()

            nursery.start_soon(restart_all)
            while requests < REQUESTS or not restarted.is_set():
                done = await run(h2load, "-n", "2500", "-c", "5", "-m", "20", f"{site.url}/")
                check_report(done.text, 2500)
                requests += 2500
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
async def test_the_address_of_the_client(version: str, tls_files: TlsFiles, peers: PeerFinder) -> None:
    """HAProxy tells it by the PROXY protocol, and the access log shows it."""
    site = Site(tls_files, tls=False)
    site.speak = f"proto h2 {version} check-send-proxy"
    options = ["--proxy-protocol", "--access-log", "text"]
    async with (
        site.process(site.back[0], *options) as first,
        site.process(site.back[1], *options) as second,
        haproxy(site, peers),
        trio_h2.connect(site.url) as session,
    ):
        for _ in range(4):
            assert (await fetch(session, "/")).status == 200
        address = session.transport.local_address
        assert isinstance(address, tuple)
        line = rf'^\S+ 127\.0\.0\.1:{address[1]} "GET / HTTP/2.0" 200 '
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.wait_for, line)
            nursery.start_soon(second.wait_for, line)

"""What a service manager is told, as sd_notify(3) says."""

from __future__ import annotations

import logging
import os
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from tests.cli.tools import running
from tests.cli.worker_tools import ask
from trio_h2._cli._service_manager import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from trio.testing import MockClock

    from trio_h2.testing import ThrowawayAuthority

SHOWS_VARIABLES = """
import os

async def handle(stream):
    names = [name for name in os.environ if name.startswith(("NOTIFY", "WATCHDOG"))]
    await stream.respond(200, body=" ".join(names).encode())
"""


class Manager:
    """The other end of the socket."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._sock = sock

    async def heard(self) -> str:
        """Returns the next message."""
        return (await self._sock.recv(4096)).decode()


@contextmanager
def listening(address: str) -> Generator[Manager, None, None]:
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        # Trio's `bind` is async for the sake of names, which this has not.
        inner = socket.socket(fileno=os.dup(sock.fileno()))
        with inner:
            inner.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        yield Manager(sock)


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a manager listens."""
    return str(tmp_path / "notify") if request.param == "path" else f"@trio-h2-test-{os.getpid()}"


async def test_it_is_told_what_happens(address: str) -> None:
    with listening(address) as other:
        manager = ServiceManager(address)
        await manager.ready()
        assert await other.heard() == "READY=1"
        await manager.reloading()
        state, _, moment = (await other.heard()).partition("\nMONOTONIC_USEC=")
        assert state == "RELOADING=1"
        assert int(moment) > 0
        await manager.ready()
        assert await other.heard() == "READY=1"
        await manager.stopping()
        assert await other.heard() == "STOPPING=1"
        # A reload that ends now is no news: it would be "ready" again.
        await manager.ready()
        await ServiceManager(address).ready()
        assert await other.heard() == "READY=1"


async def test_the_watchdog_hears_twice_in_its_time(address: str, autojump_clock: MockClock) -> None:
    with listening(address) as other:
        manager = ServiceManager(address, 10.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(manager.keep_watching)
            begun, times = trio.current_time(), list[float]()
            while len(times) < 3:
                assert await other.heard() == "WATCHDOG=1"
                times.append(trio.current_time() - begun)
            nursery.cancel_scope.cancel()
        assert times == [0, 5, 10]
        await ServiceManager(address).keep_watching()
        await ServiceManager(None, 10.0).keep_watching()


def test_what_the_environment_says() -> None:
    def taken(**variables: str) -> tuple[str | None, float | None]:
        manager = ServiceManager.take(variables)
        assert variables == {"OTHER": "x"}
        return manager._address, manager._interval

    assert taken(OTHER="x") == (None, None)
    assert taken(OTHER="x", NOTIFY_SOCKET="") == (None, None)
    assert taken(OTHER="x", NOTIFY_SOCKET="/run/n") == ("/run/n", None)
    assert taken(OTHER="x", NOTIFY_SOCKET="@n", WATCHDOG_USEC="20000000") == ("@n", 20.0)
    own, other = str(os.getpid()), str(os.getppid())
    assert taken(OTHER="x", NOTIFY_SOCKET="@n", WATCHDOG_USEC="500000", WATCHDOG_PID=own) == ("@n", 0.5)
    assert taken(OTHER="x", NOTIFY_SOCKET="@n", WATCHDOG_USEC="500000", WATCHDOG_PID=other) == ("@n", None)
    for wrong in ("x", "-1", "0", "1.5"):
        assert taken(OTHER="x", NOTIFY_SOCKET="@n", WATCHDOG_USEC=wrong) == ("@n", None)


def test_an_address_of_another_kind(caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager.take({"NOTIFY_SOCKET": "vsock:2:1234"})
    assert "NOTIFY_SOCKET is not understood" in caplog.text


async def test_a_manager_that_is_gone_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await ServiceManager(str(tmp_path / "nobody")).ready()
    assert "cannot tell the service manager READY=1: No such file or directory" in caplog.text


async def test_a_manager_that_takes_no_messages(
    address: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(address):
        manager = ServiceManager(address)
        while "takes no messages" not in caplog.text:
            await manager.ready()


async def test_a_server(tmp_path: Path, address: str, authority: ThrowawayAuthority) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.write_server(cert, key)
    argv = ["serve", str(tmp_path), "--cert", str(cert), "--key", str(key)]
    with listening(address) as manager:
        async with running(*argv, env={"NOTIFY_SOCKET": address}) as server:
            assert await manager.heard() == "READY=1"
            await server.url()
            server.signal(signal.SIGHUP)
            assert (await manager.heard()).startswith("RELOADING=1\n")
            assert await manager.heard() == "READY=1"
            server.signal(signal.SIGTERM)
            assert await manager.heard() == "STOPPING=1"
            assert (await server.ended()).code == 0


async def test_workers(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    file = trio.Path(tmp_path / "app.py")
    await file.write_text(SHOWS_VARIABLES)
    argv = ["serve", "--app", f"{file}:handle", "--workers", "2"]
    variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000000"}
    with listening(address) as manager:
        async with running(*argv, env=variables) as server:
            assert {await manager.heard(), await manager.heard()} == {"READY=1", "WATCHDOG=1"}
            with pytest.raises(ValueError, match="''"):
                await ask(await server.url())  # no worker knows the manager
            server.signal(signal.SIGUSR1)
            assert (await manager.heard()).startswith("RELOADING=1\n")
            assert await manager.heard() == "READY=1"
            server.signal(signal.SIGTERM)
            assert await manager.heard() == "STOPPING=1"
            assert (await server.ended()).code == 0


async def test_a_proxy(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with listening(address) as manager:
        async with running("proxy", "--allow", "*:443", env={"NOTIFY_SOCKET": address}) as server:
            assert await manager.heard() == "READY=1"
            server.signal(signal.SIGTERM)
            assert await manager.heard() == "STOPPING=1"
            assert (await server.ended()).code == 0

"""Our own side of the interop tests, and what every peer needs: certificates and programs."""

from __future__ import annotations

import functools
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import pytest
import trio

import trio_h2
from tests.interop.app import App
from tests.interop.processes import PeerFinder
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

_P = ParamSpec("_P")

_FOLDER = Path(__file__).parent
_TEST_SECONDS = 60
_MARGIN = 15


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cancels tests a little before pytest-timeout would end them, so that what they started is stopped."""
    for item in items:
        if isinstance(item, pytest.Function) and item.path.is_relative_to(_FOLDER):
            marker = item.get_closest_marker("timeout")
            item.obj = _limited(item.obj, float(marker.args[0] if marker else _TEST_SECONDS) - _MARGIN)


def _limited(test: Callable[_P, Awaitable[None]], seconds: float) -> Callable[_P, Awaitable[None]]:
    @functools.wraps(test)
    async def limited(*args: _P.args, **kwargs: _P.kwargs) -> None:
        with trio.fail_after(seconds):
            await test(*args, **kwargs)

    return limited


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The certificates of the tests, also as PEM files for foreign programs."""

    authority: ThrowawayAuthority
    ca: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    folder = tmp_path_factory.mktemp("tls")
    files = TlsFiles(ThrowawayAuthority(), folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    files.authority.write_ca(files.ca)
    files.authority.write_server(files.certificate, files.key)
    return files


@pytest.fixture(scope="session")
def peers(request: pytest.FixtureRequest) -> PeerFinder:
    return PeerFinder(allow_missing=bool(request.config.getoption("--allow-missing")))


@dataclass(slots=True)
class OurServer:
    """A server of ours that foreign clients talk to."""

    app: App
    url: str
    server: trio_h2.Server
    ca: Path
    sessions: list[trio_h2.ServerSession] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    happenings: list[trio_h2.Subscription] = field(default_factory=list)
    """What happens to each session, from its start."""

    clients_hang_up: bool = False
    """Whether clients may drop the connection in the middle of an upload, having seen the response."""

    @property
    def tls(self) -> bool:
        """Whether it speaks TLS."""
        return self.url.startswith("https:")

    def check(self) -> None:
        """Asserts that no session failed or left anything behind.

        A client that has everything may drop the connection as it likes, and curl does so by a TCP reset sometimes.
        """
        lost = [error for error in self.errors if isinstance(error, trio_h2.TransportLostError)]
        dropped = [error for error in lost if error.retryable or self.clients_hang_up]
        assert [error for error in self.errors if error not in dropped] == []
        for session in self.sessions:
            after = session.statistics()
            ledger = after.ledger
            assert ledger.received == ledger.taken + ledger.discarded + ledger.held
            assert (ledger.held, after.open_streams, after.running_handlers, after.queued_body) == (0, 0, 0, 0)


@asynccontextmanager
async def our_server(
    tls_files: TlsFiles, *, tls: bool, config: trio_h2.ServerConfig | None = None, allow_http1: bool = False
) -> AsyncGenerator[OurServer, None]:
    """Runs a server of ours on a free port of 127.0.0.1."""
    app = App()
    sessions: list[trio_h2.ServerSession] = []
    errors: list[Exception] = []

    happenings: list[trio_h2.Subscription] = []

    async def remember(session: trio_h2.ServerSession) -> None:
        sessions.append(session)
        happenings.append(session.subscribe())

    def failed(session: trio_h2.ServerSession | None, error: Exception) -> None:
        errors.append(error)

    async def serve(*, task_status: trio.TaskStatus[trio_h2.Server]) -> None:
        if tls:
            await trio_h2.serve_ssl_over_tcp(
                app.handle,
                0,
                trio_h2.server_ssl_context(tls_files.certificate, tls_files.key, allow_http1=allow_http1),
                host="127.0.0.1",
                config=config,
                on_session=remember,
                on_session_error=failed,
                allow_http1=allow_http1,
                task_status=task_status,
            )
        else:
            await trio_h2.serve_tcp(
                app.handle,
                0,
                host="127.0.0.1",
                config=config,
                on_session=remember,
                on_session_error=failed,
                allow_http1=allow_http1,
                task_status=task_status,
            )

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve)
        yield OurServer(app, server.urls[0], server, tls_files.ca, sessions, errors, happenings)
        await server.aclose(grace=5)


@pytest.fixture
def server_config() -> trio_h2.ServerConfig | None:
    """The limits of our servers; a test that wants others parametrizes this name."""
    return None


@pytest.fixture(params=["h2c", "tls"])
async def server(
    request: pytest.FixtureRequest, tls_files: TlsFiles, server_config: trio_h2.ServerConfig | None
) -> AsyncGenerator[OurServer, None]:
    """A server of ours, once in cleartext and once over TLS."""
    async with our_server(tls_files, tls=request.param == "tls", config=server_config) as server:
        yield server
    server.check()


@pytest.fixture(params=["cleartext", "tls"])
async def both_server(
    request: pytest.FixtureRequest, tls_files: TlsFiles, server_config: trio_h2.ServerConfig | None
) -> AsyncGenerator[OurServer, None]:
    """A server of ours that speaks HTTP/1.1 too, once in cleartext and once over TLS."""
    tls = request.param == "tls"
    async with our_server(tls_files, tls=tls, config=server_config, allow_http1=True) as server:
        yield server
    server.check()


@pytest.fixture
async def h2c_server(
    tls_files: TlsFiles, server_config: trio_h2.ServerConfig | None
) -> AsyncGenerator[OurServer, None]:
    """A server of ours in cleartext."""
    async with our_server(tls_files, tls=False, config=server_config) as server:
        yield server
    server.check()


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture) -> Generator[None, None, None]:
    """Lets no warning or error of the library go unnoticed; a test that expects one calls `caplog.clear`."""
    yield
    bad = [r for r in caplog.get_records("call") if r.name.startswith("trio_h2") and r.levelno >= logging.WARNING]
    assert [record.getMessage() for record in bad] == []

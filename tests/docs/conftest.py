"""What the tests of the programs on the pages share."""

from __future__ import annotations

import contextlib
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.processes import free_port
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

ROOT = Path(__file__).parents[2]
CODE = ROOT / "docs" / "code"


@dataclass(frozen=True)
class Certificates:
    """Certificates as files, as the programs on the pages take them."""

    authority: ThrowawayAuthority
    ca: Path
    cert: Path
    key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    files = Certificates(ThrowawayAuthority(), folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    files.authority.write_ca(files.ca)
    files.authority.write_server(files.cert, files.key)
    return files


@asynccontextmanager
async def serving(
    handler: Callable[[trio_h2.ServerStream], Awaitable[None]],
    *,
    config: trio_h2.ServerConfig | None = None,
    allow_http1: bool = False,
) -> AsyncGenerator[trio_h2.Server, None]:
    """Runs a handler of a page on a free port, in cleartext."""
    options = trio_h2.open_server(handler, host="127.0.0.1", config=config, allow_http1=allow_http1, grace=1)
    async with options as server:
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the files of a folder by their names."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@asynccontextmanager
async def program(
    main: Callable[[], Awaitable[None]], certificates: Certificates, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[int, None]:
    """Runs a server of a page as a reader does, in a folder with its certificate; gives its port."""
    monkeypatch.chdir(folder)
    (folder / "cert.pem").write_bytes(certificates.cert.read_bytes())
    (folder / "key.pem").write_bytes(certificates.key.read_bytes())
    port = free_port()
    monkeypatch.setattr(sys.modules[main.__module__], "PORT", port)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(main)
        with trio.fail_after(10):
            while True:
                with contextlib.suppress(OSError):
                    await (await trio.open_tcp_stream("localhost", port)).aclose()
                    break
                await trio.sleep(0.01)
        yield port
        nursery.cancel_scope.cancel()

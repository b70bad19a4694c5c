"""A gibibyte each way between two processes of ours: it arrives, and no memory grows with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop.bodies import MIB
from tests.interop.processes import running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.conftest import TlsFiles

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.interop.transfer"]


@pytest.fixture(params=["h2c", "tls"])
async def target(request: pytest.FixtureRequest, tls_files: TlsFiles) -> AsyncGenerator[list[str], None]:
    """A server in a process of its own: its URL, and the authority to trust."""
    tls = request.param == "tls"
    files = [str(tls_files.certificate), str(tls_files.key)] if tls else []
    async with running(*COMMAND, "serve", *files, cwd=ROOT) as program:
        url = (await program.wait_for(r"^listening (\S+)$"))[1]
        yield [url, str(tls_files.ca)] if tls else [url]


# Minutes are for slow machines; it takes seconds.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("direction", ["download", "upload"])
async def test_one_gibibyte(target: list[str], direction: str) -> None:
    async with running(*COMMAND, direction, *target, cwd=ROOT) as program:
        line = (await program.wait_for(r"^\{.*\}$", seconds=560))[0]
    result = json.loads(line)
    assert (result["length"], result["intact"]) == (1024 * MIB, True)
    assert result["client_growth"] < 64 * MIB
    assert result["server_growth"] < 64 * MIB

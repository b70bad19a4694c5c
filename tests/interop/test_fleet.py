"""The fleet of `examples/fleet`: no request fails while its servers are deployed, restarted, killed and slow."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.interop.processes import run, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.interop.processes import PeerFinder

FLEET = Path(__file__).parents[2] / "examples" / "fleet"
COMMAND = "python3 examples/fleet/run.py --requests 50000"
REQUESTS = 3000


@pytest.mark.timeout(180)
async def test_no_request_fails(peers: PeerFinder) -> None:
    peers.program("haproxy")
    command = COMMAND.replace("50000", str(REQUESTS)).split()[1:]
    async with running(sys.executable, *command, cwd=FLEET.parents[1]) as program:
        told = (await program.wait_for(r"^deployments: .*\n", 150)).string
        assert await program.wait_ended() == 0, told
    assert f"{REQUESTS} requests answered" in told
    assert re.search(r"^0 failed", told, re.MULTILINE)
    echoes = re.search(r"^(\d+) echoes", told, re.MULTILINE)
    assert echoes is not None
    assert int(echoes[1]) > 0


async def test_nginx_understands_its_configuration(peers: PeerFinder, tmp_path: Path) -> None:
    nginx = peers.program("nginx")
    ended = await run(nginx, "-t", "-p", tmp_path, "-c", FLEET / "nginx.conf")
    assert "test is successful" in ended.errors


async def test_envoy_understands_its_configuration() -> None:
    """It is no package of Debian: where it is missing, only the form is looked at."""
    if envoy := shutil.which("envoy"):
        await run(envoy, "--mode", "validate", "-c", FLEET / "envoy.yaml")
    try:
        load = cast("Callable[[str], dict[str, dict[str, list[object]]]]", importlib.import_module("yaml").safe_load)
    except ModuleNotFoundError:
        text = (FLEET / "envoy.yaml").read_text()
        assert "static_resources:" in text
    else:
        read = load((FLEET / "envoy.yaml").read_text())["static_resources"]
        assert (len(read["listeners"]), len(read["clusters"])) == (1, 1)

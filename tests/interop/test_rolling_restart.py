"""HTTP/1.1 clients of `trio-h2 serve --workers` whose processes are replaced: none of their requests is lost."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.worker_tools import APP, workers
from tests.interop.processes import running

if TYPE_CHECKING:
    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

SCRIPT = Path(__file__).parent / "node" / "restart.js"
REQUESTS = 5000


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "tls"])
async def test_a_rolling_restart_loses_no_request(
    tls: bool, tls_files: TlsFiles, tmp_path: Path, peers: PeerFinder
) -> None:
    """Node tries nothing again, not even on a connection that it has used before."""
    node = peers.program("node")
    app = tmp_path / "app.py"
    app.write_text(APP)
    certificate = ["--cert", str(tls_files.certificate), "--key", str(tls_files.key)] if tls else []
    async with workers(app, "echo", 2, "--allow-http1", "--host", "localhost", *certificate) as (server, url):
        ca = [str(tls_files.ca)] if tls else []
        async with running(node, SCRIPT, url, str(REQUESTS), *ca) as client:
            await client.wait_for(r"(?:worker [\s\S]*){2}")
            for replaced in (2, 4, 6):
                server.signal(signal.SIGUSR1)
                await client.wait_for(rf"(?:worker [\s\S]*){{{2 + replaced}}}")
            await client.say("stop")
            told = json.loads((await client.wait_for(r"^\{.*\}$", 120))[0])
        assert told["failures"] == []
        assert told["answered"] >= REQUESTS
        assert told["reused"] > REQUESTS / 2
        assert told["workers"] >= 8
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0

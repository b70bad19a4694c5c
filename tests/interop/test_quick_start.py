"""The commands of docs/quick-start.md, as they stand there but for the ports: our server, curl, and our own client."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.interop.processes import free_port, run, running

if TYPE_CHECKING:
    import pytest

    from tests.interop.processes import PeerFinder

ROOT = Path(__file__).parents[2]
CODE = ROOT / "docs" / "code"
PAGE = (ROOT / "docs" / "quick-start.md").read_text(encoding="utf-8")
SERVE = "python3 hello_server.py"
FETCH = "python3 hello_client.py"
CURL = "curl --http2-prior-knowledge http://localhost:8080/you"
GET = "trio-h2 get http://localhost:8080/you"
SERVE_TLS = "trio-h2 serve --app hello_server.py:hello --self-signed --write-ca ca.pem --port 8443"
CURL_TLS = "curl --cacert ca.pem https://localhost:8443/you"
GET_TLS = "trio-h2 get --ca ca.pem https://localhost:8443/you"


class Reader:
    """Somebody who does what the page says, in a folder with its programs."""

    def __init__(self, folder: Path, curl: str, port: int) -> None:
        self._programs = {
            "python3": [sys.executable],
            "trio-h2": [sys.executable, "-m", "trio_h2"],
            "curl": [curl, "-sS"],
        }
        self._port = str(port)
        for name in ("hello_server.py", "hello_client.py"):
            (folder / name).write_text(self._ported((CODE / name).read_text(encoding="utf-8")), encoding="utf-8")

    def _ported(self, text: str) -> str:
        return text.replace("8080", self._port).replace("8443", self._port)

    def command(self, line: str) -> list[str]:
        """Returns a line of the page as a command."""
        assert f"$ {line}\n" in PAGE
        program, *arguments = shlex.split(self._ported(line))
        return [*self._programs[program], *arguments]

    async def output(self, line: str) -> list[str]:
        """Returns what a line of the page prints."""
        return sorted((await run(*self.command(line))).text.splitlines())


async def test_in_cleartext(tmp_path: Path, peers: PeerFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT))
    port = free_port()
    reader = Reader(tmp_path, peers.program("curl"), port)
    async with running(*reader.command(SERVE)) as server:
        await server.wait_for_port(port)
        assert await reader.output(CURL) == ["hello, /you"]
        assert await reader.output(FETCH) == ["200 hello, /one", "200 hello, /two"]
        assert await reader.output(GET) == ["hello, /you"]
        wrong = await run(*reader.command(CURL)[:2], "--http2", f"http://localhost:{port}/you", check=False)
        assert "Received HTTP/0.9 when not allowed" in wrong.errors


async def test_over_tls(tmp_path: Path, peers: PeerFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT))
    port = free_port()
    reader = Reader(tmp_path, peers.program("curl"), port)
    async with running(*reader.command(SERVE_TLS)) as server:
        await server.wait_for(rf"^Listening on https://localhost:{port}$")
        assert await reader.output(CURL_TLS) == ["hello, /you"]
        assert await reader.output(GET_TLS) == ["hello, /you"]
        version = await run(*reader.command(CURL_TLS), "-o", "/dev/null", "-w", "%{http_version}")
        assert version.text == "2"

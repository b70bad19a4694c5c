"""Ctrl-C ends the program of docs/deploying.md without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.docs.conftest import CODE

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.mark.timeout(60)
async def test_ctrl_c(tmp_path: Path) -> None:
    """With a hello_server that tells when it runs, in place of one that listens on port 8080."""
    (tmp_path / "interrupts.py").write_bytes((CODE / "interrupts.py").read_bytes())
    started = "import trio\n\nasync def main():\n    print('started', flush=True)\n    await trio.sleep_forever()\n"
    (tmp_path / "hello_server.py").write_text(started)
    command = [sys.executable, str(tmp_path / "interrupts.py")]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
    assert process.stdout is not None
    assert process.stderr is not None
    async with process.stdout, process.stderr:
        output = b""
        while not output.endswith(b"\n"):  # which comes by itself, if Python's output is not buffered
            output += await process.stdout.receive_some()
        assert output == b"started\n"
        process.send_signal(signal.SIGINT)
        assert (await process.wait(), await process.stderr.receive_some()) == (0, b"")

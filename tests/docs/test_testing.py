"""The pages about testing: their tests pass as a reader runs them; what needs curl or Node is in tests/interop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import run_against
import test_greeter
import trio

import trio_h2
from tests.docs.conftest import CODE, ROOT

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


async def test_the_tests_on_the_page_pass(tmp_path: Path) -> None:
    for name in ("greeter.py", "test_greeter.py"):
        shutil.copy(CODE / name, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntrio_mode = true\n")
    options = ["-q", "-k", "not curl", "-p", "no:cacheprovider"]
    if "trio_h2" not in {point.name for point in entry_points(group="pytest11")}:
        options += ["-p", "_trio_h2_pytest"]  # pytest refuses to load what is installed once more
    command = [sys.executable, "-m", "pytest", "test_greeter.py", *options]
    done = await trio.run_process(command, capture_stdout=True, check=False, cwd=tmp_path, env=ENVIRONMENT)
    assert b"9 passed, 1 deselected" in done.stdout, done.stdout.decode()


async def test_the_block_on_the_page() -> None:
    await test_greeter.main()


async def test_a_program_that_runs_the_client() -> None:
    fetch = "import os, sys; sys.exit(0 if os.environ['SERVER_URL'].startswith('https://localhost:') else 1)"
    assert (await run_against.run([sys.executable, "-c", fetch])).returncode == 0
    assert (await run_against.run([sys.executable, "-c", "raise SystemExit(7)"])).returncode == 7


async def test_a_server_that_the_clients_tests_start() -> None:
    command = [sys.executable, str(CODE / "serve_tests.py")]
    async with trio.open_nursery() as nursery:
        server: trio.Process = await nursery.start(_open, command)
        assert server.stdout is not None
        assert server.stdin is not None
        told = json.loads(await server.stdout.receive_some())
        context = trio_h2.client_ssl_context(ca=told["ca_file"])
        connect = trio_h2.connect(told["url"], ssl_context=context)
        async with connect as session, session.request("GET", "/x") as stream:
            assert await stream.text() == "hello, /x\n"
        await server.stdin.aclose()
        with trio.fail_after(20):
            assert await server.wait() == 0


async def _open(command: list[str], task_status: trio.TaskStatus[trio.Process]) -> None:
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)
    try:
        task_status.started(process)
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()

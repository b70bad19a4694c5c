"""The service of the tutorial: its own tests, run as a reader runs them, its first step, and its end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import share
import share_1
import trio

import trio_h2
from tests.docs.conftest import CODE, ROOT, Certificates, program
from trio_h2.compat import request_handler
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_the_first_step() -> None:
    async with session_pair(request_handler(share_1.app)) as (session, _):
        for path, status, body in [
            ("/", 200, "a place for files\n"),
            ("/hello/Jane", 200, "hello, Jane\n"),
            ("/x", 404, "nothing is here\n"),
        ]:
            async with session.request(path=path) as stream:
                assert ((await stream.receive_response()).status, await stream.text()) == (status, body)


async def test_its_tests_pass_as_they_are_run(tmp_path: Path) -> None:
    """All but that which needs curl, which is in tests/interop."""
    for name in ("share.py", "test_share.py"):
        shutil.copy(CODE / name, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntrio_mode = true\n")
    command = [sys.executable, "-m", "pytest", "test_share.py", "-q", "-k", "not curl", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = await trio.run_process(command, capture_stdout=True, check=False, cwd=tmp_path, env=environment)
    assert b"8 passed, 1 deselected" in done.stdout


async def test_the_program_ends_in_good_order(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        program(share.main, certificates, tmp_path, monkeypatch) as port,
        trio_h2.connect(f"https://localhost:{port}", ssl_context=certificates.authority.client_context()) as session,
    ):
        async with session.request("PUT", "/files/a.bin", body=bytes(1_000_000)) as stream:
            assert (await stream.receive_response()).status == 201
        async with session.request(path="/events") as events, session.request(path="/files/a.bin") as stream:
            await events.receive_response()
            assert len(await stream.read(max_size=1_000_000)) == 1_000_000
            os.kill(os.getpid(), signal.SIGTERM)
            with trio.fail_after(10):
                assert await events.read() == b""
                await session.wait_closed()

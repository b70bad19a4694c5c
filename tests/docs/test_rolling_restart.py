"""A new version of an app takes over under load, and no request is lost: docs/rolling-restart.md."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING

import restart_load
import trio

import trio_h2
from tests.docs.conftest import CODE, ROOT
from tests.interop.processes import free_port, running

if TYPE_CHECKING:
    from pathlib import Path


class Answers(Counter[str]):
    """What the clients count, and when each version has answered, or whatever else."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = {version: trio.Event() for version in ("version 1", "version 2", "connected again", "hello\n")}

    def __setitem__(self, answer: str, number: int) -> None:
        super().__setitem__(answer, number)
        version = answer.partition(",")[0]
        if version in self.seen:
            self.seen[version].set()


async def test_no_request_is_lost(tmp_path: Path) -> None:
    app = tmp_path / "restart_app.py"
    app.write_text((CODE / "restart_app.py").read_text())
    command = [sys.executable, "-m", "trio_h2", "serve", "--app", f"{app}:handle", "--workers", "2"]
    answers = Answers()
    async with running(*command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}) as server:
        url = (await server.wait_for(r"^Listening on (\S+)$"))[1]
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(restart_load.client, url, answers)
            await answers.seen["version 1"].wait()
            app.write_text(app.read_text().replace('VERSION = "1"', 'VERSION = "2"'))
            server.process.send_signal(signal.SIGUSR1)
            await answers.seen["version 2"].wait()
            nursery.cancel_scope.cancel()
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait_ended() == 0
    assert [answer for answer in answers if answer.startswith("LOST")] == []


async def test_it_prints_what_it_has_counted() -> None:
    async def handle(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"hello\n")

    async with trio_h2.open_server(handle) as server:
        assert list(await restart_load.main(server.url, 1)) == ["hello\n"]


async def test_a_server_that_is_not_there_yet() -> None:
    async def handle(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"hello\n")

    port = free_port()
    answers = Answers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(restart_load.client, f"http://127.0.0.1:{port}", answers)
        await answers.seen["connected again"].wait()
        async with trio_h2.open_server(handle, port, host="127.0.0.1"):
            await answers.seen["hello\n"].wait()
            nursery.cancel_scope.cancel()


async def test_a_program_finishes_its_requests_at_sigterm(tmp_path: Path) -> None:
    program = tmp_path / "graceful.py"
    program.write_text((CODE / "graceful.py").read_text().replace("8080", "0"))
    async with running(sys.executable, program, env={"PYTHONPATH": str(ROOT)}) as server:
        url = (await server.wait_for(r"^Listening on (\S+)$"))[1]
        async with trio_h2.connect(url) as session, session.request() as stream:
            with trio.fail_after(10):
                await session.ping()  # the request has come, too
                server.process.send_signal(signal.SIGTERM)
                assert await stream.text() == "done\n"
        assert await server.wait_ended() == 0
    assert server.output.endswith("ending\n")

"""`--max-requests` replaces workers that have served enough; `--graceful-timeout` bounds the requests at the end."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import read_all, running
from tests.cli.worker_tools import alive, ask, wait_gone, workers
from trio_h2._cli._args import ServeOptions
from trio_h2._cli._request_limit import RequestLimit
from trio_h2._cli._serve import prepare
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from pathlib import Path

SLOW = """
import trio

async def handle(stream):
    await stream.respond(200)
    await stream.send_all(b"begun")
    await trio.sleep(60)
"""


async def test_a_worker_that_has_served_enough_is_replaced_and_no_request_is_lost(app: Path) -> None:
    async with workers(app, "who", 2, "--max-requests", "6", "--max-requests-jitter", "3") as (server, url):
        found: list[int] = []
        while len(set(found)) < 4:
            # Refused: the worker said GOAWAY before the request was sent. One that was sent is answered.
            with contextlib.suppress(trio_h2.StreamRefusedError):
                found.append(await ask(url))
        await wait_gone(*list(dict.fromkeys(found))[:2])
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert (ended.code, ended.err) == (0, "")


async def test_a_request_that_runs_is_finished(app: Path) -> None:
    async with workers(app, "echo", 1, "--max-requests", "2") as (_server, url):
        async with trio_h2.connect(url) as session, session.request("POST", end_stream=False) as stream:
            old = int(str((await stream.receive_response())["worker"]))
            new = old
            while new == old:
                with contextlib.suppress(trio_h2.StreamRefusedError):
                    async with trio_h2.connect(url) as other, other.request("POST", body=b"x") as one:
                        new = int(str((await one.receive_response())["worker"]))
            assert alive(old)
            await stream.send_all(b"still here")
            await stream.send_eof()
            assert await read_all(stream) == b"still here"
        await wait_gone(old)


async def test_a_worker_whose_successor_cannot_start_stays_and_asks_again(app: Path) -> None:
    file = trio.Path(app)
    text = await file.read_text()
    async with workers(app, "who", 1, "--max-requests", "3") as (server, url):
        old = await ask(url)
        await file.write_text("raise SystemExit(1)")
        for _ in range(2):
            await ask(url)
        assert server.process.stderr is not None
        err = b""
        while b"worker 1 stays" not in err:
            err += await server.process.stderr.receive_some()
        assert await ask(url) == old
        await file.write_text(text)
        new = old
        while new == old:
            with contextlib.suppress(trio_h2.StreamRefusedError):
                new = await ask(url)


async def test_requests_are_cut_when_their_time_is_over(tmp_path: Path) -> None:
    file = trio.Path(tmp_path / "slow.py")
    await file.write_text(SLOW)
    for more in ([], ["--workers", "1"]):
        async with running("serve", "--app", f"{file}:handle", "--graceful-timeout", "0.2", *more) as server:
            async with trio_h2.connect(await server.url()) as session, session.request("GET") as stream:
                await stream.receive_response()
                assert await stream.receive_some() == b"begun"
                server.signal(signal.SIGTERM)
                with pytest.raises(trio_h2.H2Error):
                    await stream.receive_some()
            assert (await server.ended()).code == 0


def test_the_server_gets_that_time(tmp_path: Path) -> None:
    config = prepare(ServeOptions(directory=str(tmp_path), graceful_timeout=7.0)).config
    assert config is not None
    assert config.drain_timeout == 7.0


async def test_the_limit_is_reached_again_and_again_and_is_no_limit() -> None:
    async def handle(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)

    limit = RequestLimit(handle, 2, 0)
    async with session_pair(limit) as (client, _server):
        for _ in range(3):
            for _ in range(2):
                async with client.request("GET") as stream:
                    assert (await stream.receive_response()).status == 200
            with trio.fail_after(1):
                await limit.wait_reached()
        with trio.move_on_after(0) as scope:
            await limit.wait_reached()
        assert scope.cancelled_caught


def test_each_worker_draws_its_own_number() -> None:
    async def handle(stream: trio_h2.ServerStream) -> None: ...

    numbers = {RequestLimit(handle, 10, 5)._number for _ in range(200)}
    assert numbers == {10, 11, 12, 13, 14, 15}


async def test_the_counted_handler_is_told_of_refused_requests() -> None:
    refused: list[trio_h2.RefusedRequest] = []

    class Handler:
        async def __call__(self, stream: trio_h2.ServerStream) -> None: ...

        def request_refused(self, request: trio_h2.RefusedRequest) -> None:
            refused.append(request)

    async def plain(stream: trio_h2.ServerStream) -> None: ...

    handler = Handler()
    assert RequestLimit(handler, 1, 0).request_refused == handler.request_refused
    assert not hasattr(RequestLimit(plain, 1, 0), "request_refused")

"""Responses from files, cancelled at every checkpoint: no descriptor is left over, and no cut body looks complete.

Worker threads need real time, so there is no mock clock; how many steps a run has differs a little from run to run.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.files.tools import ask, descriptors, read_all, wait_descriptors
from tests.stream.harness import check_open
from trio_h2.files import DirectoryHandler, respond_with_fd, respond_with_file
from trio_h2.testing import CancellationSweep, session_pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from trio_h2.files import HeaderFields

    Responder = Callable[[trio_h2.ServerStream], Awaitable[None]]

BODY = bytes(range(256)) * 700
"""Two chunks, and more than a window of the client."""
CLIENT = trio_h2.ClientConfig(stream_window=65_535, receive_budget=1_000_000)


async def check_later(_status: os.stat_result, headers: HeaderFields) -> None:
    """A `stat_check` with a checkpoint."""
    await trio.lowlevel.checkpoint()
    headers["x"] = "y"


@pytest.fixture(params=["file", "fd", "directory", "ranges", "on_error"])
def responder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Responder]:
    """Each way to answer, with as many checkpoints as there are."""
    (tmp_path / "file").write_bytes(BODY)
    (tmp_path / "file.gz").write_bytes(BODY)
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDONLY)

    async def missing(stream: trio_h2.ServerStream) -> None:
        await respond_with_file(stream, tmp_path / "absent", on_error=lambda _: stream.respond(body=BODY))

    responders: dict[str, Responder] = {
        "file": partial(respond_with_file, path=path, stat_check=check_later, trailers={"x-sum": "1"}),
        "fd": partial(respond_with_fd, fd=fd, stat_check=check_later),
        "directory": DirectoryHandler(tmp_path),
        "ranges": DirectoryHandler(tmp_path),
        "on_error": missing,
    }
    yield responders[request.param]
    os.close(fd)


async def test_the_response_is_cancelled(responder: Responder, request: pytest.FixtureRequest) -> None:
    """The client gets the whole response or a reset, never less that looks complete."""
    headers = {"accept-encoding": "gzip"}
    if "ranges" in request.node.name:
        headers["range"] = "bytes=0-99999,100100-"
    before = descriptors()
    outcomes: dict[str, int] = {}
    sweep = CancellationSweep(seeds=(0, 1))
    for run in sweep:
        cancelled = trio.Event()

        async def handler(stream: trio_h2.ServerStream, run=run, cancelled=cancelled) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            if stream.path == "/again":
                await stream.respond(body=b"fine")
                return
            async with run:
                await responder(stream)
            cancelled.set()

        async with session_pair(handler, client_config=CLIENT, raise_handler_errors=False) as (client, server):
            with trio.fail_after(20):
                async with client.request("GET", "/file", headers=headers) as stream:
                    try:
                        response = await stream.receive_response()
                        body = await read_all(stream)
                    except trio_h2.StreamResetError as exc:
                        outcome = f"reset with {trio_h2.code_name(exc.code or 0)}"
                    else:
                        outcome = str(response.status)
                        assert len(body) == int(response.get("content-length") or len(BODY))
                        if response.status == 500:
                            assert body == b""
                        elif response.status == 200:
                            assert body == BODY
                        else:
                            assert body.count(BODY[:99_000]) == 1
                await cancelled.wait()
                assert (await ask(client, "/again")).body == b"fine"
            check_open(client)
            check_open(server)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        await wait_descriptors(before)
    if "on_error" in request.node.name:
        assert sweep.points >= 5
        assert set(outcomes) == {"500", "200"}
    else:
        assert sweep.points >= 10
        assert set(outcomes) == {"500", "reset with CANCEL", "206" if "range" in headers else "200"}


async def test_the_client_is_cancelled(responder: Responder) -> None:
    before = descriptors()
    sweep = CancellationSweep(seeds=(0, 1))
    for run in sweep:
        async with session_pair(responder, client_config=CLIENT) as (client, server):
            with trio.fail_after(20):
                async with run, client.request("GET", "/file") as stream:
                    await stream.receive_response()
                    assert await read_all(stream) == BODY
                await client.ping()
            check_open(client)
            check_open(server)
        await wait_descriptors(before)
    assert sweep.points >= 5

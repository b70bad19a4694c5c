"""Cancelled at every moment: the client, the handler, the server; what is on the wire is whole or visibly cut."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import HOST, RawClient, check_over
from trio_h2.testing import CancellationSweep, SweepRun, memory_transports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_BODY = bytes(range(200))
_REQUEST = f"PUT / HTTP/1.1\r\n{HOST}content-length: {len(_BODY)}\r\n\r\n".encode() + _BODY
_CHUNKED = f"PUT / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n".encode()


class Scene:
    """A connection, and what is left of it."""

    def __init__(self) -> None:
        self.client_end, self.server_end = memory_transports(70)
        self.connections: list[trio_h2.Http1Connection] = []
        self.exchanges: list[trio_h2.ServerStream] = []

    async def serve(
        self,
        handler: Callable[[trio_h2.ServerStream], Awaitable[None]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async def watched(stream: trio_h2.ServerStream) -> None:
            assert isinstance(stream, trio_h2.Http1Exchange)
            self.exchanges.append(stream)
            self.connections.append(stream.session)
            await handler(stream)

        task_status.started()
        with contextlib.suppress(trio_h2.HandshakeError):  # nothing came at all
            await trio_h2.serve_stream(watched, self.server_end, allow_http1=True)

    def check(self) -> None:
        for connection in self.connections:
            check_over(connection, self.exchanges)


async def echo(stream: trio_h2.ServerStream) -> None:
    await stream.send_informational(103)
    await stream.respond()
    async for chunk in stream:
        await stream.send_all(chunk)
    await stream.receive_trailers()
    await stream.send_trailers({"the": "end"})


async def _exchange(scene: Scene) -> None:
    """Two requests on one connection."""
    client = RawClient(scene.client_end)
    for request, body in ((_REQUEST, _BODY), (_CHUNKED, b"hello")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, request)
            assert (await client.answer()).status == 103
            answer = await client.answer()
        assert (answer.body, answer.trailers) == (body, {"the": "end"})


async def test_a_cancelled_client(autojump_clock: object) -> None:
    sweep = CancellationSweep(seeds=(0, 1))
    for run in sweep:
        scene = Scene()
        async with trio.open_nursery() as nursery:
            await nursery.start(scene.serve, echo)
            async with run:
                await _exchange(scene)
            await scene.client_end.aclose()
        scene.check()
    assert sweep.points > 30


async def test_a_cancelled_server(autojump_clock: object) -> None:
    """The client sees whole responses, or an end that nobody can take for one."""
    sweep = CancellationSweep(seeds=(0, 1))
    for run in sweep:
        scene = Scene()

        async def client(scene: Scene) -> None:
            try:
                await _exchange(scene)
            except* (EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            await scene.client_end.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(client, scene)
            async with run:
                await scene.serve(echo)
        scene.check()
    assert sweep.points > 30


@pytest.mark.parametrize("body_first", [True, False])
async def test_a_handler_that_is_cancelled_somewhere(body_first: bool, autojump_clock: object) -> None:
    """Inside, by a scope of its own, after which it goes on: the connection is usable, or is closed."""
    sweep = CancellationSweep(seeds=(0,))
    for run in sweep:
        scene = Scene()
        whole: list[bool] = []

        async def handler(stream: trio_h2.ServerStream, run: SweepRun = run) -> None:
            if stream.id > 1:
                await stream.respond(body=b"next")
                return
            async with run:
                if body_first:
                    await stream.receive_some()
                await stream.respond()
                await stream.send_all(b"first")
                await stream.send_all(bytes(300))
                if not body_first:
                    await stream.receive_some(10)
                await stream.send_eof()

        async with trio.open_nursery() as nursery:
            await nursery.start(scene.serve, handler)
            client = RawClient(scene.client_end)
            nursery.start_soon(partial(_send_quietly, client, _REQUEST + f"GET / HTTP/1.1\r\n{HOST}\r\n".encode()))
            try:
                answer = await client.answer()
                # Without any body, nothing of it was sent before the cancellation, and that is not the same as cut.
                if answer.status == 200:
                    assert answer.body in (b"", b"first", b"first" + bytes(300))
                else:
                    assert answer.status == 500
                assert (await client.answer()).body == b"next"
                whole.append(True)
            except (EOFError, trio.BrokenResourceError):
                whole.append(False)
            await scene.client_end.aclose()
        scene.check()
    assert sweep.points > 5


async def _send_quietly(client: RawClient, data: bytes) -> None:
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await client.send(data)

"""The hook of new sessions, and what handlers inherit from it."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import forbidden, hello, served, settle
from trio_h2 import ErrorCode, GoAwayError, StreamResetError, connect, serve_stream
from trio_h2.testing import GoAwayFrame, HeadersFrame, ScriptedPeer, memory_transports

if TYPE_CHECKING:
    from trio_h2 import ServerSession, ServerStream

who = contextvars.ContextVar("who", default="nobody")


@pytest.mark.parity("F1")
async def test_it_runs_before_the_first_stream(autojump_clock: object) -> None:
    order: list[str] = []
    go = trio.Event()

    async def hook(session: ServerSession) -> None:
        order.append("hook")
        await session.ping()  # the session lives already
        await go.wait()
        order.append("hook done")

    async def handler(stream: ServerStream) -> None:
        order.append(stream.path)
        await stream.respond(body=b"")

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery, ScriptedPeer(theirs, client=True) as peer:
        nursery.start_soon(_serve, handler, ours, hook)
        await peer.handshake()
        await peer.request(path="/1")
        await peer.request(path="/2")
        await peer.ping()
        await settle()
        assert order == ["hook"]
        go.set()
        await peer.expect_headers()
        await peer.expect_headers()
        assert order[1] == "hook done"
        assert sorted(order[2:]) == ["/1", "/2"]


async def _serve(handler: object, transport: trio.abc.Stream, hook: object) -> None:
    await serve_stream(handler, transport, on_session=hook)  # type: ignore[arg-type]  # started from a nursery


async def test_handlers_inherit_its_context_variables(autojump_clock: object) -> None:
    seen: list[str] = []

    async def hook(session: ServerSession) -> None:
        who.set("alice")

    async def handler(stream: ServerStream) -> None:
        seen.append(who.get())
        who.set("changed by a handler")
        await stream.respond(body=b"")

    async with served(handler, on_session=hook) as (peer, _):
        for _ in range(2):
            stream_id = await peer.request()
            await peer.expect_headers(stream_id)
    assert seen == ["alice", "alice"]
    assert who.get() == "nobody"


@pytest.mark.parity("F1")
async def test_a_hook_that_raises_ends_its_session_and_tells(autojump_clock: object) -> None:
    async def hook(session: ServerSession) -> None:
        await trio.sleep(1)
        raise ValueError("not you")

    ours, theirs = memory_transports()
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="not you"), flatten_subgroups=True):
        async with trio.open_nursery() as nursery, ScriptedPeer(theirs, client=True) as peer:
            nursery.start_soon(_serve, forbidden, ours, hook)
            await peer.handshake()
            await peer.request()
            await peer.until(GoAwayFrame)
            await peer.expect_eof()


@pytest.mark.parametrize("grouped", [False, True])
async def test_a_hook_that_raises_refuses_nothing_for_another_try(grouped: bool, autojump_clock: object) -> None:
    """The same bug would be met again: INTERNAL_ERROR, for the session and for what has been asked for meanwhile."""

    async def hook(session: ServerSession) -> None:
        await trio.sleep(1)
        if grouped:
            raise BaseExceptionGroup("both", [ValueError("not you"), KeyboardInterrupt()])
        raise ValueError("not you")

    ours, theirs = memory_transports()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as nursery, ScriptedPeer(theirs, client=True) as peer:
            nursery.start_soon(_serve, forbidden, ours, hook)
            await peer.handshake()
            await peer.request()
            await peer.expect_rst(1, ErrorCode.INTERNAL_ERROR)
            await peer.until(GoAwayFrame, code=ErrorCode.INTERNAL_ERROR)
            await peer.expect_eof()
    assert caught.group_contains(ValueError, match="not you")


async def test_a_client_does_not_repeat_what_a_hook_has_broken(autojump_clock: object) -> None:
    async def hook(session: ServerSession) -> None:
        await trio.sleep(1)
        raise ValueError("not you")

    ours, theirs = memory_transports()
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="not you"), flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, forbidden, ours, hook)
            async with connect("http://localhost", transport=theirs) as session, session.request("GET") as stream:
                with pytest.raises(StreamResetError) as reset:
                    await stream.receive_response()
                assert (reset.value.code, reset.value.retryable) == (ErrorCode.INTERNAL_ERROR, False)
                with pytest.raises(GoAwayError) as left:
                    await session.wait_closed()
                assert left.value.code == ErrorCode.INTERNAL_ERROR
                await trio.sleep_forever()


async def test_a_hook_ends_with_its_session(autojump_clock: object) -> None:
    ended: list[float] = []

    async def hook(session: ServerSession) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        async with ScriptedPeer(theirs, client=True) as peer:
            nursery.start_soon(_serve, forbidden, ours, hook)
            await peer.handshake()
            await peer.request()  # waits for the hook, for ever
            await peer.ping()
            assert not ended
        await settle()
        assert len(ended) == 1


async def test_streams_that_are_gone_when_the_hook_returns_have_no_handler(autojump_clock: object) -> None:
    started: list[int] = []

    async def hook(session: ServerSession) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)

    async def handler(stream: ServerStream) -> None:
        started.append(stream.id)

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery, ScriptedPeer(theirs, client=True) as peer:
        nursery.start_soon(_serve, handler, ours, hook)
        await peer.handshake()
        await peer.request()
        await peer.ping()
    assert not started


async def test_a_hook_may_close_the_session(autojump_clock: object) -> None:
    async def hook(session: ServerSession) -> None:
        await session.aclose(0)

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery, ScriptedPeer(theirs, client=True) as peer:
        session: ServerSession = await nursery.start(_start, forbidden, ours, hook)
        # One step is enough: the client has not said anything.
        await peer.until(GoAwayFrame, last_stream_id=0)
        await peer.expect_eof()
        await session.wait_closed()


async def _start(
    handler: object, transport: trio.abc.Stream, hook: object, *, task_status: trio.TaskStatus[ServerSession]
) -> None:
    await serve_stream(handler, transport, on_session=hook, task_status=task_status)  # type: ignore[arg-type]  # as above


async def test_streams_that_wait_for_the_hook_are_not_idle_and_not_drained(autojump_clock: object) -> None:
    go = trio.Event()

    async def hook(session: ServerSession) -> None:
        await session.ping()
        session.shutdown()
        await go.wait()

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery, ScriptedPeer(theirs, client=True) as peer:
        nursery.start_soon(_serve, hello, ours, hook)
        async with peer.batch():
            await peer.send_preface()
            await peer.send_settings()
            await peer.request()
        await peer.until(GoAwayFrame, last_stream_id=2**31 - 1)
        await trio.sleep(5)
        go.set()
        await peer.until(HeadersFrame, status=200)
        assert await peer.collect_body(1) == b"hello"

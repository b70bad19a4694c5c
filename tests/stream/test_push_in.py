"""What a client makes of pushes: a task for each promise, which reads the response or refuses it."""

from __future__ import annotations

import contextvars
import logging
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import scripted_server
from tests.stream.pushes import STYLE, PushTaker, asked
from trio_h2 import ErrorCode, LocalProtocolError, Priority, StreamResetError, TransportLostError
from trio_h2.testing import UnknownFrame, WindowUpdateFrame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    PushHandler = Callable[[trio_h2.PushedStream], Awaitable[object]]

_variable: contextvars.ContextVar[str] = contextvars.ContextVar("_variable")
settle = trio.testing.wait_all_tasks_blocked


# -- what comes --------------------------------------------------------------------------------------------------------


@pytest.mark.parity("B9", "C5")
async def test_a_push(autojump_clock: MockClock) -> None:
    taker = PushTaker()
    async with scripted_server(push_handler=taker.handle) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, [*STYLE.items(), ("x-a", "1"), ("x-a", "2")])
        pushed = await taker.next()
        assert isinstance(pushed, trio_h2.PushedStream)
        assert (pushed.id, pushed.parent_id, pushed.session) == (2, 1, session)
        assert (pushed.method, pushed.scheme, pushed.authority, pushed.path) == (
            *("GET", "http", "localhost", "/style.css"),
        )
        assert pushed.headers.raw[-2:] == [(b"x-a", b"1"), (b"x-a", b"2")]
        assert pushed.headers.flags == 4  # END_HEADERS
        assert pushed.raw_headers == []
        await peer.send_headers(2, {":status": "103", "link": "</font>"})
        await peer.send_headers(2, {":status": "200", "content-type": "text/css"})
        await peer.send_data(2, b"body ")
        await peer.send_data(2, b"{ }")
        await peer.send_headers(2, {"x-sum": "8"}, end_stream=True)
        response = await pushed.receive_response()
        assert (response.status, response["content-type"]) == (200, "text/css")
        assert [early.status for early in pushed.informational] == [103]
        assert pushed.raw_headers == response.raw
        assert b"".join([chunk async for chunk in pushed]) == b"body { }"
        trailers = await pushed.receive_trailers()
        assert trailers is not None
        assert trailers["x-sum"] == "8"
        assert (pushed.closed, pushed.rst_code) == (True, ErrorCode.NO_ERROR)
        taker.finish()
        await peer.expect_nothing()


@pytest.mark.parity("B9")
async def test_each_promise_has_a_task_with_a_name(autojump_clock: MockClock) -> None:
    names = []

    async def handler(stream: trio_h2.PushedStream) -> None:
        names.append(trio.lowlevel.current_task().name)
        assert stream._core.scope is not None
        assert stream._core.scope.shield is False

    async with scripted_server(push_handler=handler) as (session, peer):
        await asked(session, peer)
        async with peer.batch():
            await peer.send_push_promise(1, 2, STYLE)
            await peer.send_push_promise(1, 4, {**STYLE, ":path": "/script.js"})
        await settle()
        assert sorted(names) == ["trio_h2 push /script.js #4", "trio_h2 push /style.css #2"]


async def test_it_outlives_the_request(autojump_clock: MockClock) -> None:
    taker = PushTaker()
    async with scripted_server(push_handler=taker.handle) as (session, peer):
        async with session.request("GET", "/"):
            await peer.expect_headers(1)
            await peer.send_push_promise(1, 2, STYLE)
            pushed = await taker.next()
        await peer.expect_rst(1, ErrorCode.CANCEL)
        await peer.respond(2, body=b"style")
        assert (await pushed.receive_response()).status == 200
        assert await pushed.receive_some() == b"style"
        taker.finish()


async def test_context_variables_are_those_of_the_block(autojump_clock: MockClock) -> None:
    seen = []

    async def handler(stream: trio_h2.PushedStream) -> None:
        seen.append(_variable.get())

    _variable.set("outside")
    async with scripted_server(push_handler=handler) as (session, peer):
        _variable.set("inside")
        await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        await peer.expect_rst(2)
    assert seen == ["outside"]


# -- what cannot be done with it ---------------------------------------------------------------------------------------


@pytest.mark.parity("C5", "K2")
async def test_nothing_can_be_sent(autojump_clock: MockClock) -> None:
    taker = PushTaker()
    async with scripted_server(push_handler=taker.handle) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        pushed = await taker.next()
        for attempt in (
            pushed.send_all(b"x"),
            pushed.send_trailers({"a": "b"}),
            pushed.wait_send_all_might_not_block(),
        ):
            with pytest.raises(LocalProtocolError, match="nothing can be sent"):
                await attempt
        await pushed.send_eof()  # which it has already
        await pushed.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await pushed.send_all(b"x")
        await peer.expect_nothing()
        taker.finish()


def test_applications_do_not_make_them() -> None:
    with pytest.raises(TypeError, match="PushedStream has no public constructor"):
        trio_h2.PushedStream()  # type: ignore[call-arg]


# -- flow control and priority -----------------------------------------------------------------------------------------


async def test_its_window_is_given_back_as_it_is_read(autojump_clock: MockClock) -> None:
    taker = PushTaker()
    config = trio_h2.ClientConfig(stream_window=1000, receive_budget=100_000)
    async with scripted_server(push_handler=taker.handle, config=config) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        await peer.send_headers(2, {":status": "200"})
        await peer.send_data(2, bytes(1000))
        pushed = await taker.next()
        await settle()
        await peer.expect_nothing()
        assert len(await pushed.receive_some(600)) == 600
        assert (await peer.pick(WindowUpdateFrame, stream_id=2)).increment == 600
        taker.finish()


@pytest.mark.parity("D9")
async def test_its_priority_can_be_told(autojump_clock: MockClock) -> None:
    """RFC 9218 §7.1: "a stream in the "reserved (remote)" or "half-closed (local)" state"."""
    taker = PushTaker()
    async with scripted_server(push_handler=taker.handle) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        pushed = await taker.next()
        pushed.prioritize(weight=100, silent=True)
        assert pushed.state.weight == 100
        pushed.prioritize(Priority(urgency=1))
        assert (await peer.expect(UnknownFrame)).payload == b"\0\0\0\2u=1"
        taker.finish()


# -- its end -----------------------------------------------------------------------------------------------------------


async def test_the_server_takes_a_promise_back(autojump_clock: MockClock) -> None:
    taker = PushTaker()
    async with scripted_server(push_handler=taker.handle) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        pushed = await taker.next()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def wait() -> None:
                with pytest.raises(StreamResetError):
                    await pushed.receive_response()

            await settle()
            await peer.send_rst(2, ErrorCode.CANCEL)
        with pytest.raises(StreamResetError):
            await pushed.receive_some()
        taker.finish()


@pytest.mark.parametrize("grouped", [False, True])
async def test_that_its_stream_has_ended_may_escape(
    grouped: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "trio_h2")

    async def handler(stream: trio_h2.PushedStream) -> None:
        if not grouped:
            await stream.receive_response()
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive_response)
            nursery.start_soon(stream.receive_informational)
            nursery.start_soon(trio.sleep_forever)

    async with scripted_server(push_handler=handler) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        await peer.send_rst(2)
        await peer.ping()
        await settle()
        assert session.statistics().running_handlers == 0
    told = [record for record in caplog.records if "the push of /style.css ended first" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.DEBUG]


async def test_that_its_session_has_ended_may_escape(autojump_clock: MockClock) -> None:
    caught: list[BaseException] = []

    async def handler(stream: trio_h2.PushedStream) -> None:
        try:
            await stream.receive_response()
        except TransportLostError as exc:
            caught.append(exc)
            raise

    async with scripted_server(push_handler=handler) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        await settle()
        await peer.aclose()
        with pytest.raises(TransportLostError):
            await session.wait_closed()
    assert len(caught) == 1


async def test_a_graceful_end_waits_for_pushes(autojump_clock: MockClock) -> None:
    taker = PushTaker()
    async with scripted_server(push_handler=taker.handle) as (session, peer):
        stream = await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        pushed = await taker.next()
        await peer.respond(1, body=b"page")
        assert (await stream.receive_response()).status == 200
        await stream.receive_trailers()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.aclose)
            await peer.expect_goaway(0, last_stream_id=2)
            await peer.respond(2, body=b"style")
            await pushed.receive_response()
            assert await pushed.receive_some() == b"style"
            assert await pushed.receive_some() == b""
            await settle()
            assert not session.destroyed  # the handler may still have something to do
            now = trio.current_time()
            taker.finish()
        assert trio.current_time() == now  # and nothing else is waited for
        assert session.closed
        await session.wait_closed()


async def test_a_server_that_leaves_may_keep_its_promises(autojump_clock: MockClock) -> None:
    taker = PushTaker()
    async with scripted_server(push_handler=taker.handle) as (session, peer):
        await asked(session, peer)
        await peer.send_goaway(1)
        await peer.send_push_promise(1, 2, STYLE)
        pushed = await taker.next()
        await peer.respond(2, body=b"style")
        assert await pushed.receive_some() == b"style"
        taker.finish()


async def test_an_idle_push_is_reset(autojump_clock: MockClock) -> None:
    taker = PushTaker()
    config = trio_h2.ClientConfig(stream_idle_timeout=5)
    async with scripted_server(push_handler=taker.handle, config=config) as (session, peer):
        stream = await asked(session, peer)
        stream.idle_timeout = float("inf")
        await peer.send_push_promise(1, 2, STYLE)
        await peer.expect_rst(2, ErrorCode.CANCEL)
        with pytest.raises(StreamResetError):
            await (await taker.next()).receive_response()
        taker.finish()


async def test_closing_from_inside_is_refused(autojump_clock: MockClock) -> None:
    caught: list[BaseException] = []

    async def handler(stream: trio_h2.PushedStream) -> None:
        try:
            await session.aclose()
        except RuntimeError as exc:
            caught.append(exc)

    async with scripted_server(push_handler=handler) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        await peer.expect_rst(2)
    assert "a handler cannot call it" in str(caught[0])

"""What the end of a handler makes of its stream. The session always goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import served, settle
from trio_h2 import ErrorCode, ServerConfig, StreamResetError
from trio_h2.testing import DataFrame, HeadersFrame, RstStreamFrame

if TYPE_CHECKING:
    from trio_h2 import ServerStream

Log = pytest.LogCaptureFixture


def errors(caplog: Log) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_handler_that_returns_without_a_response_is_a_500(caplog: Log, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        pass

    async with served(handler) as (peer, session):
        first = await peer.request(path="/lazy")
        response = await peer.expect_headers(first, status=500, end_stream=True)
        assert response.get("content-length") == "0"
        await peer.expect_nothing()
        assert await peer.request() == 3
        await peer.expect_headers(3, status=500)
        await settle()
        assert session.statistics().running_handlers == 0
    assert len(errors(caplog)) == 2
    assert "GET /lazy returned without a response" in errors(caplog)[0]


async def test_no_control_character_of_a_path_gets_into_the_log(caplog: Log, autojump_clock: object) -> None:
    """Those above 0x7f may be received; to a terminal or a reader of lines they would mean something as they are."""
    tasks: list[str] = []

    async def handler(stream: ServerStream) -> None:
        tasks.append(trio.lowlevel.current_task().name)
        assert stream.path == "/a%85%9B31m%E9"

    async with served(handler) as (peer, _):
        stream_id = await peer.request(path="/a\x85\x9b31m\xe9")
        await peer.expect_headers(stream_id, status=500)
    assert "GET /a%85%9B31m%E9 returned without a response" in errors(caplog)[0]
    assert tasks == ["trio_h2 GET /a%85%9B31m%E9 #1"]


async def test_a_raise_before_the_headers_is_a_500_and_logged(caplog: Log, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.send_informational(103)
        raise ValueError("broken")

    async with served(handler) as (peer, session):
        first = await peer.request(path="/bad")
        await peer.expect_headers(first, status=103, end_stream=False)
        await peer.expect_headers(first, status=500, end_stream=True)
        await peer.expect_nothing()
        assert not session.closed
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert record.name == "trio_h2.server"
    assert "GET /bad raised" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_a_raise_after_the_headers_resets_with_internal_error(caplog: Log, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond()
        await stream.send_all(b"half")
        raise ValueError("broken")

    async with served(handler) as (peer, session):
        first = await peer.request()
        await peer.expect_headers(first, status=200)
        await peer.expect_data(first, b"half", end_stream=False)
        await peer.expect_rst(first, ErrorCode.INTERNAL_ERROR)
        await peer.ping()
        assert session.statistics().open_streams == 0
    assert len(errors(caplog)) == 1


@pytest.mark.parametrize("framed", [True, False])
async def test_a_raise_after_the_whole_response(framed: bool, caplog: Log, autojump_clock: object) -> None:
    """What is framed is framed. What is not: a reset tells that something went wrong."""

    async def handler(stream: ServerStream) -> None:
        await stream.respond(body=b"whole" if framed else bytes(5000))  # larger bodies are framed by the writer
        raise ValueError("broken")

    async with served(handler) as (peer, _):
        first = await peer.request("POST", end_stream=False)
        await peer.expect_headers(first, status=200)
        if framed:
            await peer.expect_data(first, b"whole", end_stream=True)
            await peer.expect_rst(first, ErrorCode.NO_ERROR)  # the request goes on, and nobody reads it
        else:
            await peer.expect_rst(first, ErrorCode.INTERNAL_ERROR)
        await peer.expect_nothing()
    assert len(errors(caplog)) == 1


async def test_returning_ends_the_response(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond()
        await stream.send_all(b"abc")

    async with served(handler) as (peer, _):
        first = await peer.request()
        await peer.expect_headers(first, status=200)
        assert await peer.collect_body(first) == b"abc"
        await peer.expect_nothing()


async def test_a_torn_body_is_reset(caplog: Log, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond()
        with trio.move_on_after(1):
            await stream.send_all(bytes(100_000))  # more than the window

    async with served(handler) as (peer, _):
        first = await peer.request()
        await peer.expect_headers(first, status=200)
        await peer.until(RstStreamFrame, stream_id=first, code=ErrorCode.INTERNAL_ERROR)
        assert sum(len(frame.data) for frame in peer.frames if isinstance(frame, DataFrame)) == 65_535
        assert not any(isinstance(frame, DataFrame) and frame.end_stream for frame in peer.frames)
        await peer.ping()
    assert len(errors(caplog)) == 1


async def test_a_cancelled_handler_resets_with_cancel(caplog: Log, autojump_clock: object) -> None:
    scopes: list[trio.CancelScope] = []

    async def handler(stream: ServerStream) -> None:
        assert stream._core.scope is not None
        scopes.append(stream._core.scope)
        await stream.respond()
        await trio.sleep_forever()

    async with served(handler) as (peer, _):
        first = await peer.request()
        await peer.expect_headers(first, status=200)
        scopes[0].cancel()
        await peer.expect_rst(first, ErrorCode.CANCEL)
        await peer.ping()
    assert not errors(caplog)


@pytest.mark.parametrize("responded", [False, True])
async def test_handler_timeout(responded: bool, caplog: Log, autojump_clock: trio.testing.MockClock) -> None:
    async def handler(stream: ServerStream) -> None:
        if responded:
            await stream.respond()
        await trio.sleep_forever()

    async with served(handler, config=ServerConfig(handler_timeout=3)) as (peer, _):
        first = await peer.request(path="/slow")
        start = trio.current_time()
        if responded:
            await peer.expect_headers(first, status=200)
        await peer.expect_rst(first, ErrorCode.CANCEL)
        assert trio.current_time() - start == pytest.approx(3)
        await peer.ping()
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert "GET /slow was cancelled after handler_timeout=3 s" in record.getMessage()


async def test_a_timeout_that_the_handler_survives_changes_nothing(caplog: Log, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
            await stream.respond(body=b"late")

    async with served(handler, config=ServerConfig(handler_timeout=3)) as (peer, _):
        first = await peer.request()
        await peer.expect_headers(first, status=200)
        assert await peer.collect_body(first) == b"late"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_group_of_errors_is_one_failure(caplog: Log, autojump_clock: object) -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def handler(stream: ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, ValueError("one"))
            nursery.start_soon(fail, KeyError("two"))

    async with served(handler) as (peer, _):
        await peer.request()
        await peer.expect_headers(1, status=500)
        await peer.ping()
    assert len(errors(caplog)) == 1


async def test_errors_beside_a_cancellation_from_outside_stay_inside(caplog: Log, autojump_clock: object) -> None:
    """A handler that fails while its whole server is cancelled must not turn that into a crash."""

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("in cleanup")

    async def handler(stream: ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            nursery.start_soon(trio.sleep_forever)

    with trio.CancelScope() as scope:
        async with served(handler) as (peer, _):
            await peer.request()
            await settle()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert len(errors(caplog)) == 1


async def test_what_is_no_exception_passes(caplog: Log, autojump_clock: object) -> None:
    """KeyboardInterrupt is nobody's failure, even beside one."""

    async def handler(stream: ServerStream) -> None:
        raise BaseExceptionGroup("both", [ValueError("a bug"), KeyboardInterrupt()])

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with served(handler) as (peer, _):
            await peer.request()
            await trio.sleep_forever()
    assert len(errors(caplog)) == 1


@pytest.mark.parity("D2")
async def test_peer_reset_cancels_the_handler(caplog: Log, autojump_clock: object) -> None:
    ended: list[str] = []

    async def handler(stream: ServerStream) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    async with served(handler) as (peer, session):
        first = await peer.request()
        await peer.send_rst(first, ErrorCode.CANCEL)
        await peer.ping()
        await settle()
        assert ended == ["cancelled"]
        assert session.statistics().running_handlers == 0
        await peer.expect_nothing()
    assert not errors(caplog)


async def test_a_reset_in_one_read_with_its_request(autojump_clock: object) -> None:
    """The handler has not even started."""
    steps: list[int] = []

    async def handler(stream: ServerStream) -> None:
        await trio.lowlevel.checkpoint()
        steps.append(stream.id)

    async with served(handler) as (peer, session):
        async with peer.batch():
            first = await peer.request()
            await peer.send_rst(first)
        await peer.ping()
        await settle()
        assert not steps
        assert session.statistics().running_handlers == 0


async def test_a_reset_after_our_end_lets_the_handler_finish(autojump_clock: object) -> None:
    done = trio.Event()
    go = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await stream.respond(body=b"whole")
        await go.wait()
        done.set()

    async with served(handler) as (peer, _):
        first = await peer.request("POST", end_stream=False)
        await peer.expect_headers(first, status=200)
        await peer.expect_data(first, end_stream=True)
        await peer.send_rst(first, ErrorCode.CANCEL)
        await peer.ping()
        go.set()
        await settle()
        assert done.is_set()


async def test_cancel_handler_on_reset_can_be_turned_off(caplog: Log, autojump_clock: object) -> None:
    caplog.set_level(logging.DEBUG, "trio_h2.server")
    seen: list[str] = []
    go = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await go.wait()
        seen.append("went on")
        await stream.respond(body=b"for nobody")

    async with served(handler, cancel_handler_on_reset=False) as (peer, session):
        first = await peer.request()
        await peer.send_rst(first, ErrorCode.CANCEL)
        await peer.ping()
        await settle()
        assert session.statistics().running_handlers == 1
        assert session.statistics().open_streams == 0
        go.set()
        await settle()
        assert seen == ["went on"]
        assert session.statistics().running_handlers == 0
        await peer.expect_nothing()
    assert not errors(caplog)
    assert any("ended first" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("grouped", [False, True])
async def test_the_streams_own_error_is_no_news(grouped: bool, caplog: Log, autojump_clock: object) -> None:
    caplog.set_level(logging.DEBUG, "trio_h2.server")

    async def handler(stream: ServerStream) -> None:
        if not grouped:
            await stream.receive_some()
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive_some)

    async with served(handler) as (peer, _):
        first = await peer.request("POST", end_stream=False)
        await settle()
        await peer.send_rst(first, ErrorCode.CANCEL)
        await peer.ping()
    (record,) = (record for record in caplog.records if record.name == "trio_h2.server")
    assert record.levelno == logging.DEBUG


async def test_the_error_of_another_stream_is_news(caplog: Log, autojump_clock: object) -> None:
    """As in a proxy: the stream above is gone, but what broke was the one below."""

    async def handler(stream: ServerStream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise StreamResetError("upstream", stream_id=77)

    async with served(handler) as (peer, _):
        first = await peer.request()
        await settle()
        await peer.send_rst(first, ErrorCode.CANCEL)
        await peer.ping()
    assert len(errors(caplog)) == 1


async def test_handlers_that_end_their_stream_themselves(caplog: Log, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        if stream.path == "/reset":
            stream.reset(ErrorCode.ENHANCE_YOUR_CALM)
        else:
            await stream.aclose()

    async with served(handler) as (peer, _):
        first = await peer.request(path="/reset")
        await peer.expect_rst(first, ErrorCode.ENHANCE_YOUR_CALM)
        second = await peer.request(path="/close")
        await peer.expect_rst(second, ErrorCode.CANCEL)
        await peer.expect_nothing()
    assert not errors(caplog)


async def test_a_handler_that_is_over_still_sends_what_it_queued(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond(body=bytes(200_000))

    async with served(handler) as (peer, session):
        first = await peer.request()
        await peer.expect_headers(first, status=200)
        await settle()
        assert session.statistics().running_handlers == 0
        assert session.statistics().open_streams == 1
        assert len(await peer.collect_body(first)) == 200_000
        await settle()
        assert session.statistics().open_streams == 0


async def test_tasks_and_frames_have_names(autojump_clock: object) -> None:
    names: list[str] = []

    async def handler(stream: ServerStream) -> None:
        names.append(trio.lowlevel.current_task().name)
        await stream.respond(body=b"")

    async with served(handler) as (peer, _):
        await peer.request(path="/path?q=1")
        await peer.expect_headers(1, status=200)
        await peer.send_headers(3, {":method": "CONNECT", ":authority": "example.org:443"}, end_stream=True)
        await peer.expect_headers(3, status=200)
        assert names == ["trio_h2 GET /path?q=1 #1", "trio_h2 CONNECT example.org:443 #3"]
        assert all(isinstance(frame, HeadersFrame) for frame in peer.frames[-1:])

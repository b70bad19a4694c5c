"""Whose error it is: `H2Error.stream` and `H2Error.session`, on both roles and over both HTTP versions."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.compat.clients import every_version, served
from tests.stream.harness import pair, scripted_client, scripted_server
from trio_h2 import ErrorCode, H2Error, LocalProtocolError, compat, files, tunnel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from trio_h2 import ClientStream, ServerStream

    Operation = Callable[[ClientStream], Awaitable[object]]


async def no_headers(stream: ClientStream) -> None:
    await stream.receive_response()


async def no_body(stream: ClientStream) -> None:
    await stream.receive_some()


async def no_whole_body(stream: ClientStream) -> None:
    await stream.read()


async def no_trailers(stream: ClientStream) -> None:
    await stream.receive_trailers()


async def no_hints(stream: ClientStream) -> None:
    await stream.receive_informational()


async def no_sending(stream: ClientStream) -> None:
    await stream.send_all(b"abc")


async def no_room(stream: ClientStream) -> None:
    await stream.wait_send_all_might_not_block()


async def no_end(stream: ClientStream) -> None:
    await stream.send_eof()


async def no_last_words(stream: ClientStream) -> None:
    await stream.send_trailers({"a": "b"})


async def no_peace(stream: ClientStream) -> None:
    await stream.wait_closed()


@pytest.mark.parametrize(
    "operation",
    [
        *(no_headers, no_body, no_whole_body, no_trailers, no_hints),
        *(no_sending, no_room, no_end, no_last_words, no_peace),
    ],
)
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("session_breaks", [True, False])
async def test_a_stream_that_breaks(
    operation: Operation, waits: bool, session_breaks: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """Two streams: each error tells its own, whether it wakes a task or comes later."""
    caught: list[tuple[ClientStream, H2Error]] = []

    async def fail(stream: ClientStream) -> None:
        with pytest.raises(H2Error) as info:
            await operation(stream)
        caught.append((stream, info.value))

    window = {trio_h2.SettingCode.INITIAL_WINDOW_SIZE: 0}
    async with scripted_server(settings=window) as (session, peer), trio.open_nursery() as nursery:
        await peer.ping()
        streams = [await session.open_stream("POST", end_stream=False) for _ in range(2)]
        if waits and operation not in (no_end, no_last_words):
            for stream in streams:
                nursery.start_soon(fail, stream)
            await trio.testing.wait_all_tasks_blocked()
        if session_breaks:
            await peer.send_goaway(code=ErrorCode.INTERNAL_ERROR)
            await peer.aclose()
        else:
            for stream in streams:
                await peer.send_rst(stream.id, ErrorCode.INTERNAL_ERROR)
            await peer.ping()
        await trio.testing.wait_all_tasks_blocked()
        if not caught:
            for stream in streams:
                await fail(stream)
    assert {stream for stream, _ in caught} == set(streams)
    for stream, error in caught:
        assert error.stream is stream
        assert error.session is session


@every_version
async def test_what_a_handler_may_not_do(version: str, tmp_path: Path) -> None:
    errors: list[H2Error] = []
    (tmp_path / "file").write_bytes(b"")

    async def handler(stream: trio_h2.ServerExchange) -> None:
        async def fails(operation: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(LocalProtocolError) as info:
                await operation()
            assert info.value.stream is stream
            assert info.value.session is stream.session
            assert info.value.stream_id == stream.id
            errors.append(info.value)

        await fails(lambda: stream.send_all(b"too early"))
        await fails(lambda: stream.send_trailers({"a": "b"}))
        await fails(lambda: stream.respond(204, body=b"content"))
        await fails(lambda: files.respond_with_file(stream, tmp_path / "file", headers=204))
        await stream.respond({"content-length": "1"})
        await fails(stream.respond)
        await fails(lambda: stream.send_informational(103))
        await fails(lambda: files.respond_with_file(stream, tmp_path / "file"))
        await fails(stream.send_eof)
        await fails(lambda: stream.send_all(b"12"))
        await stream.send_all(b"1")
        await stream.send_eof()

    async with served(version, handler) as client:
        assert (await client.fetch()).body == b"1"
    assert len(errors) == 9


@every_version
async def test_what_a_handler_of_requests_may_not_do(version: str) -> None:
    seen: list[object] = []

    async def app(request: compat.Request, response: compat.Response) -> None:
        await response.end(b"1")
        with pytest.raises(LocalProtocolError) as info:
            response.set_header("a", "b")
        assert info.value.stream is not None
        seen.append(info.value.session)

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).body == b"1"
    assert isinstance(seen[0], trio_h2.ServerSession if version == "2.0" else trio_h2.Http1Connection)


@every_version
async def test_the_errors_of_two_sessions_are_told_apart(version: str) -> None:
    """A gateway's two streams have the same number."""

    async def behind(stream: ServerStream) -> None:
        stream.reset(ErrorCode.INTERNAL_ERROR)

    async def gateway(stream: trio_h2.ServerExchange) -> None:
        async with pair(behind) as (session, _), session.request() as request:
            with pytest.raises(trio_h2.StreamResetError) as info:
                await request.receive_response()
            assert request.id == stream.id
            assert info.value.stream is request
            assert info.value.session is session
        await stream.respond(502)

    async with served(version, gateway) as client:
        assert (await client.fetch()).status == 502


async def test_what_a_session_raises() -> None:
    async with scripted_server(settings={trio_h2.SettingCode.MAX_HEADER_LIST_SIZE: 100}) as (session, peer):
        await peer.ping()
        with pytest.raises(trio_h2.HeadersTooLargeError) as too_large:
            await session.open_stream(headers={"a": "b" * 100})
        with pytest.raises(trio_h2.ExtendedConnectError) as not_offered:
            await session.open_stream("CONNECT", protocol="websocket")
        await peer.send_goaway(code=ErrorCode.INTERNAL_ERROR)
        await peer.aclose()
        with pytest.raises(trio_h2.SessionError) as over:
            await session.wait_closed()
    with pytest.raises(trio_h2.SessionError) as later:
        await session.ping()  # it is released by now
    for info in (too_large, not_offered, over, later):
        assert info.value.session is session
        assert info.value.stream is None


async def test_a_refused_tunnel() -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond(403)

    async with pair(handler) as (client, _):
        with pytest.raises(tunnel.TunnelRefusedError) as info:
            async with tunnel.open_tunnel(client, "example.org:1"):
                pass
        assert info.value.session is client


async def test_a_pushed_stream() -> None:
    caught: list[bool] = []

    async def take(pushed: trio_h2.PushedStream) -> None:
        with pytest.raises(LocalProtocolError) as info:
            await pushed.send_all(b"")
        caught.append(info.value.stream is pushed)

    async def handler(stream: ServerStream) -> None:
        async with await stream.push({":path": "/data"}) as pushed:
            await pushed.respond(body=b"")
        await stream.respond()

    async with pair(handler, push_handler=take) as (client, _), client.request() as stream:
        await stream.read()
        await trio.testing.wait_all_tasks_blocked()
    assert caught == [True]


async def test_an_error_keeps_nothing_alive() -> None:
    async with scripted_server() as (session, peer):
        stream = await session.open_stream()
        await peer.send_rst(stream.id, ErrorCode.CANCEL)
        with pytest.raises(H2Error) as info:
            await stream.receive_response()
        error = info.value
        del info
        stream.destroy(error)  # the stream keeps the error now
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert (twin.stream, twin.session, twin.stream_id) == (None, None, stream.id)
        error.__traceback__ = None
        assert error.stream is stream
        gone = weakref.ref(stream)
        gc.disable()
        try:
            del stream
            assert gone() is None
        finally:
            gc.enable()
        assert getattr(error, "stream") is None  # noqa: B009 - mypy remembers that it was there
        assert error.session is session


async def test_the_other_sides_handler_has_its_own(autojump_clock: trio.testing.MockClock) -> None:
    caught: list[tuple[ServerStream, H2Error]] = []

    async def handler(stream: ServerStream) -> None:
        with pytest.raises(trio_h2.StreamResetError) as info:
            await stream.read()
        caught.append((stream, info.value))

    async with scripted_client(handler, cancel_handler_on_reset=False) as (session, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.send_rst(stream_id, ErrorCode.CANCEL)
        await peer.ping()
        await trio.testing.wait_all_tasks_blocked()
    ((stream, error),) = caught
    assert error.stream is stream
    assert error.session is session

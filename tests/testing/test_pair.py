"""The pair of sessions in memory: connected, ended together, and out of the way of the test's own errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from trio_h2.testing import TrickleStream, session_pair

if TYPE_CHECKING:
    from trio.testing import MockClock


async def _hello(stream: trio_h2.ServerStream) -> None:
    await stream.respond(body=b"hello")


async def test_a_request_is_answered(autojump_clock: MockClock) -> None:
    async with session_pair(_hello) as (client, server):
        async with client.request("GET") as stream:
            assert await stream.receive_some() == b"hello"
        open_ones = [session for session in (client, server) if not session.closed]
    assert open_ones == [client, server]
    assert client.closed
    assert server.closed
    await server.wait_closed()


async def test_an_error_of_the_block_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        async with session_pair(_hello) as (client, _server), client.request("GET"):
            raise ZeroDivisionError
    assert caught.value.__context__ is None


async def test_a_group_of_the_block_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    """The group of a nursery in the block is no longer than what `connect` lets out: there is none around it."""

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError, ZeroDivisionError) as caught:
        async with session_pair(_hello), trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(fail)
            await trio.sleep_forever()
    assert caught.value.__context__ is None
    own = ExceptionGroup("mine", [ZeroDivisionError()])
    with pytest.RaisesGroup(ZeroDivisionError) as caught:
        async with session_pair(_hello):
            raise own
    assert caught.value is own


async def test_an_error_of_the_session_hook_is_not_lost(autojump_clock: MockClock) -> None:
    async def on_session(session: trio_h2.ServerSession) -> None:
        raise KeyError(session)

    with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
        async with session_pair(_hello, on_session=on_session):
            pytest.fail("the block began")  # pragma: no cover


async def test_leaving_waits_for_the_handlers(autojump_clock: MockClock) -> None:
    over = False

    async def handler(stream: trio_h2.ServerStream) -> None:
        nonlocal over
        with trio.CancelScope(shield=True):
            await trio.sleep(60)
        over = True

    async with session_pair(handler) as (client, _server), client.request("GET"):
        await trio.testing.wait_all_tasks_blocked()
    assert over


async def test_the_options_arrive(autojump_clock: MockClock) -> None:
    async with session_pair(
        _hello,
        client_config=trio_h2.ClientConfig(stream_window=70_000),
        server_config=trio_h2.ServerConfig(max_concurrent_streams=3),
        capacity=17,
        wrap_client=lambda end: TrickleStream(end),
        wrap_server=lambda end: TrickleStream(end),
    ) as (client, server):
        async with client.request("GET") as stream:
            assert await stream.receive_some() == b"hello"
        assert client.peer_settings.max_concurrent_streams == 3
        assert server.peer_settings.initial_window_size == 70_000
        assert isinstance(client._core.below, TrickleStream)
        assert isinstance(server._core.below, TrickleStream)


async def test_the_settings_and_the_push_handler_arrive(autojump_clock: MockClock) -> None:
    pushed = []

    async def pushing(stream: trio_h2.ServerStream) -> None:
        await (await stream.push({":path": "/style.css"})).respond()
        await stream.respond()

    async def take(push: trio_h2.PushedStream) -> None:
        pushed.append(push.path)

    async with session_pair(
        pushing,
        client_settings=trio_h2.Settings(max_header_list_size=10_000),
        server_settings=trio_h2.Settings(max_header_list_size=20_000),
        push_handler=take,
    ) as (client, server):
        async with client.request("GET") as stream:
            assert (await stream.receive_response()).status == 200
        await client.ping()
        assert client.peer_settings.max_header_list_size == 20_000
        assert server.peer_settings.max_header_list_size == 10_000
    assert pushed == ["/style.css"]


@pytest.mark.parametrize("cancel", [True, False])
async def test_whether_a_reset_cancels_the_handler_arrives(cancel: bool, autojump_clock: MockClock) -> None:
    ended = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        try:
            await trio.sleep(1)
            ended.append("by itself")
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    async with session_pair(handler, cancel_handler_on_reset=cancel) as (client, _):
        async with client.request("POST"):
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(2)
    assert ended == ["cancelled" if cancel else "by itself"]

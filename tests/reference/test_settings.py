"""SETTINGS and windows of either side that change while bodies are under way."""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_h2
from tests.reference.ends import our_client, our_server, pattern, read
from trio_h2 import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from trio_h2.testing import ReferenceClient, ReferencePeer, ReferenceServerStream

BODY = pattern(200_000)
# One after the other, on a session with bodies under way in both directions.
CHANGES = (
    Settings(initial_window_size=0),
    Settings(initial_window_size=100),
    Settings(initial_window_size=100_000),
    Settings(initial_window_size=3),
    Settings(initial_window_size=65_535),
    Settings(max_frame_size=30_000),
    Settings(max_frame_size=2**24 - 1),
    Settings(max_frame_size=16_384),
    Settings(header_table_size=0),
    Settings(header_table_size=100),
    Settings(header_table_size=4096),
    Settings(header_table_size=65_536),
    Settings(max_concurrent_streams=200),
    Settings(max_header_list_size=30_000),
    Settings(max_concurrent_streams=50, header_table_size=1, initial_window_size=40_000, max_frame_size=20_000),
    Settings(header_table_size=4096, custom={0xF3: 7}),
)


async def echo(stream: trio_h2.ServerStream) -> None:
    """Our server's echo, with headers that use HPACK's table."""
    await stream.respond({":status": 200, "x-echo": stream.path, "x-same": "a" * 50})
    async for data in stream:
        await stream.send_all(data)
    await stream.send_eof()


async def reference_echo(stream: ReferenceServerStream) -> None:
    """The reference server's echo."""
    await stream.respond(200, {"x-echo": stream.path, "x-same": "a" * 50}, end_stream=False)
    async for data in stream:
        await stream.send_all(data)
    await stream.send_eof()


async def ask_ours(client: ReferenceClient, number: int) -> None:
    """One exchange of the reference client."""
    exchange = await client.request("POST", f"/{number}", body=BODY, headers={"x-same": "b" * 50})
    assert (exchange.headers["x-echo"], exchange.body) == (f"/{number}", BODY)


async def ask_reference(session: trio_h2.ClientSession, number: int) -> None:
    """One exchange of our client."""
    async with session.request("POST", f"/{number}", body=BODY, headers={"x-same": "b" * 50}) as stream:
        assert (await stream.receive_response())["x-echo"] == f"/{number}"
        assert await read(stream) == BODY


async def change(end: ReferencePeer | trio_h2.Session) -> None:
    """Makes all the changes, with some time for the bodies between them."""
    for settings in CHANGES:
        await end.update_settings(settings)
        for _step in range(20):
            await trio.lowlevel.checkpoint()
    await end.update_settings(Settings(initial_window_size=65_535))


async def change_meanwhile(
    changing: str, ours: trio_h2.Session, reference: ReferencePeer, ask: Callable[[int], Awaitable[None]]
) -> None:
    """Exchanges are under way, others begin, and one end or both change their settings meanwhile."""
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(ask, number)
        await wait_all_tasks_blocked()
        if changing != "ours":
            nursery.start_soon(change, reference)
        if changing != "reference":
            nursery.start_soon(change, ours)
        for number in range(5, 10):
            nursery.start_soon(ask, number)


@pytest.mark.parametrize("changing", ["ours", "reference", "both"])
async def test_settings_change_under_our_server(autojump_clock: MockClock, changing: str) -> None:
    async with our_server(echo) as (client, session):
        await change_meanwhile(changing, session, client, functools.partial(ask_ours, client))


@pytest.mark.parametrize("changing", ["ours", "reference", "both"])
async def test_settings_change_under_our_client(autojump_clock: MockClock, changing: str) -> None:
    async with our_client(reference_echo) as (session, server):
        await change_meanwhile(changing, session, server, functools.partial(ask_reference, session))


@pytest.mark.parametrize("settings", CHANGES[1:])
async def test_settings_of_the_client_hold_from_the_start(autojump_clock: MockClock, settings: Settings) -> None:
    async with our_server(echo, settings=settings) as (client, session):
        await client.wait_settings_acknowledged()
        assert session.peer_settings.as_dict().items() >= settings.as_dict().items()
        for number in range(3):
            exchange = await client.request("POST", f"/{number}", body=BODY[:300])
            assert exchange.body == BODY[:300]


@pytest.mark.parametrize("settings", CHANGES[1:])
async def test_settings_of_the_server_hold_from_the_start(autojump_clock: MockClock, settings: Settings) -> None:
    async with our_client(reference_echo, settings=settings) as (session, server):
        await server.wait_settings_acknowledged()
        assert session.peer_settings.as_dict().items() >= settings.as_dict().items()
        for number in range(3):
            async with session.request("POST", f"/{number}", body=BODY[:300]) as stream:
                assert await read(stream) == BODY[:300]


@pytest.mark.parametrize("window", [1, 1000, 65_535, 200_000])
async def test_our_server_stops_at_the_window_of_a_stream(autojump_clock: MockClock, window: int) -> None:
    async with our_server(echo, settings=Settings(initial_window_size=window)) as (client, _):
        client.enlarge_window(1_000_000)
        await client.wait_settings_acknowledged()
        stream = await client.open_stream("POST")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, stream, BODY)
            await wait_all_tasks_blocked()
            assert stream.ended == (window >= len(BODY))
            assert stream.receive_window == 0
            if not stream.ended:
                stream.enlarge_window(10)
                await wait_all_tasks_blocked()
                assert stream.receive_window == 0
                stream.enlarge_window(1_000_000)  # so that reading does not go on in steps of the small window
            assert await stream.read() == BODY


async def send(stream: trio.abc.HalfCloseableStream, body: bytes) -> None:
    """Sends a whole body."""
    await stream.send_all(body)
    await stream.send_eof()


async def test_our_server_stops_at_the_window_of_the_session(autojump_clock: MockClock) -> None:
    async with our_server(echo, settings=Settings(initial_window_size=1_000_000)) as (client, session):
        streams = [await client.open_stream("POST", f"/{number}") for number in range(3)]
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(send, stream, BODY)
            await wait_all_tasks_blocked()
            assert client.receive_window == 0
            assert session.statistics().send_window == 0
            client.enlarge_window(len(BODY) * 3)
            for stream in streams:
                assert await stream.read() == BODY


async def test_our_client_stops_at_the_windows(autojump_clock: MockClock) -> None:
    opened: list[ReferenceServerStream] = []

    async def slow(stream: ReferenceServerStream) -> None:
        opened.append(stream)
        await wait_all_tasks_blocked(0.01)
        if len(opened) == 1:
            assert stream.receive_window == 0
            stream.enlarge_window(5)
            await wait_all_tasks_blocked(0.01)
            assert stream.receive_window == 0
        stream.enlarge_window(1_000_000)
        await stream.respond(200, body=b"%d" % len(await stream.read()))

    async with our_client(slow, settings=Settings(initial_window_size=1000)) as (session, _):
        for _time in range(2):
            async with session.request("POST", body=BODY) as stream:
                assert await read(stream) == b"%d" % len(BODY)


async def test_many_requests_wait_for_a_small_limit(autojump_clock: MockClock) -> None:
    """MAX_CONCURRENT_STREAMS goes down to none and up again while requests wait."""
    async with our_client(reference_echo) as (session, server):
        await server.update_settings(Settings(max_concurrent_streams=0))
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask_reference, session, number)
            await wait_all_tasks_blocked()
            assert session.statistics().waiting_for_slot == 20
            for limit in (1, 3, 2, 100):
                await server.update_settings(Settings(max_concurrent_streams=limit))
                await trio.lowlevel.checkpoint()


async def test_our_receive_window_can_grow(autojump_clock: MockClock) -> None:
    async with our_server(echo) as (client, session):
        before = client.send_window
        session.set_local_window_size(100_000_000)
        await client.ping()
        assert client.send_window > before
        await ask_ours(client, 0)


async def test_unknown_settings_are_ignored(autojump_clock: MockClock) -> None:
    async with our_server(echo, settings=Settings(custom={0xFA: 2**32 - 1})) as (client, session):
        await client.wait_settings_acknowledged()
        assert session.peer_settings.custom[0xFA] == 2**32 - 1
        assert math.isfinite(await client.ping())


SIZES_OF_TABLES = [sizes for count in (1, 2, 3) for sizes in itertools.product((0, 100, 4096, 20_000), repeat=count)]


@pytest.mark.parametrize("changing", ["ours", "reference"])
async def test_tables_of_our_server_change_without_a_block_between(autojump_clock: MockClock, changing: str) -> None:
    """RFC 7541 §4.2: the next block signals the smallest of the sizes, and the last one, whatever came between."""
    async with our_server(echo) as (client, session):
        end = client if changing == "reference" else session
        for sizes in SIZES_OF_TABLES:
            for size in sizes:
                await end.update_settings(Settings(header_table_size=size))
            exchange = await client.request("GET", headers={"x-same": "a" * 50})
            assert exchange.headers["x-same"] == "a" * 50


@pytest.mark.parametrize("changing", ["ours", "reference"])
async def test_tables_of_our_client_change_without_a_block_between(autojump_clock: MockClock, changing: str) -> None:
    async with our_client(reference_echo) as (session, server):
        end = server if changing == "reference" else session
        for sizes in SIZES_OF_TABLES:
            for size in sizes:
                await end.update_settings(Settings(header_table_size=size))
            async with session.request("GET", headers={"x-same": "a" * 50}) as stream:
                assert (await stream.receive_response())["x-same"] == "a" * 50
                await stream.receive_trailers()

"""What a peer can make a WebSocket hold: messages that are too large, that nobody takes, or that inflate."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair
from tests.websocket.frames import (
    BINARY,
    CONT,
    DEFLATE,
    OFFERING,
    PING,
    PONG,
    TEXT,
    both_roles,
    deflated,
    ends,
    pack,
)
from trio_h2.websocket import WebSocketBrokenError, WebSocketConfig, WebSocketHandler, open_websocket
from trio_h2.websocket._inbox import READ_AHEAD

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.websocket import WebSocket

pytestmark = pytest.mark.parity("L3")
NARROW_CLIENT = trio_h2.ClientConfig(stream_window=16_384, receive_budget=65_535)
NARROW_SERVER = OFFERING.evolve(stream_window=16_384, receive_budget=65_536, max_concurrent_streams=4)
SMALL = WebSocketConfig(max_message_size=1000)


@both_roles
@pytest.mark.parametrize("compressed", [False, True])
async def test_the_largest_message(role: str, compressed: bool, autojump_clock: MockClock) -> None:
    async with ends(role, config=SMALL, extension=DEFLATE) as both:
        for message in (bytes(1000), bytes(1000)):
            payload = deflated(message)[0] if compressed else message
            await both.wire.send(BINARY, payload, rsv=4 if compressed else 0)
            assert await both.ws.receive_message() == message
        text = "é" * 500  # bytes are counted, not characters
        await both.wire.send(TEXT, text)
        assert await both.ws.receive_message() == text
        await both.finish()


@both_roles
async def test_a_frame_that_is_too_large_is_refused_by_its_header(role: str, autojump_clock: MockClock) -> None:
    async with ends(role, config=SMALL) as both:
        frame = pack(BINARY, bytes(1001), masked=role == "server")
        await both.wire.stream.send_all(frame[:8])
        await both.wire.expect_close(1009, "the message has more than 1000 bytes")
        with pytest.raises(WebSocketBrokenError, match="more than 1000 bytes") as info:
            await both.ws.receive_message()
        assert info.value.close_code == 1009


@both_roles
async def test_fragments_that_are_too_large_together(role: str, autojump_clock: MockClock) -> None:
    async with ends(role, config=SMALL) as both:
        await both.wire.send(TEXT, bytes(600), fin=False)
        await both.wire.send(PING, bytes(125))  # does not count
        await both.wire.expect(PONG)
        await both.wire.send(CONT, bytes(400), fin=False)
        await both.wire.send(CONT, b"", fin=False)
        await both.wire.expect_nothing()
        await both.wire.send(CONT, b"x")
        await both.wire.expect_close(1009)


@both_roles
async def test_a_compression_bomb_is_not_inflated(role: str, autojump_clock: MockClock) -> None:
    """64 MiB of nothing in 64 KiB: what is inflated ends at the limit."""
    size = 64 * 1024 * 1024
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(squeeze.compress(bytes(1024 * 1024)) for _ in range(size // 1024 // 1024))
    bomb += squeeze.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert len(bomb) < 70_000
    async with ends(role, extension=DEFLATE) as both:
        tracemalloc.start()
        try:
            await both.wire.send(BINARY, bomb, rsv=4)
            await both.wire.expect_close(1009)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 6 * both.ws.config.max_message_size


@both_roles
async def test_a_bomb_in_fragments(role: str, autojump_clock: MockClock) -> None:
    (payload,) = deflated(bytes(1001))
    async with ends(role, config=SMALL, extension=DEFLATE) as both:
        for n, octet in enumerate(payload):
            await both.wire.send(BINARY if n == 0 else CONT, bytes([octet]), rsv=4 if n == 0 else 0, fin=False)
        await both.wire.send(CONT)
        await both.wire.expect_close(1009)


@both_roles
@pytest.mark.parametrize("compressed", [False, True])
async def test_a_peer_must_wait_while_nobody_receives(role: str, compressed: bool, autojump_clock: MockClock) -> None:
    """Read-ahead and window are full: the peer's next frame waits; and goes out when somebody receives."""
    message = bytes(1000)
    (payload,) = deflated(message, takeover=False)
    sent = 0
    async with (
        ends(role, extension=DEFLATE, client=NARROW_CLIENT, server=NARROW_SERVER) as both,
        trio.open_nursery() as nursery,
    ):

        async def send() -> None:
            nonlocal sent
            while True:
                await both.wire.send(BINARY, payload if compressed else message, rsv=4 if compressed else 0)
                sent += 1

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        stalled_at = sent
        assert both.ws._connection.inbox.held < READ_AHEAD + 2000
        session = both.client if role == "client" else both.server
        assert session.statistics().ledger.held <= session.config.receive_budget  # windows may grow, up to this
        await trio.sleep(100)
        assert sent == stalled_at
        for _ in range(stalled_at):
            assert await both.ws.receive_message() == message
        await trio.testing.wait_all_tasks_blocked()
        assert sent > stalled_at + 50
        nursery.cancel_scope.cancel()


@both_roles
async def test_tiny_messages_cost_more_than_their_octets(role: str, autojump_clock: MockClock) -> None:
    async with ends(role, client=NARROW_CLIENT, server=NARROW_SERVER) as both, trio.open_nursery() as nursery:

        async def send() -> None:
            while True:
                await both.wire.send(BINARY)

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        assert len(both.ws._connection.inbox) <= 600
        nursery.cancel_scope.cancel()


@both_roles
async def test_many_tiny_fragments_are_held_as_one(role: str, autojump_clock: MockClock) -> None:
    size = 20_000
    async with (
        ends(role, config=WebSocketConfig(max_fragments=size + 2)) as both,
        trio.open_nursery() as nursery,
    ):
        masked = role == "server"
        middle = pack(CONT, b"x", fin=False, masked=masked) * size
        nursery.start_soon(both.wire.stream.send_all, pack(TEXT, fin=False, masked=masked) + middle)
        await trio.testing.wait_all_tasks_blocked()
        tracemalloc.start()
        try:
            await both.wire.send(CONT)
            assert await both.ws.receive_message() == "x" * size
        finally:
            tracemalloc.stop()
        nursery.start_soon(both.finish)


@both_roles
@pytest.mark.parametrize("compressed", [False, True])
async def test_the_fragments_of_a_message_are_counted(role: str, compressed: bool, autojump_clock: MockClock) -> None:
    """Empty ones as well, which never reach the limit of its size; control frames and other messages are none."""
    config = WebSocketConfig(max_fragments=4)
    rsv = 4 if compressed else 0
    empty = deflated(b"")[0] if compressed else b""
    async with ends(role, config=config, extension=DEFLATE) as both:
        for _ in range(3):
            await both.wire.send(TEXT, empty, fin=False, rsv=rsv)
            await both.wire.send(CONT, fin=False)
            await both.wire.send(PING, "a")
            await both.wire.send(CONT, fin=False)
            await both.wire.send(CONT)
            await both.wire.expect(PONG, "a")
            assert await both.ws.receive_message() == ""
        await both.wire.send(BINARY, empty, fin=False, rsv=rsv)
        for _ in range(3):
            await both.wire.send(CONT, fin=False)
        await both.wire.expect_nothing()
        await both.wire.send(CONT)
        reason = "the message has more than max_fragments=4 fragments"
        await both.wire.expect_close(1008, reason)
        with pytest.raises(WebSocketBrokenError, match=reason) as info:
            await both.ws.receive_message()
        assert info.value.close_code == 1008


@both_roles
async def test_an_endless_message_of_nothing_ends(role: str, autojump_clock: MockClock) -> None:
    """By default, a message may come in 16384 fragments: 1 MiB in parts of 64 bytes."""
    masked = role == "server"
    async with ends(role) as both:
        await both.wire.stream.send_all(pack(BINARY, b"x", fin=False, masked=masked))
        await both.wire.stream.send_all(pack(CONT, fin=False, masked=masked) * 16_382)
        await both.wire.send(CONT)
        assert await both.ws.receive_message() == b"x"
        await both.wire.stream.send_all(pack(BINARY, b"x", fin=False, masked=masked))
        await both.wire.stream.send_all(pack(CONT, fin=False, masked=masked) * 16_383)
        await both.wire.expect_nothing()
        await both.wire.send(CONT, fin=False)
        await both.wire.expect_close(1008)


@both_roles
async def test_pings_are_answered_while_nobody_receives(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        for n in range(20):
            await both.wire.send(TEXT, "not taken")
            await both.wire.send(PING, str(n))
            await both.wire.expect(PONG, str(n))
        await both.finish()
        assert [message async for message in both.ws] == ["not taken"] * 20


@both_roles
async def test_a_flood_of_pings_to_a_peer_that_does_not_read(role: str, autojump_clock: MockClock) -> None:
    """64 pongs wait, those of the last pings (RFC 6455 §5.5.3)."""
    async with ends(role) as both, trio.open_nursery() as nursery:
        nursery.start_soon(both.ws.send_message, bytes(1_000_000))  # fills the window
        await trio.testing.wait_all_tasks_blocked()
        for n in range(5000):
            await both.wire.send(PING, str(n))
        await trio.testing.wait_all_tasks_blocked()
        pongs: list[bytes] = []
        whole = False
        while len(pongs) < 64 or not whole:
            frame = await both.wire.receive()
            if frame.opcode == PONG:
                pongs.append(frame.payload)
            else:
                whole = frame.fin
        assert pongs == [str(n).encode() for n in range(4936, 5000)]
        nursery.start_soon(both.finish)


async def test_a_slow_websocket_does_not_hold_up_others(autojump_clock: MockClock) -> None:
    async def echo(ws: WebSocket) -> None:
        if ws.path == "/stalled":
            await trio.sleep_forever()
        async for message in ws:
            await ws.send_message(message)

    async with (
        pair(WebSocketHandler(echo), server_config=OFFERING) as (client, _),
        open_websocket(client, "/stalled") as stalled,
        open_websocket(client, "/live") as live,
        trio.open_nursery() as nursery,
    ):

        async def flood() -> None:
            while True:
                await stalled.send_message(bytes(10_000))

        nursery.start_soon(flood)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(100):
            await live.send_message(bytes(10_000))
            assert await live.receive_message() == bytes(10_000)
        nursery.cancel_scope.cancel()


async def test_a_hundred_websockets_in_one_session(autojump_clock: MockClock) -> None:
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send_message(message)

    done = 0
    together = trio.Event()
    opened = 0

    async with pair(WebSocketHandler(echo), server_config=OFFERING) as (client, server):

        async def talk(n: int) -> None:
            nonlocal done, opened
            async with open_websocket(client, f"/{n}") as ws:
                opened += 1
                if opened == 100:
                    together.set()
                await together.wait()
                for message in (f"{n}" * 100, bytes([n]) * 20_000):
                    await ws.send_message(message)
                    assert await ws.receive_message() == message
                assert await ws.ping() >= 0
            done += 1

        async with trio.open_nursery() as nursery:
            for n in range(100):
                nursery.start_soon(talk, n)
            await together.wait()
            assert server.statistics().running_handlers == 100
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().running_handlers == 0
        assert client.statistics().open_streams == 0
    assert done == 100


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("max_message_size", 0, ValueError),
        ("max_message_size", 2**31, ValueError),
        ("max_message_size", 1.5, TypeError),
        ("max_message_size", True, TypeError),
        ("max_fragments", 0, ValueError),
        ("max_fragments", 1.5, TypeError),
        ("close_timeout", -2, ValueError),
        ("keepalive_interval", -1, ValueError),
        ("keepalive_timeout", "1", TypeError),
        ("close_on_drain", 1, TypeError),
    ],
)
def test_limits_that_make_no_sense(name: str, value: object, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=name):
        WebSocketConfig(**{name: value})  # type: ignore[arg-type]


def test_the_read_ahead_is_less_than_a_window() -> None:
    assert trio_h2.ServerConfig().stream_window > READ_AHEAD


FLOODS = {
    "pings": (None, (PING, b"", True), 1600),
    "pongs": (None, (PONG, b"", True), 1600),
    "messages": (None, (BINARY, b"", True), 400),
    "empty fragments": (BINARY, (CONT, b"", False), 1600),
    "fragments of a byte": (TEXT, (CONT, b"x", False), 1600),
    "large fragments": (BINARY, (CONT, bytes(12 * 1024), False), 400),
}


@both_roles
@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_of_frames_lets_others_run(role: str, flood: str, autojump_clock: MockClock) -> None:
    """Others have their turn after 8 frames, however small they are, and sooner if they are large."""
    turns = 0
    begin, (opcode, payload, fin), count = FLOODS[flood]
    masked = role == "server"
    config = WebSocketConfig(max_message_size=2**24)

    async with ends(role, config=config) as both, trio.open_nursery() as nursery:

        async def take_turns() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        connection = both.ws._connection
        if begin is not None:
            connection.framing.receive(pack(begin, fin=False, masked=masked))
        connection.framing.receive(pack(opcode, payload, fin=fin, masked=masked) * count)
        nursery.start_soon(take_turns)
        await trio.lowlevel.checkpoint()
        turns = 0
        await connection.handle_events()
        assert turns >= (190 if flood == "large fragments" else count // 8 - 1)
        nursery.cancel_scope.cancel()


@both_roles
async def test_what_inflates_lets_others_run(role: str, autojump_clock: MockClock) -> None:
    """What is inflated counts, and not what came."""
    turns = 0
    payloads = deflated(*(bytes(16 * 1024) for _ in range(100)))
    assert sum(map(len, payloads)) < 4000
    async with ends(role, extension=DEFLATE) as both, trio.open_nursery() as nursery:

        async def take() -> None:
            nonlocal turns
            while True:
                await both.ws.receive_message()

        async def take_turns() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        connection = both.ws._connection
        masked = role == "server"
        connection.framing.receive(b"".join(pack(BINARY, one, rsv=4, masked=masked) for one in payloads))
        nursery.start_soon(take)
        nursery.start_soon(take_turns)
        await trio.lowlevel.checkpoint()
        turns = 0
        await connection.handle_events()
        assert turns >= 49
        nursery.cancel_scope.cancel()


async def test_what_a_client_leaves_unread_is_credited(autojump_clock: MockClock) -> None:
    async def flood(ws: WebSocket) -> None:
        while True:
            await ws.send_message(bytes(10_000))

    async with pair(WebSocketHandler(flood), server_config=OFFERING) as (client, _):
        with pytest.raises(KeyError):
            async with open_websocket(client):
                await trio.testing.wait_all_tasks_blocked()
                assert client.statistics().ledger.held > 100_000
                raise KeyError
        assert client.statistics().ledger.held == 0

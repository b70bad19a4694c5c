"""Pings of the application and of the keep-alive."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.websocket.frames import BINARY, CONT, PING, PONG, TEXT, both_roles, ends, pack
from trio_h2.testing import StallableStream
from trio_h2.websocket import WebSocketBrokenError, WebSocketClosedHereError, WebSocketConfig

if TYPE_CHECKING:
    from trio.testing import MockClock

pytestmark = pytest.mark.parity("L3")
ALIVE = WebSocketConfig(keepalive_interval=30, keepalive_timeout=10)


@both_roles
async def test_round_trips(role: str, autojump_clock: MockClock) -> None:
    times: dict[bytes, float] = {}
    async with ends(role) as both, trio.open_nursery() as nursery:

        async def ping(payload: bytes) -> None:
            times[payload] = await both.ws.ping(payload)

        for payload in (b"", b"b", b"c" * 125):
            nursery.start_soon(ping, payload)
            await both.wire.expect(PING, payload)
            await trio.sleep(1)
        await both.wire.send(PONG, b"unknown")
        await trio.testing.wait_all_tasks_blocked()
        assert times == {}
        await both.wire.send(PONG, b"b")  # answers the one before, too
        await trio.testing.wait_all_tasks_blocked()
        assert times == {b"": pytest.approx(3), b"b": pytest.approx(2)}
        await both.wire.send(PONG, b"c" * 125)
        await both.wire.send(PONG, b"b")  # late, and nobody waits
        nursery.start_soon(both.finish)


@both_roles
async def test_a_random_payload(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:
        nursery.start_soon(both.ws.ping)
        nursery.start_soon(both.ws.ping)
        first, second = await both.wire.expect(PING), await both.wire.expect(PING)
        assert len(first) == len(second) == 8
        assert first != second
        await both.wire.send(PONG, second)
        nursery.start_soon(both.finish)


@both_roles
async def test_wrong_payloads(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:
        with pytest.raises(TypeError, match="payload must be bytes"):
            await both.ws.ping("text")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
            await both.ws.ping(bytes(126))
        nursery.start_soon(both.ws.ping, b"same")
        await both.wire.expect(PING, b"same")
        with pytest.raises(ValueError, match="unanswered"):
            await both.ws.ping(b"same")
        await both.wire.send(PONG, b"same")
        nursery.start_soon(both.finish)


@both_roles
async def test_a_ping_that_was_given_up(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:
        with trio.move_on_after(1):
            await both.ws.ping(b"a")
        await both.wire.expect(PING, b"a")
        await both.wire.send(PONG, b"a")
        nursery.start_soon(both.ws.ping, b"a")  # the same again
        await both.wire.expect(PING, b"a")
        await both.wire.send(PONG, b"a")
        nursery.start_soon(both.finish)


@both_roles
async def test_many_pings_at_once_are_all_answered(role: str, autojump_clock: MockClock) -> None:
    """Each by a pong of its own, in order, though RFC 6455 §5.5.3 would be content with the last one."""
    async with ends(role) as both:
        masked = role == "server"
        await both.wire.stream.send_all(b"".join(pack(PING, str(n).encode(), masked=masked) for n in range(64)))
        for n in range(64):
            await both.wire.expect(PONG, str(n))
        await both.wire.expect_nothing()
        await both.finish()


@both_roles
async def test_pings_behind_a_message_that_takes_long_are_all_answered(role: str, autojump_clock: MockClock) -> None:
    size = 2**20
    async with ends(role) as both, trio.open_nursery() as nursery:
        async with both.ws.open_message() as message:
            nursery.start_soon(message.send, bytes(size))  # more than the peer's window
            await trio.testing.wait_all_tasks_blocked()
            for n in range(10):
                await both.wire.send(PING, str(n))
            await trio.sleep(3)
            await both.wire.expect(BINARY, bytes(size), fin=False)
            for n in range(10):
                await both.wire.expect(PONG, str(n))
        await both.wire.expect(CONT, b"")
        await both.finish()


@both_roles
async def test_a_pong_does_not_answer_a_ping_that_was_not_sent(role: str, autojump_clock: MockClock) -> None:
    """Unsolicited pongs are mostly empty, as pings may be."""
    trip: list[float] = []
    size = 2**20
    async with ends(role) as both, trio.open_nursery() as nursery:

        async def ping() -> None:
            trip.append(await both.ws.ping(b""))

        async with both.ws.open_message() as message:
            nursery.start_soon(message.send, bytes(size))  # more than the peer's window
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ping)
            await trio.testing.wait_all_tasks_blocked()
            await both.wire.send(PONG, b"")
            await trio.sleep(3)
            assert not trip
            await both.wire.expect(BINARY, bytes(size), fin=False)
            await both.wire.expect(PING, b"")
        await trio.sleep(2)
        assert not trip
        await both.wire.send(PONG, b"")
        await trio.testing.wait_all_tasks_blocked()
        assert trip == [2]
        await both.wire.expect(CONT, b"")
        await both.finish()


@both_roles
async def test_closed_under_a_ping(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:

        async def ping() -> None:
            with pytest.raises(WebSocketClosedHereError):
                await both.ws.ping()

        nursery.start_soon(ping)
        await both.wire.expect(PING)
        nursery.start_soon(both.ws.aclose)
        await both.wire.expect_closed(1000)


@both_roles
async def test_the_keep_alive_sees_a_dead_peer(role: str, autojump_clock: MockClock) -> None:
    async with ends(role, config=ALIVE) as both:
        before = trio.current_time()
        with pytest.raises(WebSocketBrokenError, match=r"nothing came for keepalive_timeout=10 s") as info:
            await both.ws.receive_message()
        assert trio.current_time() - before == pytest.approx(40)
        assert info.value.close_code == 1006
        assert isinstance(info.value.__cause__, trio.TooSlowError)
        await both.wire.expect(PING, b"keep-alive")


@both_roles
async def test_the_keep_alive_is_content_with_anything(role: str, autojump_clock: MockClock) -> None:
    async with ends(role, config=ALIVE) as both:
        for n in range(3):
            await both.wire.expect(PING, b"keep-alive")
            await trio.sleep(5)
            await (both.wire.send(PONG, b"keep-alive") if n else both.wire.send(TEXT, "busy"))
        assert await both.ws.receive_message() == "busy"
        await both.finish()


@both_roles
async def test_the_keep_alive_does_not_blame_the_peer_for_our_own_slowness(
    role: str, autojump_clock: MockClock
) -> None:
    async with ends(role, config=ALIVE) as both, trio.open_nursery() as nursery:

        async def send() -> None:
            while True:
                await both.wire.send(TEXT, "x" * 1000)

        nursery.start_soon(send)
        await trio.sleep(1000)
        assert not both.ws.closed
        assert await both.ws.receive_message() == "x" * 1000
        nursery.cancel_scope.cancel()


# -- the peer is judged, not ourselves ---------------------------------------------------------------------------------


class Stalls:
    """Makes the transport of the side under test, which can be stalled."""

    def __call__(self, transport: trio.abc.Stream) -> trio.abc.Stream:
        self.transport = StallableStream(transport)
        return self.transport


@pytest.mark.parametrize("blocked", [11, 60])
@both_roles
async def test_the_pong_was_in_the_transport(role: str, blocked: float, autojump_clock: MockClock) -> None:
    """A loop that was blocked reads what has come before it calls anybody dead."""
    stalls = Stalls()
    async with ends(role, config=ALIVE, wrap=stalls) as both:
        for _ in range(8):
            await both.wire.expect(PING, b"keep-alive")
            stalls.transport.stall_receive()
            await both.wire.send(PONG, b"keep-alive")
            await trio.testing.wait_all_tasks_blocked()
            stalls.transport.resume_receive()
            autojump_clock.jump(blocked)
            await trio.testing.wait_all_tasks_blocked()
            assert not both.ws.closed
        await both.finish()


@pytest.mark.parametrize("answers", [True, False])
@both_roles
async def test_the_keep_alive_counts_from_the_writing_of_its_ping(
    role: str, answers: bool, autojump_clock: MockClock
) -> None:
    """While the transport takes nothing, the peer has not been asked."""
    stalls = Stalls()
    async with ends(role, config=ALIVE, wrap=stalls) as both:
        await trio.sleep(29)
        stalls.transport.stall_send()
        await trio.sleep(9)
        stalls.transport.resume_send()  # the ping was made 8 seconds ago
        await both.wire.expect(PING, b"keep-alive")
        await trio.sleep(9)
        assert not both.ws.closed
        if answers:
            await both.wire.send(PONG, b"keep-alive")
            await trio.sleep(20)
            assert not both.ws.closed
            await both.finish()
        else:
            await trio.sleep(1.1)
            with pytest.raises(WebSocketBrokenError, match="nothing came for keepalive_timeout"):
                await both.ws.receive_message()


@pytest.mark.parametrize("answers", [True, False])
@both_roles
async def test_the_keep_alive_waits_for_the_window_of_its_ping(
    role: str, answers: bool, autojump_clock: MockClock
) -> None:
    """Nor has it been asked while its own window holds the ping back; the time counts from when it lets it through."""
    size = 2**20
    async with ends(role, config=ALIVE) as both, trio.open_nursery() as nursery:
        # The block of a message that cannot be finished any more raises, too.
        left = contextlib.nullcontext() if answers else pytest.raises(WebSocketBrokenError)
        with left:
            async with both.ws.open_message() as message:
                nursery.start_soon(message.send, bytes(size))  # more than the peer's window
                await trio.sleep(38)
                await both.wire.expect(BINARY, bytes(size), fin=False)
                await both.wire.expect(PING, b"keep-alive")
                await trio.sleep(9)
                assert not both.ws.closed
                if answers:
                    await both.wire.send(PONG, b"keep-alive")
                    await trio.sleep(20)
                    assert not both.ws.closed
                else:
                    await trio.sleep(1.1)
                    with pytest.raises(WebSocketBrokenError):
                        await both.ws.receive_message()
        if answers:
            await both.wire.expect(CONT, b"")
            await both.finish()

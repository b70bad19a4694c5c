"""`join` carries bytes between any two streams, and tells which of them has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trio_h2.testing import memory_transports, sweep_cancellation
from trio_h2.tunnel import Traffic, join

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import MemoryTransport

pytestmark = pytest.mark.parity("L1")


def ends(capacity: int | None = None) -> tuple[MemoryTransport, MemoryTransport, MemoryTransport, MemoryTransport]:
    """Returns client, left, right and target: left and right are to be joined."""
    return *memory_transports(capacity), *memory_transports(capacity)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([bytes(chunk) async for chunk in stream])


@pytest.mark.parametrize("first", ["client", "target"])
async def test_each_end_is_passed_on_by_itself(first: str, autojump_clock: MockClock) -> None:
    client, left, right, target = ends()
    one, other = (client, target) if first == "client" else (target, client)
    async with trio.open_nursery() as nursery:
        result: list[Traffic] = []

        async def joined() -> None:
            result.append(await join(left, right))

        nursery.start_soon(joined)
        await one.send_all(b"Jane")
        await one.send_eof()
        assert await read_all(other) == b"Jane"
        await trio.sleep(100)
        assert not result
        await other.send_all(b"hello ")
        await other.send_all(b"Jane")
        await other.send_eof()
        assert await read_all(one) == b"hello Jane"
    assert result == [Traffic(*((4, 10) if first == "client" else (10, 4)), left_ended=True, right_ended=True)]


async def test_a_slow_reader_slows_the_sender(autojump_clock: MockClock) -> None:
    client, left, right, target = ends(capacity=1000)
    traffic = Traffic()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: join(left, right, traffic=traffic))
        sent = 0
        with trio.move_on_after(10):
            while True:
                await client.send_all(bytes(100))
                sent += 100
        assert sent <= 4000  # two pipes, and one chunk in between
        await target.send_all(b"the other direction is free")
        assert await client.receive_some() == b"the other direction is free"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("side", ["left", "right"])
async def test_the_stream_that_broke_is_named(side: str, autojump_clock: MockClock) -> None:
    left, client = trio.testing.memory_stream_pair()
    right, target = trio.testing.memory_stream_pair()
    inner = left if side == "left" else right
    traffic = Traffic()

    async def breaks() -> None:
        await trio.sleep(1)
        raise trio.BrokenResourceError(side)

    inner.receive_stream.receive_some_hook = breaks
    await (target if side == "left" else client).send_all(b"x")
    with pytest.raises(trio.BrokenResourceError, match=side):
        await join(left, right, traffic=traffic)
    assert traffic.broken is inner
    assert traffic.left_to_right + traffic.right_to_left == 1


async def test_what_a_stream_said_before_it_broke_is_passed_on(autojump_clock: MockClock) -> None:
    """Nothing can be sent to it any more, but it has sent something before. Not so its end, which may be none."""
    client, left, right, target = ends()
    await target.send_all(b"413")
    await target.aclose()
    traffic = Traffic()
    async with trio.open_nursery() as nursery:

        async def joined() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await join(left, right, traffic=traffic)

        await client.send_all(b"long upload")
        nursery.start_soon(joined)
        assert await client.receive_some() == b"413"
    with trio.move_on_after(100) as scope:
        await client.receive_some()
    assert scope.cancelled_caught
    assert traffic.broken is right


class ResetSocket:
    """A TCP connection that is reset while something comes for it: like a socket of Trio, which tells of that once."""

    def __init__(self) -> None:
        self.reset = trio.Event()
        self._told = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives an end, if the reset was told to the task that sends."""
        await self.reset.wait()
        if not self._told:
            await self._tell()
        return b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Looks at once, and yields once before it raises."""
        await self._tell()

    async def send_eof(self) -> None:
        """Is not called: the client does not end."""
        raise AssertionError

    async def _tell(self) -> None:
        self._told = True
        await trio.lowlevel.cancel_shielded_checkpoint()
        raise trio.BrokenResourceError


class Uploader:
    """A client that sends in the moment of the reset."""

    def __init__(self, moment: trio.Event) -> None:
        self._moment = moment
        self.ended = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives something in that moment."""
        await self._moment.wait()
        return b"x"

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Is not called: the target says nothing."""
        raise AssertionError

    async def send_eof(self) -> None:
        """Notes it."""
        self.ended = True
        await trio.lowlevel.checkpoint()


async def test_a_reset_that_the_sending_task_is_told_of_is_no_end(autojump_clock: MockClock) -> None:
    """Which task has its turn first is up to the scheduler, which tosses a coin."""
    for _ in range(40):
        target = ResetSocket()
        client = Uploader(target.reset)
        async with trio.open_nursery() as nursery:

            async def joined(client: Uploader = client, target: ResetSocket = target) -> None:
                with pytest.raises(trio.BrokenResourceError):
                    await join(client, target)

            nursery.start_soon(joined)
            await trio.testing.wait_all_tasks_blocked()
            target.reset.set()
        assert not client.ended


async def test_a_reader_that_hangs_does_not_hold_up_the_end_for_ever(autojump_clock: MockClock) -> None:
    client, left = memory_transports()
    right, target = trio.testing.memory_stream_pair()
    target.receive_stream.close()  # what is sent to it breaks; that it is silent says nothing
    await client.send_all(b"x")
    began = trio.current_time()
    with pytest.raises(trio.BrokenResourceError):
        await join(left, right)
    assert trio.current_time() - began == pytest.approx(1.0)


async def test_idleness_ends_it(autojump_clock: MockClock) -> None:
    client, left, right, target = ends()
    async with trio.open_nursery() as nursery:
        ended: list[float] = []

        async def joined() -> None:
            with pytest.raises(trio.TooSlowError, match="idle_timeout=60 s"):
                await join(left, right, idle_timeout=60)
            ended.append(trio.current_time())

        nursery.start_soon(joined)
        for _ in range(3):
            await trio.sleep(59)
            await client.send_all(b"x")
            await trio.sleep(59)
            await target.send_all(b"y")
        last = trio.current_time()
    assert ended == [pytest.approx(last + 60)]
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="idle_timeout must be 0 seconds or more"):
            await join(left, right, idle_timeout=wrong)


async def test_what_has_just_come_may_take_its_time_to_go(autojump_clock: MockClock) -> None:
    """To receive something is a sign of life, too, even if nobody takes it yet."""
    client, left, right, target = ends(capacity=1)
    traffic = Traffic()
    await client.send_all(b"x")
    async with trio.open_nursery() as nursery:

        async def joined() -> None:
            with pytest.raises(trio.TooSlowError):
                await join(left, right, idle_timeout=60, traffic=traffic)

        nursery.start_soon(joined)
        await trio.sleep(59)
        await client.send_all(b"y")  # "x" is in the way
        await trio.sleep(59)
        assert await target.receive_some() == b"x"
        await trio.sleep(59)
        assert await target.receive_some() == b"y"
        assert traffic == Traffic(2, 0)


async def test_it_is_a_checkpoint_and_leaves_the_streams_open(autojump_clock: MockClock) -> None:
    client, left, right, target = ends()
    await client.send_eof()
    await target.send_eof()
    with trio.testing.assert_checkpoints():
        assert await join(left, right) == Traffic(left_ended=True, right_ended=True)
    assert await client.receive_some() == await target.receive_some() == b""


async def test_cancelled_anywhere_no_task_is_left(autojump_clock: MockClock) -> None:
    async def talk() -> None:
        client, left, right, target = ends(capacity=10)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(join, left, right)
            nursery.start_soon(client.send_all, bytes(50))
            assert len(await target.receive_some()) > 0
            await target.send_all(b"x")
            assert await client.receive_some() == b"x"
            nursery.cancel_scope.cancel()

    before = trio.lowlevel.current_statistics().tasks_living
    await sweep_cancellation(talk)
    assert trio.lowlevel.current_statistics().tasks_living == before

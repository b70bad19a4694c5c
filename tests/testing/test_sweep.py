"""The sweep reaches every moment, repeats itself, and finds what isn't safe to cancel."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_h2.testing import CancellationSweep, SweepRun, memory_transports, sweep_cancellation
from trio_h2.testing._sweep import _task_order

if TYPE_CHECKING:
    from trio.testing import MockClock

# ---- Which moments there are ----


@pytest.mark.parametrize("count", [0, 1, 7])
@pytest.mark.parametrize("every_task", [True, False])
async def test_each_plain_checkpoint_is_one_moment(count: int, every_task: bool) -> None:
    passed: list[int] = []

    async def scenario() -> None:
        passed.append(0)
        for _ in range(count):
            await trio.lowlevel.checkpoint()
            passed[-1] += 1

    assert await sweep_cancellation(scenario, seeds=[5], every_task=every_task) == count + 1
    # Cancelled before it begins, then in each checkpoint; the last run isn't.
    assert passed == [0, *range(count), count]


async def test_other_tasks_add_no_moments_to_those_of_one() -> None:
    send, receive = trio.open_memory_channel[int](math.inf)

    async def other() -> None:
        async for _ in receive:
            pass

    async def scenario() -> None:
        for number in range(5):
            send.send_nowait(number)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        assert await sweep_cancellation(scenario, every_task=False) == 6
        assert await sweep_cancellation(scenario) > 6
        nursery.cancel_scope.cancel()


async def test_a_run_that_was_left_counts_no_further() -> None:
    for run in CancellationSweep(seeds=[0]):
        async with run as entered:
            assert entered is run
            await trio.lowlevel.checkpoint()
        where = run.where
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        assert run.where == where


async def test_the_limit_is_the_number_of_moments_that_are_not_too_many() -> None:
    async def scenario() -> None:
        for _ in range(4):
            await trio.lowlevel.checkpoint()

    assert await sweep_cancellation(scenario, limit=5) == 5
    with pytest.raises(AssertionError, match="isn't over after 4 steps"):
        await sweep_cancellation(scenario, limit=4)


@pytest.mark.parametrize("every_task", [True, False])
async def test_a_sleep_is_two_moments_asleep_and_just_woken(every_task: bool, autojump_clock: MockClock) -> None:
    woken = []
    start = 0.0

    async def scenario() -> None:
        nonlocal start
        start = trio.current_time()
        await trio.sleep(10)
        woken.append(trio.current_time() - start)
        await trio.sleep(10)
        woken.append(trio.current_time() - start)

    ended = []

    async def after() -> None:
        ended.append(trio.current_time() - start)

    assert await sweep_cancellation(scenario, after=after, seeds=[0], every_task=every_task) == 5
    # A timeout that ends together with the scope around it gives way, so the sleeper never knows it was woken.
    assert ended == pytest.approx([0, 0, 10, 10, 20, 20])
    assert woken == pytest.approx([10, 10, 10, 20])


async def test_steps_of_other_tasks_count_too() -> None:
    """Between two steps of the scenario another task takes six: each gap is tried."""
    run: SweepRun | None = None
    stage = 0
    request, reply = trio.Event(), trio.Event()

    async def service() -> None:
        nonlocal request, stage
        while True:
            await request.wait()
            request = trio.Event()
            for _ in range(5):
                stage += run is None or run.where is None
                await trio.lowlevel.checkpoint()
            reply.set()

    async def scenario() -> None:
        nonlocal reply, stage
        stage = 0
        reply = trio.Event()
        request.set()
        await reply.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(service)
        stages = []
        sweep = CancellationSweep(seeds=[0])
        for run in sweep:
            async with run:
                await scenario()
            stages.append(stage)
        # The last three: before the reply, with the reply given, and not cancelled.
        assert stages == [0, 0, 1, 2, 3, 4, 5, 5, 5]
        assert sweep.points == 8

        # Looking at the scenario's own task only, nothing in between is tried: not begun, waiting, and woken.
        assert await sweep_cancellation(scenario, seeds=[0], every_task=False) == 3
        nursery.cancel_scope.cancel()


async def test_tasks_of_the_scenario_are_cancelled_with_it() -> None:
    running = 0

    async def child(steps: int) -> None:
        nonlocal running
        running += 1
        try:
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
        finally:
            running -= 1

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for steps in range(4):
                nursery.start_soon(child, steps)

    async def after() -> None:
        assert running == 0

    assert await sweep_cancellation(scenario, after=after) > 6


async def test_a_scenario_may_end_normally_in_spite_of_it() -> None:
    finished = 0

    async def scenario() -> None:
        nonlocal finished
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
        finished += 1

    assert await sweep_cancellation(scenario, seeds=[0]) == 3
    assert finished == 4


# ---- What it finds ----


class Till:
    """Hands out coins. The careless way takes one and then waits before it hands it over."""

    def __init__(self, coins: int) -> None:
        self.coins = coins

    async def take_carelessly(self) -> int:
        await trio.lowlevel.checkpoint()
        self.coins -= 1
        await trio.lowlevel.checkpoint()
        return 1

    async def take_carefully(self) -> int:
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        self.coins -= 1
        return 1


@pytest.mark.parametrize("careful", [True, False])
async def test_what_is_lost_in_a_checkpoint_is_found(careful: bool) -> None:
    till = Till(1000)
    taken = 0

    async def scenario() -> None:
        nonlocal taken
        taken += await (till.take_carefully() if careful else till.take_carelessly())

    async def after() -> None:
        assert till.coins + taken == 1000, "a coin is lost"

    if careful:
        assert await sweep_cancellation(scenario, after=after) == 3
        assert taken == 3
    else:
        with pytest.raises(AssertionError, match="a coin is lost") as caught:
            await sweep_cancellation(scenario, after=after)
        (note,) = caught.value.__notes__
        assert note.startswith("in run 3 of the cancellation sweep with seed 0: cancelled after a step of ")
        assert "test_what_is_lost_in_a_checkpoint_is_found" in note


async def test_a_scenario_that_is_cancelled_from_the_start_can_see_it() -> None:
    """Code that looks first does nothing then; this is the only moment that shows whether it looks."""
    acted = 0

    async def scenario() -> None:
        nonlocal acted
        await trio.lowlevel.checkpoint_if_cancelled()
        acted += 1
        await trio.lowlevel.cancel_shielded_checkpoint()

    assert await sweep_cancellation(scenario, seeds=[0]) == 2
    assert acted == 2


@pytest.mark.parametrize("every_task", [True, False])
async def test_a_wake_up_lost_between_waking_and_running_is_found(every_task: bool, autojump_clock: MockClock) -> None:
    """A lock is handed to a waiter who is cancelled before it runs again, and then looks at that first."""
    held = False
    waiting = trio.lowlevel.ParkingLot()

    async def acquire() -> None:
        nonlocal held
        if not held:
            held = True
            return
        await waiting.park()  # whoever releases leaves `held` on for us
        await trio.lowlevel.checkpoint_if_cancelled()  # never waits, but loses the lock

    def release() -> None:
        nonlocal held
        if not waiting.unpark():
            held = False

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            await acquire()

            async def hold() -> None:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                release()

            nursery.start_soon(hold)
            await acquire()
            release()

    async def after() -> None:
        assert not held, "the lock is lost"

    with pytest.raises(AssertionError, match="the lock is lost") as caught:
        await sweep_cancellation(scenario, after=after, every_task=every_task)
    assert "cancelled" in caught.value.__notes__[0]


async def test_an_error_of_the_scenario_ends_the_sweep_with_a_note() -> None:
    async def scenario() -> None:
        try:
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            raise KeyError("lost") from None

    with pytest.raises(KeyError, match="lost") as caught:
        await sweep_cancellation(scenario, seeds=[3])
    assert len(caught.value.__notes__) == 1
    assert "run 1 of the cancellation sweep with seed 3" in caught.value.__notes__[0]


async def test_errors_beside_the_cancellation_get_the_note_too() -> None:
    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("lost")

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            nursery.start_soon(trio.sleep_forever)

    with pytest.raises(ExceptionGroup) as caught:
        await sweep_cancellation(scenario)
    assert caught.group_contains(KeyError)
    assert "in run 1 of" in caught.value.__notes__[0]


async def test_a_run_that_hangs_fails(autojump_clock: MockClock) -> None:
    async def scenario() -> None:
        with trio.CancelScope() as scope:
            await trio.lowlevel.checkpoint()
        assert not scope.cancelled_caught

    async def after() -> None:
        await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError) as caught:
        await sweep_cancellation(scenario, after=after)
    assert "in run 1 of" in caught.value.__notes__[0]


# ---- Seeds and repetition ----


async def _order(seed: int) -> list[str]:
    """Returns the order in which twelve tasks take their steps in an uncancelled run."""
    order: list[str] = []

    async def task(name: str) -> None:
        for _ in range(3):
            order.append(name)
            await trio.lowlevel.checkpoint()

    async def scenario() -> None:
        order.clear()
        async with trio.open_nursery() as nursery:
            for name in "abcdefghijkl":
                nursery.start_soon(task, name)

    await sweep_cancellation(scenario, seeds=[seed])
    return order


async def test_a_seed_fixes_the_order_of_tasks() -> None:
    orders = [await _order(seed) for seed in range(6)]
    assert orders == [await _order(seed) for seed in range(6)]
    assert len({tuple(order) for order in orders}) > 1


async def test_run_i_repeats_the_run_before_it() -> None:
    """All runs of a seed walk the same path; each goes one moment further."""
    path: list[str] = []

    async def task(name: str, transport: trio.abc.Stream) -> None:
        for _ in range(3):
            await transport.send_all(name.encode())
            note(f"{name} sent")
            await transport.receive_some(1)
            note(f"{name} received")

    def note(event: str) -> None:
        if run.where is None:
            path.append(event)

    sweep = CancellationSweep(seeds=[0, 1])
    paths: dict[int, list[list[str]]] = {0: [], 1: []}
    for run in sweep:
        path.clear()
        left, right = memory_transports(capacity=1)
        async with run, trio.open_nursery() as nursery:
            nursery.start_soon(task, "l", left)
            nursery.start_soon(task, "r", right)
        paths[run.seed].append(path.copy())
    assert sweep.points > 10
    for walked in paths.values():
        assert len(walked[-1]) == 12
        for shorter, longer in itertools.pairwise(walked):
            assert longer[: len(shorter)] == shorter


async def test_trio_goes_on_with_its_own_randomness() -> None:
    """Otherwise all that follows a sweep would see one task order only."""
    sweep = CancellationSweep(seeds=[0])
    for run in sweep:
        async with run:
            during = _task_order().getstate()
        assert _task_order().getstate() != during


async def test_every_seed_is_swept() -> None:
    sweep = CancellationSweep(seeds=(0, 1, 2))
    seeds = []
    for run in sweep:
        assert sweep.points == 0
        async with run:
            for _ in range(run.seed):
                await trio.lowlevel.checkpoint()
        seeds.append(run.seed)
    assert seeds == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert sweep.points_by_seed == {0: 1, 1: 2, 2: 3}
    # The smallest, so that an assertion about it holds for each seed.
    assert sweep.points == 1


# ---- Wrong use ----


async def test_too_many_moments_are_an_error() -> None:
    async def scenario() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    with pytest.raises(AssertionError, match="isn't over after 20 steps"):
        await sweep_cancellation(scenario, limit=20)


async def test_a_run_must_be_entered_once() -> None:
    with pytest.raises(RuntimeError, match="async with run"):
        for _ in CancellationSweep():
            pass
    (run, *_) = [next(iter(CancellationSweep()))]
    async with run:
        pass
    with pytest.raises(RuntimeError, match="only once"):
        await run.__aenter__()


def test_a_sweep_needs_seeds() -> None:
    with pytest.raises(ValueError, match="seed"):
        CancellationSweep(seeds=[])


async def test_the_check_sees_a_settled_world_before_each_run() -> None:
    """Left-over work of the run before doesn't shift the moments of the next one."""
    pending = 0

    async def lag() -> None:
        nonlocal pending
        pending += 1
        with trio.CancelScope(shield=True):
            for _ in range(5):
                await trio.lowlevel.checkpoint()
        pending -= 1

    async with trio.open_nursery() as nursery:

        async def scenario() -> None:
            assert pending == 0
            nursery.start_soon(lag)
            for _ in range(3):
                await trio.lowlevel.checkpoint()

        assert await sweep_cancellation(scenario, seeds=[0, 1]) >= 3
        await wait_all_tasks_blocked()

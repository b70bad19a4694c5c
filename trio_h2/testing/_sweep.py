"""Cancels a scenario at every moment at which it can be cancelled, one moment in each run.

What is swept. Trio runs one task step at a time: a task goes on until it waits, then the next one does.
A cancellation from outside can only be *requested* between two steps, and it is *delivered* at the
scenario's first checkpoint after that, which may be the one it is waiting in. So the moments that can
make a difference are these, and a sweep numbers them from 1:

* before the scenario begins: it is cancelled already when it does.
* after each step of any task. If the scenario waits then, its wait is aborted.
* before the first step after the clock or the network has made tasks runnable. A scenario that was
  waiting for just that has got it, and is cancelled before it knows: where most wake-ups get lost.

In run *i* the scope around the scenario is cancelled at moment *i*. The steps of all tasks count, not
only those of the scenario's own, since between two of its steps the tasks of a session may have sent or
received what makes the difference. A scenario of n plain checkpoints with nothing else running has n + 1
moments, one of n sleeps 2n + 1: each time asleep, and just woken.

What is repeated. Before each run Trio's task order is reseeded and all tasks have come to rest, so with a
mock clock and in-memory transports run *i* repeats what run *i - 1* did up to its moment. The sweep of a
seed ends with the first run that is over before its moment comes. That one wasn't cancelled at all.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Self

import trio
import trio.testing

if TYPE_CHECKING:
    import random
    import types
    from collections.abc import Awaitable, Callable, Iterator, Sequence


class CancellationSweep:
    """Hands out one run after the other, for sweeps that need work around the swept block.

    Example:
        Each run gets its own connection, and only the request is swept::

            sweep = CancellationSweep()
            for run in sweep:
                async with session_pair() as (client, server):
                    async with run:
                        await exchange(client)
                    await check_nothing_is_left(client, server)
            assert sweep.points > 10

    Args:
        seeds: Seeds of Trio's task order; the sweep is made for each.
        limit: The most moments one seed may have.
        every_task: Whether the steps of all tasks count. If not, the moments are those right after and
            right before the steps of the scenario's own task: fewer, for scenarios that are too long.
    """

    def __init__(self, *, seeds: Sequence[int] = (0, 1, 2), limit: int = 2000, every_task: bool = True) -> None:
        if not seeds:
            raise ValueError("a sweep needs at least one seed")
        self._seeds = tuple(seeds)
        self._limit = limit
        self._every_task = every_task
        self.points_by_seed: dict[int, int] = {}

    @property
    def points(self) -> int:
        """The number of moments that were tried, of the seed with the fewest; 0 before the end."""
        finished = len(self.points_by_seed) == len(set(self._seeds))
        return min(self.points_by_seed.values()) if finished else 0

    def __iter__(self) -> Iterator[SweepRun]:
        """Yields runs until every seed is done.

        Raises:
            AssertionError: A scenario has more moments than the limit.
            RuntimeError: The loop's body has not entered the run.
        """
        for seed in self._seeds:
            for index in itertools.count(1):
                if index > self._limit + 1:  # the last run is not cancelled
                    raise AssertionError(f"the scenario isn't over after {self._limit} steps (seed {seed})")
                run = SweepRun(seed, index, every_task=self._every_task)
                yield run
                if not run.entered:
                    raise RuntimeError("the body of the loop has to contain `async with run:`")
                if run.where is None:
                    self.points_by_seed[seed] = index - 1
                    break


class SweepRun:
    """One run of a `CancellationSweep`: an async context manager around the swept block.

    The cancellation ends with the block, as that of a `trio.CancelScope`.

    Attributes:
        seed: The seed of Trio's task order in this run.
        index: The moment at which the block is cancelled.
        entered: Whether the block was entered.
    """

    def __init__(self, seed: int, index: int, *, every_task: bool) -> None:
        self.seed = seed
        self.index = index
        self.entered: bool = False
        self._every_task = every_task
        self._scope = trio.CancelScope()
        self._trigger: _Trigger | None = None
        self._random_state: tuple[object, ...] | None = None

    @property
    def where(self) -> str | None:
        """The moment in words, as soon as it has come; None before, or if the block was over earlier."""
        return None if self._trigger is None else self._trigger.where

    def describe(self) -> str:
        """Returns the run in words, as they are added to an exception that leaves it."""
        what = f"cancelled {self.where}" if self.where else "not cancelled"
        return f"in run {self.index} of the cancellation sweep with seed {self.seed}: {what}"

    async def __aenter__(self) -> Self:
        if self.entered:
            raise RuntimeError("a run can be entered only once")
        self.entered = True
        await trio.testing.wait_all_tasks_blocked()
        self._random_state = _task_order().getstate()
        _task_order().seed(self.seed)
        task = None if self._every_task else trio.lowlevel.current_task()
        self._trigger = _Trigger(self.index, self._scope, task)
        self._scope.__enter__()
        self._trigger.begin()
        trio.lowlevel.add_instrument(self._trigger)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> bool | None:
        assert self._trigger is not None
        assert self._random_state is not None
        trio.lowlevel.remove_instrument(self._trigger)
        _task_order().setstate(self._random_state)
        if exc is not None and not isinstance(exc, trio.Cancelled):
            exc.add_note(self.describe())
        return self._scope.__exit__(exc_type, exc, traceback)


async def sweep_cancellation(
    scenario: Callable[[], Awaitable[object]],
    *,
    after: Callable[[], Awaitable[object]] | None = None,
    limit: int = 2000,
    seeds: Sequence[int] = (0, 1, 2),
    every_task: bool = True,
    run_timeout: float = 3600.0,
) -> int:
    """Runs a scenario again and again, cancelled at another moment each time, until none is left.

    The scenario has to be repeatable: what it needs is made by itself or outlives all runs. An
    exception that it or *after* raises ends the sweep, with a note that names the run.

    Args:
        scenario: What to run. It may end normally in spite of the cancellation.
        after: What to check after each run, also after the last one, which wasn't cancelled. It runs
            outside the cancelled scope, with other tasks free to go on.
        limit: The most moments one seed may have; more raise `AssertionError`.
        seeds: Seeds of Trio's task order; the sweep is made for each.
        every_task: Whether the steps of all tasks count, or only those of the scenario's own task.
        run_timeout: Seconds of Trio's clock that one run and its check may take.

    Returns:
        The number of moments that were tried, of the seed with the fewest. Assert that it is not too
        small: a scenario that fails to do its work has few.
    """
    sweep = CancellationSweep(seeds=seeds, limit=limit, every_task=every_task)
    for run in sweep:
        try:
            with trio.fail_after(run_timeout):
                async with run:
                    await scenario()
                if after is not None:
                    await after()
        except Exception as exc:
            note = run.describe()
            if note not in getattr(exc, "__notes__", ()):
                exc.add_note(note)
            raise
    return sweep.points


class _Trigger(trio.abc.Instrument):
    """Counts moments and cancels a scope at one of them.

    Cancelling in an instrument is safe at these two hooks, which are called while no task is half-way
    through a step and before the run loop looks at what is runnable. (In `before_io_wait` the time to
    wait is already chosen: the run could freeze.)
    """

    def __init__(self, index: int, scope: trio.CancelScope, task: trio.lowlevel.Task | None) -> None:
        self.where: str | None = None
        self._index = index
        self._scope = scope
        self._task = task
        self._seen = 0
        self._woken = False

    def begin(self) -> None:
        self._moment("before its first step")

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        if self._concerns(task):
            self._woken = True

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        # Woken since the last step ended: by the clock or the network, or, if only one task is looked
        # at, also by another task.
        if self._woken and self._concerns(task):
            self._moment(f"before a step of {task.name}")

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._concerns(task):
            self._woken = False
            self._moment(f"after a step of {task.name}")

    def _concerns(self, task: trio.lowlevel.Task) -> bool:
        return self._task is None or task is self._task

    def _moment(self, where: str) -> None:
        self._seen += 1
        if self._seen == self._index:
            self.where = where
            self._scope.cancel()


def _task_order() -> random.Random:
    """Returns the source of randomness that decides in which order Trio runs its tasks.

    Trio mixes each batch of runnable tasks on purpose, so that nobody relies on an order. There is no public way to
    seed that; Trio's own plugin for Hypothesis uses this very object. If a new Trio moves it, this function is all
    there is to change.
    """
    from trio._core import _run

    return _run._r

"""Kills something else than the task at every moment of a run, by the machinery that sweeps cancellations."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import trio

if TYPE_CHECKING:
    import types

    from trio_h2.testing import SweepRun


class KillerScope:
    """Stands for the scope of a run: at its moment, something else than the run's block comes to its end."""

    def __init__(self, run: SweepRun) -> None:
        self.moment = trio.Event()
        run._scope = cast("trio.CancelScope", self)

    def __enter__(self) -> KillerScope:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: types.TracebackType | None
    ) -> None:
        pass

    def cancel(self) -> None:
        """The moment has come."""
        self.moment.set()

"""Work of threads, done at once: a mock clock does not wait for threads, and a sweep cannot repeat what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets `trio.to_thread.run_sync` run everything where it is called."""
    monkeypatch.setattr(trio.to_thread, "run_sync", _at_once)


async def _at_once(call: Callable[[*Ts], T], *args: *Ts, abandon_on_cancel: bool = False) -> T:
    await trio.lowlevel.checkpoint_if_cancelled()
    result = call(*args)
    if abandon_on_cancel:
        await trio.lowlevel.checkpoint()
    else:
        await trio.lowlevel.cancel_shielded_checkpoint()
    return result

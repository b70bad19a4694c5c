"""A transport that breaks Trio's contract is a bug that comes out, but nobody waits for ever because of it."""

from __future__ import annotations

import pytest
import trio

from trio_h2 import ClientSession, connect
from trio_h2.testing import FaultyStream, memory_transports


class Unclosable(FaultyStream):
    """Closes, and complains in a way that no Trio stream may."""

    async def aclose(self) -> None:
        try:
            await super().aclose()
        except trio.Cancelled:
            raise OSError("odd by force") from None
        raise OSError("odd")


async def test_a_close_that_raises_leaves_nobody_waiting(autojump_clock: object) -> None:
    near, _far = memory_transports()
    sessions: list[ClientSession] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with connect("http://example.test", transport=Unclosable(near)) as session:
            sessions.append(session)
    assert caught.group_contains(OSError, match="odd by force")
    with trio.fail_after(1):
        await sessions[0].wait_closed()

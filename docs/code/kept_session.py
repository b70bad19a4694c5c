"""A session that comes back, and a request that is sent again where that is safe."""

import contextlib
import random

import trio

import trio_h2

ATTEMPTS = 5


class KeptSession:
    """One session for many tasks: a new one is connected when the old one takes no more requests."""

    def __init__(self, url: str, nursery: trio.Nursery) -> None:
        self.url = url
        self.nursery = nursery
        self.session: trio_h2.ClientSession | None = None
        self.lock = trio.Lock()

    async def get(self) -> trio_h2.ClientSession:
        async with self.lock:  # one task connects, the others wait for it
            if self.session is None or self.session.closed:
                session: trio_h2.ClientSession = await self.nursery.start(self.hold)
                self.session = session
            return self.session

    async def hold(self, *, task_status: trio.TaskStatus[trio_h2.ClientSession]) -> None:
        async with trio_h2.connect(self.url) as session:
            task_status.started(session)
            with contextlib.suppress(trio_h2.SessionError):  # its requests know, too
                await session.wait_closed()  # what is under way still finishes


async def ask(kept: KeptSession, path: str) -> bytes:
    """Sends a GET until it is answered, but no more than five times."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            session = await kept.get()
            async with session.request("GET", path) as stream:
                return await stream.read()
        except (OSError, trio_h2.StreamError, trio_h2.SessionError):
            if attempt == ATTEMPTS:
                raise
        await trio.sleep(random.uniform(0, 0.2 * 2**attempt))  # not all clients at the same moment
    raise AssertionError("unreachable")

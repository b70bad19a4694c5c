"""`--max-requests`: after how many requests a worker asks for another one in its place."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_h2 import RefusedRequest, ServerStream


class RequestLimit:
    """A handler that counts the requests of another one.

    Args:
        handler: answers them.
        number: how many it may answer.
        jitter: up to so many more, at random, so that not all workers are replaced at the same time.
    """

    request_refused: Callable[[RefusedRequest], object]

    def __init__(self, handler: Callable[[ServerStream], Awaitable[object]], number: int, jitter: int) -> None:
        self._handler = handler
        refused: object = getattr(handler, "request_refused", None)
        if callable(refused):
            self.request_refused = refused
        self._number = number + random.randint(0, jitter)
        self._left = self._number
        self._reached = trio.Event()

    async def __call__(self, stream: ServerStream) -> None:
        """Answers one request."""
        self._left -= 1
        if self._left <= 0:
            self._left = self._number
            self._reached.set()
        await self._handler(stream)

    async def wait_reached(self) -> None:
        """Waits for the limit; after the first time, for as many requests again, in case nobody has acted on that."""
        await self._reached.wait()
        self._reached = trio.Event()

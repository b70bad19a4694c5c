"""What comes of a response before its body: interim responses, the final one, or what keeps it from coming."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._errors import from_failure
from .._util import ConflictDetector, Latch

if TYPE_CHECKING:
    from .._wire._failure import SessionFailure, StreamFailure
    from .._wire._headers import Headers
    from ._inbox import Inbox


class ResponseInbox:
    """Beside the `Inbox` of a stream that this side waits for a response on: its headers."""

    __slots__ = ("_conflict", "_failure", "_inbox", "_interim", "_known", "_news", "_response", "_taken")

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._interim: list[Headers] = []
        self._taken = 0
        self._news: trio.lowlevel.ParkingLot | None = None
        """Where tasks wait for interim responses."""
        self._conflict: ConflictDetector | None = None
        self._response: Headers | None = None
        self._failure: StreamFailure | SessionFailure | None = None
        self._known = Latch()
        """The response came, or never will."""

    # -- for the reader task ---------------------------------------------------------------------------------------

    def informational_received(self, headers: Headers) -> None:
        """An interim response came."""
        self._interim.append(headers)
        if self._news is not None:
            self._news.unpark_all()

    def received(self, headers: Headers) -> None:
        """The final response came."""
        self._response = headers
        self.close()

    def end(self, failure: StreamFailure | SessionFailure) -> None:
        """The stream broke."""
        if not self._known.is_set:
            self._failure = failure
            self.close()

    def close(self) -> None:
        """Nothing more will come: wakes all tasks waiting for the response."""
        self._known.set()
        if self._news is not None:
            self._news.unpark_all()

    # -- for the application ---------------------------------------------------------------------------------------

    @property
    def informational(self) -> list[Headers]:
        """The interim responses so far."""
        return list(self._interim)

    async def receive_informational(self) -> Headers | None:
        """See `ClientStream.receive_informational`."""
        if self._conflict is None:
            self._conflict = ConflictDetector("another task is receiving informational responses")
        with self._conflict:
            await trio.lowlevel.checkpoint()
            while self._taken == len(self._interim):
                if self._known.is_set:
                    self._check()
                    return None
                await self._wait_for_news()
            self._taken += 1
            return self._interim[self._taken - 1]

    async def wait_continue(self) -> Headers:
        """See `ClientStream.wait_continue`."""
        await trio.lowlevel.checkpoint()
        seen = 0
        while True:
            for interim in self._interim[seen:]:
                if interim.status == 100:
                    return interim
            if self._known.is_set:
                return self._check()
            seen = len(self._interim)
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        if self._news is None:
            self._news = trio.lowlevel.ParkingLot()
        await self._news.park()

    async def receive(self) -> Headers:
        """See `ClientStream.receive_response`."""
        await self._known.wait()
        return self._check()

    def _check(self) -> Headers:
        """Returns the response, or raises why there is none."""
        if self._response is not None:
            return self._response
        if self._inbox.closed:
            raise self._inbox.closed_error()
        assert self._failure is not None
        raise from_failure(self._failure, stream=self._inbox.whose.stream)

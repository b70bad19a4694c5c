"""One request, as an application has it: what ``receive`` and ``send`` are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._util import interrupt_safe
from ._response import GONE, ResponseMessages

if TYPE_CHECKING:
    import trio_h2

    from ._types import Event


@interrupt_safe
class HttpMessages:
    """The messages of one request, both ways."""

    __slots__ = ("_over", "_request_ended", "_stream", "response")

    def __init__(self, stream: trio_h2.ServerStream) -> None:
        self._stream = stream
        self._request_ended = False  # the application knows all of it
        self._over: trio.Event | None = None
        self.response = ResponseMessages(stream, self._completed)

    async def receive(self) -> Event:
        """Returns the next piece of the request's body; after that, waits until the exchange is over."""
        stream = self._stream
        if self.response.complete or stream.closed:
            # Not cancelled here: Starlette's `Request.is_disconnected` asks in a scope that is cancelled already.
            await trio.lowlevel.cancel_shielded_checkpoint()
            return self._disconnect()
        if self._request_ended:
            await self._wait_over()
            return self._disconnect()
        if stream.end_after_headers:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._request_ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        try:
            body = await stream.receive_some()
        except GONE:
            await trio.lowlevel.checkpoint()  # as a rule, this task is cancelled by now
            return self._disconnect()
        self._request_ended = stream.body_ended
        return {"type": "http.request", "body": body, "more_body": not self._request_ended}

    def _disconnect(self) -> Event:
        if not self.response.complete:
            self.response.told_gone = True
        return {"type": "http.disconnect"}

    async def _wait_over(self) -> None:
        if self._over is None:
            self._over = trio.Event()
            self._stream.call_when_closed(self._over.set)
        await self._over.wait()

    def _completed(self) -> None:
        if self._over is not None:
            self._over.set()

"""A request of the reference client, or a push to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._util import construct
from ._exchange import ReferenceExchange
from ._stream import ReferenceStream

if TYPE_CHECKING:
    import trio_h2

    from ._inbox import Inbox
    from ._link import Link


class ReferenceClientStream(ReferenceStream):
    """A request of a `ReferenceClient`, made by `ReferenceClient.open_stream`, or a push, found in `pushes`."""

    def __init__(self, link: Link, inbox: Inbox) -> None:
        super().__init__(link, inbox)
        self._headers_sent = True
        self._pushes: list[ReferenceClientStream] = []
        self._informational_read = self._pushes_read = 0

    @property
    def request(self) -> trio_h2.Headers:
        """The fields of the request that was sent; of a push, those that were promised."""
        assert self._inbox.request is not None
        return self._inbox.request

    @property
    def parent_id(self) -> int | None:
        """The stream that this one was pushed on; None if it is no push."""
        return self._inbox.parent_id

    @property
    def informational(self) -> list[trio_h2.Headers]:
        """The 1xx responses so far."""
        return list(self._inbox.informational)

    @property
    def headers(self) -> trio_h2.Headers | None:
        """The fields of the final response; None before they have come."""
        return self._inbox.response

    @property
    def pushes(self) -> list[ReferenceClientStream]:
        """What the server has pushed on this stream so far. What is not read of it is not credited either."""
        for inbox in self._inbox.pushes[len(self._pushes) :]:
            self._pushes.append(construct(ReferenceClientStream, self._link, inbox))
        return list(self._pushes)

    async def receive_informational(self) -> trio_h2.Headers | None:
        """Returns the next 1xx response, or None if the final one has come instead.

        Cancelled: nothing is lost.

        Raises:
            StreamResetError: The stream was reset.
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed the session.
        """
        inbox = self._inbox
        await self._link.wait(
            lambda: len(inbox.informational) > self._informational_read or inbox.response is not None, inbox
        )
        if len(inbox.informational) == self._informational_read:
            return None
        self._informational_read += 1
        return inbox.informational[self._informational_read - 1]

    async def receive_push(self) -> ReferenceClientStream | None:
        """Returns the next push on this stream, or None if its response has ended instead.

        Cancelled: nothing is lost.

        Raises:
            As `receive_informational`.
        """
        inbox = self._inbox
        await self._link.wait(lambda: len(inbox.pushes) > self._pushes_read or inbox.ended, inbox)
        if len(inbox.pushes) == self._pushes_read:
            return None
        self._pushes_read += 1
        return self.pushes[self._pushes_read - 1]

    async def receive_response(self) -> trio_h2.Headers:
        """Waits for the final response's headers.

        Cancelled: nothing is lost.

        Raises:
            As `receive_informational`.
        """
        await self._link.wait(lambda: self._inbox.response is not None, self._inbox)
        assert self._inbox.response is not None
        return self._inbox.response

    async def response(self) -> ReferenceExchange:
        """Waits for the whole response.

        Cancelled: the body that was received by this call is lost.

        Raises:
            As `receive_informational`.
        """
        headers = await self.receive_response()
        body = await self.read()
        return ReferenceExchange(
            request=self.request,
            headers=headers,
            body=body,
            trailers=self.trailers,
            informational=self.informational,
            stream=self,
        )

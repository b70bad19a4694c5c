"""A stream that this side pushes: it belongs to a handler, and its response waits its turn (RFC 9113 §8.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .._util import Signal
from .._wire._codes import ErrorCode, Initiator
from .._wire._failure import StreamFailure
from ._server import ServerStream

if TYPE_CHECKING:
    from .._wire._failure import SessionFailure
    from .._wire._headers import Headers
    from ._port import ServerPort


class PromisedStream(ServerStream):
    """The server's side of a push, made by `ServerStream.push`: what a handler has, without a handler of its own."""

    def __init__(self, port: ServerPort, stream_id: int, headers: Headers, parent_id: int) -> None:
        super().__init__(port, stream_id, headers, end_stream=True)
        self._parent_id = parent_id
        self._turn = Signal()

    @property
    def parent_id(self) -> int:
        """The id of the stream that the push belongs to."""
        return self._parent_id

    def _push_objection(self) -> str | None:
        # RFC 9113 §8.4: PUSH_PROMISE frames are "sent on a stream that the client has opened".
        return "a pushed stream cannot push: use the stream of the request"

    async def _turn_to_respond(self) -> None:
        await self._server._wait_push_turn(self)

    # -- for the session -------------------------------------------------------------------------------------------

    def _owner_over(self, *, returned: bool) -> None:
        """The handler that made the push has ended, so nobody will add anything; what is whole still goes out."""
        outbox = self._outbox
        if not returned:
            self._abandon()
            return
        if self._alive and not outbox.ended:
            if self.headers_sent and outbox.complete and not outbox.busy:
                outbox.finish()
            else:
                self._reset(ErrorCode.CANCEL, Initiator.LIBRARY, "the handler that pushed the stream did not finish it")
        self._handler_over()

    def _fail(self, failure: StreamFailure | SessionFailure) -> None:
        if isinstance(failure, StreamFailure):
            failure = replace(failure, refused=False, retryable=False)  # a push that is refused is not to be repeated
        super()._fail(failure)
        self._turn.set()

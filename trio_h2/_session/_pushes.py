"""Server push in the session (RFC 9113 §8.4): the handlers of pushes that come, the owners of pushes that go out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .._errors import SessionError, StreamError
from .._stream._core import StreamCore
from .._stream._pushed import PushedStream
from .._stream._request import RequestView
from .._stream._response import ResponseInbox
from .._util import construct, interrupt_safe, interruptible
from .._wire._codes import ErrorCode, Initiator
from ._handlers import tells_of_end

if TYPE_CHECKING:
    from .._stream._pushed import PushHandler
    from .._wire._events import PushPromised
    from ._client_core import ClientCore

logger = logging.getLogger("trio_h2.client")


@interrupt_safe
class ReceivedPushes:
    """Pushes on a client: one task for each promise runs the application's handler.

    Handlers run in the nursery of the block that owns the session, so their bugs come out of it. That their own stream
    or session has ended is no bug.
    """

    def __init__(self, handler: PushHandler) -> None:
        self._handler = handler
        self.nursery: trio.Nursery | None = None
        """Where the handlers run; the block that owns the session sets it."""

    def take(self, core: ClientCore, event: PushPromised) -> None:
        """A stream was promised: starts its handler."""
        assert self.nursery is not None
        stream = StreamCore(core, event.promised_id)
        stream.request = RequestView(event.headers)
        stream.response = ResponseInbox(stream.inbox)
        stream.scope = trio.CancelScope()
        # RFC 9113 §5.1: from "reserved (remote)", "Receiving a HEADERS frame causes the stream to transition to
        # "half-closed (local)"": our side has ended before it began.
        stream.outbox.end_with_headers()
        core.handlers.add(stream)
        core.stream_opened(stream)
        name = f"trio_h2 push {stream.request.target} #{stream.id}"
        pushed = construct(PushedStream, stream, parent_id=event.stream_id)
        self.nursery.start_soon(self._handle, core, stream, pushed, name=name)

    async def _handle(self, core: ClientCore, stream: StreamCore, pushed: PushedStream) -> None:
        core.handlers.started(stream)
        assert stream.scope is not None
        assert stream.request is not None
        target = stream.request.target
        try:
            with stream.scope:
                await interruptible(self._handler, pushed)
        except BaseExceptionGroup as group:
            ends, others = group.split(lambda error: _tells_of_end(stream, error))
            try:
                if others is not None:
                    raise others from None
                logger.debug("%s: the push of %s ended first: %s", core.label, target, ends)
            finally:
                del ends, others  # their tracebacks know this frame
        except (StreamError, SessionError, trio.ClosedResourceError) as exc:
            if not _tells_of_end(stream, exc):
                raise
            logger.debug("%s: the push of %s ended first: %s", core.label, target, exc)
        finally:
            stream.discard()
            core.engine.handler_done(stream.id)
            core.handlers.remove(stream)
            core.check_idle()


def _tells_of_end(stream: StreamCore, error: BaseException) -> bool:
    assert stream.scope is not None
    return not stream.alive and tells_of_end(stream, error, cancelled=stream.scope.cancel_called)


class SentPushes:
    """Pushes of a server, each of which belongs to the handler that made it."""

    def __init__(self) -> None:
        self.by_parent: dict[int, dict[int, StreamCore]] = {}
        """The pushed streams that are not over, by the ids of those they were pushed from and their own."""

    def add(self, stream: StreamCore, parent_id: int) -> None:
        """A stream was promised."""
        self.by_parent.setdefault(parent_id, {})[stream.id] = stream

    def remove(self, stream_id: int, parent_id: int) -> None:
        """It is over."""
        self.by_parent.get(parent_id, {}).pop(stream_id, None)

    def settle(self, parent_id: int, *, returned: bool) -> None:
        """The handler that made them has ended, so nobody will add anything; what is whole still goes out."""
        for stream in list(self.by_parent.pop(parent_id, {}).values()):
            if not returned:
                stream.discard()
                continue
            outbox = stream.outbox
            if stream.alive and not outbox.ended:
                if stream.sent_headers is not None and outbox.complete and not outbox.busy:
                    outbox.finish()
                else:
                    reason = "the handler that pushed the stream did not finish it"
                    stream.reset(ErrorCode.CANCEL, Initiator.LIBRARY, reason)
            stream.close(refuse=ErrorCode.NO_ERROR)

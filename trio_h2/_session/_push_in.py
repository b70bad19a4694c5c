"""What a client's session does with pushes: one task per promise runs the application's handler (RFC 9113 §8.4)."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, cast

import trio

from .._errors import SessionError, StreamError
from .._stream._push_in import PushedStream
from .._util import construct
from .._wire._codes import Role
from ._base import Session
from ._extensions import OriginSet
from ._handlers import tells_of_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from .._stream._port import SessionPort
    from .._wire._config import ClientConfig
    from .._wire._events import PushPromised

    PushHandler: TypeAlias = Callable[[PushedStream], Awaitable[object]]

logger = logging.getLogger("trio_h2.client")


class PushTakingSession(Session):
    """The part of a client's session that is about pushed streams.

    Handlers run in the nursery of the block that owns the session, so their bugs come out of it. That their own stream
    or session has ended is no bug.
    """

    _role = Role.CLIENT

    def __init__(
        self,
        transport: trio.abc.Stream,
        config: ClientConfig,
        *,
        label: str,
        origin: str,
        push_handler: PushHandler | None,
    ) -> None:
        super().__init__(transport, config, label=label, push=push_handler is not None)
        self._origins = OriginSet(origin)
        self._engine.authoritative = partial(_speaks_for, self._origins)
        self._push_handler = push_handler
        self._push_nursery: trio.Nursery | None = None
        """Where the handlers run; the block that owns the session sets it."""

    def _push_promised(self, event: PushPromised) -> None:
        assert self._push_handler is not None  # else the engine takes no promises
        assert self._push_nursery is not None
        stream = construct(
            PushedStream, cast("SessionPort", self), event.promised_id, event.headers, parent_id=event.stream_id
        )
        self._handlers.add(stream)
        self._stream_opened(stream)
        name = f"trio_h2 push {stream._target} #{stream.id}"
        self._push_nursery.start_soon(self._handle_push, self._push_handler, stream, name=name)

    async def _handle_push(self, handler: PushHandler, stream: PushedStream) -> None:
        self._handlers.started(stream)
        try:
            with stream._scope:
                await handler(stream)
        except BaseExceptionGroup as group:
            ends, others = group.split(lambda error: self._tells_of_end(stream, error))
            try:
                if others is not None:
                    raise others from None
                logger.debug("%s: the push of %s ended first: %s", self._label, stream._target, ends)
            finally:
                del ends, others  # their tracebacks know this frame
        except (StreamError, SessionError, trio.ClosedResourceError) as exc:
            if not self._tells_of_end(stream, exc):
                raise
            logger.debug("%s: the push of %s ended first: %s", self._label, stream._target, exc)
        finally:
            stream._abandon()
            self._engine.handler_done(stream.id)
            self._handlers.remove(stream)
            self._check_idle()

    @staticmethod
    def _tells_of_end(stream: PushedStream, error: BaseException) -> bool:
        return not stream._alive and tells_of_end(stream, error, cancelled=stream._scope.cancel_called)

    # -- for the base ----------------------------------------------------------------------------------------------

    def _release(self) -> None:
        super()._release()
        self._push_nursery = None


def _speaks_for(origins: OriginSet, scheme: bytes, authority: bytes) -> bool:
    """Whether a server answers for this ``:scheme`` and ``:authority`` (RFC 9113 §8.4, RFC 8336 §2.4)."""
    return f"{scheme.decode('latin-1')}://{authority.decode('latin-1')}" in origins

"""Runs the handler of one request: whatever it does, its session and its server go on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .._wire._codes import ErrorCode, Initiator
from ._handlers import tells_of_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from .._stream._server import ServerStream

    Handler: TypeAlias = Callable[[ServerStream], Awaitable[object]]

logger = logging.getLogger("trio_h2.server")


async def supervise(stream: ServerStream, handler: Handler, label: str, seconds: float) -> bool:
    """Runs *handler* in the stream's scope, and settles what it left open (RFC 9113 §5.4.2).

    Args:
        stream: the request and its response, over whatever HTTP version.
        handler: the application's.
        label: names the connection in the log.
        seconds: after so many the handler is cancelled.

    Returns:
        Whether it returned.
    """
    scope = stream._scope
    scope.deadline = trio.current_time() + seconds
    returned = settled = False
    try:
        with scope:
            await handler(stream)
            returned = True
        if returned:
            _returned(stream, label)
            settled = True
        elif trio.current_time() >= scope.deadline:
            logger.warning(
                "%s: the handler of %s %s was cancelled after handler_timeout=%g s",
                *(label, stream.method, stream._target, seconds),
            )
    except BaseExceptionGroup as group:  # an ExceptionGroup is one, too
        errors, others = group.split(Exception)
        try:
            if errors is not None:
                _raised(stream, errors, label)
                settled = True
            if others is not None:  # Cancelled, say, which belongs to a scope outside
                raise others from None
        finally:
            del errors, others  # their tracebacks know this frame
    except Exception as exc:  # one of the two places that supervise: a handler must not end its session
        _raised(stream, exc, label)
        settled = True
    finally:
        if not settled:
            stream._abandon()
    return returned


def _returned(stream: ServerStream, label: str) -> None:
    outbox = stream._outbox
    if not stream._alive:
        return
    if not stream.headers_sent:
        logger.error("%s: the handler of %s %s returned without a response", label, stream.method, stream._target)
        _respond_500(stream)
    elif not outbox.ended:
        if not outbox.complete or outbox.busy:
            logger.error("%s: the handler of %s %s left its body short", label, stream.method, stream._target)
            stream._reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "the handler left its body incomplete")
            return
        outbox.finish()


def _raised(stream: ServerStream, error: Exception, label: str) -> None:
    if not stream._alive and tells_of_end(stream, error, cancelled=stream._scope.cancel_called):
        logger.debug("%s: the stream of %s %s ended first: %s", label, stream.method, stream._target, error)
        return
    logger.error("%s: the handler of %s %s raised", label, stream.method, stream._target, exc_info=error)
    if not stream._alive:
        return
    if not stream.headers_sent:
        _respond_500(stream)
    elif not stream._outbox.framed_end:
        stream._reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "the handler failed")


def _respond_500(stream: ServerStream) -> None:
    port = stream._port
    port._engine.send_response(stream.id, [(b":status", b"500"), (b"content-length", b"0")], end_stream=True)
    stream._outbox.end_with_headers()
    port._wake_writer()

"""Runs the handler of one HTTP/1.1 request: whatever it does, the server goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .._errors import SessionError, StreamError
from .._wire._codes import ErrorCode, Initiator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from .._stream._server import ServerStream
    from ._exchange import Http1Exchange

    Handler: TypeAlias = Callable[[ServerStream], Awaitable[object]]

logger = logging.getLogger("trio_h2.server")


async def handle(exchange: Http1Exchange, handler: Handler, label: str, timeout: float) -> None:  # noqa: ASYNC109 - from the configuration
    """Runs *handler*, and settles what it left open as a `ServerSession` does."""
    scope = exchange._scope
    scope.deadline = trio.current_time() + timeout
    returned = settled = False
    try:
        with scope:
            await handler(exchange)
            returned = True
        if returned:
            _returned(exchange, label)
            settled = True
        elif trio.current_time() >= scope.deadline:
            logger.warning(
                "%s: the handler of %s %s was cancelled after handler_timeout=%g s",
                *(label, exchange.method, exchange.path, timeout),
            )
    except BaseExceptionGroup as group:  # an ExceptionGroup is one, too
        errors, others = group.split(Exception)
        try:
            if errors is not None:
                _raised(exchange, errors, label)
                settled = True
            if others is not None:  # Cancelled, say, which belongs to a scope outside
                raise others from None
        finally:
            del errors, others  # their tracebacks know this frame
    except Exception as exc:  # a handler must not end its server
        _raised(exchange, exc, label)
        settled = True
    finally:
        if not settled:
            exchange._abandon()
        exchange._handler_over()


def _returned(exchange: Http1Exchange, label: str) -> None:
    outbox = exchange._outbox
    if not exchange._alive:
        return
    if not exchange.headers_sent:
        logger.error("%s: the handler of %s %s returned without a response", label, exchange.method, exchange.path)
        exchange._respond_500()
    elif not outbox.ended:
        if not outbox.complete or outbox.busy:
            logger.error("%s: the handler of %s %s left its body short", label, exchange.method, exchange.path)
            exchange._reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "the handler left its body incomplete")
            return
        outbox.finish()


def _raised(exchange: Http1Exchange, error: Exception, label: str) -> None:
    if not exchange._alive and _is_of(exchange, error):
        logger.debug("%s: the exchange of %s %s ended first: %s", label, exchange.method, exchange.path, error)
        return
    logger.error("%s: the handler of %s %s raised", label, exchange.method, exchange.path, exc_info=error)
    if not exchange._alive:
        return
    if not exchange.headers_sent:
        exchange._respond_500()
    elif not exchange._outbox.framed_end:
        exchange._reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "the handler failed")


def _is_of(exchange: Http1Exchange, error: BaseException) -> bool:
    """Whether *error* only says that *exchange* has ended: it, or all there is in a group of errors."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of(exchange, member) for member in error.exceptions)
    if isinstance(error, trio.ClosedResourceError):
        return exchange._scope.cancel_called  # what it was cancelled with closed the exchange, too
    return isinstance(error, SessionError) or (isinstance(error, StreamError) and error.stream_id == exchange.id)

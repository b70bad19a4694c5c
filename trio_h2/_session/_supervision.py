"""Runs the handler of one request: whatever it does, its session and its server go on."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import trio

from .._errors import BodyError, HeadersTooLargeError
from .._stream._response_head import response_head
from .._util import http_date, interruptible
from .._wire._codes import ErrorCode, Initiator
from .._wire._config import ServerConfig
from ._handlers import tells_of_end

if TYPE_CHECKING:
    from .._stream._core import StreamCore
    from .._stream._server import Handler, ServerStream

logger = logging.getLogger("trio_h2.server")

USUAL_HEADERS = 8192
"""Bytes of a header section that every usual client takes; those that say a number mostly say 64 KiB or more."""


@trio.lowlevel.enable_ki_protection
async def supervise(stream: ServerStream, core: StreamCore, handler: Handler, label: str, seconds: float) -> bool:
    """Runs *handler* in the stream's scope, and settles what it left open (RFC 9113 §5.4.2).

    Args:
        stream: the request and its response, over whatever HTTP version: what the handler gets.
        core: what is behind it.
        handler: the application's.
        label: names the connection in the log.
        seconds: after so many the handler is cancelled.

    Returns:
        Whether it returned.
    """
    scope = core.scope
    assert scope is not None
    if seconds < math.inf:
        scope.deadline = trio.current_time() + seconds
    returned = settled = False
    try:
        with scope:
            await interruptible(handler, stream)
            returned = True
        if returned:
            _returned(core, label)
            settled = True
        elif trio.current_time() >= scope.deadline:
            logger.warning(
                "%s: the handler of %s was cancelled after handler_timeout=%g s",
                *(label, _name(core), seconds),
            )
    except BaseExceptionGroup as group:  # an ExceptionGroup is one, too
        errors, others = group.split(Exception)
        try:
            if errors is not None:
                _raised(stream, core, errors, label)
                settled = True
            if others is not None:  # Cancelled, say, which belongs to a scope outside
                raise others from None
        finally:
            del errors, others  # their tracebacks know this frame
    except Exception as exc:  # one of the two places that supervise: a handler must not end its session
        _raised(stream, core, exc, label)
        settled = True
    finally:
        if not settled:
            core.discard()
    return returned


def _name(stream: StreamCore) -> str:
    """Returns what the log calls it."""
    assert stream.request is not None
    return f"{stream.request.method} {stream.request.target}"


def _returned(stream: StreamCore, label: str) -> None:
    outbox = stream.outbox
    if stream.over.is_set or not stream.alive:
        return
    if stream.sent_headers is None:
        logger.error("%s: the handler of %s returned without a response", label, _name(stream))
        _respond_500(stream)
    elif not outbox.ended:
        if not outbox.complete or outbox.busy:
            logger.error("%s: the handler of %s left its body short", label, _name(stream))
            stream.reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "the handler left its body incomplete")
            return
        outbox.finish()


def _raised(exchange: ServerStream, stream: StreamCore, error: Exception, label: str) -> None:
    if not stream.alive and tells_of_end(
        stream, error, cancelled=stream.scope is not None and stream.scope.cancel_called
    ):
        logger.debug("%s: the stream of %s ended first: %s", label, _name(stream), error)
        return
    unwanted, wrong_body = _unwanted(exchange, error), _wrong_body(exchange, error)
    if wrong_body is not None:
        reason = "%s: the body of %s was refused with %d: %s"
        logger.info(reason, label, _name(stream), wrong_body.status, wrong_body.reason)
    elif unwanted is not None:
        logger.info("%s: the client does not take the response to %s: %s", label, _name(stream), unwanted)
    else:
        logger.error("%s: the handler of %s raised", label, _name(stream), exc_info=error)
    if not stream.alive:
        return
    if stream.sent_headers is None:
        if wrong_body is not None:
            _respond_with_reason(stream, wrong_body)
        else:
            _respond_500(stream)
    elif not stream.outbox.framed_end:
        stream.reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "the handler failed")


def _wrong_body(exchange: ServerStream, error: BaseException) -> BodyError | None:
    """Returns the error that says what is wrong with the body of this request, and not with what a handler got from
    elsewhere, if *error* is that: it is the client's mistake.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, BodyError) and error.stream is exchange else None


def _unwanted(exchange: ServerStream, error: BaseException) -> HeadersTooLargeError | None:
    """Returns the error that says that the client takes smaller headers than others do, if *error* is that."""
    if isinstance(error, BaseExceptionGroup):
        found = [_unwanted(exchange, member) for member in error.exceptions]
        return found[0] if None not in found else None
    if isinstance(error, HeadersTooLargeError) and error.stream is exchange and error.limit < USUAL_HEADERS:
        return error
    return None


def _respond_500(stream: StreamCore) -> None:
    port = stream.port
    port.engine.send_response(stream.id, [(b":status", b"500"), (b"content-length", b"0")], end_stream=True)
    stream.outbox.end_with_headers()
    port.wake_writer()


def _respond_with_reason(stream: StreamCore, error: BodyError) -> None:
    port, request = stream.port, stream.request
    assert request is not None
    content, head = f"{error.reason}\n".encode(), request.method == "HEAD"
    date = http_date() if isinstance(port.config, ServerConfig) and port.config.send_date else None
    fields = {":status": str(error.status), "content-type": "text/plain; charset=utf-8"}
    response = response_head(fields, len(content), end_stream=False, head=head, date=date, stream_id=stream.id)
    stream.sent_headers = response.headers
    port.engine.send_response(stream.id, response.fields, end_stream=head)
    if head:
        stream.outbox.drop_content()
    else:
        stream.outbox.send_whole(content, response.length)
    port.wake_writer()

"""From a handler of requests to a handler of streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar, overload

import trio

from trio_h2 import Headers, ServerExchange

from .._checks import check_int, takes
from .._content import DEFAULT_MAX_BODY_SIZE
from .._util import construct, interruptible
from ._errors import HTTPError
from ._request import Request
from ._response import Response

StreamHandler: TypeAlias = Callable[[ServerExchange], Awaitable[None]]
"""What `request_handler` makes: a handler of streams that asks of them what both HTTP versions have."""

RequestT = TypeVar("RequestT", bound=Request)
ResponseT = TypeVar("ResponseT", bound=Response)


@overload
def request_handler(
    handler: Callable[[Request, Response], Awaitable[object]],
    *,
    check_continue: Callable[[Request, Response], Awaitable[object]] | None = None,
    max_body_size: int = DEFAULT_MAX_BODY_SIZE,
) -> StreamHandler: ...
@overload
def request_handler(
    handler: Callable[[RequestT, Response], Awaitable[object]],
    *,
    check_continue: Callable[[RequestT, Response], Awaitable[object]] | None = None,
    request_class: type[RequestT],
    max_body_size: int = DEFAULT_MAX_BODY_SIZE,
) -> StreamHandler: ...
@overload
def request_handler(
    handler: Callable[[Request, ResponseT], Awaitable[object]],
    *,
    check_continue: Callable[[Request, ResponseT], Awaitable[object]] | None = None,
    response_class: type[ResponseT],
    max_body_size: int = DEFAULT_MAX_BODY_SIZE,
) -> StreamHandler: ...
@overload
def request_handler(
    handler: Callable[[RequestT, ResponseT], Awaitable[object]],
    *,
    check_continue: Callable[[RequestT, ResponseT], Awaitable[object]] | None = None,
    request_class: type[RequestT],
    response_class: type[ResponseT],
    max_body_size: int = DEFAULT_MAX_BODY_SIZE,
) -> StreamHandler: ...


def request_handler(
    handler: Callable[[RequestT, ResponseT], Awaitable[object]],
    *,
    check_continue: Callable[[RequestT, ResponseT], Awaitable[object]] | None = None,
    request_class: type[Request] = Request,
    response_class: type[Response] = Response,
    max_body_size: int = DEFAULT_MAX_BODY_SIZE,
) -> StreamHandler:
    """Makes a handler for the ``serve_*`` functions of one that takes a request and a response.

    An `HTTPError` that the handler raises becomes the response, if its headers were not sent; any other exception is
    logged, and the client gets 500, or a reset once the headers are out. What the handler forgot to end is ended.

    Example::

        async def app(request: compat.Request, response: compat.Response) -> None:
            await response.send_text(f"hello, {request.path}")

        await trio_h2.serve_tcp(compat.request_handler(app), 8080)

    Args:
        handler: called for each request, in a task of its own.
        check_continue: called instead of *handler* for a request with ``expect: 100-continue``: to answer it as it is
            (with 417, for instance), or to call `Response.write_continue` and go on. Without it, *handler* is called,
            and 100 is sent as soon as it waits for the body (RFC 9110 §10.1.1).
        request_class: a subclass of `Request`, to be used in its place.
        response_class: a subclass of `Response`, to be used in its place.
        max_body_size: bytes that `Request.read`, `text`, `json` and `form` take before they raise 413.

    Raises:
        TypeError, ValueError: an argument is wrong.
    """
    _check_arguments(handler, check_continue, request_class, response_class, max_body_size)

    @trio.lowlevel.enable_ki_protection
    async def handle(exchange: ServerExchange) -> None:
        request = construct(request_class, exchange, max_body_size)
        response = construct(response_class, exchange, request)
        chosen = check_continue if check_continue is not None and request.expects_continue else handler
        try:
            await interruptible(chosen, request, response)  # type: ignore[arg-type]  # the overloads say which goes with which
            await response._settle()
        except Exception as exc:
            answer = _answer_to(exc)
            if answer is None or exchange.headers_sent:
                raise
            headers, body = answer
            await exchange.respond(headers, body=body)
        finally:
            response._handler_over()
            await request._close()

    return handle


def _check_arguments(
    handler: object, check_continue: object, request_class: object, response_class: object, max_body_size: object
) -> None:
    if not callable(handler) or not (check_continue is None or callable(check_continue)):
        raise TypeError("handler and check_continue must be async functions")
    for name, function in (("handler", handler), ("check_continue", check_continue)):
        if function is not None and not takes(function, 2):
            raise TypeError(f"{name} must take two arguments, the request and the response, unlike {function!r}")
    if not (isinstance(request_class, type) and issubclass(request_class, Request)):
        raise TypeError(f"request_class must be a subclass of Request, not {request_class!r}")
    if not (isinstance(response_class, type) and issubclass(response_class, Response)):
        raise TypeError(f"response_class must be a subclass of Response, not {response_class!r}")
    check_int("max_body_size", max_body_size, 0)


def _answer_to(error: BaseException) -> tuple[Headers, bytes] | None:
    """Returns the response that *error* stands for: an `HTTPError`, or a group with nothing else in it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if not isinstance(error, HTTPError):
        return None
    fields = [(b":status", b"%d" % error.status), *error.headers.raw]
    return Headers(fields, sensitive=error.headers.sensitive), error.body

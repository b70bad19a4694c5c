"""From an ASGI application to a handler of streams."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

import trio

import trio_h2

from .._checks import check_int, takes
from .._util import interruptible
from ._errors import explained, only_of_leaving
from ._http import HttpMessages
from ._push import Pusher
from ._scope import ScopeMaker

if TYPE_CHECKING:
    from ._types import Application, RunningApplication, State

logger = logging.getLogger("trio_h2.asgi")

DEFAULT_MAX_MESSAGE_SIZE = 1024 * 1024


def handler(
    app: Application,
    *,
    root_path: str = "",
    state: State | None = None,
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
) -> trio_h2.Handler:
    """Makes a handler for the ``serve_*`` functions of an ASGI 3 application.

    It is called for each request, in the task of the handler, which is cancelled when the client leaves before the
    response is whole. An application that never looks at ``http.disconnect`` needs no change for that; one that shields
    itself, or is served with ``cancel_handler_on_reset=False``, gets ``http.disconnect``, and `ClientDisconnectedError`
    from ``send``. What it raises is logged; the client gets 500, or a reset once the response has begun.

    WebSockets over HTTP/2 need ``ServerConfig(enable_connect_protocol=True)``, those of both versions the extra
    ``websocket``. Every page may open one: the application decides, by the field ``origin``.

    Args:
        app: the application, which must run on Trio.
        root_path: where the application is mounted, for one behind a proxy that takes this prefix away from paths:
            ``"/api"``, or ``""``.
        state: what `lifespan` has given, for ``scope["state"]``.
        max_message_size: the bytes of the largest message that a WebSocket receives; a larger one ends it (1009).

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """
    run = checked_application(app)
    check_root_path(root_path)
    check_int("max_message_size", max_message_size, 1, 2**31 - 1)
    scopes = ScopeMaker(root_path, state)

    @trio.lowlevel.enable_ki_protection
    async def handle(stream: trio_h2.ServerStream) -> None:
        if stream.method == "CONNECT" or (isinstance(stream, trio_h2.Http1Exchange) and stream.upgrade):
            if asks_for_websocket(stream):
                from ._websocket import serve_websocket  # which needs wsproto

                await serve_websocket(run, scopes, stream, max_message_size)
                return
            if stream.method == "CONNECT":
                # RFC 9110 §9.3.6: a server "might not support" CONNECT; ASGI has no scope for it.
                await stream.respond(501, body=b"")
                return
        if stream.push_allowed:
            await with_pushes(stream)
        else:
            await one_request(stream, None)

    async def with_pushes(stream: trio_h2.ServerStream) -> None:
        pusher = Pusher(stream, pushed_request)
        try:
            await one_request(stream, pusher)
            if pusher.busy:
                await pusher.wait_done()
        finally:
            pusher.end()

    async def pushed_request(stream: trio_h2.ServerStream) -> None:
        await one_request(stream, None)

    async def one_request(stream: trio_h2.ServerStream, pusher: Pusher | None) -> None:
        messages = HttpMessages(stream)
        response = messages.response
        response.pusher = pusher
        try:
            scope = scopes.http(stream, push_allowed=pusher is not None)
            await interruptible(run, scope, messages.receive, response.send)
        except Exception as exc:
            if response.complete:
                # Starlette answers with 500 and raises then. What is whole goes out; supervision would reset it.
                error = explained(exc)
                logger.error("%s %s: raised after its response", stream.method, stream.path, exc_info=error)
                return
            settle_error(exc, stream, told_gone=response.told_gone)
        else:
            response.check_complete()

    return handle


def settle_error(error: Exception, stream: trio_h2.ServerStream, *, told_gone: bool) -> None:
    """Raises what an application has raised, as far as it is an error of its own.

    Args:
        error: what it has raised.
        stream: its client's.
        told_gone: whether it was told that the client has left.
    """
    if told_gone:
        # Frameworks raise their own error when they are told.
        if not only_of_leaving(error):
            logger.info("%s %s: raised after its client had left", stream.method, stream.path, exc_info=error)
        return
    explanation = explained(error)
    if explanation is error:
        raise error
    raise explanation


def asks_for_websocket(stream: trio_h2.ServerStream) -> bool:
    """Whether a client asks for a WebSocket, where there are some.

    Raises:
        ModuleNotFoundError: it does, and wsproto is not installed.
    """
    if isinstance(stream, trio_h2.Http1Exchange):
        if "websocket" not in stream.upgrade.lower():
            return False
    elif (stream.protocol or "").lower() != "websocket":
        return False
    from trio_h2.websocket import is_websocket

    return is_websocket(stream)


def checked_application(app: object) -> RunningApplication:
    """Returns an application, as it is called.

    Raises:
        TypeError: it cannot be an ASGI 3 application.
    """
    if not callable(app):
        raise TypeError(f"app must be an ASGI application, not {app!r}")
    if isinstance(app, type) or not takes(app, 3):
        hint = ""
        if takes(app, 0):
            hint = "; if it makes an application, call it first"
        elif takes(app, 1):
            hint = "; a handler of streams needs no adapter, and ASGI 2 is not supported"
        elif takes(app, 2):
            hint = "; this may be WSGI, which is not supported, or a handler for trio_h2.compat.request_handler"
        raise TypeError(f"app must take three arguments, scope, receive and send, unlike {app!r}{hint}")
    return cast("RunningApplication", app)


def check_root_path(root_path: object) -> None:
    """Raises `TypeError` or `ValueError` if an application cannot be mounted there."""
    if not isinstance(root_path, str):
        raise TypeError(f"root_path must be a str, not {root_path!r}")
    if root_path and (not root_path.startswith("/") or root_path.endswith("/") or not root_path.isascii()):
        raise ValueError(f"root_path must be empty or begin with a slash, and not end with one: {root_path!r}")

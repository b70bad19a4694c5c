"""Responses that an application pushes: it is asked for each, as if the client had."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

import trio

import trio_h2

from ._response import fields_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._types import Message

logger = logging.getLogger("trio_h2.asgi")


class Pusher:
    """What an application may push beside one response.

    Each pushed response has a task of its session, and not of a nursery of the handler: most requests push nothing, and
    a nursery costs as much as the rest of the adapter.
    """

    __slots__ = ("_done", "_ended", "_running", "_serve", "_stream")

    def __init__(self, stream: trio_h2.ServerStream, serve: Callable[[trio_h2.ServerStream], Awaitable[None]]) -> None:
        self._stream = stream
        self._serve = serve
        self._running: set[trio.CancelScope] | None = None
        """Those of the responses that are being made."""
        self._done: trio.Event | None = None
        self._ended = False

    @property
    def busy(self) -> bool:
        """Whether a pushed response is being made."""
        return bool(self._running)

    async def wait_done(self) -> None:
        """Waits until all of them are made."""
        self._done = trio.Event()
        await self._done.wait()

    def end(self) -> None:
        """The handler ends, and with it what is still being made."""
        self._ended = True
        for scope in self._running or ():
            scope.cancel()

    async def push(self, message: Message) -> None:
        """Promises a response, if that is possible, and lets the application make it: a push is never worth an error.

        Raises:
            TypeError: the message is malformed.
        """
        path = message.get("path")
        if not isinstance(path, str):
            raise TypeError(f"the path of http.response.push must be a str, not {path!r}")
        fields = fields_of(message, "http.response.push")
        if not self._stream.push_allowed:
            return
        # It comes decoded, or as a program has written it: what is encoded already stays so.
        target = quote(path, safe="/?%:@!$&'()*+,;=~-._")
        try:
            pushed = await self._stream.push([(":path", target), *fields])
        except (ValueError, trio_h2.H2Error, trio.ClosedResourceError) as exc:
            logger.warning("%s %s: %s is not pushed: %s", self._stream.method, self._stream.path, target, exc)
            return
        scope = trio.CancelScope()
        try:
            self._stream.session.start_soon(self._serve_pushed, pushed, scope, name=f"trio_h2 push {target}")
        except (trio_h2.H2Error, trio.ClosedResourceError):  # the session is over
            pushed.reset(trio_h2.ErrorCode.CANCEL)
            return
        if self._running is None:
            self._running = set()
        self._running.add(scope)
        if self._ended:  # a task of the application has outlived it
            scope.cancel()

    async def _serve_pushed(self, pushed: trio_h2.ServerStream, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await self._serve(pushed)
        except Exception:
            if not pushed.closed:
                logger.exception("the application failed in what it pushes: %s", pushed.path)
            pushed.reset(trio_h2.ErrorCode.INTERNAL_ERROR)
        finally:
            assert self._running is not None
            self._running.discard(scope)
            if scope.cancelled_caught:
                pushed.reset(trio_h2.ErrorCode.CANCEL)
            if not self._running and self._done is not None:
                self._done.set()

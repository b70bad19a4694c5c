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
    """What an application may push beside one response."""

    def __init__(
        self,
        stream: trio_h2.ServerStream,
        nursery: trio.Nursery,
        serve: Callable[[trio_h2.ServerStream], Awaitable[None]],
    ) -> None:
        self._stream = stream
        self._nursery = nursery
        self._serve = serve

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
        self._nursery.start_soon(self._serve_pushed, pushed, name=f"trio_h2 push {target}")

    async def _serve_pushed(self, pushed: trio_h2.ServerStream) -> None:
        try:
            await self._serve(pushed)
        except Exception:
            if not pushed.closed:
                logger.exception("the application failed in what it pushes: %s", pushed.path)
            pushed.reset(trio_h2.ErrorCode.INTERNAL_ERROR)

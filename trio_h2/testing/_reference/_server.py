"""The reference server: to test a client with."""

from __future__ import annotations

import collections
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import trio

import trio_h2

from ..._util import construct
from ._peer import ReferencePeer
from ._server_stream import ReferenceServerStream

if TYPE_CHECKING:
    from ._inbox import Inbox

ReferenceHandler: TypeAlias = Callable[[ReferenceServerStream], Awaitable[object]]
"""What a `ReferenceServer` runs for every request: an async function."""


class ReferenceServer(ReferencePeer):
    """A server that is h2's, over any Trio stream, to test a client with.

    Example:
        A client of yours meets another implementation, in memory::

            async def hello(stream: ReferenceServerStream) -> None:
                await stream.respond(200, {"content-type": "text/plain"}, body=b"hello")

            async def test_fetch() -> None:
                client_end, server_end = memory_transports()
                async with (
                    ReferenceServer(server_end, hello),
                    trio_h2.connect("http://localhost", transport=client_end) as session,
                    session.request("GET", "/") as stream,
                ):
                    assert await stream.receive_some() == b"hello"

    Each request runs *handler* in a task of its own. When the handler returns, what it has left incomplete is reset. It
    may end with the `StreamError` or `SessionError` of its own stream; any other exception ends the session and comes
    out of the block, or of `run`, in a group. A handler is not cancelled when its client leaves: its next call raises
    that. Without a handler, `accept` lets the test play the server step by step.

    Args:
        transport: Any Trio stream, which the server owns from now on.
        handler: An async function that gets a `ReferenceServerStream`; without one, `accept` gives the requests.
        settings: What its first SETTINGS say beside h2's defaults, e.g. ``Settings(enable_connect_protocol=True)``.
        grace: Seconds that the end may take, at most: handlers that still run are cancelled then.
    """

    def __init__(
        self,
        transport: trio.abc.Stream,
        handler: ReferenceHandler | None = None,
        *,
        settings: trio_h2.Settings | None = None,
        grace: float = 1.0,
    ) -> None:
        super().__init__(transport, client=False, settings=settings, grace=grace)
        self._handler = handler
        self._requests: collections.deque[ReferenceServerStream] = collections.deque()
        self._running = 0

    async def accept(self) -> ReferenceServerStream:
        """Waits for the next request, if there is no handler, and returns it.

        Cancelled: no request is lost.

        Raises:
            RuntimeError: There is a handler.
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed it.
        """
        if self._handler is not None:
            await trio.lowlevel.checkpoint()
            raise RuntimeError("this server has a handler, which gets the requests")
        await self._link.wait(lambda: bool(self._requests))
        return self._requests.popleft()

    def _accept(self, inbox: Inbox) -> None:
        self._requests.append(construct(ReferenceServerStream, self._link, inbox))

    async def _wait_ready(self) -> None:
        await trio.lowlevel.checkpoint()

    async def _serve(self, nursery: trio.Nursery) -> None:
        if self._handler is None:
            return
        while self._link.ending is None or self._requests:
            if self._requests:
                self._running += 1
                nursery.start_soon(self._handle, self._handler, self._requests.popleft())
            else:
                await self._link.wait_change()
        with trio.move_on_after(self._grace):
            await self._wait_handled()
        nursery.cancel_scope.cancel()

    async def _handle(self, handler: ReferenceHandler, stream: ReferenceServerStream) -> None:
        try:
            await handler(stream)
        except (trio_h2.StreamError, trio_h2.SessionError):
            if stream.error is None and self._link.ending is None:
                raise
        except trio.ClosedResourceError:
            if self._link.ending is None:
                raise
        finally:
            stream.finish()
            self._running -= 1
            self._link.notify()

    async def _wait_handled(self) -> None:
        while self._handler is not None and (self._running or self._requests):
            await self._link.wait_change()

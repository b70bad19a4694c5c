"""What the tests of servers share: handlers, a client, and a listener in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trio_h2 import connect
from trio_h2.testing import MemoryTransport, memory_transports

if TYPE_CHECKING:
    import ssl

    from trio_h2 import ServerStream


async def hello(stream: ServerStream) -> None:
    await stream.respond(body=b"hello")


async def forever(stream: ServerStream) -> None:
    await trio.sleep_forever()


async def get(url: str, transport: trio.abc.Stream | None = None, context: ssl.SSLContext | None = None) -> bytes:
    async with (
        connect(url, transport=transport, ssl_context=context) as session,
        session.request("GET") as stream,
    ):
        assert (await stream.receive_response()).status == 200
        return await stream.receive_some()


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts what a test connects, and fails when a test wants it to."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream | Exception](100)
        self.closed = False

    def connect(self) -> MemoryTransport:
        """Returns the client's end of a new connection."""
        ours, theirs = memory_transports()
        self._send.send_nowait(theirs)
        return ours

    def fail(self, error: Exception) -> None:
        self._send.send_nowait(error)

    async def accept(self) -> trio.abc.Stream:
        item = await self._receive.receive()
        if isinstance(item, Exception):
            raise item
        return item

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()

"""What the tests of received pushes share: a promised request, and handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

import trio_h2

if TYPE_CHECKING:
    from trio_h2.testing import ScriptedPeer

STYLE = {":method": "GET", ":scheme": "http", ":authority": "localhost", ":path": "/style.css"}


class PushTaker:
    """A push handler that hands its streams out, and returns when it is told."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio_h2.PushedStream](1000)
        self._done = trio.Event()

    async def handle(self, stream: trio_h2.PushedStream) -> None:
        """The handler."""
        self._send.send_nowait(stream)
        await self._done.wait()

    async def next(self) -> trio_h2.PushedStream:
        """Returns the next stream."""
        return await self._receive.receive()

    def finish(self) -> None:
        """Lets the handlers return."""
        self._done.set()


async def asked(session: trio_h2.ClientSession, peer: ScriptedPeer) -> trio_h2.ClientStream:
    """Asks for /, without an answer."""
    stream = await session.open_stream("GET", "/")
    await peer.expect_headers(stream.id)
    return stream


async def forbidden(stream: trio_h2.PushedStream) -> None:
    """A handler that must not be called."""
    raise AssertionError(f"{stream!r} was not expected")

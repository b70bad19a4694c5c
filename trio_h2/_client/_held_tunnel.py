"""A tunnel through a session with a proxy, which that session is kept for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._util import interrupt_safe

if TYPE_CHECKING:
    from .. import ClientStream
    from ._pooled import Pooled


@interrupt_safe
class HeldTunnel(trio.abc.HalfCloseableStream):
    """The stream of a CONNECT; when it is closed, its session is free for others, or may end.

    Args:
        stream: the tunnel, closed with this one.
        pooled: its session, which is given back.
    """

    def __init__(self, stream: ClientStream, pooled: Pooled) -> None:
        self._stream = stream
        self._pooled: Pooled | None = pooled

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more: the proxy has ended the tunnel, or the session with it is lost."""
        return self._stream.closed or self._stream.state.remote_closed

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives from the tunnel."""
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends into the tunnel."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Waits for room in the tunnel."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Ends this side of the tunnel."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Closes the tunnel, and gives its session back."""
        try:
            await self._stream.aclose()
        finally:
            pooled, self._pooled = self._pooled, None
            if pooled is not None:
                pooled.give_back()

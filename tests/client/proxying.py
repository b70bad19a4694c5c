"""Proxies in memory for tests of the client, of both versions of HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    import trio_h2
    from tests.client.network import Serve


async def read_head(transport: trio.abc.Stream) -> bytes:
    """Reads the head of a request of HTTP/1.1, byte by byte, so that what follows stays where it is."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = await transport.receive_some(1)
        if not byte:
            raise EOFError
        head += byte
    return bytes(head)


class Http1Proxy:
    """Answers each CONNECT, and lets *target* serve what is inside of the tunnel.

    Args:
        target: the server that tunnels lead to.
        answer: what each CONNECT is answered with.
    """

    def __init__(self, target: Serve, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self._target = target
        self._answer = answer
        self.heads: list[bytes] = []
        """What it was asked."""

    async def __call__(self, transport: trio.abc.Stream) -> None:
        try:
            self.heads.append(await read_head(transport))
            await transport.send_all(self._answer)
        except (EOFError, trio.BrokenResourceError):
            return  # the client was cancelled
        if self._answer.startswith(b"HTTP/1.1 2"):
            await self._target(transport)
        else:
            await transport.aclose()


class Http2Proxy:
    """The handler of a proxy that speaks HTTP/2.

    Args:
        target: the server that tunnels lead to.
        refusal: the status that the next CONNECT is refused with, for each.
    """

    def __init__(self, target: Serve, *refusal: int) -> None:
        self._target = target
        self._refusals = list(refusal)
        self.heads: list[trio_h2.Headers] = []
        """What it was asked."""
        self.sessions: set[trio_h2.ServerSession] = set()

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        self.heads.append(stream.headers)
        self.sessions.add(stream.session)
        if self._refusals:
            await stream.respond(self._refusals.pop(0), body=b"not now")
            return
        await stream.respond(200, end_stream=False)
        await self._target(stream)

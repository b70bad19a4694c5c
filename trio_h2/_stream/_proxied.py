"""A transport on which a load balancer has told whose connection it passes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import trio

from .._values import Value
from ._below_tls import BelowTls

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | str | bytes
"""Of a socket: ``(host, port)``, for IPv6 with two numbers more, or what a Unix socket has."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProxyHeader(Value):
    """What the header of the PROXY protocol says."""

    peer_address: Address | None
    """The client: ``(host, port)`` or a Unix path; ``None`` if it is the load balancer itself, or not known."""
    local_address: Address | None
    """What the client connected to."""


class ProxiedStream(trio.abc.HalfCloseableStream):
    """The transport after its header of the PROXY protocol.

    Args:
        below: where the header came from; closed with this stream.
        header: what it said.
        early: what came with it.
    """

    def __init__(self, below: trio.abc.Stream, header: ProxyHeader, early: bytes) -> None:
        self.below = below
        self.header = header
        self._early = early

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receives what came early first. Cancelled: nothing is lost."""
        if not self._early:
            return await self.below.receive_some(max_bytes)
        if max_bytes is not None and max_bytes < 1:
            raise ValueError(f"max_bytes must be 1 or more, not {max_bytes}")
        await trio.lowlevel.checkpoint()
        size = len(self._early) if max_bytes is None else max_bytes
        data, self._early = self._early[:size], self._early[size:]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends as the transport below does."""
        await self.below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Waits as the transport below does."""
        await self.below.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Ends this side, if the transport below can; else closes nothing before `aclose`."""
        if isinstance(self.below, trio.abc.HalfCloseableStream):
            await self.below.send_eof()
        else:
            await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Closes the transport below."""
        self._early = b""
        await self.below.aclose()


def socket_below(transport: trio.abc.Stream) -> trio.SocketStream | None:
    """Returns the socket beneath TLS and the PROXY protocol, if there is one."""
    while not isinstance(transport, trio.SocketStream):
        if isinstance(transport, trio.SSLStream):
            transport = transport.transport_stream
        elif isinstance(transport, (ProxiedStream, BelowTls)):
            transport = transport.below
        else:
            return None
    return transport


def proxy_header(transport: trio.abc.Stream) -> ProxyHeader | None:
    """Returns what the PROXY protocol said on a transport, below TLS, if it was spoken."""
    transport = without_tls(transport)
    return transport.header if isinstance(transport, ProxiedStream) else None


def without_tls(transport: trio.abc.Stream) -> trio.abc.Stream:
    """Returns what is beneath all TLS."""
    while isinstance(transport, (trio.SSLStream, BelowTls)):
        transport = transport.transport_stream if isinstance(transport, trio.SSLStream) else transport.below
    return transport

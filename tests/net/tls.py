"""What the tests of contexts and handshakes share: a name, forbidden ciphers, contexts that users make, both sides."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trio
import trio.testing

from trio_h2._errors import HandshakeError
from trio_h2._net._tls import wrap_client, wrap_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trustme

    Tls = trio.SSLStream[trio.abc.Stream]

HOST = "example.test"
# TLS 1.2 suites of the block list that need an RSA key; security level 0 lets OpenSSL agree to them.
BLOCKLISTED = ["AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256"]


def plain_server_context(leaf: trustme.LeafCert, *alpn: str) -> ssl.SSLContext:
    """What a user might make without this library."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def weaken(context: ssl.SSLContext, cipher: str) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")


class Outcome:
    """How one side of a handshake ended."""

    def __init__(self) -> None:
        self.stream: Tls | None = None
        self.error: HandshakeError | None = None

    async def record(self, handshake: Callable[[], Awaitable[Tls]]) -> None:
        try:
            self.stream = await handshake()
        except HandshakeError as exc:
            self.error = exc

    @property
    def failure(self) -> HandshakeError:
        assert self.error is not None, "the handshake succeeded"
        return self.error

    @property
    def tls(self) -> Tls:
        assert self.stream is not None, f"the handshake failed: {self.error}"
        return self.stream


class Watched(trio.abc.HalfCloseableStream):
    """Passes everything on, and remembers whether it was closed."""

    def __init__(self, below: trio.abc.HalfCloseableStream) -> None:
        self.below = below
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.below.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.below.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.below.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.closed = True
        await self.below.aclose()


def transports() -> tuple[Watched, Watched]:
    one, other = trio.testing.memory_stream_pair()
    return Watched(one), Watched(other)


async def shake_hands(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext, *, host: str | None = HOST
) -> tuple[Outcome, Outcome]:
    """Lets both wrappers talk to each other; whoever fails must have closed its transport."""
    client, server = Outcome(), Outcome()
    near, far = transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.record, lambda: wrap_client(near, client_context, host, timeout=10))
        nursery.start_soon(server.record, lambda: wrap_server(far, server_context, timeout=10))
    assert near.closed is (client.stream is None)
    assert far.closed is (server.stream is None)
    return client, server

"""RFC 9113 §3.2 and §3.3: over TLS, HTTP/2 is agreed on by ALPN, under the name "h2" and no other."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from trio_h2.testing import ScriptedPeer, ThrowawayAuthority, memory_transports

if TYPE_CHECKING:
    from trio_h2.testing import MemoryTransport


class OneConnection(trio.abc.Listener[trio.abc.Stream]):
    """A listener that accepts one connection, which is there already."""

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport: MemoryTransport | None = transport

    async def accept(self) -> trio.abc.Stream:
        """Returns the connection, then waits for ever."""
        transport, self._transport = self._transport, None
        if transport is None:
            await trio.sleep_forever()
        assert transport is not None
        await trio.lowlevel.checkpoint()
        return transport

    async def aclose(self) -> None:
        """Does nothing."""
        await trio.lowlevel.checkpoint()


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


async def _never(stream: trio_h2.ServerStream) -> None:
    raise AssertionError("no request was sent")


async def test_3_2_client_offers_h2_and_never_h2c() -> None:
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:

        async def connect() -> None:
            async with trio_h2.connect("https://localhost", transport=ours, ssl_context=trio_h2.client_ssl_context()):
                raise AssertionError("nobody answered")

        nursery.start_soon(connect)
        hello = await theirs.receive_some()
        # The ALPN extension (RFC 7301 §3.1): number 16, its length, that of the list, and each name with its length.
        assert b"\x00\x10\x00\x05\x00\x03\x02h2" in hello
        assert b"h2c" not in hello
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("offer", [["h2c"], ["h2c", "http/1.1"], ["http/1.1"], []], ids=str)
async def test_3_2_server_selects_h2_only(authority: ThrowawayAuthority, offer: list[str]) -> None:
    ours, theirs = memory_transports()
    tls = trio.SSLStream(theirs, authority.client_context(offer), server_hostname="localhost", https_compatible=True)
    received = bytearray()
    async with trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_listeners, ssl_context=authority.server_context(["h2"]))
        await nursery.start(serve, _never, [OneConnection(ours)])
        with contextlib.suppress(trio.BrokenResourceError):  # an alert, or the end without the goodbye of TLS
            await tls.do_handshake()
            assert tls.selected_alpn_protocol() is None
            async for data in tls:
                received.extend(data)
        nursery.cancel_scope.cancel()
    assert received == b""


@pytest.mark.parametrize("choice", ["http/1.1", "h2c", None])
async def test_3_3_client_does_not_speak_http2_over_tls_without_alpn(
    authority: ThrowawayAuthority, choice: str | None
) -> None:
    ours, theirs = memory_transports()
    context = authority.server_context([] if choice is None else [choice])
    tls = trio.SSLStream(theirs, context, server_side=True, https_compatible=True)
    received = bytearray()

    async def peer() -> None:
        try:
            await tls.do_handshake()
            async for data in tls:
                received.extend(data)
        except trio.BrokenResourceError:
            pass  # the client may leave without the goodbye of TLS
        await tls.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer)
        with pytest.raises(trio_h2.HandshakeError):
            async with trio_h2.connect("https://localhost", transport=ours, ssl_context=authority.client_context()):
                raise AssertionError("HTTP/2 was not agreed on")
    assert received == b""


async def test_3_2_both_sides_send_their_preface_after_tls(authority: ThrowawayAuthority) -> None:
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_listeners, ssl_context=authority.server_context(["h2"]))
        await nursery.start(serve, _never, [OneConnection(ours)])
        tls = trio.SSLStream(theirs, authority.client_context(), server_hostname="localhost", https_compatible=True)
        async with ScriptedPeer(tls, client=True) as server_peer:
            await tls.do_handshake()
            assert tls.selected_alpn_protocol() == "h2"
            await server_peer.handshake()
            await server_peer.ping()
        nursery.cancel_scope.cancel()

    ours, theirs = memory_transports()
    tls = trio.SSLStream(theirs, authority.server_context(), server_side=True, https_compatible=True)
    async with ScriptedPeer(tls, client=False) as client_peer, trio.open_nursery() as nursery:

        async def connect() -> None:
            async with trio_h2.connect("https://localhost", transport=ours, ssl_context=authority.client_context()):
                await trio.sleep_forever()

        nursery.start_soon(connect)
        await client_peer.handshake()
        await client_peer.ping()
        nursery.cancel_scope.cancel()

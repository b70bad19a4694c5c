"""TLS handshakes that break, are too slow, or are cancelled: what each side is told, and what is closed."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
import trustme

from tests.net.tls import HOST, Outcome, Watched, plain_server_context, shake_hands, transports, weaken
from trio_h2._errors import HandshakeError
from trio_h2._net._contexts import client_ssl_context
from trio_h2._net._tls import negotiated, wrap_client, wrap_server
from trio_h2._wire._codes import Initiator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Tls = trio.SSLStream[trio.abc.Stream]


class TestBrokenHandshakes:
    async def test_wrong_host_name(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        client, server = await shake_hands(client_context, server_context, host="other.test")
        assert str(client.failure) == (
            "the certificate of the server at other.test was not accepted: "
            "Hostname mismatch, certificate is not valid for 'other.test'."
        )
        assert type(client.failure) is HandshakeError
        assert client.failure.initiator is Initiator.LIBRARY
        assert isinstance(client.failure.__cause__, ssl.SSLCertVerificationError)
        assert "the client refused the TLS handshake" in str(server.failure)
        assert server.failure.initiator is Initiator.REMOTE

    async def test_untrusted_authority(self, server_context: ssl.SSLContext) -> None:
        client, _ = await shake_hands(client_ssl_context(), server_context)
        assert "unable to get local issuer certificate" in str(client.failure)
        assert "client_ssl_context(ca=" in str(client.failure)

    async def test_untrusted_client(
        self, client_context: ssl.SSLContext, server_context: ssl.SSLContext, ca_file: Path
    ) -> None:
        trustme.CA().issue_cert("joe@example.test").configure_cert(client_context)
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.load_verify_locations(ca_file)
        _, server = await shake_hands(client_context, server_context)
        assert "the certificate of the client was not accepted: unable to get local issuer" in str(server.failure)
        assert "ssl_context" not in str(server.failure)

    async def test_client_without_the_required_certificate(
        self, client_context: ssl.SSLContext, server_context: ssl.SSLContext, ca_file: Path
    ) -> None:
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.load_verify_locations(ca_file)
        _, server = await shake_hands(client_context, server_context)
        assert str(server.failure) == "the TLS handshake with the client failed: peer did not return a certificate"

    async def test_no_common_version(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        server_context.minimum_version = ssl.TLSVersion.TLSv1_3
        _, server = await shake_hands(client_context, server_context)
        assert str(server.failure) == "the TLS handshake with the client failed: unsupported protocol"

    async def test_alert(self, client_context: ssl.SSLContext) -> None:
        near, far = transports()
        await far.send_all(bytes.fromhex("15 0303 0002 02 28"))
        with pytest.raises(HandshakeError, match=r"refused the TLS handshake: .*handshake failure") as caught:
            await wrap_client(near, client_context, HOST, timeout=10)
        assert type(caught.value) is HandshakeError
        assert caught.value.initiator is Initiator.REMOTE
        assert near.closed

    @pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 64])
    async def test_garbage_from_the_server(self, client_context: ssl.SSLContext, garbage: bytes) -> None:
        near, far = transports()
        await far.send_all(garbage)
        with pytest.raises(HandshakeError, match=r"does not speak TLS \(.*\); is it an http:// server\?") as caught:
            await wrap_client(near, client_context, HOST, timeout=10)
        assert type(caught.value) is HandshakeError
        assert isinstance(caught.value.__cause__, ssl.SSLError)
        assert near.closed

    @pytest.mark.parametrize(
        "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"]
    )
    async def test_garbage_from_the_client(
        self, server_context: ssl.SSLContext, garbage: bytes, autojump_clock: trio.testing.MockClock
    ) -> None:
        near, far = transports()
        await far.send_all(garbage)
        with pytest.raises(HandshakeError, match=r"^the client does not speak TLS") as caught:
            await wrap_server(near, server_context, timeout=10)
        assert type(caught.value) is HandshakeError
        assert near.closed

    async def test_peer_closes(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        near, far = transports()
        await far.aclose()
        with pytest.raises(HandshakeError, match=f"{HOST} closed the connection|connection to .* broke") as caught:
            await wrap_client(near, client_context, HOST, timeout=10)
        assert caught.value.initiator is Initiator.REMOTE
        near, far = transports()
        await far.aclose()
        with pytest.raises(HandshakeError, match=r"^the client closed the connection during") as caught:
            await wrap_server(near, server_context, timeout=10)
        assert isinstance(caught.value.__cause__, ssl.SSLError)

    async def test_network_breaks(self, server_context: ssl.SSLContext) -> None:
        class Broken(Watched):
            async def receive_some(self, max_bytes: int | None = None) -> bytes:
                await trio.lowlevel.checkpoint()
                raise trio.BrokenResourceError from ConnectionResetError(104, "Connection reset by peer")

            async def aclose(self) -> None:
                self.closed = True
                await trio.lowlevel.checkpoint()
                raise trio.BrokenResourceError

        broken = Broken(transports()[0])
        with pytest.raises(HandshakeError, match="the connection to the client broke during") as caught:
            await wrap_server(broken, server_context, timeout=10)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        assert broken.closed

    async def test_name_must_be_given(self, client_context: ssl.SSLContext) -> None:
        near, _ = transports()
        with pytest.raises(ValueError, match="server_hostname is needed"):
            await wrap_client(near, client_context, None, timeout=10)
        assert near.closed

    async def test_no_name_without_verification(self, server_context: ssl.SSLContext) -> None:
        client, server = await shake_hands(client_ssl_context(verify=False), server_context, host=None)
        assert negotiated(client.tls) == negotiated(server.tls)

    async def test_timeout(
        self,
        client_context: ssl.SSLContext,
        server_context: ssl.SSLContext,
        autojump_clock: trio.testing.MockClock,
    ) -> None:
        near, _far = transports()
        start = trio.current_time()
        with pytest.raises(HandshakeError, match=f"with the server at {HOST} was not finished after 7.5 seconds"):
            await wrap_client(near, client_context, HOST, timeout=7.5)
        assert trio.current_time() - start == pytest.approx(7.5)
        assert near.closed
        near, _far = transports()
        with pytest.raises(HandshakeError, match="with the client was not finished after 10 seconds") as caught:
            await wrap_server(near, server_context, timeout=10)
        assert trio.current_time() - start == pytest.approx(17.5)
        assert caught.value.initiator is Initiator.LIBRARY
        assert near.closed


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope just before the n-th step of the task that made this."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self.scope = scope
        self.left = step
        self.task = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


class TestCancellation:
    async def sweep(self, wrap: Callable[[Watched], Awaitable[Tls]], other: Callable[[Watched], Awaitable[Tls]]) -> int:
        """Cancels *wrap* at its first, second … checkpoint, until it has no more; returns their number."""
        for step in range(100):
            near, far = transports()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Outcome().record, lambda far=far: other(far))
                with trio.CancelScope() as scope:
                    canceller = CancelAtStep(scope, step)
                    if step == 0:
                        scope.cancel()
                    trio.lowlevel.add_instrument(canceller)
                    # A weak handshake ends with an error; the last cancellation comes too late to change that.
                    with contextlib.suppress(HandshakeError):
                        await wrap(near)
                    trio.lowlevel.remove_instrument(canceller)
                if scope.cancelled_caught:
                    assert near.closed
                nursery.cancel_scope.cancel()
            if not scope.cancelled_caught and canceller.left > 0:
                return step
        raise AssertionError("the handshake never ends")

    async def test_client(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        points = await self.sweep(
            lambda near: wrap_client(near, client_context, HOST, timeout=10),
            lambda far: wrap_server(far, server_context, timeout=10),
        )
        assert points > 3

    async def test_server(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        points = await self.sweep(
            lambda near: wrap_server(near, server_context, timeout=10),
            lambda far: wrap_client(far, client_context, HOST, timeout=10),
        )
        assert points > 3

    async def test_goodbye(self, leaf: trustme.LeafCert, ca_file: Path) -> None:
        client_context = ssl.create_default_context(cafile=ca_file)
        client_context.set_alpn_protocols(["h2"])
        server_context = plain_server_context(leaf, "h2")
        for context in (client_context, server_context):
            weaken(context, "AES128-SHA")
        points = await self.sweep(
            lambda near: wrap_server(near, server_context, timeout=10),
            lambda far: wrap_client(far, client_context, HOST, timeout=10),
        )
        assert points > 6

    async def test_an_error_is_not_replaced_by_a_cancellation(self, client_context: ssl.SSLContext) -> None:
        near, far = transports()
        await far.send_all(b"garbage instead of TLS")
        with trio.CancelScope() as scope:

            class CancelsOnClose(Watched):
                async def aclose(self) -> None:
                    scope.cancel()
                    await super().aclose()

            with pytest.raises(HandshakeError, match="does not speak TLS"):
                await wrap_client(CancelsOnClose(near), client_context, HOST, timeout=10)
        assert scope.cancel_called
        assert not scope.cancelled_caught
        assert near.closed

    async def test_closing_is_not_waited_for(
        self, client_context: ssl.SSLContext, autojump_clock: trio.testing.MockClock
    ) -> None:
        class Slow(Watched):
            async def aclose(self) -> None:
                self.closed = True
                await trio.sleep(3600)

        near, _far = transports()
        slow = Slow(near)
        start = trio.current_time()
        with pytest.raises(HandshakeError, match="was not finished after 5 seconds"):
            await wrap_client(slow, client_context, HOST, timeout=5)
        assert slow.closed
        assert trio.current_time() - start == pytest.approx(5)

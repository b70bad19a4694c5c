"""The transport beneath TLS, which can also send what `trio.SSLStream` keeps to itself.

OpenSSL makes an alert when a handshake fails, and one at the end (close_notify). Trio drops the first, and sends the
second only where it also takes a peer's end without one for an error, which HTTP/2 must not: END_STREAM says whether
a message is whole, and many peers just close.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, cast

import trio

from .._util import interrupt_safe
from ._byte_count import ByteCount

if TYPE_CHECKING:
    TlsStream = trio.SSLStream[trio.abc.Stream]


class _Witness:
    """Stands in for a context at the only call that `trio.SSLStream` makes to one, and keeps what passes by."""

    records: ssl.MemoryBIO

    def __init__(self, context: ssl.SSLContext, received: bytes) -> None:
        self._context = context
        self._received = received

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *, server_side: bool, server_hostname: str | None
    ) -> ssl.SSLObject:
        incoming.write(self._received)
        self.records = outgoing
        return self._context.wrap_bio(incoming, outgoing, server_side=server_side, server_hostname=server_hostname)


@interrupt_safe
class BelowTls(trio.abc.HalfCloseableStream):
    """A transport to speak TLS over: see `wrap`.

    Args:
        below: the bytes; closed with this stream.
    """

    def __init__(self, below: trio.abc.Stream) -> None:
        self.below = below
        self.asked_name: str | None = None
        """The name that a client asked for (SNI), on a server."""
        self.count = ByteCount()
        """Records of TLS, those of the handshake included."""
        self.shaken = False
        """The handshake is over."""
        self._spoken = False
        """Something was sent after the handshake."""
        self._records = ssl.MemoryBIO()
        """What OpenSSL wants to be sent; `trio.SSLStream` takes it from here, too."""
        self._cut = False
        """A write is under way, or was cut: whatever follows half a record cannot be understood."""
        self._sent: trio.CancelScope | None = None
        """Cancelled by the next write that is done."""

    def wrap(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
        received: bytes = b"",
    ) -> TlsStream:
        """Returns a TLS stream over this transport, before its handshake.

        Args:
            context: its certificates and rules.
            server_side: which side of the handshake this is.
            server_hostname: whom a client wants to speak with.
            received: what of the handshake was received already.
        """

        witness = _Witness(context, received)
        stream: TlsStream = trio.SSLStream(
            self,
            cast("ssl.SSLContext", witness),
            server_hostname=server_hostname,
            server_side=server_side,
            https_compatible=True,
        )
        self._records = witness.records
        return stream

    async def send_unsent(self) -> None:
        """Sends the alert that OpenSSL has made about an error, if there is one.

        Raises:
            trio.BrokenResourceError: as `send_all`.
        """
        records = self._records.read()
        if records and not self._cut:
            await self.send_all(records)
        else:
            await trio.lowlevel.checkpoint()

    async def send_close_notify(self, stream: TlsStream) -> None:
        """Ends this side of TLS, without waiting for the peer to end its own.

        RFC 8446 §6.1: "Each party MUST send a "close_notify" alert before closing its write side of the connection,
        unless it has already sent some error alert."

        Args:
            stream: what `wrap` returned; nobody else may be reading or writing, and nobody can afterwards.

        Raises:
            trio.BrokenResourceError: as `send_all`.
        """
        with trio.CancelScope() as self._sent, contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.unwrap()  # would wait for the peer's
        self._sent = None
        # OpenSSL has looked for the peer's alert as well. If it found data, Trio sends nothing. Trio also holds back
        # the session tickets of TLS 1.3 until the first write, and nothing can be understood without them.
        if self._spoken:
            await self.send_unsent()
        else:
            await trio.lowlevel.checkpoint()

    async def linger(self) -> None:
        """Ends this side, and reads until the peer has closed.

        TCP answers input that nobody has read with a reset, which can overtake what was sent last. Nobody else may be
        reading.

        Raises:
            trio.BrokenResourceError: the transport broke.
        """
        await self.send_eof()
        while await self.receive_some():
            pass

    # -- the stream ------------------------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receives as the transport below does."""
        data = await self.below.receive_some(max_bytes)
        self.count.received += len(data)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends as the transport below does."""
        self._cut = True
        await self.below.send_all(data)
        self.count.sent += len(data)
        self._cut = False
        self._spoken = self.shaken
        if self._sent is not None:
            self._sent.cancel()

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
        await self.below.aclose()


def below_tls(transport: trio.abc.Stream) -> BelowTls | None:
    """Returns what is beneath the TLS that this library speaks on *transport*, ``None`` if it does not."""
    if isinstance(transport, trio.SSLStream) and isinstance(transport.transport_stream, BelowTls):
        return transport.transport_stream
    return None

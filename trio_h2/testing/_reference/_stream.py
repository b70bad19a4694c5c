"""One stream of the reference peer: bodies, trailers and the end, the same for both roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

import trio_h2

from ..._util import NoPublicConstructor
from .._memory import Turn, checked_max_bytes
from ._fields import fields

if TYPE_CHECKING:
    from ._inbox import Inbox
    from ._link import Link


class ReferenceStream(trio.abc.HalfCloseableStream, metaclass=NoPublicConstructor):
    """One exchange of a reference peer, as a stream of its body's bytes; inside a CONNECT, of the tunnel's bytes.

    What is sent is sent as it was asked for: no field is added, and what HTTP/2 allows but HTTP does not is not
    prevented. What is received gets its credit back when it is read.

    Every sending method returns when its frames have been handed to the transport. Cancelled: whole frames may have
    been sent, and the rest is not.
    """

    _made_by = "reference peers make it"

    def __init__(self, link: Link, inbox: Inbox) -> None:
        self._link = link
        self._inbox = inbox
        self._closed = False
        self._headers_sent = False
        self._sending = Turn("sending on")
        self._receiving = Turn("receiving from")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream_id}>"

    @property
    def stream_id(self) -> int:
        """The stream's id."""
        return self._inbox.stream_id

    @property
    def ended(self) -> bool:
        """Whether the other side has ended its half, though perhaps not all of it has been read."""
        return self._inbox.ended

    @property
    def error(self) -> Exception | None:
        """Why the stream is over before its time: a new exception of the kind that its methods raise; None if not."""
        return None if self._inbox.ending is None else self._inbox.ending.error()

    @property
    def reset_code(self) -> int | None:
        """The code of the other side's RST_STREAM, also of one after a complete message; None if none came."""
        return self._inbox.reset_code

    @property
    def trailers(self) -> trio_h2.Headers | None:
        """The trailers that were received; None if none have come."""
        return self._inbox.trailers

    @property
    def send_window(self) -> int:
        """How many bytes this side may send now: the lesser of the stream's window and the session's."""
        return self._link.stream_send_window(self._inbox)

    @property
    def receive_window(self) -> int:
        """How many bytes the other side may send now: the lesser of the stream's window and the session's."""
        return self._link.stream_receive_window(self._inbox)

    # ---- Receiving ----

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives bytes of the body, and gives the other side credit for them.

        Cancelled: nothing is lost.

        Args:
            max_bytes: At most this many; None for all that have come.

        Returns:
            At least one byte, or ``b""`` at the end.

        Raises:
            StreamResetError: The stream was reset; what came before is returned first.
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed the stream or the session.
            trio.BusyResourceError: Another task is receiving.
        """
        max_bytes = checked_max_bytes(max_bytes)
        inbox = self._inbox
        with self._receiving():
            self._check_open()
            await self._link.wait(lambda: bool(inbox.body) or inbox.ended or self._closed, inbox)
            self._check_open()
            data = inbox.take(max_bytes)
            self._link.credit(inbox, len(data))
            return data

    async def read(self) -> bytes:
        """Receives the rest of the body.

        Cancelled: what was received by this call is lost.

        Raises:
            As `receive_some`.
        """
        parts = bytearray()
        while data := await self.receive_some():
            parts += data
        return bytes(parts)

    async def receive_trailers(self) -> trio_h2.Headers | None:
        """Receives and discards the rest of the body, and returns the trailers, or None if there are none.

        Cancelled: what was received by this call is lost.

        Raises:
            As `receive_some`.
        """
        await self.read()
        return self._inbox.trailers

    async def wait_ended(self) -> None:
        """Waits until the other side has ended its half, though perhaps not all of it has been read.

        It ends no later than its windows allow: somebody must read what is longer. Cancelled: nothing happened.

        Raises:
            As `receive_some`.
        """
        await self._link.wait(lambda: self._inbox.ended, self._inbox)

    async def wait_reset(self) -> int:
        """Waits until the other side has reset the stream, and returns the code.

        Cancelled: nothing happened.

        Raises:
            StreamResetError: This side has reset it.
            SessionError: The session is over without that.
            trio.ClosedResourceError: This side closed the session.
        """
        await self._link.wait(lambda: self._inbox.reset_code is not None, self._inbox)
        assert self._inbox.reset_code is not None
        return self._inbox.reset_code

    def enlarge_window(self, size: int) -> None:
        """Lets the other side send more on this stream, beyond what reading gives back (WINDOW_UPDATE).

        Args:
            size: How many bytes more.

        Raises:
            ValueError: The window would exceed 2³¹−1 bytes, or *size* is less than 1.
            LocalProtocolError: The other side has ended.
            StreamResetError: The stream was reset. SessionError: The session is over.
            trio.ClosedResourceError: This side closed the session.
        """
        self._link.enlarge_window(size, self._inbox)

    # ---- Sending ----

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends bytes of the body, in frames as large as the other side allows; waits for its windows.

        Args:
            data: The bytes; none of them are one checkpoint and no frame.

        Raises:
            LocalProtocolError: This side has not sent its headers.
            StreamResetError: The stream was reset.
            SessionError: The session is over.
            trio.ClosedResourceError: This side has ended, or closed the stream or the session.
            trio.BusyResourceError: Another task is sending.
        """
        await self._send_body(bytes(data), end_stream=False)

    async def send_padded(self, data: bytes, padding: int, *, end_stream: bool = False) -> None:
        """Sends one DATA frame with padding (RFC 9113 §6.1); waits until the windows have room for all of it.

        Args:
            data: What fits one frame with its padding.
            padding: How many bytes, 0 … 255; one more says how many.
            end_stream: Whether the stream ends here.

        Raises:
            ValueError: It does not fit a frame.
            As `send_all`.
        """
        size = len(data) + padding + 1
        if not 0 <= padding <= 255 or size > (self._link.remote_settings.max_frame_size or 0):
            raise ValueError(f"{len(data)} bytes with {padding} of padding do not fit a frame")
        with self._sending():
            self._check_headers()
            await self._link.wait(lambda: self._link.sendable(self._inbox) >= size, self._inbox)
            self._link.send_data(self._inbox, data, end_stream=end_stream, pad_length=padding)
            await self._link.flush()

    async def wait_send_all_might_not_block(self) -> None:
        """Waits until at least one byte can be sent. Cancelled: nothing happened. Raises as `send_all`."""
        with self._sending():
            self._check_headers()
            await self._link.wait(lambda: self._link.sendable(self._inbox) > 0, self._inbox)

    async def send_eof(self) -> None:
        """Ends this side (END_STREAM on an empty DATA frame), unless it has ended. Raises as `send_all`."""
        if self._link.has_ended(self._inbox) and not self._closed:
            await trio.lowlevel.checkpoint()
            return
        await self._send_body(b"", end_stream=True)

    async def send_trailers(self, headers: trio_h2.HeadersInput) -> None:
        """Ends this side with trailers.

        Args:
            headers: A mapping or pairs, at least one field.

        Raises:
            ValueError: There is no field, or one that is not allowed.
            As `send_all`.
        """
        section = fields({}, headers)
        if not section:
            raise ValueError("trailers need at least one field")
        with self._sending():
            self._check_headers()
            await trio.lowlevel.checkpoint()
            self._link.send_headers(self._inbox, section, end_stream=True)
            await self._link.flush()

    def reset(self, code: int = trio_h2.ErrorCode.CANCEL) -> None:
        """Sends RST_STREAM, unless the stream is over already. What was received stays readable. Never waits.

        Args:
            code: Why, 0 … 2³²−1.

        Raises:
            ValueError: *code* is out of range.
        """
        if not 0 <= code < 2**32:
            raise ValueError(f"code must be in 0..{2**32 - 1}, not {code}")
        self._link.reset(self._inbox, int(code))

    def destroy(self, code: int = trio_h2.ErrorCode.CANCEL) -> None:
        """Resets the stream, unless it is over, and discards, and credits, what is unread. Never waits; idempotent.

        Args:
            code: Why, 0 … 2³²−1.

        Raises:
            ValueError: *code* is out of range.
        """
        self.reset(code)
        self._closed = self._inbox.discarding = True
        self._link.credit(self._inbox, len(self._inbox.take(None)))
        self._link.notify()

    async def aclose(self) -> None:
        """Closes the stream like a TCP socket: never waits for the other side.

        Ends this side (END_STREAM), or resets the stream with CANCEL if no headers were sent. What is unread, or comes
        later, is discarded and credited, and the stream is reset with CANCEL if more content comes. Idempotent.
        Cancelled: it is closed all the same.
        """
        inbox, link = self._inbox, self._link
        over = inbox.ending is not None or link.ending is not None
        if self._headers_sent and not over and not link.has_ended(inbox):
            link.send_data(inbox, b"", end_stream=True)
        if not self._headers_sent or (inbox.body and not inbox.ended):
            self.destroy()
        self._closed = inbox.discarding = True
        link.credit(inbox, len(inbox.take(None)))
        link.notify()
        await trio.lowlevel.checkpoint()

    # ---- For the roles ----

    async def _send_message(
        self,
        section: list[tuple[bytes, bytes]],
        body: bytes,
        trailers: trio_h2.HeadersInput | None,
        *,
        end_stream: bool,
    ) -> None:
        """Sends headers, body and trailers, the last frame with END_STREAM if the stream is to end."""
        last = [] if trailers is None else fields({}, trailers)
        with self._sending():
            self._check_open()
            await trio.lowlevel.checkpoint()
            self._link.send_headers(self._inbox, section, end_stream=end_stream and not body and not last)
            self._headers_sent = True
            await self._link.flush()
        if body:
            await self._send_body(body, end_stream=end_stream and not last)
        if last:
            await self.send_trailers(last)

    async def _send_body(self, data: bytes, *, end_stream: bool) -> None:
        link, inbox = self._link, self._inbox
        with self._sending():
            self._check_headers()
            await trio.lowlevel.checkpoint()
            link.check_can_send(inbox)
            while data:
                await link.wait(lambda: link.sendable(inbox) > 0, inbox)
                size = link.sendable(inbox)
                piece, data = data[:size], data[size:]
                link.send_data(inbox, piece, end_stream=end_stream and not data)
                await link.flush()
            if end_stream and not link.has_ended(inbox):
                link.send_data(inbox, b"", end_stream=True)
                await link.flush()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this side closed the stream")

    def _check_headers(self) -> None:
        self._check_open()
        self._link.check_can_send(self._inbox)
        if not self._headers_sent:
            raise trio_h2.LocalProtocolError("the headers must come before the body", stream_id=self.stream_id)

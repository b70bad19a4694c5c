"""The receiving half of a scripted peer: whole frames, decoded, counted and routinely answered.

Every method may be cancelled and called again: octets stay in the buffer until they are a whole frame,
and frames that were read but not handed out stay in the queue.
"""

from __future__ import annotations

import collections

import hpack
import trio

from ._frames import (
    CLIENT_PREFACE,
    FRAME_HEADER_LENGTH,
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    SettingsFrame,
    WindowUpdateFrame,
    frame_length,
    parse_frame,
)
from ._sender import FrameSender

# Tests want to see whatever comes, so the decoder's own limit must not be what stops it.
_MAX_FIELD_LIST_SIZE = 2**24


class PeerClosedError(AssertionError):
    """The other side closed the transport where a test waited for a frame.

    Attributes:
        partial: The octets of a frame that was cut off by the end, or `b""`.
    """

    def __init__(self, message: str, partial: bytes = b"") -> None:
        super().__init__(message)
        self.partial = partial


class FrameReceiver(FrameSender):
    """Reads frames from a transport and holds the other side to the protocol.

    An `AssertionError` is raised as soon as the other side overruns a window, exceeds the frame size,
    interrupts a field block, sends a frame with an impossible length, or acknowledges SETTINGS that
    were not sent.

    Args:
        transport: The stream below.
        auto_ack: Whether SETTINGS and PING are acknowledged as soon as they are read.
        timeout: Seconds of Trio's clock to wait for a frame before the test is failed.

    Attributes:
        frames: All frames ever read, in the order of the wire.
        auto_ack: As the argument; may be changed at any time.
        timeout: As the argument; may be changed at any time.
    """

    def __init__(self, transport: trio.abc.Stream, *, auto_ack: bool = True, timeout: float = 10.0) -> None:
        super().__init__(transport)
        self.auto_ack = auto_ack
        self.timeout = timeout
        self.frames: list[Frame] = []
        self._queue: collections.deque[Frame] = collections.deque()
        self._buffer = bytearray()
        self._decoder = hpack.Decoder(max_header_list_size=_MAX_FIELD_LIST_SIZE)
        self._open_block: HeadersFrame | PushPromiseFrame | None = None
        self._unanswered: Frame | None = None

    async def receive_frame(self) -> Frame:
        """Returns the next frame: first those that another method has read and left, then new ones.

        HEADERS and PUSH_PROMISE come when their field block is complete; their CONTINUATION frames
        don't come on their own.

        Raises:
            PeerClosedError: The other side closed the transport.
            AssertionError: The other side broke the protocol, or nothing came in time.
        """
        if self._queue:
            await trio.lowlevel.checkpoint()
            return self._queue.popleft()
        return await self._read_frame()

    async def receive_preface(self) -> None:
        """Reads the client's connection preface (RFC 9113 §3.4)."""
        with trio.move_on_after(self.timeout) as scope:
            await self._fill(len(CLIENT_PREFACE))
        assert not scope.cancelled_caught, f"no client preface came, only {bytes(self._buffer)!r}"
        preface = self._take(len(CLIENT_PREFACE))
        assert preface == CLIENT_PREFACE, f"this is no client preface: {preface!r}"

    def is_routine(self, frame: Frame) -> bool:
        """Whether a frame is mere housekeeping, which most tests don't want to see.

        These are acknowledged SETTINGS, WINDOW_UPDATE, and PING while it is answered automatically.
        """
        match frame:
            case SettingsFrame(ack=True) | WindowUpdateFrame():
                return True
            case PingFrame(ack=False):
                return self.auto_ack
            case _:
                return False

    def history(self, count: int = 12) -> str:
        """Returns the last received frames as text, one in a line."""
        lines = [f"  {frame!r}" for frame in self.frames[-count:]]
        skipped = len(self.frames) - len(lines)
        heading = f"received so far ({skipped} earlier ones not shown):" if skipped else "received so far:"
        return "\n".join([heading, *(lines or ["  nothing"])])

    async def _read_frame(self) -> Frame:
        """Reads a frame from the transport, past the queue."""
        with trio.move_on_after(self.timeout) as scope:
            # If the answer is cancelled the frame must not be lost: the next call begins with it.
            self._unanswered = frame = self._unanswered or await self._read_whole()
            await self._answer(frame)
            self._unanswered = None
        if scope.cancelled_caught:
            raise AssertionError(f"nothing came within {self.timeout:g} seconds\n{self.history()}")
        return frame

    async def _read_whole(self) -> Frame:
        while True:
            frame = await self._read_one()
            self.frames.append(frame)
            block = self._open_block
            match frame:
                case ContinuationFrame():
                    assert block is not None, f"CONTINUATION without a field block: {frame!r}"
                    assert frame.stream_id == block.stream_id, f"{frame!r} interrupts the block of {block!r}"
                    block.continuations.append(frame)
                    if frame.end_headers:
                        return self._decode(block)
                    continue
                case _:
                    assert block is None, f"{frame!r} interrupts the field block of {block!r}"
            match frame:
                case HeadersFrame() | PushPromiseFrame():
                    if frame.end_headers:
                        return self._decode(frame)
                    self._open_block = frame
                    continue
                case DataFrame():
                    self._limits.data_received(frame.stream_id, frame.flow_controlled_length)
                case WindowUpdateFrame():
                    self._limits.window_update_received(frame.stream_id, frame.increment)
                case SettingsFrame(ack=False):
                    self._apply_their_settings(frame.settings)
                case SettingsFrame():
                    self._limits.settings_acknowledged()
                    self._decoder.max_allowed_table_size = self._limits.our_table_size
            return frame

    async def _read_one(self) -> Frame:
        await self._fill(FRAME_HEADER_LENGTH)
        length = frame_length(bytes(self._buffer[:FRAME_HEADER_LENGTH]))
        limit = self._limits.our_max_frame_size
        assert length <= limit, f"the other side sent a frame of {length} octets where {limit} are allowed"
        await self._fill(FRAME_HEADER_LENGTH + length)
        return parse_frame(self._take(FRAME_HEADER_LENGTH + length))

    async def _fill(self, count: int) -> None:
        """Reads until the buffer has at least *count* octets."""
        if len(self._buffer) >= count:
            await trio.lowlevel.checkpoint()
        while len(self._buffer) < count:
            cause = None
            try:
                data = await self.transport.receive_some(65_536)
            except trio.BrokenResourceError as exc:
                # A transport that was closed with data underway, or was cut: over all the same.
                data, cause = b"", exc
            if not data:
                partial = bytes(self._buffer)
                what = f"in the middle of a frame: {partial[:64]!r}" if partial else "here"
                message = f"the other side closed the transport {what}\n{self.history()}"
                raise PeerClosedError(message, partial) from cause
            self._buffer += data

    def _take(self, count: int) -> bytes:
        octets = bytes(self._buffer[:count])
        del self._buffer[:count]
        return octets

    def _decode(self, frame: HeadersFrame | PushPromiseFrame) -> Frame:
        self._open_block = None
        encoded = b"".join([frame.fragment, *(part.fragment for part in frame.continuations)])
        try:
            frame.fields = tuple(self._decoder.decode(encoded, raw=True))
        except hpack.HPACKError as exc:
            raise AssertionError(f"the field block of {frame!r} doesn't decode: {exc!r}") from exc
        return frame

    async def _answer(self, frame: Frame) -> None:
        try:
            match frame:
                case SettingsFrame(ack=False) if self.auto_ack:
                    await self.send_settings(ack=True)
                case PingFrame(ack=False) if self.auto_ack:
                    await self.send_ping(frame.data, ack=True)
        except trio.BrokenResourceError:
            # The other side is gone already; whoever reads on will find that out.
            pass

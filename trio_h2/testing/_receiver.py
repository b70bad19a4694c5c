"""What a scripted peer reads with: whole frames, decoded, and judged.

Every method may be cancelled and called again: bytes stay in the buffer until they are a whole frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hpack
import trio

from ._frames import (
    CLIENT_PREFACE,
    FRAME_HEADER_LENGTH,
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PushPromiseFrame,
    SettingsFrame,
    WindowUpdateFrame,
    frame_length,
    parse_frame,
)

if TYPE_CHECKING:
    from ._limits import Limits

# Tests want to see whatever comes, so the decoder's own limit must not be what stops it.
_MAX_FIELD_LIST_SIZE = 2**24


class PeerClosedError(AssertionError):
    """The other side closed the transport where a test waited for a frame.

    Attributes:
        partial: The bytes of a frame that was cut off by the end, or `b""`.
    """

    def __init__(self, message: str, partial: bytes = b"") -> None:
        super().__init__(message)
        self.partial = partial


class FrameReceiver:
    """Reads frames from a transport and holds the other side to the protocol.

    An `AssertionError` is raised as soon as the other side overruns a window, exceeds the frame size,
    interrupts a field block, sends a frame with an impossible length, or acknowledges SETTINGS that
    were not sent.

    Args:
        transport: The stream below.
        limits: What both sides may send.

    Attributes:
        frames: All frames ever read, in the order of the wire.
    """

    def __init__(self, transport: trio.abc.Stream, limits: Limits) -> None:
        self._transport = transport
        self._limits = limits
        self.frames: list[Frame] = []
        self._buffer = bytearray()
        self._decoder = hpack.Decoder(max_header_list_size=_MAX_FIELD_LIST_SIZE)
        self._open_block: HeadersFrame | PushPromiseFrame | None = None

    async def receive_preface(self) -> None:
        """Reads the client's connection preface (RFC 9113 §3.4)."""
        await self._fill(len(CLIENT_PREFACE))
        preface = self._take(len(CLIENT_PREFACE))
        assert preface == CLIENT_PREFACE, f"this is no client preface: {preface!r}"

    @property
    def begun(self) -> bytes:
        """What was read and is not a whole frame yet."""
        return bytes(self._buffer)

    def history(self, count: int = 12) -> str:
        """Returns the last received frames as text, one in a line."""
        lines = [f"  {frame!r}" for frame in self.frames[-count:]]
        skipped = len(self.frames) - len(lines)
        heading = f"received so far ({skipped} earlier ones not shown):" if skipped else "received so far:"
        return "\n".join([heading, *(lines or ["  nothing"])])

    async def receive(self) -> Frame:
        """Reads the next frame; HEADERS and PUSH_PROMISE are whole and decoded."""
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
                    self._limits.settings_received(frame.settings.items())
                case SettingsFrame():
                    self._limits.settings_acknowledged()
                    self._decoder.max_allowed_table_size = self._limits.our_table_size
            return frame

    async def _read_one(self) -> Frame:
        await self._fill(FRAME_HEADER_LENGTH)
        length = frame_length(bytes(self._buffer[:FRAME_HEADER_LENGTH]))
        limit = self._limits.our_max_frame_size
        assert length <= limit, f"the other side sent a frame of {length} bytes where {limit} are allowed"
        await self._fill(FRAME_HEADER_LENGTH + length)
        return parse_frame(self._take(FRAME_HEADER_LENGTH + length))

    async def _fill(self, count: int) -> None:
        """Reads until the buffer has at least *count* bytes."""
        if len(self._buffer) >= count:
            await trio.lowlevel.checkpoint()
        while len(self._buffer) < count:
            cause = None
            try:
                data = await self._transport.receive_some(65_536)
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
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _decode(self, frame: HeadersFrame | PushPromiseFrame) -> Frame:
        self._open_block = None
        encoded = b"".join([frame.fragment, *(part.fragment for part in frame.continuations)])
        try:
            frame.fields = tuple(self._decoder.decode(encoded, raw=True))
        except hpack.HPACKError as exc:
            raise AssertionError(f"the field block of {frame!r} doesn't decode: {exc!r}") from exc
        return frame

"""The sending half of a scripted peer: any frame, right or wrong, as the test asks for it."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TypeVar

import hpack
import trio

from ._frames import CLIENT_PREFACE, FrameFlag, FrameType, Priority, SettingCode, pack_frame
from ._limits import Limits

Fields = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""Header fields: a mapping, or pairs where order and repetition matter. Text is sent as latin-1."""

Number = TypeVar("Number", bound=int)
Settings = Mapping[Number, int] | Iterable[tuple[int, int]]
"""Settings: a mapping, or pairs where order and repetition matter."""


class FrameSender:
    """Sends frames over a transport. No method checks whether the protocol allows what it sends.

    Several tasks may send at the same time: frames stay whole, and field blocks with their
    CONTINUATION frames stay together. A send that is cancelled half-way leaves a broken connection.

    Args:
        transport: The stream below, which the sender owns.
    """

    def __init__(self, transport: trio.abc.Stream) -> None:
        self.transport = transport
        self._limits = Limits()
        self._encoder = hpack.Encoder()
        self._turn = trio.StrictFIFOLock()
        self._batch: bytearray | None = None

    def send_window(self, stream_id: int = 0) -> int:
        """Returns the credit the other side has granted and this one has not used.

        It counts what has been *received* so far: WINDOW_UPDATE frames still in the transport are
        not in it. It falls below zero if more was sent than allowed.

        Args:
            stream_id: The stream, or 0 for the connection.
        """
        return self._limits.theirs.get(stream_id)

    def receive_window(self, stream_id: int = 0) -> int:
        """Returns the credit this side has granted and the other one has not used, as far as is known.

        Args:
            stream_id: The stream, or 0 for the connection.
        """
        return self._limits.ours.get(stream_id)

    async def send_bytes(self, data: bytes) -> None:
        """Sends octets as they are. What they mean is not tracked."""
        if self._batch is not None:
            self._batch += data
            await trio.lowlevel.checkpoint()
            return
        async with self._turn:
            await self.transport.send_all(data)

    @contextlib.asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """Collects all that is sent inside the block and sends it as one write at its end.

        If the block raises, nothing of it is sent.
        """
        if self._batch is not None:
            raise RuntimeError("a batch is already open")
        self._batch = batch = bytearray()
        try:
            yield
        finally:
            self._batch = None
        await self.send_bytes(bytes(batch))

    async def send_eof(self) -> None:
        """Ends the sending direction of the transport; receiving goes on.

        Raises:
            TypeError: The transport cannot be closed in one direction only.
        """
        if not isinstance(self.transport, trio.abc.HalfCloseableStream):
            raise TypeError(f"{self.transport!r} cannot be half-closed")
        async with self._turn:
            await self.transport.send_eof()

    async def aclose(self) -> None:
        """Closes the transport without a word."""
        await self.transport.aclose()

    async def send_raw_frame(
        self, type: int, flags: int, stream_id: int, payload: bytes = b"", *, length: int | None = None
    ) -> None:
        """Sends a frame of any type with any content.

        The windows are not adjusted; SETTINGS sent this way are expected to be acknowledged but their
        content isn't applied.

        Args:
            type: The frame type, also one that doesn't exist.
            flags: All flag bits.
            stream_id: 32 bits, the reserved one included.
            payload: What follows the frame header.
            length: What the frame header says instead of the payload's real length.
        """
        if type == FrameType.SETTINGS and not flags & FrameFlag.ACK:
            self._limits.settings_sent(())
        await self.send_bytes(pack_frame(type, flags, stream_id, payload, length=length))

    async def send_preface(self, preface: bytes = CLIENT_PREFACE) -> None:
        """Sends the client's connection preface (RFC 9113 §3.4), without the SETTINGS after it."""
        await self.send_bytes(preface)

    async def send_settings(self, settings: Settings[Number] = (), *, ack: bool = False) -> None:
        """Sends SETTINGS, or its acknowledgement.

        Args:
            settings: Numbers (see `SettingCode`) and values.
            ack: Whether to set ACK. No settings belong into such a frame, but they would be sent.
        """
        pairs = _pairs(settings)
        if not ack:
            self._limits.settings_sent(pairs)
        payload = b"".join(struct.pack(">HL", identifier, value) for identifier, value in pairs)
        flags = FrameFlag.ACK if ack else FrameFlag.NONE
        await self.send_bytes(pack_frame(FrameType.SETTINGS, flags, 0, payload))

    async def send_headers(
        self,
        stream_id: int,
        fields: Fields | bytes,
        *,
        end_stream: bool = False,
        end_headers: bool = True,
        padding: int | None = None,
        priority: Priority | None = None,
        split: int | Sequence[int] | None = None,
    ) -> None:
        """Sends a field block as HEADERS and, if need be, CONTINUATION frames, all in one write.

        Args:
            stream_id: The stream.
            fields: The header or trailer fields. Pairs may be `hpack.NeverIndexedHeaderTuple`. `bytes`
                are taken as an encoded block and sent unchanged.
            end_stream: Whether to set END_STREAM.
            end_headers: Whether to set END_HEADERS on the last frame.
            padding: Octets of padding in the HEADERS frame; None sends it unpadded.
            priority: A priority signal for the HEADERS frame.
            split: Octets of the block for each frame, or for the first frames one after the other.
                By default the frames are as long as the other side allows.
        """
        flags = FrameFlag.END_STREAM if end_stream else FrameFlag.NONE
        prefix = b""
        if priority is not None:
            flags |= FrameFlag.PRIORITY
            prefix = priority.pack()
        await self._send_block(FrameType.HEADERS, flags, stream_id, prefix, fields, end_headers, padding, split)

    async def send_push_promise(
        self,
        stream_id: int,
        promised_stream_id: int,
        fields: Fields | bytes,
        *,
        end_headers: bool = True,
        padding: int | None = None,
        split: int | Sequence[int] | None = None,
    ) -> None:
        """Sends PUSH_PROMISE; the arguments are those of `send_headers`."""
        prefix = struct.pack(">L", promised_stream_id)
        kind, flags = FrameType.PUSH_PROMISE, FrameFlag.NONE
        await self._send_block(kind, flags, stream_id, prefix, fields, end_headers, padding, split)

    async def send_continuation(self, stream_id: int, fragment: bytes, *, end_headers: bool = True) -> None:
        """Sends one CONTINUATION frame with a part of an encoded block."""
        flags = FrameFlag.END_HEADERS if end_headers else FrameFlag.NONE
        await self.send_bytes(pack_frame(FrameType.CONTINUATION, flags, stream_id, fragment))

    async def send_data(
        self, stream_id: int, data: bytes = b"", *, end_stream: bool = False, padding: int | None = None
    ) -> None:
        """Sends one DATA frame, whether or not the windows allow it.

        Args:
            stream_id: The stream.
            data: The content.
            end_stream: Whether to set END_STREAM.
            padding: Octets of padding; None sends the frame unpadded, 0 with a pad length of 0.
        """
        flags = FrameFlag.END_STREAM if end_stream else FrameFlag.NONE
        payload = data
        if padding is not None:
            flags |= FrameFlag.PADDED
            payload = bytes([padding]) + data + bytes(padding)
        self._limits.theirs.spend(stream_id, len(payload))
        await self.send_bytes(pack_frame(FrameType.DATA, flags, stream_id, payload))

    async def send_priority(self, stream_id: int, priority: Priority | None = None) -> None:
        """Sends PRIORITY."""
        payload = (priority or Priority()).pack()
        await self.send_bytes(pack_frame(FrameType.PRIORITY, FrameFlag.NONE, stream_id, payload))

    async def send_rst(self, stream_id: int, code: int = 0x8) -> None:
        """Sends RST_STREAM, with CANCEL unless *code* is another one."""
        payload = struct.pack(">L", code)
        await self.send_bytes(pack_frame(FrameType.RST_STREAM, FrameFlag.NONE, stream_id, payload))

    async def send_ping(self, data: bytes = bytes(8), *, ack: bool = False) -> None:
        """Sends PING, or its acknowledgement. *data* has eight octets unless it is to be wrong."""
        flags = FrameFlag.ACK if ack else FrameFlag.NONE
        await self.send_bytes(pack_frame(FrameType.PING, flags, 0, data))

    async def send_goaway(self, last_stream_id: int = 0, code: int = 0x0, debug: bytes = b"") -> None:
        """Sends GOAWAY, with NO_ERROR unless *code* is another one."""
        payload = struct.pack(">LL", last_stream_id, code) + debug
        await self.send_bytes(pack_frame(FrameType.GOAWAY, FrameFlag.NONE, 0, payload))

    async def send_window_update(self, stream_id: int, increment: int) -> None:
        """Sends WINDOW_UPDATE and counts it as granted, even if the increment is not allowed."""
        self._limits.ours.grant(stream_id, increment)
        payload = struct.pack(">L", increment)
        await self.send_bytes(pack_frame(FrameType.WINDOW_UPDATE, FrameFlag.NONE, stream_id, payload))

    def encode(self, fields: Fields) -> bytes:
        """Returns a field block, encoded with this connection's HPACK state.

        The block has to be sent, and before any other that is encoded later; else the other side's
        decoder is out of step.
        """
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        return self._encoder.encode([_octets(pair) for pair in pairs])

    async def _send_block(
        self,
        kind: FrameType,
        flags: FrameFlag,
        stream_id: int,
        prefix: bytes,
        fields: Fields | bytes,
        end_headers: bool,
        padding: int | None,
        split: int | Sequence[int] | None,
    ) -> None:
        block = fields if isinstance(fields, bytes) else self.encode(fields)
        overhead = len(prefix)
        if padding is not None:
            flags |= FrameFlag.PADDED
            prefix = bytes([padding]) + prefix
            overhead += 1 + padding
        parts = _split(block, split, self._limits.their_max_frame_size, overhead)
        frames = bytearray()
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            end = FrameFlag.END_HEADERS if last and end_headers else FrameFlag.NONE
            if number == 0:
                payload = prefix + part + bytes(padding or 0)
                frames += pack_frame(kind, flags | end, stream_id, payload)
            else:
                frames += pack_frame(FrameType.CONTINUATION, end, stream_id, part)
        await self.send_bytes(bytes(frames))

    def _apply_their_settings(self, settings: Mapping[int, int]) -> None:
        """Keeps the encoder's table within what the other side allows (RFC 7541 §4.2)."""
        self._limits.settings_received(settings.items())
        size = settings.get(SettingCode.HEADER_TABLE_SIZE)
        if size is not None and size < self._encoder.header_table_size:
            self._encoder.header_table_size = size


def _pairs(settings: Settings[Number]) -> tuple[tuple[int, int], ...]:
    return tuple(settings.items() if isinstance(settings, Mapping) else settings)


def _octets(pair: tuple[str | bytes, str | bytes]) -> tuple[bytes, bytes]:
    name, value = (part.encode("latin-1") if isinstance(part, str) else part for part in pair)
    if isinstance(pair, hpack.NeverIndexedHeaderTuple):
        return hpack.NeverIndexedHeaderTuple(name, value)
    return name, value


def _split(block: bytes, split: int | Sequence[int] | None, limit: int, overhead: int) -> list[bytes]:
    """Cuts an encoded block into the parts that each go into one frame; there is at least one."""
    if split is None:
        sizes, rest = [max(limit - overhead, 0)], limit
    elif isinstance(split, int):
        sizes, rest = [], split
    else:
        sizes, rest = list(split), limit
    if rest < 1:
        raise ValueError("split must be at least 1")
    parts, position = [], 0
    for size in sizes:
        parts.append(block[position : position + size])
        position += len(parts[-1])
    parts += [block[start : start + rest] for start in range(position, len(block), rest)]
    return parts or [b""]

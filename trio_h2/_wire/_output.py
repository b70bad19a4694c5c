"""What is to be sent: frames as bytes, in the order in which they were made.

The order is that of header compression: a field block that was encoded must be sent, and before the next one. So
frames are put in here and never taken out again but all together, by the task that writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADER_SIZE,
    HEADERS,
    PADDED,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    pack_header,
)
from ._padding import PaddingStrategy, padding_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._extframes import Dependency


class Output:
    """The frames of one session that are made and not handed to the transport yet.

    Args:
        padding: how HEADERS, PUSH_PROMISE and DATA are padded.
    """

    __slots__ = (
        "_chunks",
        "_last_data",
        "_padding",
        "frames",
        "max_frame_size",
        "pings",
        "sent_on",
        "size",
        "took_more_than_pings",
    )

    def __init__(self, padding: PaddingStrategy) -> None:
        self._chunks: list[bytes | memoryview] = []
        self._last_data: dict[int, int] = {}
        """The newest DATA frame of each stream that is in here without END_STREAM: where its header is."""
        self._padding = padding
        self.size: int = 0
        """Bytes."""
        self.frames: int = 0
        """How many frames they are."""
        self.pings: int = 0
        """How many of them are PINGs, or answers to some."""
        self.took_more_than_pings: bool = False
        """Whether there was another frame in what was taken last."""
        self.max_frame_size: int = 16_384
        """The largest payload that the peer takes, in bytes."""
        self.sent_on: set[int] | None = None
        """Streams with frames in the output, if anybody wants to know."""

    def take(self) -> bytes:
        """Returns everything; it is owed to the wire from now on."""
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._last_data.clear()
        self.took_more_than_pings = self.frames > self.pings
        self.size = 0
        self.frames = self.pings = 0
        return data

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes | memoryview) -> None:
        length = len(payload)
        self._chunks.append(pack_header(length >> 8, length & 0xFF, kind, flags, stream_id))
        if length:
            self._chunks.append(payload)
        self.size += HEADER_SIZE + length
        self.frames += 1
        if self.sent_on is not None:
            self.sent_on.add(stream_id)

    def preface(self, data: bytes) -> None:
        """Puts in what comes before the first frame (RFC 9113 §3.4)."""
        self._chunks.append(data)
        self.size += len(data)

    def headers(
        self, stream_id: int, block: bytes, *, end_stream: bool = False, dependency: Dependency | None = None
    ) -> None:
        """Puts in HEADERS, and CONTINUATION as needed (RFC 9113 §§6.2 and 6.10)."""
        flags = END_STREAM if end_stream else 0
        if dependency is None and len(block) <= self.max_frame_size and self._padding is PaddingStrategy.NONE:
            self._frame(HEADERS, flags | END_HEADERS, stream_id, block)
            return
        fixed = b""
        if dependency is not None:
            flags |= HAS_PRIORITY
            fixed = dependency.pack()
        self._block(HEADERS, flags, stream_id, fixed, block)

    def push_promise(self, parent_id: int, promised_id: int, block: bytes) -> None:
        """Puts in PUSH_PROMISE, and CONTINUATION as needed (RFC 9113 §6.6)."""
        self._last_data.pop(parent_id, None)  # END_STREAM before it would end the stream that it is promised on
        self._block(PUSH_PROMISE, 0, parent_id, promised_id.to_bytes(4, "big"), block)

    def _block(self, kind: int, flags: int, stream_id: int, fixed: bytes, block: bytes) -> None:
        limit = self.max_frame_size
        size = len(fixed) + len(block)
        if size > limit:  # what goes on in CONTINUATION leaves no room for padding
            room = limit - len(fixed)
            self._frame(kind, flags, stream_id, fixed + block[:room])
            last = (len(block) - room - 1) // limit * limit + room
            for start in range(room, last, limit):
                self._frame(CONTINUATION, 0, stream_id, block[start : start + limit])
            self._frame(CONTINUATION, END_HEADERS, stream_id, block[last:])
            return
        extra = padding_for(self._padding, size, limit) if self._padding is not PaddingStrategy.NONE else 0
        if extra:
            payload = bytes((extra - 1,)) + fixed + block + bytes(extra - 1)
            self._frame(kind, flags | END_HEADERS | PADDED, stream_id, payload)
        else:
            self._frame(kind, flags | END_HEADERS, stream_id, fixed + block if fixed else block)

    def data(self, stream_id: int, content: bytes | memoryview, padding: int, *, end_stream: bool) -> None:
        """Puts in DATA (RFC 9113 §6.1).

        Args:
            stream_id: its stream.
            content: bytes that will not change any more.
            padding: how many bytes longer padding makes it, the one with its length included.
            end_stream: whether it ends our side.
        """
        flags = END_STREAM if end_stream else 0
        if padding:
            self._last_data.pop(stream_id, None)  # it is not the last one any more
            padded = b"".join((bytes((padding - 1,)), content, bytes(padding - 1)))
            self._frame(DATA, flags | PADDED, stream_id, padded)
        else:
            if not end_stream:
                self._last_data[stream_id] = len(self._chunks)
            self._frame(DATA, flags, stream_id, content)

    def end_stream(self, stream_id: int) -> bool:
        """Puts END_STREAM into a DATA frame that is in here; returns whether there is one."""
        index = self._last_data.pop(stream_id, None)
        if index is None:
            return False
        header = bytearray(self._chunks[index])
        header[4] |= END_STREAM
        self._chunks[index] = bytes(header)
        return True

    def reset(self, stream_id: int, code: int) -> None:
        """Puts in RST_STREAM (RFC 9113 §6.4)."""
        self._frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))

    def settings(self, values: Mapping[int, int]) -> None:
        """Puts in SETTINGS (RFC 9113 §6.5)."""
        payload = b"".join(code.to_bytes(2, "big") + value.to_bytes(4, "big") for code, value in values.items())
        self._frame(SETTINGS, 0, 0, payload)

    def settings_acknowledgement(self) -> None:
        """Puts in the answer to SETTINGS."""
        self._frame(SETTINGS, ACK, 0, b"")

    def ping(self, payload: bytes, *, ack: bool = False) -> None:
        """Puts in PING with 8 bytes, or the answer to one (RFC 9113 §6.7)."""
        self.pings += 1
        self._frame(PING, ACK if ack else 0, 0, payload)

    def goaway(self, last_stream_id: int, code: int, debug_data: bytes) -> None:
        """Puts in GOAWAY (RFC 9113 §6.8)."""
        self._frame(GOAWAY, 0, 0, last_stream_id.to_bytes(4, "big") + code.to_bytes(4, "big") + debug_data)

    def window_update(self, stream_id: int, increment: int) -> None:
        """Puts in WINDOW_UPDATE, of the session on stream 0 (RFC 9113 §6.9)."""
        self._frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))

    def extension(self, kind: int, stream_id: int, payload: bytes) -> None:
        """Puts in a frame without flags that moves no state: ALTSVC, ORIGIN, PRIORITY_UPDATE, PRIORITY."""
        self._last_data.pop(stream_id, None)  # END_STREAM before it would end the stream that it is about
        self._frame(kind, 0, stream_id, payload)

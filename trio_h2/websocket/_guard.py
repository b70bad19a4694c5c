"""The limits of received messages, inside of wsproto: they hold while a message is still being inflated.

wsproto asks its extensions about every frame's header before its payload, and hands them the payload as it comes. Its
own permessage-deflate inflates whatever it gets, and loses its place when a control frame comes between the fragments
of a message; this one does neither.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, Opcode, RsvBits

if TYPE_CHECKING:
    from typing import Protocol

    from wsproto.frame_protocol import FrameDecoder, FrameProtocol

    from ._extensions import Agreement

    class Compressor(Protocol):
        """What zlib makes."""

        def compress(self, data: bytes, /) -> bytes: ...
        def flush(self, mode: int, /) -> bytes: ...


_TAIL: Final = b"\x00\x00\xff\xff"
"""RFC 7692 §7.2.1: what ends a flush, and is left out on the wire."""
_CONTROL: Final = frozenset({Opcode.CLOSE, Opcode.PING, Opcode.PONG})
_TRY_AGAIN_LATER, _BAD_GATEWAY = b"\x03\xf5", b"\x03\xf6"
"""Close codes 1013 and 1014. Both are registered with IANA (RFC 6455 §11.7), but wsproto does not know the second."""
FRAME_COST: Final = 4 * 1024
"""Bytes of payload that take as long to read as the head of a frame, roughly."""
_LEVEL: Final = 6
_MEMORY_LEVEL: Final = 5
"""Of 9: zlib's own default of 8 takes eight times the memory, for little."""


class _TooLargeError(Exception):
    """The message has grown too large."""


class MessageGuard(Extension):
    """Counts and inflates what is received, deflates what is sent."""

    name = "permessage-deflate"

    def __init__(self, max_message_size: int, max_fragments: int, agreement: Agreement | None) -> None:
        self._limit = max_message_size
        self._max_fragments = max_fragments
        self._agreement = agreement
        self._control = False
        self._closing = False
        self._compressed = False
        self._inflater: zlib._Decompress | None = None
        self._deflater: Compressor | None = None
        self._deflating = False
        self._size = 0
        self._fragments = 0
        """Of the message that is being received, those that are whole."""
        self.last_size = 0
        """Bytes of the message that ended last."""
        self.work = 0
        """What was done so far: bytes of payload, received and inflated, and `FRAME_COST` for each frame."""
        self.close_code: int | None = None
        """What the peer's Close frame says, if wsproto was given something else to read."""

    def offer(self) -> bool | str:
        """Not asked: the handshake is elsewhere."""
        return False

    def enabled(self) -> bool:
        """Always."""
        return True

    # -- receiving -------------------------------------------------------------------------------------------------

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """Looks at a frame before its payload; wsproto may show the same header again when it was incomplete."""
        self._control = opcode in _CONTROL
        self._closing = opcode is Opcode.CLOSE
        if self._control:
            return RsvBits(False, False, False)  # RFC 7692 §6.1: control frames have no such bit
        if opcode is Opcode.CONTINUATION:
            if rsv.rsv1:
                return CloseReason.PROTOCOL_ERROR  # RFC 7692 §6.1: it is on "the first frame of a message" only
            # RFC 6455 §10.4: "a malicious endpoint can try to […] mount a denial-of-service attack […] by sending a
            # long stream of small frames that are a part of a fragmented message". Empty ones never reach the limit
            # of its size.
            if self._fragments >= self._max_fragments:
                return CloseReason.POLICY_VIOLATION
        else:
            self._size = self._fragments = 0
            self._compressed = rsv.rsv1
        if not self._compressed and self._size + payload_length > self._limit:
            return CloseReason.MESSAGE_TOO_BIG
        return RsvBits(self._agreement is not None, False, False)

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        """Takes bytes of a payload; that of a control frame comes whole."""
        self.work += len(data)
        if self._closing and data[:2] == _BAD_GATEWAY:
            self.close_code = int.from_bytes(_BAD_GATEWAY)
            return _TRY_AGAIN_LATER + data[2:]
        if self._control:
            return data
        if not self._compressed:
            self._size += len(data)
            return data
        return self._inflate(data)

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        """A frame has ended, and with *fin* its message."""
        self.work += FRAME_COST
        if self._control:
            return None
        self._fragments += 1
        if not fin:
            return None
        rest: bytes | CloseReason | None = None
        if self._compressed:
            rest = self._inflate(_TAIL)
            if rest:
                # Nothing comes of an empty block: the message was cut off in a block that took this one for its own.
                return rest if isinstance(rest, CloseReason) else CloseReason.INVALID_FRAME_PAYLOAD_DATA
            assert self._agreement is not None
            if not self._agreement.receive_takeover:
                self._inflater = None
        self.last_size, self._size, self._fragments, self._compressed = self._size, 0, 0, False
        return rest

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        try:
            return b"".join(self._inflated(data))
        except _TooLargeError:
            return CloseReason.MESSAGE_TOO_BIG
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA

    def _inflated(self, data: bytes) -> list[bytes]:
        assert self._agreement is not None
        parts = []
        while data:
            if self._inflater is None:
                self._inflater = zlib.decompressobj(-self._agreement.receive_bits)
            parts.append(self._inflater.decompress(data, self._limit - self._size + 1))
            self._size += len(parts[-1])
            self.work += len(parts[-1])
            if self._size > self._limit:
                raise _TooLargeError
            # RFC 7692 §7.2.3.4: a block may have BFINAL set, where zlib stops; more may follow it.
            data = self._inflater.unused_data
            if self._inflater.eof:
                self._inflater = None
        return parts

    # -- sending ---------------------------------------------------------------------------------------------------

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        """Deflates a frame's payload."""
        agreement = self._agreement
        if opcode in _CONTROL or agreement is None or not agreement.can_compress:
            return rsv, data
        if opcode is not Opcode.CONTINUATION:
            rsv = RsvBits(True, rsv.rsv2, rsv.rsv3)
        if self._deflater is None:
            self._deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -agreement.send_bits, _MEMORY_LEVEL)
        data = self._deflater.compress(data)
        if fin:
            data += self._deflater.flush(zlib.Z_SYNC_FLUSH)
            data = data.removesuffix(_TAIL)
            if not agreement.send_takeover:
                self._deflater = None
        return rsv, data

    def forget_sent(self) -> None:
        """What was deflated last is not sent: later messages must not refer to it.

        A fresh deflater refers to nothing, so the peer need not know.
        """
        self._deflater = None

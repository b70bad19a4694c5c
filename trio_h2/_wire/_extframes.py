"""Payloads of extension frames: ALTSVC (RFC 7838 §4), ORIGIN (RFC 8336 §2) and PRIORITY_UPDATE (RFC 9218 §7.1).

And the priority fields of RFC 7540, which RFC 9113 §5.3.2 deprecates.

What is made here was checked by the caller. What is read here comes from a peer: a frame that its RFC wants ignored
is ``None``, one that it wants answered raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._codes import ErrorCode
from ._failure import SessionFaultError
from ._frames import ALTSVC as ALTSVC
from ._frames import ORIGIN as ORIGIN
from ._frames import PRIORITY as PRIORITY
from ._frames import PRIORITY_UPDATE as PRIORITY_UPDATE
from ._frames import STREAM_MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

_BREAKING_FLAGS = 0xF
_EXCLUSIVE = 1 << 31


class Dependency(NamedTuple):
    """RFC 7540 §5.3: how much of its parent's share a stream gets."""

    weight: int
    depends_on: int
    exclusive: bool

    def pack(self) -> bytes:
        """Returns the payload of PRIORITY (RFC 7540 §6.3)."""
        parent = self.depends_on | (_EXCLUSIVE if self.exclusive else 0)
        return parent.to_bytes(4, "big") + bytes((self.weight - 1,))

    @classmethod
    def unpack(cls, payload: bytes) -> Dependency:
        """Reads the first five bytes of PRIORITY, or of HEADERS with that flag."""
        parent = int.from_bytes(payload[:4], "big")
        return cls(payload[4] + 1, parent & STREAM_MASK, bool(parent & _EXCLUSIVE))


def altsvc_payload(alt: bytes, origin: bytes) -> bytes:
    """Returns the payload of ALTSVC; *origin* is empty on a stream's own frame."""
    return len(origin).to_bytes(2, "big") + origin + alt


def read_altsvc(stream_id: int, payload: bytes) -> tuple[str, str] | None:
    """Reads ALTSVC: ``(alt, origin)``, or ``None`` if it is to be ignored.

    RFC 7838 §4: "An ALTSVC frame on stream 0 with empty (length 0) "Origin" information is invalid and MUST be
    ignored. An ALTSVC frame on a stream other than stream 0 containing non-empty "Origin" information is invalid and
    MUST be ignored."
    """
    size = int.from_bytes(payload[:2], "big")
    origin, alt = payload[2 : 2 + size], payload[2 + size :]
    if len(payload) < 2 + size or bool(stream_id) == bool(origin) or not (origin + alt).isascii():
        return None
    return alt.decode("ascii"), origin.decode("ascii")


def origin_payloads(origins: Iterable[bytes], limit: int) -> list[bytes]:
    """Returns the payloads of as many ORIGIN frames as it takes, each at most *limit* bytes; at least one.

    RFC 8336 §2.3: a further frame adds to the origin set, so several say the same as a large one.
    """
    payloads = [b""]
    for origin in origins:
        entry = len(origin).to_bytes(2, "big") + origin
        if payloads[-1] and len(payloads[-1]) + len(entry) > limit:
            payloads.append(b"")
        payloads[-1] += entry
    return payloads


def read_origin(stream_id: int, flags: int, payload: bytes) -> list[str] | None:
    """Reads ORIGIN: its entries, or ``None`` if it is to be ignored.

    RFC 8336 §2.1 and §2.2: on another stream than 0 it "is invalid and MUST be ignored", and so it is with any of the
    first four flags. An entry that cannot be an ASCII origin is passed over.
    """
    if stream_id or flags & _BREAKING_FLAGS:
        return None
    origins: list[str] = []
    start, end = 0, len(payload)
    while start < end:
        size = int.from_bytes(payload[start : start + 2], "big")
        start += 2
        entry = payload[start : start + size]
        start += size
        if start > end:
            return None
        if entry and entry.isascii():
            origins.append(entry.decode("ascii"))
    return origins


def priority_update_payload(stream_id: int, value: bytes) -> bytes:
    """Returns the payload of PRIORITY_UPDATE for *stream_id*."""
    return stream_id.to_bytes(4, "big") + value


def read_priority_update(stream_id: int, payload: bytes) -> tuple[int, str]:
    """Reads PRIORITY_UPDATE: the prioritized stream, and its priority field value.

    Raises:
        SessionFaultError: it is malformed (RFC 9218 §7.1).
    """
    if stream_id:
        raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"PRIORITY_UPDATE on stream {stream_id}")
    if len(payload) < 4:
        raise SessionFaultError(ErrorCode.FRAME_SIZE_ERROR, f"PRIORITY_UPDATE with {len(payload)} bytes")
    prioritized = int.from_bytes(payload[:4], "big") & STREAM_MASK
    if not prioritized:
        raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "PRIORITY_UPDATE of stream 0")
    return prioritized, payload[4:].decode("latin-1")

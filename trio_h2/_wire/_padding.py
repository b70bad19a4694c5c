"""How much padding HEADERS and DATA get (RFC 9113 §10.7): it hides how long their content is."""

from __future__ import annotations

import enum

MAX_PADDING = 256
"""RFC 9113 §6.1: up to 255 bytes, and the one that says how many."""


class PaddingStrategy(enum.Enum):
    """How HEADERS and DATA are padded. Where window or frame size leave less room, they get what fits."""

    NONE = "none"
    """No padding."""
    MAX = "max"
    """As much as there can be: 255 bytes and their length."""
    ALIGNED = "aligned"
    """So much that the frame, with its 9-byte header, is a multiple of 8 bytes."""


def padding_for(strategy: PaddingStrategy, size: int, room: int) -> int:
    """Returns how many bytes longer padding makes a payload of *size* bytes, the byte with its length included.

    Args:
        strategy: what is wanted.
        size: bytes of the payload without padding.
        room: bytes that the payload may have at most.
    """
    if strategy is PaddingStrategy.NONE:
        return 0
    wanted = MAX_PADDING if strategy is PaddingStrategy.MAX else -(9 + size) % 8
    return max(0, min(wanted, room - size))

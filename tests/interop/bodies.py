"""Large bodies that can be made and checked anywhere without being kept: one block, over and over."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
PIECE = 64 * 1024

# Of a prime length, so that no two frames of a body are alike: one lost, doubled or out of order changes the sum.
_BLOCK = random.Random(7540).randbytes(1_000_003)
_ENDLESS = _BLOCK + _BLOCK[:PIECE]


def pieces(length: int, size: int = PIECE) -> Iterator[bytes]:
    """Yields a body of *length* bytes in pieces of at most *size*, which may be up to 64 KiB."""
    offset = 0
    while length > 0:
        piece = _ENDLESS[offset : offset + min(size, length)]
        yield piece
        length -= len(piece)
        offset = (offset + len(piece)) % len(_BLOCK)


def body(length: int) -> bytes:
    """Returns a whole body."""
    return b"".join(pieces(length))


def sha256(length: int) -> str:
    """Returns the checksum of a body of *length* bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for piece in pieces(length):
        digest.update(piece)
    return digest.hexdigest()

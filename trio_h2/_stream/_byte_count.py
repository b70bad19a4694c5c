"""How many bytes have passed a transport."""

from __future__ import annotations


class ByteCount:
    """Bytes in both directions; counted by whoever is the only one to read, or to write."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.received: int = 0
        self.sent: int = 0
        """Bytes that the transport has taken."""

"""Why a field block is refused."""

from __future__ import annotations


class HpackError(Exception):
    """A field block that cannot be decoded: COMPRESSION_ERROR (RFC 9113 §4.3).

    Its text has no bytes of the block: it goes to the peer.
    """


class HeaderListTooLargeError(HpackError):
    """A field block that decodes to more than the hard bound: ENHANCE_YOUR_CALM (RFC 9113 §10.5)."""

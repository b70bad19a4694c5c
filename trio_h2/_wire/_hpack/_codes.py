"""What the library hpack lends us: the Huffman code and the mark of never-indexed fields. Nothing else imports it."""

from __future__ import annotations

from typing import Final, TypeAlias

from hpack import NeverIndexedHeaderTuple as NeverIndexedHeaderTuple
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

Field: TypeAlias = tuple[bytes, bytes]
"""Name and value. A `NeverIndexedHeaderTuple` is one whose mark every intermediary must pass on (RFC 7541 §7.1.3)."""

EOS: Final = 256
"""The symbol that ends no string: it is only there so that a part of its code is the padding (RFC 7541 §5.2)."""

CODES: Final = tuple(
    format(code, f"0{length}b") for code, length in zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)
)
"""The Huffman code of each byte and of `EOS`, as text of binary digits (RFC 7541, Appendix B)."""

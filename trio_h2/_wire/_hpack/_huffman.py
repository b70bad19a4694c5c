"""The Huffman code of strings (RFC 7541 §5.2).

Encoding joins the codes as text of binary digits, which `int` reads in linear time. Decoding walks a table by whole
bytes: each step leads from a place inside a code to another one, and has the symbols that end on the way. There are 256
such places and 65,536 steps; most are never taken, so they are made when they are first needed.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from ._codes import CODES, EOS
from ._errors import HpackError

# A place has one step for each byte, and at 256 one for the end of the string, where it may end.
_Place: TypeAlias = list["_Step | None"]
_Step: TypeAlias = tuple[_Place, bytes]

_END: Final = 256
_MAX_PADDING: Final = 7

_LENGTHS: Final = bytes(len(code) for code in CODES[:EOS])
_SYMBOLS: Final = {code: bytes((symbol,)) for symbol, code in enumerate(CODES[:EOS])}

_places: dict[str, _Place] = {}
"""Every place that was reached so far, by the digits of the code that begin there."""


def encoded_size(data: bytes) -> int:
    """Returns the bytes that *data* takes as a Huffman string."""
    return (sum(data.translate(_LENGTHS)) + 7) >> 3


def huffman_encode(data: bytes, size: int) -> bytes:
    """Returns *data*, which is not empty, as a Huffman string of *size* bytes, which is its `encoded_size`."""
    codes = CODES
    digits = "".join([codes[byte] for byte in data])
    padding = 8 * size - len(digits)
    # RFC 7541 §5.2: "the most significant bits of the code for the EOS (end-of-string) symbol are used", all ones.
    return ((int(digits, 2) + 1 << padding) - 1).to_bytes(size, "big")


def huffman_decode(data: bytes) -> bytes:
    """Returns what the Huffman string *data* stands for.

    Raises:
        HpackError: It has EOS in it, or ends with what is no padding.
    """
    place = _ROOT
    symbols: list[bytes] = []
    append = symbols.append
    for byte in data:
        step = place[byte]
        if step is None:
            step = _make_step(place, byte)
        place, ended = step
        append(ended)
    if place[_END] is None:
        raise HpackError("a Huffman string has EOS in it or ends without proper padding")
    return b"".join(symbols)


def _make_place(digits: str) -> _Place:
    """Returns the place after *digits*, which begin a code."""
    place = _places.get(digits)
    if place is None:
        place = [None] * (_END + 1)
        # RFC 7541 §5.2: "A padding strictly longer than 7 bits MUST be treated as a decoding error. A padding not
        # corresponding to the most significant bits of the code for the EOS symbol MUST be treated as a decoding
        # error."
        if len(digits) <= _MAX_PADDING and CODES[EOS].startswith(digits):
            place[_END] = (place, b"")
        _digits_of[id(place)] = digits
        # Two threads may both come here: the place of one of them is used, and both are right.
        place = _places.setdefault(digits, place)
    return place


def _make_step(place: _Place, byte: int) -> _Step:
    """Returns the step that *byte* makes from *place*, and keeps it there."""
    digits = _digits_of[id(place)]
    ended = b""
    for digit in format(byte, "08b"):
        digits += digit
        if digits in _SYMBOLS:
            ended += _SYMBOLS[digits]
            digits = ""
        elif digits == CODES[EOS]:
            # RFC 7541 §5.2: "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a decoding
            # error." Nothing leads out of this place, and no string may end there.
            place[byte] = step = (_NOWHERE, b"")
            return step
    place[byte] = step = (_make_place(digits), ended)
    return step


# A place that is in `_places` is never freed, so its address stays its own.
_digits_of: dict[int, str] = {}
_NOWHERE: Final[_Place] = [None] * (_END + 1)
for _byte in range(_END):
    _NOWHERE[_byte] = (_NOWHERE, b"")
_ROOT: Final = _make_place("")

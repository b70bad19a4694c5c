"""Text as the bytes of a body."""

from __future__ import annotations


def encode_text(text: str) -> bytes:
    """Returns *text* in UTF-8.

    Raises:
        ValueError: it has a lone surrogate.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(
            f"the text has a lone surrogate, {text[exc.start]!a} at position {exc.start}, which UTF-8 cannot encode"
        ) from None

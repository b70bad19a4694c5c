"""What the bytes of a whole body mean: text in a charset, or JSON."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from ._errors import BodyDecodeError

if TYPE_CHECKING:
    import email.message

    from ._errors import AnyStream
    from ._wire._headers import Headers

DEFAULT_MAX_BODY_SIZE: Final = 1024 * 1024
"""Bytes that a whole body may have, if nothing else is said."""

JSONValue: TypeAlias = "dict[str, JSONValue] | list[JSONValue] | str | int | float | bool | None"
"""What JSON can say."""

_CHARSETS: Final = (
    "ascii|big5|cp125[0-8]|cp866|cp874|cp932|cp949|euc_jis_2004|euc_jp|euc_kr|gb18030|gb2312|gbk|iso2022_jp"
    "|iso8859-[0-9]+|koi8-[ru]|mac-cyrillic|mac-roman|shift_jis|utf-16|utf-16-be|utf-16-le|utf-32|utf-8"
)
"""Codecs for the charsets that text is really in. Python has others, which are for something else or slow ("idna" takes
time that grows with the square of the length)."""


_MAX_SEMICOLONS: Final = 64
"""In a ``content-type``. Python's parser looks, at each semicolon within quotes, at all that is before it: 60 KiB of
them would keep it, and so the Trio thread, busy for seconds."""


def content_type(headers: Headers) -> email.message.Message | None:
    """Returns the ``content-type``, taken apart; ``None`` if it has far too many parameters."""
    value = headers.get("content-type") or "application/octet-stream"
    if value.count(";") > _MAX_SEMICOLONS:
        return None
    import email.message  # slow to import, and no hot path

    message = email.message.Message()
    message["content-type"] = value
    return message


def check_encoding(encoding: object) -> str:
    """Checks the name of a codec that makes text of bytes."""
    if not isinstance(encoding, str):
        raise TypeError(f"encoding must be a str or None, not {encoding!r}")
    try:
        b"a".decode(encoding, "ignore")  # nothing at all would be decoded without a look at the name
    except (LookupError, ValueError):
        raise ValueError(f"encoding must be a codec for text that Python knows, not {encoding!r}") from None
    return encoding


def decode_text(body: bytes, headers: Headers, encoding: str | None, stream: AnyStream | None) -> str:
    """Returns *body* as text, in *encoding* or in the charset that the ``content-type`` names, UTF-8 if it names none.

    Raises:
        BodyDecodeError: The charset is not known (status 415), or the body is not in it (400).
    """
    charset = charset_of(headers, stream) if encoding is None else codecs.lookup(encoding).name
    try:
        # A byte order mark is no text.
        return body.decode("utf-8-sig" if charset == "utf-8" else charset)
    except UnicodeDecodeError as exc:
        raise wrong_body(f"the body is not in the charset {charset!a}: byte {exc.start} is wrong", stream) from exc


def charset_of(headers: Headers, stream: AnyStream | None) -> str:
    """Returns the codec for the charset that the ``content-type`` names, that of UTF-8 if it names none.

    Raises:
        BodyDecodeError: It is not known (status 415).
    """
    message = content_type(headers)
    if message is None:
        raise wrong_body("the content-type of the body has too many parameters", stream, status=415)
    charset = ""
    try:
        charset = message.get_content_charset("utf-8")
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):  # percent-encoded (RFC 2231), it may be anything
        name = ""
    if not re.fullmatch(_CHARSETS, name):
        raise wrong_body(f"the charset {charset[:64]!a} of the body is not known", stream, status=415)
    return name


def decode_json(body: bytes, stream: AnyStream | None) -> JSONValue:
    """Returns what *body* says (RFC 8259), which is in UTF-8, or in UTF-16 or UTF-32 as older senders may have it.

    Raises:
        BodyDecodeError: It is not JSON, or nested too deep (status 400).
    """
    import json  # only where it is needed, so that `import trio_h2` is quick

    try:
        value: JSONValue = json.loads(body, parse_constant=_refuse_constant)
    except UnicodeDecodeError as exc:
        raise wrong_body(f"the body is not JSON: byte {exc.start} is not in UTF-8", stream) from exc
    except json.JSONDecodeError as exc:
        raise wrong_body(f"the body is not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}", stream) from exc
    except ValueError as exc:  # a number with thousands of digits, say
        raise wrong_body("the body is not JSON: a number is not allowed", stream) from exc
    except RecursionError as exc:
        raise wrong_body("the body is JSON that is nested too deep", stream) from exc
    return value


def wrong_body(reason: str, stream: AnyStream | None, *, status: int = 400) -> BodyDecodeError:
    """Returns the error for a body that cannot be read as what was asked for."""
    error = BodyDecodeError(reason, stream_id=None if stream is None else stream.id, stream=stream)
    error.reason = reason
    error.status = status
    return error


def _refuse_constant(name: str) -> NoReturn:
    """RFC 8259 §6: "Numeric values that cannot be represented in the grammar below (such as Infinity and NaN) are not
    permitted."
    """
    raise ValueError(f"{name} is not allowed")

"""What the bytes of a request's body mean: text in a charset, JSON, or a form."""

from __future__ import annotations

import codecs
import email.message
import json
import re
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from ._errors import HTTPError

if TYPE_CHECKING:
    from trio_h2 import Headers

JSONValue: TypeAlias = "dict[str, JSONValue] | list[JSONValue] | str | int | float | bool | None"
"""What JSON can say."""

_CHARSETS: Final = re.compile(
    "ascii|big5|cp125[0-8]|cp866|cp874|cp932|cp949|euc_jis_2004|euc_jp|euc_kr|gb18030|gb2312|gbk|iso2022_jp"
    "|iso8859-[0-9]+|koi8-[ru]|mac-cyrillic|mac-roman|shift_jis|utf-16|utf-16-be|utf-16-le|utf-32|utf-8"
).fullmatch
"""Codecs for the charsets that text is really in. Python has others, which are for something else or slow ("idna" takes
time that grows with the square of the length)."""


_MAX_SEMICOLONS: Final = 64
"""In a ``content-type``. Python's parser looks, at each semicolon within quotes, at all that is before it: 60 KiB of
them would keep it, and so the Trio thread, busy for seconds."""


def content_type(headers: Headers) -> email.message.Message:
    """Returns the ``content-type``, taken apart.

    Raises:
        HTTPError: 415, it has far too many parameters.
    """
    value = headers.get("content-type") or "application/octet-stream"
    if value.count(";") > _MAX_SEMICOLONS:
        raise HTTPError(415, "the content-type of the body has too many parameters")
    message = email.message.Message()
    message["content-type"] = value
    return message


def decode_text(body: bytes, headers: Headers) -> str:
    """Returns *body* as text in the charset that the ``content-type`` names, UTF-8 if it names none.

    Raises:
        HTTPError: 415, the charset is not known; 400, the body is not in it.
    """
    message = content_type(headers)
    charset = ""
    try:
        charset = message.get_content_charset("utf-8")
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):  # percent-encoded (RFC 2231), it may be anything
        name = ""
    if not _CHARSETS(name):
        raise HTTPError(415, f"the charset {charset[:64]!a} of the body is not known")
    if name == "utf-8":
        name = "utf-8-sig"  # a byte order mark is no text
    try:
        return body.decode(name)
    except UnicodeDecodeError as exc:
        raise HTTPError(400, f"the body is not in the charset {charset!a}: octet {exc.start} is wrong") from exc


def decode_json(body: bytes) -> JSONValue:
    """Returns what *body* says (RFC 8259), which is in UTF-8, or in UTF-16 or UTF-32 as older senders may have it.

    Raises:
        HTTPError: 400, it is not JSON, or nested too deep.
    """
    try:
        value: JSONValue = json.loads(body, parse_constant=_refuse_constant)
    except UnicodeDecodeError as exc:
        raise HTTPError(400, f"the body is not JSON: octet {exc.start} is not in UTF-8") from exc
    except json.JSONDecodeError as exc:
        raise HTTPError(400, f"the body is not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}") from exc
    except ValueError as exc:  # a number with thousands of digits, say
        raise HTTPError(400, "the body is not JSON: a number is not allowed") from exc
    except RecursionError as exc:
        raise HTTPError(400, "the body is JSON that is nested too deep") from exc
    return value


def _refuse_constant(name: str) -> NoReturn:
    """RFC 8259 §6: "Numeric values that cannot be represented in the grammar below (such as Infinity and NaN) are not
    permitted."
    """
    raise ValueError(f"{name} is not allowed")

"""What a request carries, in the forms that applications have it in."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .._checks import bytes_of

if TYPE_CHECKING:
    from .. import JSONValue
    from ._outgoing import Body, Files, Params


def body_of(body: object) -> Body:
    """Checks what a request is to carry.

    Raises:
        TypeError: it is none of what it can be.
    """
    if type(body) is bytes:
        return body
    if isinstance(body, bytes):
        return body
    from ._file_body import file_of

    file = file_of(body)
    if file is not None:
        return file
    if isinstance(body, AsyncIterable) or callable(body):
        return body
    return bytes_of("body", body)


def content_of(
    body: object, value: JSONValue, data: Params | None, files: Files | None = None
) -> tuple[Body, str | None]:
    """Returns what a request is to carry, and its media type if that is known.

    Args:
        body: what `body_of` takes, ``b""`` or ``None`` if nothing else is asked for.
        value: what is sent as JSON.
        data: the fields of a form.
        files: the files of a form.

    Raises:
        TypeError: one of them is none of what it can be.
        ValueError: more than one of them was given, or cannot be said.
    """
    if body is None:
        body = b""
    if value is None and data is None and not files:
        return body_of(body), None
    if (value is not None and (data is not None or files)) or not isinstance(body, bytes) or body:
        raise ValueError("body, json, and data with files, exclude each other: a request has one body")
    if files:
        from ._multipart import multipart

        return multipart(data, files)
    if value is not None:
        return _json(value), "application/json"
    return _form(data), "application/x-www-form-urlencoded"


def _json(value: JSONValue) -> bytes:
    import json  # only where it is needed, so that `import trio_h2` is quick

    # RFC 8259 §6 knows neither NaN nor Infinity.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can say (RFC 8259 §8.2)
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _form(data: Params | None) -> bytes:
    if isinstance(data, (str, bytes, bytearray, memoryview)) or not isinstance(data, (Mapping, list, tuple)):
        raise TypeError(f"data must be a mapping or a list of pairs, the fields of a form, not {data!r}; see body")
    return urlencode(data, doseq=True).encode("ascii")

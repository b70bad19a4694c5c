"""A line in the log for every request, as text or as JSON.

::

    await trio_h2.serve_tcp(access_log(handler), 8080)

The lines go to the logger ``trio_h2.access``, at INFO, when the handler of the request has ended.
"""

from __future__ import annotations

import functools
import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

import trio

from ._checks import check_handler
from ._util import address_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_h2 import ServerStream

    Handler: TypeAlias = Callable[[ServerStream], Awaitable[object]]
    Fields: TypeAlias = dict[str, str | int | float | None]

FORMATS = ("text", "json")

logger = logging.getLogger("trio_h2.access")


def access_log(handler: Handler, *, format: Literal["text", "json"] = "text") -> Handler:
    """Makes a handler that logs what *handler* has answered. What it raises goes on.

    A line tells the client's address, the request, the status, the bytes of the response's body that were handed over,
    the seconds that the handler took, and the user agent. The status is 500 if the handler raised or returned without
    a response, and ``-`` (``null``) if none was sent because the client had left, or the handler was cancelled.

    The record has all of that as a dictionary in its attribute ``access``, for formatters of your own.

    Args:
        handler: a stream handler, over HTTP/2 and HTTP/1.1.
        format: ``"text"``, or ``"json"``: one object per line.

    Raises:
        TypeError: *handler* cannot be called with a stream.
        ValueError: *format* is none of these.
    """
    check_handler(handler)
    if format not in FORMATS:
        raise ValueError(f"format must be 'text' or 'json', not {format!r}")
    line = _text if format == "text" else _json

    @functools.wraps(handler)
    async def logged(stream: ServerStream) -> None:
        if not logger.isEnabledFor(logging.INFO):
            await handler(stream)
            return
        began = trio.current_time()
        fields = _request_fields(stream)
        ended = "cancelled"
        try:
            await handler(stream)
            ended = "returned"
        except Exception:
            ended = "raised"
            raise
        finally:
            sent = stream.sent_headers
            if sent is not None:
                fields["status"] = sent.status
            else:  # with nobody left to get it, there is no 500 either
                fields["status"] = None if ended == "cancelled" or stream.closed else 500
            fields["octets"] = stream.body_sent
            fields["seconds"] = round(trio.current_time() - began, 6)
            fields["ended"] = ended
            logger.info("%s", line(fields), extra={"access": fields})

    return logged


def _request_fields(stream: ServerStream) -> Fields:
    address = None if stream.destroyed else stream.transport.peer_address
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "client": address_name(address),
        "method": stream.method,
        "path": stream.path,
        "authority": stream.authority,
        "version": stream.http_version,
        "referer": stream.headers.get("referer"),
        "user_agent": stream.headers.get("user-agent"),
    }


def _json(fields: Fields) -> str:
    return json.dumps(fields)


def _text(fields: Fields) -> str:
    request = f"{fields['method']} {fields['path'] or fields['authority']} HTTP/{fields['version']}"
    status = "-" if fields["status"] is None else fields["status"]
    agent = "-" if fields["user_agent"] is None else _quoted(str(fields["user_agent"]))
    client = fields["client"] or "-"
    return f"{client} {_quoted(request)} {status} {fields['octets']} {fields['seconds']:.3f} {agent}"


def _quoted(text: str) -> str:
    """Quotes what a client has sent, so that it can neither end the line nor pretend to be another one."""
    return '"' + "".join(map(_shown, text)) + '"'


def _shown(sign: str) -> str:
    if sign == '"':
        return '\\"'
    return sign if sign.isprintable() and sign != "\\" else sign.encode("unicode_escape").decode("ascii")

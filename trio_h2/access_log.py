"""A line in the log for every request: as text, as JSON, or as other servers and the readers of their logs have it.

::

    await trio_h2.serve_tcp(access_log(handler), 8080)

The lines go to the logger ``trio_h2.access``, at INFO, when the handler of the request has ended and its response has
been sent, or was cut.
"""

from __future__ import annotations

import functools
import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import trio

from trio_h2 import ErrorCode, code_name

from ._checks import check_handler
from ._public import publish as _publish
from ._util import address_name, bracketed

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_h2 import Handler, RefusedRequest, ServerStream

__all__ = ["FORMATS", "MOST_SHOWN", "Fields", "Format", "LoggedHandler", "access_log"]

Fields: TypeAlias = dict[str, str | int | float | None]
"""What is logged of a request, by name."""
Format: TypeAlias = Literal["text", "json", "common", "combined"]
FORMATS: tuple[Format, ...] = get_args(Format)
MOST_SHOWN = 1000
"""Characters that are logged of a field of a request that was refused."""

logger: logging.Logger = logging.getLogger("trio_h2.access")


def access_log(handler: Handler, *, format: Format = "text") -> Handler:
    """Makes a handler that logs what *handler* has answered. What it raises goes on.

    A line tells the client's address, the request, the status, the bytes of the response's body that were sent, the
    seconds that the handler took, and the user agent. The status is 500 if the handler raised or returned without
    a response, and ``-`` (``null``) if none was sent because the client had left, or the handler was cancelled.

    A response that was cut says so at the end of its line, with the code of the RST_STREAM: ``"cut: CANCEL"``.

    Requests that the library answers by itself (malformed ones, those with too many fields, those for which there was
    no room) have a line, too: with the status, or ``-`` if the stream was reset, and, at the end, the code of the reset
    and the reason. For that, what this returns must be what is served; a handler made of it must pass on
    ``request_refused``, see `trio_h2.RefusedRequest`.

    The record has all of that as a dictionary in its attribute ``access``, for formatters of your own. ``ended`` says
    how the handler did: ``"returned"``, ``"raised"``, ``"cancelled"`` or ``"refused"``; ``reset`` is the code of the
    RST_STREAM that cut the exchange, from either side, or ``null``; over HTTP/1.1 the connection was cut instead.

    Args:
        handler: a stream handler, over HTTP/2 and HTTP/1.1.
        format: ``"text"``; ``"json"``, one object per line; ``"common"`` or ``"combined"``, the formats of Apache and
            nginx, with the time at which the request came (UTC), the client's host without its port, and in ASCII. What
            was cut or refused has a field more in these.

    Raises:
        TypeError: *handler* cannot be called with a stream.
        ValueError: *format* is none of these.
    """
    check_handler(handler)
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(map(repr, FORMATS))}, not {format!r}")
    return LoggedHandler(handler, _LINES[format])


class LoggedHandler:
    """A handler that logs what another one has answered, and the requests that never reach it; see `access_log`."""

    def __init__(self, handler: Handler, line: Callable[[Fields], str]) -> None:
        self._handler = handler
        self._line = line
        functools.update_wrapper(self, handler)

    async def __call__(self, stream: ServerStream) -> None:
        """Handles a request."""
        handler = self._handler
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
            status = stream.sent_status
            if status is not None:
                fields["status"] = status
            else:  # with nobody left to get it, there is no 500 either
                fields["status"] = None if ended == "cancelled" or stream.closed else 500
            fields["bytes"] = 0
            fields["seconds"] = round(trio.current_time() - began, 6)
            fields["ended"] = ended
            # What becomes of a response that is still being sent is not known before.
            stream.call_when_closed(functools.partial(self._closed, stream, fields))

    def _closed(self, stream: ServerStream, fields: Fields) -> None:
        if stream.sent_status is not None:  # what the library has answered for the handler
            fields["status"] = stream.sent_status
        fields["bytes"] = stream.body_framed
        fields["reset"] = _reset_code(stream)
        self._log(fields)

    def request_refused(self, refused: RefusedRequest) -> None:
        """Logs a request that the library has answered by itself, with the reason."""
        if logger.isEnabledFor(logging.INFO):
            headers = refused.headers
            fields: Fields = {
                **_time_and_client(refused.peer_address),
                "method": refused.method,
                "path": refused.path,
                "authority": refused.authority,
                "version": refused.http_version,
                "referer": headers.first(b"referer"),
                "user_agent": headers.first(b"user-agent"),
                "status": refused.status,
                "bytes": 0,
                "seconds": 0.0,
                "ended": "refused",
                "reset": None if refused.code is None else code_name(refused.code),
                "reason": refused.reason,
            }
            self._log({name: value[:MOST_SHOWN] if isinstance(value, str) else value for name, value in fields.items()})

    def _log(self, fields: Fields) -> None:
        logger.info("%s", self._line(fields), extra={"access": fields})


def _reset_code(stream: ServerStream) -> str | None:
    """Returns the code of the RST_STREAM that ended an exchange before its response was whole, if that is so."""
    return None if stream.end_framed else code_name(stream.rst_code or ErrorCode.NO_ERROR)


def _time_and_client(address: object) -> Fields:
    client = address_name(address)
    if isinstance(address, tuple) and address[1] == 0:  # a proxy has told no port
        client = bracketed(address[0])
    return {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "client": client}


def _request_fields(stream: ServerStream) -> Fields:
    return {
        **_time_and_client(None if stream.destroyed else stream.peer_address),
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
    agent = "-" if fields["user_agent"] is None else _quoted(str(fields["user_agent"]))
    request = _quoted(_request_line(fields))
    line = f"{fields['client'] or '-'} {request} {_status(fields)} {fields['bytes']} {fields['seconds']:.3f} {agent}"
    return f"{line}{_note(fields)}"


def _common(fields: Fields) -> str:
    return f"{_common_part(fields)}{_note(fields)}"


def _combined(fields: Fields) -> str:
    referer, agent = (_ascii(_quoted(str(fields[name] or "-"))) for name in ("referer", "user_agent"))
    return f"{_common_part(fields)} {referer} {agent}{_note(fields)}"


def _common_part(fields: Fields) -> str:
    client = str(fields["client"] or "-")
    host = client[1 : client.index("]")] if client.startswith("[") else client.partition(":")[0]
    came = datetime.fromisoformat(str(fields["time"]))
    time = f"{came:%d}/{_MONTHS[came.month - 1]}/{came:%Y:%H:%M:%S} +0000"  # %b would be in the machine's language
    request = _ascii(_quoted(_request_line(fields)))
    return f"{host} - - [{time}] {request} {_status(fields)} {fields['bytes']}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LINES: dict[Format, Callable[[Fields], str]] = {
    "text": _text,
    "json": _json,
    "common": _common,
    "combined": _combined,
}


def _request_line(fields: Fields) -> str:
    target = fields["path"] or fields["authority"] or "-"
    return f"{fields['method'] or '-'} {target} HTTP/{fields['version']}"


def _status(fields: Fields) -> str:
    return "-" if fields["status"] is None else str(fields["status"])


def _note(fields: Fields) -> str:
    """Returns why a request was refused, or how its response was cut, as one more field; nothing for all others."""
    code = fields["reset"]
    if fields["ended"] == "refused":
        reason = f"{fields['reason']}" if code is None else f"{code}: {fields['reason']}"
        return f" {_quoted(reason)}"
    return "" if code is None else f' "cut: {code}"'


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _quoted(text: str) -> str:
    """Quotes what a client has sent, so that it can neither end the line nor pretend to be another one."""
    return '"' + "".join(map(_shown, text)) + '"'


def _shown(sign: str) -> str:
    if sign == '"':
        return '\\"'
    return sign if sign.isprintable() and sign != "\\" else sign.encode("unicode_escape").decode("ascii")


_publish(globals())

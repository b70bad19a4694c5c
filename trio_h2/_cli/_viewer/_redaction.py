"""`--redact`: what is removed from a trace before anything of it is kept.

It names what stays; whatever is not named, in this version of the format or a later one, goes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ._fields import Fields
from ._pings import ping_purpose

if TYPE_CHECKING:
    from collections.abc import Callable

# What the protocol and the library name: error codes, settings, methods, schemes. Nothing else looks like that by rule,
# so the fields are named, too.
_is_token = re.compile(r"[A-Za-z0-9_./+-]{1,64}").fullmatch
_is_number = re.compile(r"[0-9]{1,20}").fullmatch
_is_status = re.compile(r"[0-9]{3}").fullmatch
# The parameters of a segment (`;jsessionid=…`) are as telling as a query.
_PATH_ENDS = re.compile(r"[?#;]")
_GROUP = re.compile(r"[A-Za-z]{0,2}[0-9]{1,9}")


def redacted(event: Fields) -> Fields:
    """Returns an event without header values, addresses, names of hosts, debug data, and texts about what went on."""
    data = event.fields("data")
    is_connect = data.text("method") == "CONNECT"
    kept: dict[str, object] = {}
    for name, value in data.items():
        keep = _KEPT.get(name)
        if keep is not None:
            kept[name] = keep(value)
        elif name in ("path", "target") and isinstance(value, str) and not is_connect:
            kept[name] = bare_path(value)
        elif name == "debug_data" and isinstance(value, str) and value:
            kept[name] = f"({len(value)} characters removed)"
    group = event.text("group_id")
    return Fields(
        {
            "time": event.number("time"),
            "name": event.text("name"),
            "group_id": group if group is not None and _GROUP.fullmatch(group) else "",
            "data": kept,
        }
    )


def redacted_header(header: Fields) -> Fields:
    """Returns the first record of a trace without its title, which may be a command line."""
    trace = header.fields("trace")
    vantage_point = trace.fields("vantage_point")
    reference_time = trace.fields("common_fields").fields("reference_time")
    name = vantage_point.text("name")
    started = reference_time.text("wall_clock_time")
    return Fields(
        {
            "trace": {
                "vantage_point": {"name": name if name and re.fullmatch(r"trio_h2 [\w.+]{1,32}", name) else None},
                "common_fields": {
                    "reference_time": {
                        "wall_clock_time": started if started and re.fullmatch(r"[0-9T:.Z+-]{1,40}", started) else None
                    }
                },
            }
        }
    )


def bare_path(path: str) -> str | None:
    """Returns a path without its query and its parameters, or `None` if it is something else than a path."""
    if path.startswith(("http://", "https://")):  # an HTTP/1.1 request to a proxy
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    if path == "*":
        return path
    if not path.startswith("/"):
        return None
    bare = _PATH_ENDS.split(path, maxsplit=1)[0]
    return bare if bare == path else f"{bare}{path[len(bare)]}…"


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value if _is_token(value) else None
    return value if isinstance(value, bool | int | float) else None


def _payload(value: object) -> object:
    return value if isinstance(value, str) and ping_purpose(value) else None


def _plain_list(value: object) -> object:
    return [_plain(item) for item in value] if isinstance(value, list) else []


def _settings(value: object) -> object:
    return [
        {"name": _plain(setting.text("name")), "value": setting.number("value")}
        for setting in map(Fields, value if isinstance(value, list) else [])
    ]


def _tls(value: object) -> object:
    tls = Fields(value)
    return {"version": _plain(tls.text("version")), "cipher": _plain(tls.text("cipher"))}


def _headers(value: object) -> object:
    return [_field(Fields(field)) for field in value] if isinstance(value, list) else []


def _field(field: Fields) -> object:
    name = field.text("name") or ""
    kept: dict[str, object] = {"name": name}
    if field.flag("never_indexed"):
        return {**kept, "never_indexed": True, "redacted": _length(field)}
    value = field.text("value")
    if value is None:
        return {**kept, "redacted": _length(field)}
    rule = _KEPT_HEADERS.get(name)
    shown = None if rule is None else rule(value)
    return {**kept, "redacted": _length(field)} if shown is None else {**kept, "value": shown}


def _length(field: Fields) -> int | None:
    value = field.text("value")
    if value is not None:
        return len(value.encode("utf-8", "replace"))
    in_hex = field.text("value_bytes")
    return field.integer("redacted") if in_hex is None else len(in_hex) // 2


def _token(value: str) -> str | None:
    return value if _is_token(value) else None


_KEPT: dict[str, Callable[[object], object]] = {
    **dict.fromkeys(
        [
            *("role", "alpn", "by", "clean", "error_code", "streams", "bytes_sent", "bytes_received"),
            *("frame_type", "stream_id", "length", "data_length", "kind", "promised_stream_id", "last_stream_id"),
            *("increment", "depends_on", "weight", "exclusive", "prioritized_stream_id"),
            *("associated_stream_id", "method", "scheme", "protocol", "how", "status", "duration", "first_byte"),
            *("side", "window", "cause", "limit", "since", "waiting", "ended", "round_trip"),
        ],
        _plain,
    ),
    "flags": _plain_list,
    "headers": _headers,
    "payload": _payload,
    "settings": _settings,
    "tls": _tls,
    "trailers": _headers,
}
"""The fields of events that stay, and what of them."""

_KEPT_HEADERS: dict[str, Callable[[str], str | None]] = {
    ":method": _token,
    ":path": bare_path,
    ":protocol": _token,
    ":scheme": _token,
    ":status": lambda value: value if _is_status(value) else None,
    "content-length": lambda value: value if _is_number(value) else None,
}
"""The header fields whose value stays, and what of it."""

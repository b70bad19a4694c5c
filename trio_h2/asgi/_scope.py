"""What an application is told of a request: its scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from trio_h2 import Http1Exchange

from ._tls import tls_extension

if TYPE_CHECKING:
    from trio_h2 import ServerStream

    from ._types import Scope, State

_SPEC_VERSION: Final = "2.5"
_COLON: Final = 0x3A


class ScopeMaker:
    """Makes the scopes for the requests to one application."""

    def __init__(self, root_path: str, state: State | None) -> None:
        self._root_path = root_path
        self._raw_root = root_path.encode()
        self._state: State = {} if state is None else state

    def http(self, stream: ServerStream, *, push_allowed: bool) -> Scope:
        """Returns the scope of a request; *push_allowed*: whether its client takes pushes."""
        extensions: Scope = {"http.response.trailers": {}, "http.response.pathsend": {}}
        scope = self._common(stream, "http", extensions)
        scope["method"] = stream.method.upper()
        scope["scheme"] = stream.scheme
        if scope["http_version"] == "2":
            # RFC 8297 §3: "A server MUST NOT send […] to an HTTP/1.0 client", and some of HTTP/1.1 take the hint for
            # the response.
            extensions["http.response.early_hint"] = {}
            if push_allowed:
                extensions["http.response.push"] = {}
        return scope

    def websocket(self, stream: ServerStream) -> Scope:
        """Returns the scope of a WebSocket."""
        scope = self._common(stream, "websocket", {"websocket.http.response": {}})
        scope["scheme"] = "wss" if stream.scheme == "https" else "ws"
        scope["subprotocols"] = offered_subprotocols(stream)
        return scope

    def _common(self, stream: ServerStream, kind: str, extensions: Scope) -> Scope:
        target, _, query = stream.path.partition("?")
        path = unquote(target) if "%" in target else target
        raw_path = target.encode("latin-1")
        if self._root_path:
            # For an application behind a proxy that takes the prefix away: "path" has it, as PATH_INFO below
            # SCRIPT_NAME has not.
            path, raw_path = self._root_path + path, self._raw_root + raw_path
        transport, peer = stream.transport, stream.peer_address
        local = transport.local_address
        if transport.encrypted:
            extensions["tls"] = tls_extension(transport)
        if isinstance(stream, Http1Exchange):
            version, fields = stream.http_version, _fields_of_http1(stream)
        else:
            version, fields = "2", _fields_of_http2(stream)
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": _SPEC_VERSION},
            "http_version": version,
            "path": path,
            "raw_path": raw_path,
            "query_string": query.encode("latin-1") if query else b"",
            "root_path": self._root_path,
            "headers": fields,
            "client": (peer[0], peer[1]) if isinstance(peer, tuple) else None,
            "server": (local[0], local[1]) if isinstance(local, tuple) else (local, None) if local else None,
            "state": dict(self._state),
            "extensions": extensions,
        }


def offered_subprotocols(stream: ServerStream) -> list[str]:
    """Returns the subprotocols that the client of a WebSocket offers, the best first."""
    values = stream.headers.get_all("sec-websocket-protocol")
    return [name for value in values for one in value.split(",") if (name := one.strip())]


def _fields_of_http1(stream: Http1Exchange) -> list[tuple[bytes, bytes]]:
    """Returns them all: ASGI: "preserve headers exactly as they were provided"."""
    fields = [(name.lower(), value) for name, value in stream.field_lines]
    authority = stream.authority.encode("latin-1")
    if any(name == b"host" and value != authority for name, value in fields):
        # RFC 9112 §3.2.2: for a target in absolute-form, "an origin server MUST ignore the received Host header field
        # (if any) and instead replace it with the host information of the request-target".
        fields = [(name, authority if name == b"host" else value) for name, value in fields]
    return fields


def _fields_of_http2(stream: ServerStream) -> list[tuple[bytes, bytes]]:
    """Returns them with ``host`` first.

    ASGI: pseudo-headers "must be removed; if :authority is present its value should be added to the start of the
    iterable with host as the header name or replace any existing host header already present."
    """
    fields: list[tuple[bytes, bytes]] = [(b"host", b"")]
    authority = host = None
    crumbs = 0
    for field in stream.headers.raw:
        name = field[0]
        if name[0] == _COLON:
            if name == b":authority":
                authority = field[1]
        elif name == b"host":
            host = field[1] if host is None else host
        else:
            crumbs += name == b"cookie"
            fields.append(field)
    if authority is None:
        authority = host
    if authority is None:
        del fields[0]
    else:
        fields[0] = (b"host", authority)
    return fields if crumbs < 2 else _with_one_cookie(fields)


def _with_one_cookie(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """RFC 9113 §8.2.3: if there are several of them, "these MUST be concatenated into a single octet string using the
    two-octet delimiter of 0x3b, 0x20 […] before being passed into […] a generic HTTP server application".
    """
    cookies = [value for name, value in fields if name == b"cookie"]
    first = next(at for at, (name, _) in enumerate(fields) if name == b"cookie")
    fields = [field for field in fields if field[0] != b"cookie"]
    fields.insert(first, (b"cookie", b"; ".join(cookies)))
    return fields

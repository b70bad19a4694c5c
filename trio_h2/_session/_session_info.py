"""What instruments know of a session from its beginning."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from .._trace._seen import SessionInfo, TlsInfo
from .._util import address_name

if TYPE_CHECKING:
    from typing import Literal

    from .._stream._transport import TransportView
    from .._wire._codes import Role

_numbers: Final = itertools.count(1)


def session_info(
    transport: TransportView, role: Role, version: Literal["2", "1.1"], label: str, authority: str | None = None
) -> SessionInfo:
    """Returns it; each session has a number of its own.

    Args:
        transport: the bytes below.
        role: which end this side is.
        version: of HTTP.
        label: what the log calls the session.
        authority: what a client has connected to.
    """
    cipher = transport.cipher
    tls = None
    if transport.encrypted:
        tls = TlsInfo(transport.tls_version, None if cipher is None else cipher[0], transport.server_hostname)
    return SessionInfo(
        number=next(_numbers),
        role=role,
        http_version=version,
        label=label,
        peer=_name(transport.peer_address),
        local=_name(transport.local_address),
        alpn=transport.alpn_protocol,
        tls=tls,
        scheme="https" if transport.encrypted else "http",
        authority=authority,
    )


def _name(address: object) -> str | None:
    """Returns an address as text: ``host:port``, or the path of a Unix socket."""
    if isinstance(address, bytes):
        return address.decode("utf-8", "backslashreplace") or None
    return address or None if isinstance(address, str) else address_name(address)

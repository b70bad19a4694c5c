"""What the extension ``tls`` tells of a connection."""

from __future__ import annotations

import ssl
import weakref
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from trio_h2 import TransportView

    from ._types import Scope

_VERSIONS: Final = {"SSLv3": 0x0300, "TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
# RFC 4514 §3; other attributes keep the name that OpenSSL gives them.
_SHORT_NAMES: Final = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_known: Final[weakref.WeakKeyDictionary[TransportView, Scope]] = weakref.WeakKeyDictionary()


def tls_extension(transport: TransportView) -> Scope:
    """Returns what is told of the TLS of a connection, made once for each; the application may change its copy."""
    told = _known.get(transport)
    if told is None:
        told = _known[transport] = _told(transport)
    return dict(told)


def _told(transport: TransportView) -> Scope:
    certificate = transport.peer_certificate
    return {
        "server_cert": None,  # Python does not tell which certificate a server has shown
        # Python tells the certificate of the client, and not those between it and its authority.
        "client_cert_chain": () if certificate is None else (ssl.DER_cert_to_PEM_cert(certificate),),
        "client_cert_name": None if certificate is None else _subject(transport),
        "client_cert_error": None,  # whoever shows a bad one does not get here
        "tls_version": _VERSIONS.get(transport.tls_version or ""),
        "cipher_suite": _cipher_suite(transport),
    }


def _cipher_suite(transport: TransportView) -> int | None:
    """Returns the number of the cipher suite (RFC 8446 §B.4)."""
    cipher, context = transport.cipher, transport.ssl_context
    if cipher is None or context is None:
        return None
    # OpenSSL's numbers have the kind of protocol above the 16 bits of the suite.
    return next((one["id"] & 0xFFFF for one in context.get_ciphers() if one["name"] == cipher[0]), None)


def _subject(transport: TransportView) -> str:
    """Returns the subject of the client's certificate as RFC 4514 writes it: the last part first."""
    fields = transport.peer_certificate_fields or {}
    parts = cast("tuple[tuple[tuple[str, str], ...], ...]", fields.get("subject", ()))
    return ",".join(
        "+".join(f"{_SHORT_NAMES.get(name, name)}={_escaped(value)}" for name, value in part)
        for part in reversed(parts)
    )


def _escaped(value: str) -> str:
    """RFC 4514 §2.4: what separates the parts, and white space and ``#`` where they would get lost, is escaped."""
    text = "".join(f"\\{sign}" if sign in '"+,;<>\\' else "\\00" if sign == "\0" else sign for sign in value)
    if text[:1] in (" ", "#"):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if len(text) > 1 and text.endswith(" ") and not text.endswith("\\ ") else text

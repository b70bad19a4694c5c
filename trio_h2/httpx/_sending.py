"""What a request of httpx says, for `trio_h2.Client.request`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._libraries import AnyRequest

_OF_CONNECTION: Final = frozenset(
    (b"connection", b"http2-settings", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
"""RFC 9113 §8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields". Our
connections of HTTP/1.1 write their own."""
PIECE: Final = 64 * 1024
"""Bytes of a body that are sent at once; a larger one is sent piece by piece, so that its time to be written counts."""


def url_of(request: AnyRequest) -> str:
    """Returns the URL of a request without user and password, which are in ``authorization``."""
    url = request.url
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"


def fields_of(request: AnyRequest) -> tuple[list[tuple[bytes, bytes]], bool]:
    """Returns the header fields of a request, and whether its body is to wait for 100 (Continue)."""
    fields: list[tuple[bytes, bytes]] = []
    expects = False
    for name, value in request.headers.raw:
        lowered = name.lower()
        if lowered == b"expect" and value.strip().lower() == b"100-continue":
            expects = True
        elif lowered == b"te" and value.strip().lower() != b"trailers":
            continue  # §8.2.2: "it MUST NOT contain any value other than "trailers""
        elif lowered not in _OF_CONNECTION:
            fields.append((lowered, value))
    return fields, expects

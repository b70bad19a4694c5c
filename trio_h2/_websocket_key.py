"""The key of a WebSocket's opening handshake over HTTP/1.1 (RFC 6455 §4); HTTP/2 has none."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Final

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def new_key() -> str:
    """Returns a ``sec-websocket-key``: RFC 6455 §4.1: "a nonce consisting of a randomly selected 16-byte value"."""
    return base64.b64encode(secrets.token_bytes(16)).decode("ascii")


def accept_key(key: str) -> str:
    """Returns ``sec-websocket-accept`` for a ``sec-websocket-key`` (RFC 6455 §4.2.2).

    Raises:
        ValueError: *key* is not 16 bytes in base64.
    """
    try:
        decoded = base64.b64decode(key, validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != 16:
        raise ValueError("sec-websocket-key is not 16 bytes in base64")
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode("ascii")

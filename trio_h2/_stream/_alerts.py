"""What OpenSSL's errors mean, in words: above all the alerts by which a peer says why it ends TLS (RFC 8446 §6)."""

from __future__ import annotations

import re
import ssl
from typing import Final

_ALERT: Final = re.compile(r"\balert (.+)")
_MEANINGS: Final = {
    "access denied": "it denies access with our certificate",
    "bad certificate": "it does not accept our certificate",
    "certificate expired": "it says that our certificate has expired",
    "certificate required": "it requires a client certificate",
    "certificate revoked": "it says that our certificate was revoked",
    "certificate unknown": "it does not accept our certificate",
    # RFC 8446 §6.2: "unable to negotiate an acceptable set of security parameters given the options available". With
    # TLS 1.2, OpenSSL says so as well where a client's certificate is missing.
    "handshake failure": "it accepts none of our ciphers, or requires a certificate",
    "inappropriate fallback": "it speaks a later version of TLS",
    "insufficient security": "it finds our ciphers too weak",
    "no application protocol": "it speaks none of the protocols that we offer by ALPN",
    "protocol version": "it does not accept our version of TLS",
    "unknown ca": "it does not know the authority of our certificate",
    "unrecognized name": "it does not know the name that we ask for",
    "unsupported certificate": "it does not support our kind of certificate",
}


def reason_of(exc: ssl.SSLError) -> str:
    """What OpenSSL says, without the numbers and names of C files around it: ``"wrong version number"``."""
    # `exc.reason` is None for whatever Python has no name for.
    return re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", str(exc.strerror or exc))


def alert_of(exc: BaseException | None) -> str | None:
    """Returns the name of the alert that *exc* is about, such as ``"certificate required"``; ``None`` if none."""
    if not isinstance(exc, ssl.SSLError):
        return None
    found = _ALERT.search(reason_of(exc))
    return None if found is None else found[1]


def meaning_of(alert: str) -> str:
    """Puts an alert into words, beside its name: ``"it denies access … (alert 'access denied')"``."""
    meaning = _MEANINGS.get(alert)
    return f"alert {alert!r}" if meaning is None else f"{meaning} (alert {alert!r})"

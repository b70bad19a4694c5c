"""Why a tunnel is not opened, and how the client is told."""

from __future__ import annotations

import errno
from typing import Final

_UNROUTABLE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Refusal(Exception):  # noqa: N818 - a way out of a function, not an error
    """A request for a tunnel is answered with a status.

    Args:
        status: 400 … 599.
        error: what kind of error it is, as in RFC 9209 §2.3; may be empty.
        text: one sentence for the client.
        detail: what only the log may know.
        extra: further fields of the response.
    """

    def __init__(
        self, status: int, error: str, text: str, detail: str = "", *, extra: dict[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.detail = f"{text} ({detail})" if detail else text
        """For the log."""
        self.body = f"{text}\n".encode("ascii", "backslashreplace")
        self.headers: dict[str, str | int] = {":status": status, "content-type": "text/plain; charset=utf-8"}
        if error:
            # RFC 9209 §2.3: for people and programs that wonder which of the proxies on the way has failed, and why.
            self.headers["proxy-status"] = f"trio_h2; error={error}"
        self.headers.update(extra or {})


def as_refusal(error: OSError, target: str) -> Refusal:
    """Says why a target could not be connected to."""
    why = error.strerror or str(error)
    if isinstance(error, TimeoutError):
        return Refusal(504, "connection_timeout", f"{target} did not answer", why)
    if isinstance(error, ConnectionRefusedError):
        return Refusal(502, "connection_refused", f"{target} refused the connection", why)
    if error.errno in _UNROUTABLE:
        return Refusal(502, "destination_ip_unroutable", f"there is no way to {target}", why)
    return Refusal(502, "destination_unavailable", f"{target} cannot be reached", why)

"""What a client raises beside the errors of sessions and streams."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import trio

from .. import H2Error, Headers

if TYPE_CHECKING:
    from ._response import Response


class RequestTimeoutError(H2Error, trio.TooSlowError):
    """A part of a request took longer than the client's `Timeouts` allow.

    What to do: ask again later, or allow more time. It is `retryable` if the request was not sent.
    """

    phase: str
    """Which part: ``"connect"``, ``"slot"``, ``"send"``, ``"response"`` or ``"idle"``."""

    def __init__(self, message: str = "", *, phase: str = "response") -> None:
        super().__init__(message, retryable=phase in ("connect", "slot"))
        self.phase = phase


class ProxyError(H2Error):
    """The proxy cannot be reached, or has refused: there is no connection, and the target is not at fault.

    It is `retryable` if another attempt may end otherwise: the proxy could not be reached, or could not reach the
    target (502, 503, 504). The request was not sent.

    What to do: look at the `status`: 407 means that user and password are missing or wrong, 403 that the target is not
    allowed. Without one, ``__cause__`` tells what happened on the way to the proxy.
    """

    proxy: str
    """The URL of the proxy, without user and password."""
    status: int | None
    """What it answered; ``None`` if it did not."""
    reason: str
    """What an HTTP/1.1 proxy says about the status, such as ``"Proxy Authentication Required"``; else the usual."""
    headers: Headers
    """The headers of its answer. Untrusted input."""
    body: bytes
    """The start of the body of its answer, at most 16 KiB and what came within a second. Untrusted input."""

    def __init__(
        self,
        message: str = "",
        *,
        proxy: str = "",
        status: int | None = None,
        reason: str = "",
        headers: Headers | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message, retryable=status is None or status in (502, 503, 504))
        self.proxy = proxy
        self.status = status
        self.reason = reason
        self.headers = Headers() if headers is None else headers
        self.body = body


def proxy_refusal(proxy: str, what: str, status: int, reason: str, headers: Headers, body: bytes = b"") -> ProxyError:
    """Returns the error about a proxy's answer.

    Args:
        proxy: its URL.
        what: what it refused.
        status: of its answer.
        reason: of its answer; may be empty.
        headers: of its answer.
        body: the start of it.
    """
    if not reason:
        from http import HTTPStatus  # slow to import, and no hot path

        with contextlib.suppress(ValueError):
            reason = HTTPStatus(status).phrase
    message = f"the proxy {proxy} refused {what} with status {status}" + (f" ({reason})" if reason else "")
    return ProxyError(message, proxy=proxy, status=status, reason=reason, headers=headers, body=body)


class StatusError(H2Error):
    """The status of a response says that the request was not answered as asked: raised by `Response.raise_for_status`.

    What to do: look at the `status` and the body of the `response`.
    """

    status: int
    """From 400 on, or a redirect that was not followed."""
    response: Response | None
    """The response; its body can still be read inside its block. ``None`` after pickling."""

    def __init__(self, message: str = "", *, status: int = 0, response: Response | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.response = response

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self.args, {**self.__dict__, "response": None}


class TooManyRedirectsError(H2Error):
    """A request was redirected more often than ``max_redirects`` allows.

    What to do: the server sends its clients round in a circle; report it to whoever runs it.
    """


class DownloadError(H2Error):
    """A server has answered a request for the rest of a file (RFC 9110 §14) with something that does not fit to it.

    What to do: what does not fit was not added to what is there. Remove the ``.part`` file, or download without
    ``resume``; and report it to whoever runs the server.
    """

"""What a client raises beside the errors of sessions and streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .. import H2Error

if TYPE_CHECKING:
    from ._response import Response


class RequestTimeoutError(H2Error, trio.TooSlowError):
    """A part of a request took longer than the client's `Timeouts` allow.

    What to do: ask again later, or allow more time. It is `retryable` if the request was not sent.
    """

    phase: str
    """Which part: ``"connect"``, ``"slot"``, ``"response"`` or ``"idle"``."""

    def __init__(self, message: str = "", *, phase: str = "response") -> None:
        super().__init__(message, retryable=phase in ("connect", "slot"))
        self.phase = phase


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

"""What opens something over an HTTP/2 stream, and gets a response that refuses it: a tunnel, a WebSocket."""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import trio

from ._errors import AnyStream, H2Error
from ._wire._headers import Headers

_Error = TypeVar("_Error", bound="RefusedError")

MAX_REASON: Final = 16 * 1024
"""How many bytes of a refusal's body are kept."""
_SHOWN_REASON: Final = 100
"""How many characters of its first line a message has."""
_REASON_SECONDS: Final = 1.0
"""How long a peer that has refused may take to say why."""


class RefusedStream(AnyStream, Protocol):
    """A stream with the response that refuses something."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives bytes of its body."""


class RefusedError(H2Error):
    """The peer answered with a status other than 2xx.

    Args:
        message: What happened, in one sentence.
        status: The status.
        headers: The headers of the response.
        body: The start of its body.
        stream: The stream of the request.
    """

    status: int
    """The status of the response, 300 … 999."""
    headers: Headers
    """The headers of the response. Untrusted input."""
    body: bytes
    """The start of its body, at most 16 KiB and what came within a second. Untrusted input."""

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        headers: Headers | None = None,
        body: bytes = b"",
        stream: AnyStream | None = None,
    ) -> None:
        super().__init__(message, stream_id=None if stream is None else stream.id, stream=stream)
        self.status = status
        self.headers = Headers() if headers is None else headers
        self.body = body


async def read_refusal(kind: type[_Error], what: str, response: Headers, stream: RefusedStream) -> _Error:
    """Makes the error from a response; of its body, reads what comes soon. Cancelled: nothing is kept.

    Args:
        kind: The class of the error.
        what: Who refused what.
        response: The headers of the response.
        stream: The stream of the request.
    """
    body = bytearray()
    with trio.move_on_after(_REASON_SECONDS):
        try:
            while len(body) < MAX_REASON and (chunk := await stream.receive_some(MAX_REASON - len(body))):
                body += chunk
        except trio.BrokenResourceError:
            pass  # the status has said enough
    message = f"{what} with status {response.status}{_reason(bytes(body))}"
    return kind(message, status=response.status, headers=response, body=bytes(body), stream=stream)


def _reason(body: bytes) -> str:
    """Returns the first line of a body in plain text, for a message: printable, and not long."""
    line = body.strip()[: 4 * _SHOWN_REASON].decode("utf-8", "replace").partition("\n")[0].strip()
    if not line.isprintable() or not line or line.startswith(("<", "{")):  # no plain text
        return ""
    return f": {line[:_SHOWN_REASON]}{'…' if len(line) > _SHOWN_REASON else ''}"

"""A body as a whole: what `Stream.read` has collected of it, and whether that is too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._errors import BodyTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._errors import AnyStream
    from ._inbox import Inbox


class WholeBody:
    """What was taken from the inbox of a stream for a whole body.

    It stays here when the call is cancelled or finds it too large, for the next one, or for whoever takes single
    chunks.
    """

    __slots__ = ("_busy", "_known", "_taken")

    def __init__(self) -> None:
        self._taken = bytearray()
        self._known: bytes | None = None
        self._busy = False

    @property
    def known(self) -> bytes | None:
        """The body, if it was read to its end."""
        return self._known

    @property
    def left(self) -> bool:
        """Whether a call that did not come to the end has left something for others to take."""
        return bool(self._taken) and not self._busy

    def take(self, limit: int) -> bytes:
        """Takes up to *limit* bytes of what is left."""
        data = bytes(self._taken[:limit])
        del self._taken[:limit]
        return data

    def clear(self) -> None:
        """Throws away what is left."""
        if not self._busy:
            self._taken.clear()

    async def collect(self, inbox: Inbox, about_to_wait: Callable[[], None], limit: int, stream: AnyStream) -> bytes:
        """Reads the body to its end, and returns all of it.

        Raises:
            BodyTooLargeError: It has more than *limit* bytes.
        """
        if self._busy:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._busy = True
        try:
            while len(self._taken) <= limit:
                chunk = await inbox.receive(None, about_to_wait)
                if not chunk:
                    self._known = bytes(self._taken)
                    self._taken.clear()
                    return self._known
                self._taken += chunk
        finally:
            self._busy = False
        raise body_too_large(limit, stream)


def body_too_large(limit: int, stream: AnyStream) -> BodyTooLargeError:
    """Returns the error for a body with more than *limit* bytes."""
    reason = f"the body has more than {limit} bytes"
    error = BodyTooLargeError(f"{reason}; max_size= lets it have more", stream_id=stream.id, stream=stream)
    error.reason = reason
    error.limit = limit
    return error

"""Which streams have something in the write that the transport does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._stream_view import StreamView

# Microseconds. The frames of a write are told of together, before it begins.
_ONE_WRITE = 1_000
_BEFORE_WRITE = 20_000


class Senders:
    """The streams of a session that have sent DATA, those that did last at the end."""

    def __init__(self) -> None:
        self._last: dict[StreamView, int] = {}

    def sent(self, stream: StreamView, time: int) -> None:
        """A stream has sent DATA."""
        self._last.pop(stream, None)
        self._last[stream] = time

    def held_up(self, since: int) -> Iterator[StreamView]:
        """Returns those with DATA in the write that has stood still since then, or behind it.

        A stream whose first DATA waits for that write is not among them: nothing in the trace says that it waits.
        """
        write: int | None = None
        for stream, time in reversed(self._last.items()):
            if time <= since and write is None:
                write = time
            if write is not None and (time < write - _ONE_WRITE or since - write > _BEFORE_WRITE):
                return
            yield stream

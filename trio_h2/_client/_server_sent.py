"""Server-sent events, as they come (WHATWG HTML §9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import BodyTooLargeError
from .._field_docs import describe_fields
from .._util import NoPublicConstructor, construct, interrupt_safe
from .._values import Value
from ._lines import LineIterator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ._response import Response


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ServerSentEvent(Value):
    """One event of a ``text/event-stream``."""

    event: str
    """Its type; ``"message"`` if it names none."""
    data: str
    """What it carries; several ``data`` lines are joined by newlines."""
    id: str
    """The last id that the stream has named so far: to be sent as ``last-event-id`` when connecting again."""


@interrupt_safe
class EventIterator(metaclass=NoPublicConstructor):
    """The events of a response: ``async for event in response.iter_events()``.

    Whoever connects again sends `last_event_id` as ``last-event-id``, and waits for `retry` seconds before, if it is
    not ``None``. Cancelled: nothing is lost.
    """

    _made_by = "Response.iter_events makes it"

    def __init__(self, response: Response, max_size: int) -> None:
        # "Streams must be decoded using the UTF-8 decode algorithm", which replaces what is wrong, and drops a BOM.
        self._lines = construct(LineIterator, response, "utf-8-sig", max_size, "replace")
        self._max_size = max_size
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._id = ""
        """The id that the next event will have, and the stream from then on."""
        self.last_event_id: str = ""
        """The id of the last event, ``""`` if there is none."""
        self.retry: float | None = None
        """Seconds that the server wants clients to wait before they connect again, if it has said so."""

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        return self

    async def __anext__(self) -> ServerSentEvent:
        """Waits for the next event.

        Raises:
            BodyTooLargeError: an event has more characters than are allowed.
            RequestTimeoutError, StreamError, SessionError, trio.ClosedResourceError: as of `Response.receive_some`.
        """
        while True:
            line = await anext(self._lines)
            # "Once the end of the file is reached, any pending data must be discarded": that is an end of `_lines`.
            if line:
                self._take(line)
                continue
            event, data = self._event, self._data
            self._event, self._data, self._size = "", [], 0
            self.last_event_id = self._id
            if data:
                return ServerSentEvent(event or "message", "\n".join(data), self._id)

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._size += len(value) + 1
            if self._size > self._max_size:
                raise BodyTooLargeError(f"an event of the response is larger than max_size={self._max_size} characters")
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id":
            if "\0" not in value:  # "If the field value does not contain U+0000 NULL"
                self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value[:15]) / 1000

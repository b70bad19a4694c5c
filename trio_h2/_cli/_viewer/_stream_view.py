"""One stream of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ._fields import Fields
from ._marks import Marks
from ._series import Series, merge_amounts
from ._stalls import Stalls
from ._windows import Windows

if TYPE_CHECKING:
    from ._budget import Budget

    Direction = Literal["sent", "received"]

_MAX_TEXT = 4000


class StreamView:
    """What became of a request, pieced together from the events of its stream. Times are microseconds.

    Args:
        stream_id: its number.
        time: when it was first heard of.
        budget: how much of it is kept.
    """

    def __init__(self, stream_id: int, time: int, budget: Budget) -> None:
        self.stream_id = stream_id
        self._budget = budget
        self._opened = time
        self.by: str | None = None
        """Who sent its request or promise: `local` or `remote`."""
        self._pushed_on: int | None = None
        self._is_push = False
        self._about: dict[str, str] = {}
        self._status: int | None = None
        self._heads: dict[str, int] = {}
        self._request_end: int | None = None
        self._first_byte: int | None = None
        self._response_end: int | None = None
        self._closed: int | None = None
        self._ending: dict[str, str] = {}
        self._bytes: dict[Direction, int] = {"sent": 0, "received": 0}
        self._ticks: dict[Direction, Series] = {}
        self.windows = Windows(budget)
        self.stalls = Stalls(budget)
        self.marks = Marks(budget)

    def opened(self, time: int, data: Fields) -> None:
        """It was opened: says by whom, and for what."""
        self._opened = time
        self.by = data.text("by") or self.by
        self._is_push = self._is_push or data.text("kind") == "push"
        pushed_on = data.integer("associated_stream_id")
        self._pushed_on = self._pushed_on if pushed_on is None else pushed_on
        for name in ("method", "scheme", "authority", "path", "protocol"):
            self._tell(name, data.text(name))

    def promised(self, direction: Direction, on: int, head: int | None, fields: list[object]) -> None:
        """PUSH_PROMISE has told of it."""
        self.by = "local" if direction == "sent" else "remote"
        self._is_push, self._pushed_on = True, on
        self._keep_request(head, fields)

    def requested(self, direction: Direction, head: int | None, fields: list[object]) -> None:
        """The head of the request."""
        self.by = self.by or ("local" if direction == "sent" else "remote")
        self._keep_request(head, fields)

    def informed(self, time: int, fields: list[object], status: int | None = None) -> None:
        """An interim response."""
        status = _status(fields) if status is None else status
        self.marks.add(time, "headers", f"interim response {status or ''}".rstrip())

    def responded(self, time: int, head: int | None, fields: list[object], status: int | None = None) -> None:
        """The head of the final response."""
        if self._first_byte is None:
            self._first_byte = time
        status = _status(fields) if status is None else status
        self._status = self._status if status is None else status
        if head is not None:
            self._heads.setdefault("response", head)

    def trailed(self, time: int, direction: Direction, head: int | None) -> None:
        """Trailers."""
        self.marks.add(time, "headers", f"trailers {direction}")
        if head is not None:
            name = "request_trailers" if self._is_request(direction) else "response_trailers"
            self._heads.setdefault(name, head)

    def body(self, time: int, direction: Direction, size: int) -> None:
        """A piece of a body."""
        self._bytes[direction] += size
        ticks = self._ticks.get(direction)
        if ticks is None:
            ticks = self._ticks[direction] = Series(self._budget, merge_amounts)
        ticks.add((time, time, size, 1, 0))

    def side_ended(self, time: int, direction: Direction) -> None:
        """One side has said all."""
        if self._is_request(direction):
            self._request_end = time
        else:
            self._response_end = time

    def closed(self, time: int, data: Fields) -> None:
        """It is over."""
        self._closed = time
        for name in ("how", "by", "error_code", "reason"):
            if (text := data.text(name)) is not None:
                self._ending[name] = text[:_MAX_TEXT]
        status = data.integer("status")
        self._status = self._status if status is None else status
        first_byte = data.number("first_byte")
        if self._first_byte is None and first_byte is not None:
            self._first_byte = self._opened + max(0, round(first_byte * 1000))
        sent, received = data.integer("bytes_sent"), data.integer("bytes_received")
        self._bytes["sent"] = self._bytes["sent"] if sent is None else sent
        self._bytes["received"] = self._bytes["received"] if received is None else received

    def held_up(self, side: str, limit: str, since: int, until: int) -> None:
        """Its session stood still, and had something of this stream; its own stalls go first."""
        until = until if self._closed is None else min(until, self._closed)
        if until > since and not self.stalls.stands(side):
            self.stalls.begin(side, limit, since)
            self.stalls.end(side, limit, until)

    def over(self, time: int) -> None:
        """Nothing more comes: its session has ended, or the trace has."""
        self.stalls.end_all(time if self._closed is None else min(time, self._closed))

    def page_data(self) -> dict[str, object]:
        """Returns it for the page; what is not known is left out."""
        data: dict[str, object] = {
            "id": self.stream_id,
            "by": self.by,
            "push": self._is_push or None,
            "pushed_on": self._pushed_on,
            **self._about,
            "status": self._status,
            "opened": self._opened,
            "request_end": self._request_end,
            "first_byte": self._first_byte,
            "response_end": self._response_end,
            "closed": self._closed,
            **{f"end_{name}": text for name, text in self._ending.items()},
            "sent": self._bytes["sent"],
            "received": self._bytes["received"],
            "heads": self._heads or None,
            "ticks": {
                side: [number for point in ticks.points for number in point[:4]] for side, ticks in self._ticks.items()
            },
            "windows": self.windows.page_data() or None,
            "stalls": self.stalls.page_data() or None,
            "marks": self.marks.page_data() or None,
        }
        return {name: value for name, value in data.items() if value is not None}

    @property
    def is_merged(self) -> bool:
        """Whether some of its ticks are several pieces of a body."""
        return any(ticks.merged for ticks in self._ticks.values())

    def _keep_request(self, head: int | None, fields: list[object]) -> None:
        if head is not None:
            self._heads.setdefault("request", head)
        for field in map(Fields, fields):
            name = field.text("name") or ""
            if name in (":method", ":scheme", ":authority", ":path", ":protocol"):
                self._tell(name[1:], field.text("value"))

    def _tell(self, name: str, text: str | None) -> None:
        if text is not None:
            self._about.setdefault(name, text[:_MAX_TEXT])

    def _is_request(self, direction: Direction) -> bool:
        """Whether that is the direction of the request, rather than of the response."""
        return not self._is_push and (self.by == "local") == (direction == "sent")


def _status(fields: list[object]) -> int | None:
    for field in map(Fields, fields):
        if field.text("name") == ":status":
            value = field.text("value") or ""
            return int(value) if len(value) == 3 and value.isascii() and value.isdigit() else None
    return None

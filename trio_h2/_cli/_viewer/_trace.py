"""A trace as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._budget import Budget
from ._heads import Heads
from ._redaction import redacted, redacted_header
from ._session_view import SessionView

if TYPE_CHECKING:
    from ._records import Records

# Beyond it, a number is no time: some 300 years in milliseconds.
_MAX_TIME = 1e13


class Trace:
    """Gathers the sessions of a trace, in bounded memory.

    Args:
        records: what was read; it is read to its end.
        redact: whether header values and other secrets are left out.
    """

    def __init__(self, records: Records, *, redact: bool = False) -> None:
        self._budget = Budget()
        self._heads = Heads(self._budget)
        self._sessions: dict[str, SessionView] = {}
        self._unkept_sessions: set[str] = set()
        self._unknown = 0
        self._redact = redact
        header = redacted_header(records.header) if redact else records.header
        trace = header.fields("trace")
        self._title = header.text("title") or trace.text("title")
        self._made_by = trace.fields("vantage_point").text("name")
        self._started = trace.fields("common_fields").fields("reference_time").text("wall_clock_time")
        for event in records:
            time = event.number("time")
            if time is None or not 0 <= time <= _MAX_TIME:
                self._unknown += 1
                continue
            event = redacted(event) if redact else event
            session = self._session(event.text("group_id") or "", time)
            if session is not None and not session.add(event.text("name") or "", time, event.fields("data")):
                self._unknown += 1
        for session in self._sessions.values():
            session.over()
        self._cut, self._damaged = records.cut, records.damaged

    def summary(self) -> str:
        """Returns how much there is, for the user of the command."""
        streams = sum(len(session.streams) + session.left_out_streams for session in self._sessions.values())
        sessions = len(self._sessions) + len(self._unkept_sessions)
        cut = "; its last record is cut" if self._cut else ""
        return f"{_count(sessions, 'session')}, {_count(streams, 'stream')}{cut}"

    def notes(self) -> list[str]:
        """Returns what a reader must know of how complete the page is."""
        sessions = self._sessions.values()
        streams = [stream for session in sessions for stream in session.streams.values()]
        left_out_streams = sum(session.left_out_streams for session in sessions)
        marks = [*(session.marks for session in sessions), *(stream.marks for stream in streams)]
        left_out_marks = sum(each.left_out for each in marks)
        notes = []
        if self._cut:
            notes.append("The last record is cut: the program ended while it wrote. What is open here may have ended.")
        for number, what, why in (
            (self._damaged, "record", "could not be read"),
            (self._unknown, "event", "of a kind that this program does not know"),
            (len(self._unkept_sessions), "session", "found no room"),
            (left_out_streams, "stream", "found no room: the first ones are shown"),
            (left_out_marks, "mark", "(PING, SETTINGS, RST_STREAM …) found no room"),
            (self._heads.left_out, "header section", "found no room"),
        ):
            if number:
                notes.append(f"Left out: {_count(number, what)} {why}.")
        if any(stream.is_merged for stream in streams):
            notes.append("There is so much DATA that a tick may stand for several frames that came close together.")
        if self._redact:
            notes.append(
                "Redacted: values of header fields, queries, names of hosts, addresses, debug data and reasons are "
                "removed. Methods, paths, statuses, content lengths and error codes are not."
            )
        return notes

    def page_data(self) -> dict[str, object]:
        """Returns it for the page."""
        return {
            "title": self._title,
            "made_by": self._made_by,
            "started": self._started,
            "notes": self.notes(),
            "heads": self._heads.sections(),
            "sessions": [session.page_data() for session in self._sessions.values()],
        }

    def _session(self, name: str, time: float) -> SessionView | None:
        session = self._sessions.get(name)
        if session is None and name not in self._unkept_sessions:
            if self._budget.sessions <= 0:
                self._unkept_sessions.add(name)
                return None
            self._budget.sessions -= 1
            session = self._sessions[name] = SessionView(name, time, self._heads, self._budget)
        return session


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"

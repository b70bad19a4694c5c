"""How a WebSocket ends, as a value that exceptions are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._errors import WebSocketBrokenError, WebSocketClosedError, WebSocketClosedHereError

if TYPE_CHECKING:
    import trio_h2

NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, ABNORMAL, INTERNAL_ERROR = 1000, 1001, 1002, 1005, 1006, 1011
"""RFC 6455 §7.4.1."""
_EXPECTED = frozenset({NORMAL, GOING_AWAY, NO_STATUS})
"""Codes with which a peer ends a conversation, rather than breaking it off."""


@dataclass(frozen=True, slots=True)
class End:
    """How a WebSocket ended, or is ending."""

    code: int
    reason: str
    initiator: trio_h2.Initiator
    here: bool
    """Whether this side closed it, in good order."""
    cause: BaseException | None = None
    failure: str = ""
    """What went wrong, if something did."""

    @property
    def expected(self) -> bool:
        """Whether it is no news for somebody who reads to the end."""
        return not self.failure and (self.here or self.code in _EXPECTED)

    @property
    def message(self) -> str:
        """What happened, in one sentence."""
        who = "this side" if self.here else "the peer"
        said = f"{self.code} ({self.reason[:64]})" if self.reason else str(self.code)
        return self.failure or f"{who} closed the WebSocket with {said}"

    def error(self, stream: trio_h2.Stream) -> WebSocketClosedError:
        """Returns a new exception for it."""
        kind = WebSocketClosedHereError if self.here else WebSocketBrokenError
        error = kind(
            self.message,
            close_code=self.code,
            close_reason=self.reason,
            initiator=self.initiator,
            stream_id=stream.id,
            stream=stream,
        )
        error.__cause__ = self.cause
        return error

"""Why a stream or a session of the reference peer is over."""

from __future__ import annotations

import dataclasses

import trio

import trio_h2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ended a stream or a session, as a value: every task that asks gets an exception of its own.

    Attributes:
        kind: The class of the exception; None if this side closed what is over.
        message: What happened.
        code: The error code that was sent or received, if any.
        initiator: Who ended it.
        stream_id: The stream concerned, None for the session.
        debug_data: What came with GOAWAY.
        cause: What the exception is raised from.
    """

    kind: type[trio_h2.H2Error] | None
    message: str
    code: int | None = None
    initiator: trio_h2.Initiator | None = None
    stream_id: int | None = None
    debug_data: bytes = b""
    cause: BaseException | None = None

    def error(self) -> trio_h2.H2Error | trio.ClosedResourceError:
        """Returns a new exception; raise it at once."""
        error: trio_h2.H2Error | trio.ClosedResourceError
        if self.kind is None:
            error = trio.ClosedResourceError(self.message)
        else:
            error = self.kind(
                self.message,
                code=self.code,
                initiator=self.initiator,
                stream_id=self.stream_id,
                debug_data=self.debug_data,
            )
        error.__cause__ = self.cause
        return error

    @property
    def is_fault(self) -> bool:
        """Whether one side has told the other that it broke the protocol, which no test should miss."""
        if self.kind is None or issubclass(self.kind, trio_h2.TransportLostError):
            return False
        return self.code != trio_h2.ErrorCode.NO_ERROR

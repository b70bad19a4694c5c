"""Extension frames of the peer: those we know become events, everything else is discarded.

RFC 9113 §5.5: "Implementations MUST discard frames that have unknown or unsupported types." All of them count as
overhead, so that a peer cannot keep us busy with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._codes import ErrorCode, Role
from ._events import AltSvcAnnounced, OriginsAnnounced, PriorityUpdated
from ._extframes import ALTSVC, ORIGIN, PRIORITY_UPDATE, read_altsvc, read_origin, read_priority_update
from ._failure import SessionFaultError
from ._schedule import parse_priority

if TYPE_CHECKING:
    from hyperframe.frame import ExtensionFrame

    from ._reception import Reception
    from ._schedule import Priority


class ExtensionReceiver:
    """Reads the extension frames of one session."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._early: dict[int, Priority] = {}
        """Priorities of streams that are not open yet."""

    def frame(self, frame: ExtensionFrame) -> None:
        """Checks one frame and reports what it says."""
        reception = self._reception
        reception.overhead()
        client = reception.engine.role is Role.CLIENT
        stream_id, payload = frame.stream_id, bytes(frame.body)
        if frame.type == PRIORITY_UPDATE:
            self._priority_update(stream_id, payload)
        elif frame.type == ALTSVC and client:  # RFC 7838 §4: a server "MUST ignore it"
            self._altsvc(stream_id, payload)
        elif frame.type == ORIGIN and client:
            origins = read_origin(stream_id, frame.flag_byte, payload)
            if origins is not None:
                reception.events.append(OriginsAnnounced(origins))

    def _altsvc(self, stream_id: int, payload: bytes) -> None:
        announced = read_altsvc(stream_id, payload)
        # On a stream it is about the origin of its request, which we only know as long as the stream is open.
        if announced is not None and (not stream_id or stream_id in self._reception.engine.streams):
            self._reception.events.append(AltSvcAnnounced(*announced, stream_id))

    # -- priorities ------------------------------------------------------------------------------------------------

    def _priority_update(self, stream_id: int, payload: bytes) -> None:
        engine = self._reception.engine
        if engine.role is Role.CLIENT:
            # RFC 9218 §7.1: "If a client receives a PRIORITY_UPDATE frame, it MUST respond with a connection error of
            # type PROTOCOL_ERROR."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "the server sent PRIORITY_UPDATE")
        prioritized, value = read_priority_update(stream_id, payload)
        priority = parse_priority(value)  # what is kept must not be as large as the client likes
        if prioritized in engine.streams:
            self._reception.events.append(PriorityUpdated(prioritized, priority))
        elif self._reception.is_idle(prioritized):
            self._keep(prioritized, priority)

    def _keep(self, stream_id: int, priority: Priority) -> None:
        """Keeps what was said of a stream that is not open yet."""
        engine = self._reception.engine
        if stream_id % 2 == 0:
            # RFC 9218 §7.1, of a push stream: in the idle state, the server "MUST respond with a connection error of
            # type PROTOCOL_ERROR".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"PRIORITY_UPDATE of idle stream {stream_id}")
        for skipped in [early for early in self._early if not self._reception.is_idle(early)]:
            del self._early[skipped]  # the client jumped over it
        self._early[stream_id] = priority
        # RFC 9218 §7.1: "the number of streams that have been prioritized but remain in the 'idle' state plus the
        # number of active streams […] MUST NOT exceed the value of the SETTINGS_MAX_CONCURRENT_STREAMS parameter."
        if len(self._early) + engine.requests > engine.max_streams:
            if engine.settings_pending:  # the client may not know that limit yet
                del self._early[stream_id]
                return
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "more prioritized streams than may be open")

    def opened(self, stream_id: int) -> None:
        """A stream of the peer has opened: what was said of it before holds now, over its own `priority` field."""
        priority = self._early.pop(stream_id, None)
        if priority is not None:
            self._reception.events.append(PriorityUpdated(stream_id, priority))

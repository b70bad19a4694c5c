"""What a server's session knows of its pushes: whose they are, and which of them waits for its turn to respond."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from .._stream._push_out import PromisedStream
from .._util import construct
from .._wire._headers import Headers
from .._wire._schedule import parse_priority
from ._base import Session
from ._slots import SlotLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    import trio

    from .._stream._port import ServerPort
    from .._stream._server import ServerStream
    from .._wire._config import ServerConfig
    from .._wire._headers import RawField


class PushingSession(Session):
    """The part of a server's session that is about pushed streams (RFC 9113 §8.4).

    A promise goes out at once, since "streams in either of the "reserved" states do not count toward the stream limit"
    (§5.1.2). Its response makes it count, so that waits in line while the client allows no further one.
    """

    def __init__(self, transport: trio.abc.Stream, config: ServerConfig, *, label: str) -> None:
        super().__init__(transport, config, label=label)
        self._push_line = SlotLine()
        self._pushes: dict[int, dict[int, PromisedStream]] = {}
        """The pushed streams that are not over, by the ids of those they were pushed from and their own."""

    # -- for the streams: see ServerPort ---------------------------------------------------------------------------

    def _push(self, parent: ServerStream, fields: Sequence[RawField]) -> PromisedStream:
        promised_id = self._engine.push(parent.id, fields[0][1], fields)  # the method comes first
        headers = Headers.from_raw(list(fields))
        stream = construct(PromisedStream, cast("ServerPort", self), promised_id, headers, parent.id)
        self._stream_opened(stream)
        stream._remote_ended()
        priority = headers.get("priority")
        if priority is not None:
            self._scheduler.prioritize(promised_id, parse_priority(priority))
        self._pushes.setdefault(parent.id, {})[promised_id] = stream
        self._wake_writer()
        return stream

    async def _wait_push_turn(self, stream: PromisedStream) -> None:
        if not self._is_reserved(stream):  # an interim response has been sent before
            await self._control_room()
            return
        try:
            await self._push_line.wait_turn(stream._turn, self._has_slot, partial(self._is_reserved, stream))
        finally:
            self._push_line.leave(stream._turn)

    def _is_reserved(self, stream: PromisedStream) -> bool:
        """Whether a response may still begin; `respond` finds out what is wrong if not."""
        wire = self._engine.streams.get(stream.id)
        return wire is not None and wire.reserved

    def _has_slot(self) -> bool:
        return self._engine.has_push_slot() and self._engine.output_size <= self._config.max_queued_control

    # -- inside ----------------------------------------------------------------------------------------------------

    def _settle_pushes(self, parent: ServerStream, *, returned: bool) -> None:
        """The handler of *parent* has ended: nobody will finish what it pushed."""
        for stream in list(self._pushes.pop(parent.id, {}).values()):
            stream._owner_over(returned=returned)

    @property
    def _waiting_for_slot(self) -> int:
        return len(self._push_line)

    def _slots_changed(self, *, for_ever: bool = False) -> None:
        self._push_line.wake()  # that a stream has ended, its own turn tells it

    def _stream_closed(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if isinstance(stream, PromisedStream):
            self._pushes.get(stream.parent_id, {}).pop(stream_id, None)
        super()._stream_closed(stream_id)

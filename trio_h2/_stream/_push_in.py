"""A stream that the server pushes: a request that it made itself, and the response to that (RFC 9113 §8.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._errors import LocalProtocolError
from ._request import RequestFacts
from ._response import ResponseStream

if TYPE_CHECKING:
    from .._wire._headers import Headers
    from ._port import SessionPort


class PushedStream(RequestFacts, ResponseStream):
    """The client's side of a push; given to the *push_handler* of `connect`.

    ``headers`` are those of the promised request; what follows is a response as to any request. ``reset`` refuses it.
    Nothing can be sent: sending raises `LocalProtocolError`.
    """

    def __init__(self, port: SessionPort, stream_id: int, headers: Headers, parent_id: int) -> None:
        super().__init__(port, stream_id)
        self._headers = headers
        self._parent_id = parent_id
        self._scope = trio.CancelScope()
        # RFC 9113 §5.1: from "reserved (remote)", "Receiving a HEADERS frame causes the stream to transition to
        # "half-closed (local)"": our side has ended before it began.
        self._outbox.end_with_headers()

    @property
    def parent_id(self) -> int:
        """The id of the request's stream that the server pushed on; that may be over already."""
        return self._parent_id

    def _check_can_send(self) -> None:
        if self._outbox.closed:
            self._outbox.check()
        raise LocalProtocolError("a pushed stream brings a response; nothing can be sent on it", stream_id=self._id)

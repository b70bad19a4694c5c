"""The protocol of an HTTP/1.1 connection that instruments look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._request import RequestHead
from ._wire import BodyReceived, EndReceived, Http1Wire, Sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._trace._seen import Message
    from .._wire._config import ServerConfig
    from .._wire._headers import RawField
    from ._trace import Http1Trace


class TracedHttp1Wire(Http1Wire):
    """An `Http1Wire` that tells of each part of a message.

    Args:
        config: see `Http1Wire`.
        scheme: see there.
        closed: see there.
        trace: who is told.
    """

    def __init__(self, config: ServerConfig, scheme: bytes, closed: Callable[[int], None], trace: Http1Trace) -> None:
        super().__init__(config, scheme, self._exchange_closed)
        self._trace = trace
        self._tell_closed = closed
        self._in_next = False
        self._closed_in_next = False
        self._head_of: Message | None = None
        """What the next bytes that h11 makes are the head of."""

    def next(self) -> RequestHead | BodyReceived | EndReceived | None:
        """Returns the next event."""
        self._in_next = True
        try:
            event = super().next()
        finally:
            self._in_next = False
        if isinstance(event, RequestHead):
            self._trace.request(self.number, event)
        elif isinstance(event, BodyReceived):
            self._trace.data_received(self.number, len(event.data))
        elif isinstance(event, EndReceived):
            self._trace.end_received(self.number, event.trailers)
        if self._closed_in_next:  # with the end that was just told
            self._closed_in_next = False
            self._trace.closed()
        return event

    def send_response(self, stream_id: int, fields: Sequence[RawField], *, end_stream: bool) -> None:
        """Sends the final response headers."""
        self._head_of = "response"
        super().send_response(stream_id, fields, end_stream=end_stream)

    def send_informational(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Sends a 1xx response."""
        self._head_of = "informational"
        super().send_informational(stream_id, fields)
        self._head_of = None  # to HTTP/1.0 nothing was sent

    def switch_protocols(self, stream_id: int, protocol: bytes, fields: Sequence[RawField]) -> None:
        """Answers 101."""
        self._head_of = "response"
        super().switch_protocols(stream_id, protocol, fields)

    def answer(self, status: int) -> None:
        """Answers what is no request, or has gone wrong before its response."""
        before = len(self.output)
        super().answer(status)
        self._trace.head_sent(self.number, "response", bytes(self.output[before:]))

    def send_data(self, stream_id: int, data: bytes | memoryview, *, end_stream: bool) -> None:
        """Sends body bytes, and perhaps the end."""
        if data:
            self._trace.data_sent(stream_id, len(data))
        super().send_data(stream_id, data, end_stream=end_stream)

    def tunnel_ended(self) -> None:
        """The client has ended its side of a tunnel."""
        self._trace.end_received(self.number, None)
        super().tunnel_ended()

    def reset(self, stream_id: int, code: int) -> None:
        """Gives the exchange up."""
        if stream_id in self.streams:
            self._trace.reset()
        super().reset(stream_id, code)

    def release(self) -> None:
        """Forgets whom to tell of ends."""
        super().release()
        self._tell_closed = _ignore

    def _send(self, event: Sendable) -> bytes:
        data = super()._send(event)
        message, self._head_of = self._head_of, None
        if message is not None:
            self._trace.head_sent(self.number, message, data)
        return data

    def _end_message(self, trailers: list[RawField]) -> None:
        self._trace.end_sent(self.number, trailers)
        super()._end_message(trailers)

    def _exchange_closed(self, stream_id: int) -> None:
        self._tell_closed(stream_id)
        if self._in_next:
            self._closed_in_next = True
        else:
            self._trace.closed()


def _ignore(stream_id: int) -> None:
    """Tells nobody."""

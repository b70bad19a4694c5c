"""An HTTP/1.1 connection as its instruments see it: made only where a configuration has some."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from .._session._ending import is_clean
from .._session._session_info import session_info
from .._session._traced_transport import TracedTransport
from .._session._write_watch import WriteWatch
from .._trace._audience import Audience
from .._trace._seen import MessagePart, SessionEnd, StreamInfo
from .._trace._stalls import Stalls
from .._trace._stream_book import StreamBook
from .._wire._codes import Initiator, Role
from .._wire._headers import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Literal

    from .._stream._server import Handler, ServerStream
    from .._stream._transport import TransportView
    from .._trace._instrument import Instrument
    from .._trace._seen import Message
    from .._wire._failure import SessionFailure, StreamFailure
    from .._wire._headers import RawField
    from ._request import RequestHead


class Http1Trace:
    """Tells the instruments of one HTTP/1.1 connection what happens on it.

    Args:
        instruments: those of its configuration.
        below: its transport.
        transport: what is known of that.
        label: names the connection in the log.
        failure: returns what broke the exchange, if something did.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        below: trio.abc.Stream,
        transport: TransportView,
        label: str,
        failure: Callable[[], StreamFailure | SessionFailure | None],
    ) -> None:
        self._failure = failure
        self._audience = Audience(instruments)
        self._info = session_info(transport, Role.SERVER, "1.1", label)
        self._stalls = Stalls(self._audience, self._info)
        self._exchange: StreamBook | None = None
        """The exchange that is open."""
        self._ended_last = Initiator.LOCAL
        self._exchanges = 0
        self._bytes_sent = self._bytes_received = 0
        self.write_watch: WriteWatch = WriteWatch(self._stalls)
        self.transport: TracedTransport = TracedTransport(below, self)
        """What the connection writes and reads in place of its transport."""
        now = trio.current_time()
        self._audience.tell(lambda one: one.session_started(self._info, now))

    # -- bytes -----------------------------------------------------------------------------------------------------

    def sent(self, data: bytes | bytearray | memoryview) -> None:
        """The transport is given bytes."""
        self._bytes_sent += len(data)

    def received(self, data: bytes) -> None:
        """Bytes came."""
        self._bytes_received += len(data)

    @contextmanager
    def unread(self) -> Iterator[None]:
        """Around the wait for a handler that has so much to read that nothing more is received."""
        number = 0 if self._exchange is None else self._exchange.info.stream_id
        self._stalls.set(number, "receive", "stream_window", trio.current_time(), stalled=True)
        try:
            yield
        finally:
            self._stalls.set(number, "receive", "stream_window", trio.current_time(), stalled=False)

    # -- messages --------------------------------------------------------------------------------------------------

    def request(self, number: int, head: RequestHead) -> None:
        """The head of a request came."""
        now = trio.current_time()
        fields = [(name.lower(), value) for name, value in head.spelled()]
        target = head.headers.first(b":path") or head.headers.first(b":authority")
        self._received(
            MessagePart(
                *(number, "head", "request"),
                method=head.method.decode("latin-1"),
                target=target,
                headers=Headers.from_raw(fields),
            ),
            now,
        )
        info = StreamInfo(number, Initiator.REMOTE, False, head.headers, now)
        self._exchange = StreamBook(info)
        self._exchanges += 1
        self._audience.tell(lambda one: one.stream_opened(self._info, info, now))

    def data_received(self, number: int, size: int) -> None:
        """Bytes of the body, or of a tunnel, came."""
        if self._exchange is not None:
            self._exchange.bytes_received += size
        self._received(MessagePart(number, "data", length=size), trio.current_time())

    def end_received(self, number: int, trailers: Headers | None) -> None:
        """The request is complete."""
        self._ended_last = Initiator.REMOTE
        self._received(MessagePart(number, "end", headers=trailers), trio.current_time())

    def head_sent(self, number: int, message: Message, head: bytes) -> None:
        """The head of a response was framed."""
        status, fields = _read_head(head)
        now = trio.current_time()
        if self._exchange is not None and message == "response":
            self._exchange.response(status, now)
        code = int(status) if status.isdigit() else None
        self._sent(MessagePart(number, "head", message, status=code, headers=Headers.from_raw(fields)), now)

    def data_sent(self, number: int, size: int) -> None:
        """Bytes of the body, or of a tunnel, were framed."""
        if self._exchange is not None:
            self._exchange.bytes_sent += size
        self._sent(MessagePart(number, "data", length=size), trio.current_time())

    def end_sent(self, number: int, trailers: Sequence[RawField]) -> None:
        """The response is complete."""
        self._ended_last = Initiator.LOCAL
        headers = Headers.from_raw(list(trailers)) if trailers else None
        self._sent(MessagePart(number, "end", headers=headers), trio.current_time())

    def _received(self, part: MessagePart, now: float) -> None:
        self._audience.tell(lambda one: one.part_received(self._info, part, now))

    def _sent(self, part: MessagePart, now: float) -> None:
        self._audience.tell(lambda one: one.part_sent(self._info, part, now))

    # -- handlers and ends -----------------------------------------------------------------------------------------

    def handler(self, handler: Handler) -> Handler:
        """Returns *handler* in the blocks that the instruments want around it."""

        async def traced(stream: ServerStream) -> None:
            now = trio.current_time()
            with self._audience.around(lambda one: one.handling(self._info, stream.id, stream.headers, now)):
                await handler(stream)

        return traced

    def reset(self) -> None:
        """The exchange was given up by this side."""
        failure = self._failure()
        if failure is None:
            self._close("reset", Initiator.LOCAL, None)
        else:
            self._close("reset", failure.initiator, failure.reason)

    def closed(self) -> None:
        """Both sides of the exchange have ended."""
        self._close("complete", self._ended_last, None)

    def end(self, failure: SessionFailure | None) -> None:
        """All has ended, and the transport is closed."""
        by = Initiator.LOCAL if failure is None else failure.initiator
        clean = failure is None or is_clean(failure)
        reason = "the connection has ended in good order" if failure is None or clean else failure.reason
        self._close("session", by, reason)
        now = trio.current_time()
        self._stalls.session_ended(now)
        end = SessionEnd(
            reason=reason,
            by=by,
            clean=clean,
            error_code=None,
            streams=self._exchanges,
            bytes_sent=self._bytes_sent,
            bytes_received=self._bytes_received,
        )
        self._audience.tell(lambda one: one.session_ended(self._info, end, now))
        self._failure = _none  # lets go of what refers back here
        del self.transport

    def _close(self, how: Literal["complete", "reset", "session"], by: Initiator, reason: str | None) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        now = trio.current_time()
        self._stalls.stream_ended(exchange.info.stream_id, now)
        end = exchange.end(how, by, now, reason=reason)
        self._audience.tell(lambda one: one.stream_closed(self._info, exchange.info, end, now))


def _none() -> None:
    """Nothing broke, or nobody knows any more."""


def _read_head(head: bytes) -> tuple[str, list[RawField]]:
    """Returns status and fields of a head that was made here."""
    first, *lines = head.partition(b"\r\n\r\n")[0].split(b"\r\n")
    fields = [line.partition(b":") for line in lines]
    return first.split(b" ")[1].decode("latin-1"), [(name.lower(), value.strip()) for name, _, value in fields]

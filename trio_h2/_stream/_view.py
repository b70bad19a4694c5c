"""What is known of a stream, to be read at any time; and the wait for its end.

All of it is written by `Stream` and its children, in the tasks that they name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import trio

from .._errors import from_failure
from .._util import NoPublicConstructor
from .._wire._codes import ErrorCode, Initiator
from .._wire._failure import Cause, StreamFailure
from ._inbox import Inbox
from ._outbox import Outbox
from ._priority import DEFAULT_WEIGHT
from ._state import stream_state

if TYPE_CHECKING:
    from .._wire._failure import SessionFailure
    from .._wire._headers import Headers
    from ._port import SessionPort, StreamSession
    from ._state import StreamState
    from ._transport import TransportView


class StreamView(trio.abc.HalfCloseableStream, metaclass=NoPublicConstructor):
    """The state of a `Stream`, and its properties."""

    def __init__(self, port: SessionPort, stream_id: int) -> None:
        self._port = port
        self._id = stream_id
        self._inbox = Inbox(port, stream_id)
        self._outbox = Outbox(port, stream_id)
        self._sent_headers: Headers | None = None
        self._sent_info_headers: list[Headers] = []
        self._sent_trailers: Headers | None = None
        self._received_headers: Headers | None = None
        self._end_after_headers = False
        self._trailers: Headers | None = None
        self._rst_code: ErrorCode | int | None = None
        self._aborted = False
        self._broken: StreamFailure | SessionFailure | None = None
        self._weight = DEFAULT_WEIGHT
        self._closed = False
        self._idle_timeout = port.config.stream_idle_timeout
        self._wire_over = trio.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} #{self._id}>"

    # -- where it is -----------------------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        """The stream identifier (RFC 9113 §5.1.1)."""
        return self._id

    @property
    def session(self) -> StreamSession:
        """The session of this stream: how a handler learns that it drains, for instance.

        ``None`` once the stream is `destroyed`. Its type does not say so, for whoever still uses a stream has one.
        """
        return cast("StreamSession", None) if self.destroyed else self._port

    @property
    def transport(self) -> TransportView:
        """What is below the session, to look at: addresses, certificates, what ALPN agreed on."""
        return self._port.transport

    @property
    def _alive(self) -> bool:
        """Whether the stream is still open on the wire, in at least one direction."""
        return self._id in self._port._engine.streams and self._port._failure is None

    @property
    def pending(self) -> bool:
        """Whether the stream has no id yet: never, for only `Request` blocks wait for one."""
        return False

    @property
    def state(self) -> StreamState:
        """The stream on the wire (RFC 9113 §5.1): state, windows, weights. A snapshot."""
        return stream_state(self._port._engine, self._id, self._weight, over=self._port._failure is not None)

    @property
    def closed(self) -> bool:
        """Whether the stream is over on the wire: both sides have ended, it was reset, or its session is over."""
        return self._wire_over.is_set()

    @property
    def destroyed(self) -> bool:
        """Whether the stream is over on the wire and given up on this side, so that nothing can be done with it."""
        return self._closed and self._wire_over.is_set()

    @property
    def aborted(self) -> bool:
        """Whether the stream broke while our side was still open, whoever broke it."""
        return self._aborted

    @property
    def rst_code(self) -> ErrorCode | int | None:
        """``None`` while it is open, then the code of the RST_STREAM that ended it; NO_ERROR on a normal end.

        If its session broke under it: the session's code, or CANCEL where that tells nothing.
        """
        return self._rst_code

    # -- what was sent and received --------------------------------------------------------------------------------

    @property
    def buffer_size(self) -> int:
        """Octets accepted for sending that are not framed yet."""
        return self._outbox.buffered

    @property
    def body_sent(self) -> int:
        """Octets of the body accepted for sending so far, `buffer_size` included; none of what HEAD drops."""
        return self._outbox.accepted

    @property
    def torn(self) -> bool:
        """Whether a cancelled `Stream.send_all` has left what was sent incomplete, so that only ``reset`` and
        ``aclose`` remain.
        """
        return self._outbox.torn

    @property
    def sent_headers(self) -> Headers | None:
        """The headers that were sent: of the request, or of the final response; ``None`` before."""
        return self._sent_headers

    @property
    def sent_info_headers(self) -> list[Headers]:
        """The 1xx responses that were sent, in order; a client sends none."""
        return list(self._sent_info_headers)

    @property
    def sent_trailers(self) -> Headers | None:
        """The trailers handed over for sending, ``None`` before."""
        return self._sent_trailers

    @property
    def trailers(self) -> Headers | None:
        """The trailers that were received, ``None`` before; `receive_trailers` waits for them."""
        return self._trailers

    @property
    def end_after_headers(self) -> bool:
        """Whether the peer ended its side with its headers: no body and no trailers."""
        return self._end_after_headers

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The received headers (of the request, or of the final response) as pairs, in order, with duplicates."""
        return [] if self._received_headers is None else self._received_headers.raw

    @property
    def flags(self) -> int:
        """The flags of the HEADERS frame with those headers (RFC 9113 §6.2), as a number; 0 before it came."""
        return 0 if self._received_headers is None else self._received_headers.flags

    # -- its end ---------------------------------------------------------------------------------------------------

    async def wait_closed(self) -> None:
        """Waits until the stream is over on the wire, in both directions; what was received stays readable.

        Cancelled: nothing happened.

        Raises:
            StreamResetError: it was reset, though not by this side.
            SessionError: its session broke.
            trio.ClosedResourceError: this side destroyed it because of an error, which is the cause.
        """
        await trio.lowlevel.checkpoint()
        await self._wire_over.wait()
        if self._inbox.destroyed_by is not None:
            raise self._inbox.closed_error()
        broken = self._broken
        if broken is None or broken.initiator is Initiator.LOCAL:
            return
        raise from_failure(broken)

    # -- for the session -------------------------------------------------------------------------------------------

    def _note_failure(self, failure: StreamFailure | SessionFailure, *, harmless: bool) -> None:
        """The stream broke; *harmless*: the peer only wants no more of what we send."""
        if not self._outbox.ended:
            self._aborted = True
        if not harmless and self._broken is None:
            self._broken = failure
        if isinstance(failure, StreamFailure):
            self._rst_code = failure.code
            return
        if self._rst_code is None:
            code = None if failure.cause is Cause.CLOSED else failure.code
            self._rst_code = code or ErrorCode.CANCEL
        self._wire_over.set()

    def _wire_closed(self) -> None:
        """Both sides have ended on the wire."""
        if self._rst_code is None:
            self._rst_code = self._outbox.reset_after_end or ErrorCode.NO_ERROR
        self._wire_over.set()

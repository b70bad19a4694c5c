"""A stream on which a response comes: interim ones, the final one, and what keeps it from coming."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._errors import from_failure
from .._util import ConflictDetector
from .._wire._extframes import PRIORITY_UPDATE, priority_update_payload
from ._base import Stream

if TYPE_CHECKING:
    from .._wire._failure import SessionFailure, StreamFailure
    from .._wire._headers import Headers
    from .._wire._schedule import Priority
    from ._port import SessionPort


class ResponseStream(Stream):
    """The client's side of one exchange, as far as the response goes."""

    def __init__(self, port: SessionPort, stream_id: int) -> None:
        super().__init__(port, stream_id)
        self._informational: list[Headers] = []
        self._informational_taken = 0
        self._informational_waiting = trio.lowlevel.ParkingLot()
        self._informational_conflict = ConflictDetector("another task is receiving informational responses")
        self._response: Headers | None = None
        self._response_failure: StreamFailure | SessionFailure | None = None
        self._response_known = trio.Event()

    @property
    def informational(self) -> list[Headers]:
        """The 1xx responses so far, in order (RFC 9110 §15.2); `receive_informational` waits for the next one."""
        return list(self._informational)

    async def receive_informational(self) -> Headers | None:
        """Waits for the next 1xx response (RFC 9110 §15.2), each of which is returned once, in order.

        Cancelled: nothing is lost.

        Returns:
            Its headers with their ``status`` and ``flags``, or ``None`` if none is left and the final response has
            come.

        Raises:
            StreamRefusedError: the server did not process the request; a retry is safe.
            StreamResetError: the stream was reset first.
            SessionError: the session broke first.
            trio.ClosedResourceError: this side closed the stream first.
            trio.BusyResourceError: another task is in this method.
        """
        with self._informational_conflict:
            await trio.lowlevel.checkpoint()
            while self._informational_taken == len(self._informational):
                if self._response_known.is_set():
                    self._check_response()
                    return None
                await self._informational_waiting.park()
            self._informational_taken += 1
            return self._informational[self._informational_taken - 1]

    async def receive_response(self) -> Headers:
        """Waits for the final response headers; later calls return them again.

        Cancelled: nothing is lost.

        Returns:
            The headers; ``headers.status`` is the status code.

        Raises:
            StreamRefusedError: the server did not process the request; a retry is safe.
            StreamResetError: the stream was reset first.
            SessionError: the session broke first.
            trio.ClosedResourceError: this side closed the stream first.
        """
        await self._response_known.wait()
        return self._check_response()

    def _check_response(self) -> Headers:
        """Returns the response, or raises why there is none."""
        if self._response is not None:
            return self._response
        if self._closed:
            raise self._inbox.closed_error()
        assert self._response_failure is not None
        raise from_failure(self._response_failure)

    # -- for the session -------------------------------------------------------------------------------------------

    def _signal_priority(self, priority: Priority, *, silent: bool) -> None:
        if not silent:
            payload = priority_update_payload(self._id, str(priority).encode("ascii"))
            self._port._engine.send_extension(PRIORITY_UPDATE, 0, payload)
            self._port._wake_writer()

    def _informational_received(self, headers: Headers) -> None:
        self._informational.append(headers)
        self._informational_waiting.unpark_all()

    def _response_received(self, headers: Headers, *, end_stream: bool) -> None:
        self._response = self._received_headers = headers
        self._end_after_headers = end_stream
        self._settle()

    def _settle(self) -> None:
        """Whoever waits for a response need not any more."""
        self._response_known.set()
        self._informational_waiting.unpark_all()

    def _fail(self, failure: StreamFailure | SessionFailure) -> None:
        super()._fail(failure)
        if not self._response_known.is_set():
            self._response_failure = failure
            self._settle()

    def _close(self) -> None:
        super()._close()
        self._settle()

    def _abandon(self, error: BaseException | None = None) -> None:
        super()._abandon(error)
        self._settle()

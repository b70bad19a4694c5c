"""A stream that this side opened with a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._errors import LocalProtocolError, from_failure
from .._wire._extframes import PRIORITY_UPDATE, priority_update_payload
from ._base import Stream

if TYPE_CHECKING:
    from .._wire._failure import SessionFailure, StreamFailure
    from .._wire._headers import Headers
    from .._wire._schedule import Priority
    from ._port import SessionPort


class ClientStream(Stream):
    """The client's side of one exchange: the request is sent, the response comes.

    Made by `ClientSession.request` and `ClientSession.open_stream`.
    """

    def __init__(self, port: SessionPort, stream_id: int, sent_headers: Headers) -> None:
        super().__init__(port, stream_id)
        self._sent_headers = sent_headers
        self._informational: list[Headers] = []
        self._response: Headers | None = None
        self._response_failure: StreamFailure | SessionFailure | None = None
        self._response_known = trio.Event()

    @property
    def sent_headers(self) -> Headers:
        """The request headers."""
        return self._sent_headers

    @property
    def informational(self) -> list[Headers]:
        """The 1xx responses so far, in order (RFC 9110 §15.2)."""
        return list(self._informational)

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
        if self._response is not None:
            return self._response
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed on this side")
        assert self._response_failure is not None
        raise from_failure(self._response_failure)

    def _check_can_send_trailers(self) -> None:
        if self._sent_headers[":method"] == "CONNECT":
            # RFC 9113 §8.5: of what is sent on a connected stream, HEADERS "MUST NOT be".
            raise LocalProtocolError("a tunnel has no trailers", stream_id=self._id)
        super()._check_can_send_trailers()

    def _signal_priority(self, priority: Priority, *, silent: bool) -> None:
        if not silent:
            payload = priority_update_payload(self._id, str(priority).encode("ascii"))
            self._port._engine.send_extension(PRIORITY_UPDATE, 0, payload)
            self._port._wake_writer()

    def _informational_received(self, headers: Headers) -> None:
        self._informational.append(headers)

    def _response_received(self, headers: Headers) -> None:
        self._response = headers
        self._response_known.set()

    def _fail(self, failure: StreamFailure | SessionFailure) -> None:
        super()._fail(failure)
        if not self._response_known.is_set():
            self._response_failure = failure
            self._response_known.set()

    def _close(self) -> None:
        super()._close()
        self._response_known.set()

    def _abandon(self) -> None:
        super()._abandon()
        self._response_known.set()

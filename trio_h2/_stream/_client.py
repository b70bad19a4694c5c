"""A stream that this side opened with a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._errors import LocalProtocolError
from .._wire._codes import ErrorCode, Initiator
from ._response import ResponseStream

if TYPE_CHECKING:
    from .._wire._headers import Headers
    from ._port import SessionPort


class ClientStream(ResponseStream):
    """The client's side of one exchange: the request is sent, the response comes.

    Made by `ClientSession.request` and `ClientSession.open_stream`.
    """

    def __init__(self, port: SessionPort, stream_id: int, sent_headers: Headers) -> None:
        super().__init__(port, stream_id)
        self._sent_headers: Headers = sent_headers
        self._refused = False
        """The server answered a request that expected 100, and does not want its body."""

    @property
    def sent_headers(self) -> Headers:
        """The request headers."""
        return self._sent_headers

    def _check_can_send_trailers(self) -> None:
        if self._sent_headers[":method"] == "CONNECT":
            # RFC 9113 §8.5: of what is sent on a connected stream, HEADERS "MUST NOT be".
            raise LocalProtocolError("a tunnel has no trailers", stream_id=self._id)
        super()._check_can_send_trailers()

    # -- for the session -------------------------------------------------------------------------------------------

    def _informational_received(self, headers: Headers) -> None:
        super()._informational_received(headers)
        if headers.status == 100:
            self._outbox.release()

    def _response_received(self, headers: Headers, *, end_stream: bool) -> None:
        super()._response_received(headers, end_stream=end_stream)
        if self._outbox.held and headers.status >= 400:
            # RFC 9110 §10.1.1: 417 means "that the response chain does not support expectations", and other errors
            # tell that the body would be in vain.
            self._refused = True
            self._outbox.stop()
        else:
            self._outbox.release()

    def _remote_ended(self, trailers: Headers | None = None) -> None:
        super()._remote_ended(trailers)
        if self._refused:  # without its body, the request can only be ended so
            self._reset(ErrorCode.CANCEL, Initiator.LOCAL, "the server did not want the body of the request")

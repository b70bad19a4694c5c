"""A stream that this side opened with a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .._errors import LocalProtocolError
from .._util import interrupt_safe
from .._wire._extframes import PRIORITY_UPDATE, priority_update_payload
from ._base import Stream

if TYPE_CHECKING:
    from trio_h2 import ClientSession

    from .._wire._headers import Headers
    from .._wire._schedule import Priority
    from ._core import StreamCore


@interrupt_safe
class ClientStream(Stream):
    """The client's side of one exchange: the request is sent, the response comes.

    Made by `ClientSession.request` and `ClientSession.open_stream`.
    """

    def __init__(self, core: StreamCore) -> None:
        super().__init__(core)
        assert core.response is not None
        self._response = core.response

    @property
    def session(self) -> ClientSession:
        """The session that the request was sent on; the same still when it is over."""
        return cast("ClientSession", self._core.session)

    @property
    def sent_headers(self) -> Headers:
        """The request headers."""
        assert self._core.sent_headers is not None
        return self._core.sent_headers

    @property
    def informational(self) -> list[Headers]:
        """The 1xx responses so far, in order (RFC 9110 §15.2); `receive_informational` waits for the next one."""
        return self._response.informational

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
        return await self._response.receive_informational()

    async def wait_continue(self) -> Headers:
        """Waits for the server's 100, or for a final response instead of it (RFC 9110 §10.1.1); returns the headers.

        For a request with ``expect_continue=True`` whose body is not made before the server wants it::

            async with session.request("PUT", "/film", end_stream=False, expect_continue=True) as stream:
                answer = None
                with trio.move_on_after(1):
                    answer = await stream.wait_continue()
                if answer is None or answer.status == 100:  # many servers never send one
                    await send_film(stream)

        It has no time limit of its own, and does not end with ``expect_continue_timeout``. Takes nothing away from
        `receive_informational` and `receive_response`; several tasks may wait. Cancelled: nothing happened.

        Returns:
            The headers of the first 100, at once if it has come before, or of the final response; ``headers.status``
            tells which.

        Raises:
            StreamRefusedError: the server did not process the request; a retry is safe.
            StreamResetError: the stream was reset first.
            SessionError: the session broke first.
            trio.ClosedResourceError: this side closed the stream first.
        """
        return await self._response.wait_continue()

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
        return await self._response.receive()

    async def _wait_for_message(self) -> None:
        await self._response.receive()

    def _announced_length(self) -> int | None:
        length = super()._announced_length()
        return length if length_counts(self.sent_headers.first(b":method"), self._core) else None

    def _check_can_send_trailers(self) -> None:
        if self.sent_headers[":method"] == "CONNECT":
            # RFC 9113 §8.5: of what is sent on a connected stream, HEADERS "MUST NOT be".
            raise LocalProtocolError("a tunnel has no trailers", stream_id=self._core.id, stream=self)
        super()._check_can_send_trailers()

    def _signal_priority(self, priority: Priority, *, silent: bool) -> None:
        if not silent:
            self._core.priority = priority
            send_priority_update(self._core, priority)


def length_counts(method: str | None, stream: StreamCore) -> bool:
    """Whether the ``content-length`` of a response is that of its body.

    RFC 9110 §8.6: in answer to HEAD, and with 304, it is that of another response. §9.3.6: a client "MUST ignore any
    Content-Length […] fields received in a successful response to CONNECT".
    """
    headers = stream.received_headers
    assert headers is not None
    if method == "HEAD" or headers.status == 304:
        return False
    return method != "CONNECT" or headers.status >= 300


def send_priority_update(stream: StreamCore, priority: Priority) -> None:
    """Tells the server how much a response matters (RFC 9218 §7.1)."""
    payload = priority_update_payload(stream.id, str(priority).encode("ascii"))
    stream.port.engine.send_extension(PRIORITY_UPDATE, 0, payload)
    stream.port.wake_writer()

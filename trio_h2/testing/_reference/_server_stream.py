"""A request to the reference server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

import trio_h2

from ..._util import construct
from ._fields import fields
from ._stream import ReferenceStream

if TYPE_CHECKING:
    from ._inbox import Inbox
    from ._link import Link


class ReferenceServerStream(ReferenceStream):
    """A request that a `ReferenceServer` has received, or the response that it pushes."""

    def __init__(self, link: Link, inbox: Inbox) -> None:
        super().__init__(link, inbox)
        self._pushed: list[ReferenceServerStream] = []

    @property
    def headers(self) -> trio_h2.Headers:
        """The fields of the request, pseudo-headers among them; of a push, those that were promised."""
        assert self._inbox.request is not None
        return self._inbox.request

    @property
    def method(self) -> str:
        """The request's method."""
        return str(self.headers.get(":method", ""))

    @property
    def path(self) -> str:
        """The request's path and query, empty in a plain CONNECT."""
        return str(self.headers.get(":path", ""))

    @property
    def scheme(self) -> str:
        """The request's scheme, empty in a plain CONNECT."""
        return str(self.headers.get(":scheme", ""))

    @property
    def authority(self) -> str:
        """The host, and the port, that the request is for."""
        return str(self.headers.get(":authority", ""))

    @property
    def protocol(self) -> str | None:
        """What an extended CONNECT asks for (RFC 8441), else None."""
        protocol = self.headers.get(":protocol")
        return None if protocol is None else str(protocol)

    async def send_informational(self, status: int, headers: trio_h2.HeadersInput | None = None) -> None:
        """Sends a 1xx response.

        Args:
            status: 100 … 199, but not 101 (RFC 9113 §8.6).
            headers: Further fields.

        Raises:
            ValueError: The status or a field is not allowed.
            LocalProtocolError: The final headers were sent, or this is a push, of which h2 knows no 1xx.
            StreamResetError: The stream was reset. SessionError: The session is over.
            trio.ClosedResourceError: This side closed the stream or the session.
        """
        if not 100 <= status <= 199 or status == 101:
            raise ValueError(f"an informational status is 100 … 199, but not 101: {status}")
        section = fields({":status": status}, headers)
        with self._sending():
            self._check_can_respond()
            if self._inbox.parent_id is not None:
                raise trio_h2.LocalProtocolError("h2 knows no 1xx responses of pushes", stream_id=self.stream_id)
            await trio.lowlevel.checkpoint()
            self._link.send_headers(self._inbox, section, end_stream=False)
            await self._link.flush()

    async def respond(
        self,
        status: int = 200,
        headers: trio_h2.HeadersInput | None = None,
        *,
        body: bytes = b"",
        trailers: trio_h2.HeadersInput | None = None,
        end_stream: bool = True,
    ) -> None:
        """Sends the final response; waits for the client's windows.

        Args:
            status: 200 … 999.
            headers: Further fields. None is added: ``content-length`` and ``date`` are yours to give.
            body: The content, or its beginning.
            trailers: The trailers.
            end_stream: Whether the response is complete; with False, `send_all` goes on.

        Raises:
            ValueError: The status or a field is not allowed, or there are trailers without the end.
            LocalProtocolError: A final response was sent before.
            StreamResetError: The stream was reset. SessionError: The session is over.
            trio.ClosedResourceError: This side closed the stream or the session.
        """
        if not 200 <= status <= 999:
            raise ValueError(f"a final status is 200 … 999, not {status}")
        if trailers is not None and not end_stream:
            raise ValueError("trailers end the stream: end_stream cannot be False")
        self._check_can_respond()
        section = fields({":status": status}, headers)
        await self._send_message(section, bytes(body), trailers, end_stream=end_stream)

    async def push(
        self, path: str, headers: trio_h2.HeadersInput | None = None, *, method: str = "GET"
    ) -> ReferenceServerStream:
        """Sends PUSH_PROMISE (RFC 9113 §8.4), with the scheme and authority of this request.

        Args:
            path: What the promised request is for.
            headers: Further fields of the promised request; ``:scheme`` and ``:authority`` override.
            method: Its method.

        Returns:
            The pushed stream; `respond` on it. When the handler returns, it is finished like the handler's own.

        Raises:
            LocalProtocolError: The client allows no push, or this is a push itself.
            StreamResetError: The stream was reset. SessionError: The session is over.
            trio.ClosedResourceError: The response has ended, or this side closed the stream or the session.
        """
        pseudo: dict[str, str | int | None] = {
            ":method": method,
            ":scheme": self.scheme,
            ":authority": self.authority,
            ":path": path,
        }
        section = fields(pseudo, headers)
        self._check_open()
        await trio.lowlevel.checkpoint()
        if self._inbox.parent_id is not None:
            # RFC 9113 §6.6: PUSH_PROMISE goes on "a peer-initiated stream".
            raise trio_h2.LocalProtocolError("a push cannot be pushed on", stream_id=self.stream_id)
        pushed = construct(ReferenceServerStream, self._link, self._link.promise(self._inbox, section))
        self._pushed.append(pushed)
        await self._link.flush()
        return pushed

    def finish(self) -> None:
        """Resets what is not complete: the response with INTERNAL_ERROR, the rest of an unread request with NO_ERROR.

        The server does so when its handler is done. RFC 9113 §8.1: a server may ask "that the client abort transmission
        of a request without error by sending a RST_STREAM with an error code of NO_ERROR". Never waits.
        """
        for pushed in self._pushed:
            pushed.finish()
        answered = self._link.has_ended(self._inbox)
        self.destroy(trio_h2.ErrorCode.NO_ERROR if answered else trio_h2.ErrorCode.INTERNAL_ERROR)

    def _check_can_respond(self) -> None:
        self._check_open()
        if self._headers_sent:
            raise trio_h2.LocalProtocolError("a final response was sent before", stream_id=self.stream_id)
        self._link.check_can_send(self._inbox)

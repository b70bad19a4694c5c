"""A session of HTTP/2 that a client keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from .. import Headers
from ._pooled import Pooled

if TYPE_CHECKING:
    from .. import ClientSession, ClientStream, HeadersInput
    from .._address import Origin
    from ._lane import Lane
    from ._outgoing import Outgoing


# RFC 9113 §5.1.1: "Stream identifiers cannot be reused", and there are 2^30 for a client. A session is left a little
# before they are used up, so that there is one for each request that has got the session already, or waits in its line.
_LAST_ID: Final = 2**31 - 1 - 2 * 100_000


class PooledSession(Pooled):
    """Carries as many requests at once as its server allows."""

    http_version = "2"
    has_line = True

    def __init__(self, lane: Lane, session: ClientSession) -> None:
        super().__init__(lane)
        self.session = session

    @property
    def room(self) -> int:
        """See `ClientSession.free_streams`."""
        return self.session.free_streams - self.coming

    @property
    def leaving(self) -> bool:
        """Whether it takes no new requests; known here before the task that waits for it has run."""
        return self._leaving or self.session.draining

    def open_nowait(self, request: Outgoing, body: bytes, *, end_stream: bool) -> ClientStream | None:
        """Sends the request, if there is a stream for it."""
        if request.switches:
            return None
        self.coming -= 1
        try:
            stream = self.session.open_stream_nowait(
                request.method,
                request.target,
                headers=self._headers_of(request),
                body=body,
                end_stream=end_stream,
                expect_continue=request.expect_continue,
                priority=request.priority,
            )
        except trio.WouldBlock:
            self.coming += 1
            return None
        if stream.id > _LAST_ID:
            self.leave()
        return stream

    async def open(self, request: Outgoing, body: bytes, *, end_stream: bool) -> ClientStream:
        """Waits for a stream, and sends the request on it."""
        self.coming -= 1
        method, target = request.method, request.target
        if request.switches:
            method, end_stream = "CONNECT", False
            if request.protocol is None:
                target = "/"  # RFC 9113 §8.5: a CONNECT has no path
        stream = await self.session.open_stream(
            method,
            target,
            headers=self._headers_of(request),
            body=body,
            end_stream=end_stream,
            expect_continue=request.expect_continue,
            priority=request.priority,
            protocol=request.protocol,
        )
        if stream.id > _LAST_ID:
            self.leave()
        return stream

    def _headers_of(self, request: Outgoing) -> HeadersInput:
        """Returns the headers of a request; they name its origin where the session is with another one."""
        origin = self.lane.origin
        if request.origin is origin or request.origin == origin:
            return request.headers
        return _named(request.headers, request.origin)

    async def open_tunnel(self, target: str, headers: Headers) -> ClientStream:
        """Asks for a tunnel; whoever calls this has taken the session, as for `open`.

        Args:
            target: host and port.
            headers: further fields of the CONNECT.
        """
        from ..tunnel import open_tunnel  # rarely needed

        self.coming -= 1
        return await open_tunnel(self.session, target, headers=headers).__aenter__()

    async def wait_leaving(self) -> None:
        """GOAWAY, or the end of the session."""
        await self.session.wait_draining()


def _named(headers: HeadersInput, origin: Origin) -> Headers:
    """Returns the headers of a request on a session with another origin."""
    given = Headers(headers)
    if ":authority" in given or "host" in given:
        return given
    return Headers([(b":authority", origin.authority.encode("ascii")), *given.raw], sensitive=given.sensitive)

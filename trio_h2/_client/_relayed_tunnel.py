"""A WebSocket or a tunnel that is passed on: bytes both ways, once both sides have agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from .. import ErrorCode, Http1Exchange, StreamError
from .._util import interrupt_safe
from .._websocket_key import accept_key

if TYPE_CHECKING:
    from .. import Headers, ServerStream
    from ..tunnel import Traffic
    from ._client_exchange import ClientExchange

_NOT_PASSED_ON: Final = (":status", "content-length", "sec-websocket-accept")
"""RFC 9110 §9.3.6: a server "MUST NOT send any Transfer-Encoding or Content-Length header fields in a 2xx (Successful)
response to CONNECT"; the key is one connection's."""


@interrupt_safe
class RelayedTunnel:
    """One of them.

    Args:
        down: the client's side.
        protocol: what it asks for; ``None`` for a CONNECT.
    """

    def __init__(self, down: ServerStream, protocol: str | None) -> None:
        self._down = down
        self.protocol: str | None = protocol

    @staticmethod
    def asked_for_by(down: ServerStream) -> RelayedTunnel | None:
        """Returns what a request asks for; ``None`` if it is an ordinary one.

        RFC 9110 §7.8: "A server MAY ignore a received Upgrade header field if it wishes to continue using the current
        protocol": all but WebSockets are.
        """
        if isinstance(down, Http1Exchange):
            if down.method == "GET" and down.end_after_headers and _offer(down) is not None:
                return RelayedTunnel(down, "websocket")
        elif down.protocol is not None:
            return RelayedTunnel(down, down.protocol)
        return RelayedTunnel(down, None) if down.method == "CONNECT" else None

    @property
    def objection(self) -> str | None:
        """What is wrong with the handshake of the client."""
        if isinstance(self._down, Http1Exchange) and self.protocol is not None:
            try:
                self._accept_key()
            except ValueError as exc:
                return str(exc)
        return None

    def _accept_key(self) -> str:
        return accept_key(self._down.headers.get("sec-websocket-key", ""))

    @property
    def reset_code(self) -> ErrorCode:
        """What tells the client that the server has broken off.

        RFC 9113 §8.5: "A proxy treats any error in the TCP connection […] as a stream error (Section 5.4.2) of type
        CONNECT_ERROR"; for WebSockets, RFC 8441 §5 has "the RST_STREAM frame […] with the CANCEL (0x8) error code".
        """
        return ErrorCode.CONNECT_ERROR if self.protocol is None else ErrorCode.CANCEL

    async def agree(self, head: Headers, via: str) -> None:
        """Tells the client that the server has agreed.

        Args:
            head: of its response.
            via: what the response says of its way.
        """
        down = self._down
        fields = head.forwarded(drop=_NOT_PASSED_ON, add={"via": via})
        if isinstance(down, Http1Exchange) and self.protocol is not None:
            named = _offer(down)
            assert named is not None
            await down.switch_protocols(named, [*fields.raw, (b"sec-websocket-accept", self._accept_key().encode())])
        else:
            status = 200 if head.status == 101 else head.status
            await down.respond([(b":status", b"%d" % status), *fields.raw])

    async def carry(self, exchange: ClientExchange, traffic: Traffic, idle_timeout: float | None) -> None:
        """Passes bytes on until both sides have ended, each for itself.

        Args:
            exchange: the server's side.
            traffic: where to count, and which side has broken.
            idle_timeout: after so many seconds without a byte it is given up.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: a side broke.
            trio.TooSlowError: *idle_timeout* is over.
        """
        from ..tunnel import join  # rarely needed

        server = _ServerSide(exchange)
        try:
            await join(self._down, server, idle_timeout=idle_timeout, traffic=traffic)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            if not (server.refuses and traffic.right_ended):
                raise
            # The server has ended its side and takes nothing more: there is nothing to wait for.

    def client_broke(self, traffic: Traffic) -> bool:
        """Whether it was the client's side that broke."""
        return traffic.broken is self._down


class _ServerSide:
    """The exchange with the server, which says when it takes nothing more."""

    def __init__(self, exchange: ClientExchange) -> None:
        self._exchange = exchange
        self.refuses = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._exchange.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        await self._exchange.send_all(data)

    async def send_eof(self) -> None:
        await self._exchange.send_eof()

    def _check(self) -> None:
        if self._exchange.send_unwanted:
            self.refuses = True
            raise StreamError("the server takes nothing more")


def _offer(exchange: Http1Exchange) -> str | None:
    """Returns the name of WebSockets as the client spells it, in whatever case, if it asks for one."""
    offered = (name.strip() for name in exchange.upgrade.split(","))
    return next((name for name in offered if name.lower() == "websocket"), None)

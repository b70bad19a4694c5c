"""A connection of HTTP/1.1 that a client keeps, by way of h11: one request after the other."""

from __future__ import annotations

import contextlib
import math
import select
from typing import TYPE_CHECKING, Final

import h11
import trio

from .._tcp import reset_when_closed
from .._util import interrupt_safe
from ._held_tunnel import HeldTunnel
from ._http1_errors import lost
from ._http1_exchange import Http1ClientExchange
from ._pooled import Pooled

if TYPE_CHECKING:
    from types import TracebackType

    from .. import ClientConfig
    from ._lane import Lane
    from ._outgoing import Outgoing
    from ._proxy import Proxy

RECEIVE_SIZE: Final = 64 * 1024
_LINE_ROOM: Final = 8 * 1024
"""What a status line may have beside the header fields, in bytes."""
_CLOSE_SECONDS: Final = 1.0
_LAST_SECONDS: Final = 5.0
"""How long a server gets to end a tunnel whose end on our side cannot be told: TLS does not end one direction alone."""


@interrupt_safe
class Http1Connection(Pooled):
    """Carries one request at a time. A block, which closes the transport."""

    http_version = "1.1"
    has_line = False

    def __init__(
        self, lane: Lane, transport: trio.abc.Stream, config: ClientConfig, forward: Proxy | None = None
    ) -> None:
        super().__init__(lane)
        self.forward = forward
        """The proxy at the other end, if it forwards requests rather than bytes."""
        self._transport = transport
        self.hold_seconds = config.expect_continue_timeout
        """How long a body waits for the server to ask for it."""
        most = config.max_header_list_size + _LINE_ROOM
        self.wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=most)
        self._ended = trio.Event()
        self._waiting: trio.CancelScope | None = None
        self._ends_at = math.inf
        self._aborts = False

    async def __aenter__(self) -> Http1Connection:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving = True
        with trio.move_on_after(_CLOSE_SECONDS) as scope:
            scope.shield = True
            with contextlib.suppress(trio.BrokenResourceError):
                if self._aborts:
                    below = self._below()
                    if isinstance(below, trio.SocketStream):
                        reset_when_closed(below)
                    await trio.aclose_forcefully(self._transport)
                else:
                    await self._transport.aclose()

    @property
    def room(self) -> int:
        """1 if no request has it, and the server has not closed it."""
        if self.requests or self.leaving:
            return 0
        if self._heard_something():
            self._leaving = True
            self._over.set()
            return 0
        return 1

    def _heard_something(self) -> bool:
        """Whether there is something to receive on an idle connection: its end, or what nobody asked for."""
        below = self._below()
        if isinstance(below, HeldTunnel):
            return below.ended
        if below is None:
            return False
        poll = select.poll()
        poll.register(below.socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _below(self) -> trio.SocketStream | HeldTunnel | None:
        """Returns what is below TLS and tunnels, if it is anything that could be asked."""
        below: object = self._transport
        while not isinstance(below, trio.SocketStream | HeldTunnel | None):
            below = getattr(below, "transport_stream", None) or getattr(below, "below", None)
        return below

    def open_nowait(self, request: Outgoing, body: bytes, *, end_stream: bool) -> None:
        """Sending waits for the transport."""

    async def open(self, request: Outgoing, body: bytes, *, end_stream: bool) -> Http1ClientExchange:
        """Sends the request."""
        self.coming -= 1
        exchange = Http1ClientExchange(self, request)
        await exchange.begin(request, body, end_stream=end_stream)
        return exchange

    async def wait_leaving(self) -> None:
        """Until the server has said that it closes the connection, or it broke."""
        await self._ended.wait()

    # -- for the exchange ------------------------------------------------------------------------------------------

    def done(self, *, reusable: bool) -> None:
        """An exchange is over; another one may follow, or not."""
        wire = self.wire
        # RFC 9112 §9.2: what comes on a connection without a request under way is no response to the next one; "the
        # client MUST NOT consider [it] to be a valid response".
        unasked = bool(wire.trailing_data[0])
        if reusable and not unasked and wire.our_state is h11.DONE and wire.their_state is h11.DONE:
            wire.start_next_cycle()
        else:
            self._leaving = True
            self._ended.set()
            if self._waiting is not None:
                self._waiting.cancel()

    def switch(self) -> None:
        """What follows is a tunnel, or another protocol, until the connection is closed."""
        self.switched = True
        self.lane.switched += 1
        self.lane.freed()  # for another connection

    def abort(self) -> None:
        """A tunnel is given up: the server is not to take what it has got for all there is."""
        self._aborts = True

    async def send_eof(self) -> None:
        """Ends our side of a tunnel; where the transport cannot say that, what still comes soon is received."""
        if isinstance(self._transport, trio.abc.HalfCloseableStream):
            try:
                await self._transport.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                raise lost("the connection broke while the tunnel was ended") from exc
            return
        self._ends_at = trio.current_time() + _LAST_SECONDS
        if self._waiting is not None:
            self._waiting.deadline = self._ends_at
        await trio.lowlevel.checkpoint()

    async def send(self, data: bytes) -> None:
        """Sends bytes."""
        try:
            await self._transport.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise lost("the connection broke while the request was sent") from exc

    async def receive(self) -> bytes:
        """Receives bytes, ``b""`` at the end; until `done`."""
        try:
            with trio.CancelScope(deadline=self._ends_at) as self._waiting:
                return bytes(await self._transport.receive_some(RECEIVE_SIZE))
            if self._ended.is_set() or self._ends_at == math.inf:
                raise trio.ClosedResourceError("this exchange was given up")
            return b""
        except trio.BrokenResourceError as exc:
            raise lost("the connection broke before the response had ended") from exc

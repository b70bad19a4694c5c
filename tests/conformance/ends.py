"""The endpoints under test, our server and our client, each against a scripted peer, with the same steps for both.

Every step leaves the stream in the state of RFC 9113 §5.1 that it is named after, as our endpoint sees it: in a
"half-closed (remote)" stream the peer has sent END_STREAM. When a test has passed, everything that our endpoint sent
in it is audited once more (`wire_audit.py`), and its receive ledger has to balance.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import itertools
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_h2
from tests.conformance.feeds import OctetByOctet, Tap
from tests.conformance.wire_audit import audit
from trio_h2.testing import GoAwayFrame, MemoryTransport, ScriptedPeer, SettingsFrame, memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from trio_h2 import ErrorCode

Pairs: TypeAlias = list[tuple[str | bytes, str | bytes]]
EndT_co = TypeVar("EndT_co", bound="End", covariant=True)

_REQUEST: Pairs = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/hold")]
PROMISED: Pairs = [(":method", "GET"), (":scheme", "http"), (":authority", "example.test"), (":path", "/pushed")]
_probes = itertools.count()


class End(abc.ABC):
    """One endpoint of ours and the peer that talks to it.

    Attributes:
        peer: The other side, played by the test.
        role: "server" or "client": what our endpoint is.
        our_transport: What our endpoint reads from, for a look at what it has not read.
    """

    role: str

    def __init__(self, peer: ScriptedPeer, tap: Tap, our_transport: MemoryTransport) -> None:
        self.peer = peer
        self.our_transport = our_transport
        self._tap = tap
        self._apps: dict[int, trio_h2.Stream] = {}

    # ---- What differs between the roles ----

    @property
    @abc.abstractmethod
    def session(self) -> trio_h2.Session:
        """Our session."""

    @abc.abstractmethod
    async def open(self) -> int:
        """Returns an "open" stream: both sides have sent their headers, neither has ended."""

    @abc.abstractmethod
    async def receive_message(self, fields: Pairs | bytes, *, end_stream: bool = True) -> int:
        """Has the peer send the header section of a message: a request to a server, a response to a client."""

    @abc.abstractmethod
    def head(self, *others: tuple[str | bytes, str | bytes]) -> Pairs:
        """Returns a right header section for the peer to send: of a request to a server, of a response to a client."""

    @abc.abstractmethod
    async def send_message(
        self, headers: Mapping[str, str | list[str]] | None = None, *, end_stream: bool = False
    ) -> int:
        """Has our side send the header section of a message; the peer has received it."""

    @abc.abstractmethod
    async def still_works(self) -> None:
        """A whole exchange with content succeeds on a new stream, and nothing unexpected was sent before."""

    async def begin_without_acknowledgement(self) -> None:
        """The peer says its preface and SETTINGS, has received ours, and acknowledges nothing from here on."""
        self.peer.auto_ack = False
        if self.role == "client":
            await self.peer.receive_preface()
        else:
            await self.peer.send_preface()
        await self.peer.send_settings()
        await self.peer.expect(SettingsFrame, ack=False)

    # ---- The states of RFC 9113 §5.1 ----

    def app(self, stream_id: int) -> trio_h2.Stream:
        """Returns the stream as our application sees it."""
        return self._apps[stream_id]

    async def half_closed_remote(self) -> int:
        """Returns a stream that the peer has ended and we have not."""
        stream_id = await self.open()
        await self.peer.send_data(stream_id, end_stream=True)
        await self.settle()
        return stream_id

    async def half_closed_local(self) -> int:
        """Returns a stream that we have ended and the peer has not."""
        stream_id = await self.open()
        await self.app(stream_id).send_eof()
        await self.peer.expect_data(stream_id, b"", end_stream=True)
        return stream_id

    async def closed(self) -> int:
        """Returns a stream that both sides have ended."""
        stream_id = await self.half_closed_remote()
        await self.app(stream_id).send_eof()
        await self.peer.expect_data(stream_id, b"", end_stream=True)
        return stream_id

    async def reset_by_us(self, code: int = 0x8) -> int:
        """Returns a stream that was open when we reset it; the peer knows."""
        stream_id = await self.open()
        self.app(stream_id).reset(code)
        await self.peer.expect_rst(stream_id, code)
        return stream_id

    async def reset_by_peer(self, code: int = 0x8) -> int:
        """Returns a stream that was open when the peer reset it."""
        stream_id = await self.open()
        await self.peer.send_rst(stream_id, code)
        await self.settle()
        return stream_id

    async def in_state(self, state: str) -> int:
        """Returns a stream in a state that has the name of one of the methods above."""
        stream_id: int = await getattr(self, state)()
        return stream_id

    # ---- What follows ----

    async def settle(self) -> None:
        """Waits until our endpoint has dealt with everything the peer has sent."""
        await wait_all_tasks_blocked()
        assert self.our_transport.unread == 0

    async def expect_stream_error(self, stream_id: int, code: ErrorCode) -> None:
        """Expects RST_STREAM with this code and nothing else: the session lives on (RFC 9113 §5.4.2)."""
        await self.peer.expect_rst(stream_id, code)
        await self.still_works()

    async def expect_connection_error(self, code: ErrorCode) -> GoAwayFrame:
        """Expects GOAWAY with this code and the end of the transport (RFC 9113 §5.4.1)."""
        goaway = await self.peer.expect_connection_error(code)
        await self.peer.aclose()
        with pytest.raises(trio_h2.SessionError) as caught:
            await self.session.wait_closed()
        assert caught.value.code == code
        return goaway

    async def expect_ignored(self) -> None:
        """Expects that what was sent last has no consequence at all."""
        await self.peer.expect_nothing()
        await self.still_works()

    async def expect_body(self, stream_id: int, body: bytes) -> None:
        """Expects that our application receives this content, and its end."""
        stream = self.app(stream_id)
        with trio.fail_after(10):
            assert b"".join([chunk async for chunk in stream]) == body

    async def finish(self) -> None:
        """Ends the connection and looks at all of it once more."""
        await self.peer.aclose()
        with contextlib.suppress(trio_h2.SessionError):
            await self.session.wait_closed()
        for stream in self._apps.values():
            await stream.aclose()
        await wait_all_tasks_blocked()
        ledger = self.session.statistics().ledger
        assert ledger.held == 0, ledger
        assert audit(bytes(self._tap.octets), client=self.role == "client") == []


class ServerEnd(End):
    """Our server against a peer that plays the client. Its handler answers `/echo` and leaves the rest to the test."""

    role = "server"

    def __init__(self, peer: ScriptedPeer, tap: Tap, our_transport: MemoryTransport) -> None:
        super().__init__(peer, tap, our_transport)
        self.handled: list[int] = []
        self._session: trio_h2.ServerSession | None = None
        self._over: dict[int, trio.Event] = {}

    @property
    def session(self) -> trio_h2.ServerSession:
        assert self._session is not None
        return self._session

    async def open(self) -> int:
        stream_id = await self.request()
        await self.app(stream_id).respond(200)
        await self.peer.expect_headers(stream_id, status=200, end_stream=False)
        return stream_id

    async def request(self, method: str = "POST", *, end_stream: bool = False) -> int:
        """Has the peer send a request that its handler has got and not answered."""
        stream_id = await self.peer.request(method, "/hold", end_stream=end_stream)
        await self.settle()
        return stream_id

    def app(self, stream_id: int) -> trio_h2.ServerStream:
        stream = super().app(stream_id)
        assert isinstance(stream, trio_h2.ServerStream)
        return stream

    async def receive_message(self, fields: Pairs | bytes, *, end_stream: bool = True) -> int:
        stream_id = self.peer.next_stream_id()
        await self.peer.send_headers(stream_id, fields, end_stream=end_stream)
        return stream_id

    def head(self, *others: tuple[str | bytes, str | bytes]) -> Pairs:
        return [*_REQUEST, *others]

    async def send_message(
        self, headers: Mapping[str, str | list[str]] | None = None, *, end_stream: bool = False
    ) -> int:
        stream_id = await self.request()
        await self.app(stream_id).respond({":status": "200", **(headers or {})}, end_stream=end_stream)
        await self.peer.expect_headers(stream_id, status=200, end_stream=end_stream)
        return stream_id

    async def still_works(self) -> None:
        probe = f"probe-{next(_probes)}"
        stream_id = await self.peer.request("POST", "/echo", headers={"x-probe": probe}, body=b"ping")
        response = await self.peer.expect_headers(stream_id, status=200, end_stream=False)
        assert response.get("x-probe") == probe
        await self.peer.expect_data(stream_id, b"ping", end_stream=True)
        await self.peer.expect_nothing()

    async def _handle(self, stream: trio_h2.ServerStream) -> None:
        self.handled.append(stream.id)
        if stream.path == "/echo":
            body = b"".join([chunk async for chunk in stream])
            await stream.respond({":status": 200, "x-probe": stream.headers["x-probe"]}, body=body)
        else:
            self._apps[stream.id] = stream
            self._over[stream.id] = trio.Event()
            await self._over[stream.id].wait()

    async def release(self, stream_id: int) -> None:
        """Lets the handler of a stream return."""
        self._over[stream_id].set()
        await wait_all_tasks_blocked()

    async def finish(self) -> None:
        for over in self._over.values():
            over.set()
        await super().finish()


class ClientEnd(End):
    """Our client against a peer that plays the server."""

    role = "client"

    def __init__(
        self, peer: ScriptedPeer, tap: Tap, our_transport: MemoryTransport, session: trio_h2.ClientSession
    ) -> None:
        super().__init__(peer, tap, our_transport)
        self._session = session
        self.pushed: dict[int, trio_h2.PushedStream] = {}
        self.pushes_over = trio.Event()

    @property
    def session(self) -> trio_h2.ClientSession:
        return self._session

    async def open(self) -> int:
        stream_id = await self.request()
        await self.peer.send_headers(stream_id, {":status": "200"})
        await self.settle()
        return stream_id

    async def promised(self, stream_id: int = 2, fields: Pairs | None = None) -> int:
        """Has the peer promise a stream on a new request; returns the request's, which is "half-closed (local)"."""
        parent_id = await self.request("GET", end_stream=True)
        await self.peer.send_push_promise(parent_id, stream_id, PROMISED if fields is None else fields)
        await self.settle()
        return parent_id

    async def finish(self) -> None:
        self.pushes_over.set()
        await super().finish()

    async def request(
        self, method: str = "POST", *, headers: Mapping[str, str] | None = None, end_stream: bool = False
    ) -> int:
        """Has our client send a request, which the peer has received and not answered."""
        stream = await self.session.open_stream(method, headers=headers, end_stream=end_stream)
        self._apps[stream.id] = stream
        await self.peer.expect_headers(stream.id, end_stream=end_stream)
        return stream.id

    def app(self, stream_id: int) -> trio_h2.ClientStream:
        stream = super().app(stream_id)
        assert isinstance(stream, trio_h2.ClientStream)
        return stream

    async def receive_message(self, fields: Pairs | bytes, *, end_stream: bool = True) -> int:
        stream_id = await self.request("GET", end_stream=True)
        await self.peer.send_headers(stream_id, fields, end_stream=end_stream)
        return stream_id

    def head(self, *others: tuple[str | bytes, str | bytes]) -> Pairs:
        return [(":status", "200"), *others]

    async def send_message(
        self, headers: Mapping[str, str | list[str]] | None = None, *, end_stream: bool = False
    ) -> int:
        stream = await self.session.open_stream("PATCH", headers=headers or {}, end_stream=end_stream)
        self._apps[stream.id] = stream
        await self.peer.expect_headers(stream.id, end_stream=end_stream)
        return stream.id

    async def still_works(self) -> None:
        probe = f"probe-{next(_probes)}"
        async with self.session.request("POST", headers={"x-probe": probe}, body=b"ping") as stream:
            request = await self.peer.expect_headers(stream.id, end_stream=False)
            assert request.get("x-probe") == probe
            await self.peer.expect_data(stream.id, b"ping", end_stream=True)
            await self.peer.respond(stream.id, headers={"x-probe": probe}, body=b"pong")
            assert (await stream.receive_response())["x-probe"] == probe
            assert b"".join([chunk async for chunk in stream]) == b"pong"
        await self.peer.expect_nothing()


class _Start(Protocol[EndT_co]):
    """Starts an endpoint; see `run_server`."""

    def __call__(
        self,
        *,
        config: Mapping[str, object] = ...,
        settings: Mapping[int, int] = ...,
        handshake: bool = ...,
        capacity: int | None = ...,
    ) -> AbstractAsyncContextManager[EndT_co]: ...


Start: TypeAlias = _Start[End]
StartServer: TypeAlias = _Start[ServerEnd]
StartClient: TypeAlias = _Start[ClientEnd]


@contextlib.asynccontextmanager
async def run_server(
    feed: str,
    *,
    config: Mapping[str, object] | None = None,
    settings: Mapping[int, int] | None = None,
    handshake: bool = True,
    capacity: int | None = None,
) -> AsyncIterator[ServerEnd]:
    """Runs our server against a scripted client.

    Args:
        feed: "whole" lets our side read whatever is there; "bytes" one byte at a time.
        config: Changes to the default configuration.
        settings: The peer's SETTINGS.
        handshake: Whether the peer does its handshake first.
        capacity: Bytes that may be under way in each direction.
    """
    ours, theirs = memory_transports(capacity)
    tap = Tap(theirs)
    async with ScriptedPeer(tap, client=True) as peer, trio.open_nursery() as nursery:
        end = ServerEnd(peer, tap, ours)
        server_config = trio_h2.ServerConfig().evolve(**(config or {}))
        # Handlers go on when their stream is gone, so that tests can look at what the application gets to know.
        serve = functools.partial(trio_h2.serve_stream, config=server_config, cancel_handler_on_reset=False)
        end._session = await nursery.start(serve, end._handle, _fed(ours, feed))
        if handshake:
            await peer.handshake(settings or {})
        yield end
        await end.finish()


@contextlib.asynccontextmanager
async def run_client(
    feed: str,
    *,
    config: Mapping[str, object] | None = None,
    settings: Mapping[int, int] | None = None,
    handshake: bool = True,
    capacity: int | None = None,
    push: bool = False,
) -> AsyncIterator[ClientEnd]:
    """Runs our client against a scripted server.

    The arguments are those of `run_server`, and *push*: whether the client takes pushes, into `ClientEnd.pushed`.
    """
    ours, theirs = memory_transports(capacity)
    tap = Tap(theirs)
    client_config = trio_h2.ClientConfig().evolve(**(config or {}))
    ends: list[ClientEnd] = []

    async def take(stream: trio_h2.PushedStream) -> None:
        ends[0].pushed[stream.id] = stream
        await ends[0].pushes_over.wait()

    transport = _fed(ours, feed)
    connecting = trio_h2.connect(
        "http://example.test", transport=transport, config=client_config, push_handler=take if push else None
    )
    async with ScriptedPeer(tap, client=False) as peer, connecting as session:
        end = ClientEnd(peer, tap, ours, session)
        ends.append(end)
        if handshake:
            await peer.handshake(settings or {})
        yield end
        await end.finish()


def _fed(transport: MemoryTransport, feed: str) -> trio.abc.Stream:
    return OctetByOctet(transport) if feed == "bytes" else transport

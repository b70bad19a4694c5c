"""Random exchanges between one of our endpoints and the reference peer, step by step, against a model.

Hypothesis draws each step from those that are possible: it opens a stream, sends or reads something, ends or resets a
stream, pushes, changes settings or windows, pings. What is sent goes through a task for each direction of each stream,
so a window that is closed holds up nothing else. At the end everything that was not reset is completed and compared.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, TypeAlias

import trio
from hypothesis import strategies as st

import trio_h2
from tests.reference.ends import our_client, our_server, pattern
from trio_h2 import Headers, Settings
from trio_h2.testing import (
    ReferenceClient,
    ReferenceClientStream,
    ReferencePeer,
    ReferenceServer,
    ReferenceServerStream,
    ReferenceStream,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hypothesis.strategies import DataObject

ClientStream: TypeAlias = trio_h2.ClientStream | trio_h2.PushedStream | ReferenceClientStream
ServerStream: TypeAlias = trio_h2.ServerStream | ReferenceServerStream
AnyStream: TypeAlias = ClientStream | ServerStream
Action: TypeAlias = "Callable[[], Awaitable[object]]"

MAX_OPEN = 8
SIZES = st.sampled_from([0, 1, 7, 500, 16_384, 16_385, 40_000, 70_000, 150_000])
CODES = st.sampled_from([0, 1, 2, 5, 7, 8, 11, 0xFFFF_FFFF])
VALUES = st.one_of(
    st.sampled_from(["", "a", "é", "x" * 300, "0123456789"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20),
)
FIELDS = st.lists(st.tuples(st.sampled_from(["x-a", "x-b", "accept", "cache-control"]), VALUES), max_size=4)
SETTINGS = st.builds(
    Settings,
    header_table_size=st.sampled_from([None, 0, 1, 100, 4096, 20_000]),
    initial_window_size=st.sampled_from([None, 0, 1, 1000, 65_535, 200_000]),
    max_frame_size=st.sampled_from([None, 16_384, 20_000, 2**24 - 1]),
    max_concurrent_streams=st.sampled_from([None, 20, 100]),
    max_header_list_size=st.sampled_from([None, 20_000, 100_000]),
)


@dataclasses.dataclass
class Half:
    """One direction of an exchange: what was asked to be sent, and what came."""

    sender: AnyStream
    receiver: AnyStream
    actions: trio.MemorySendChannel[Action]
    sent: bytearray = dataclasses.field(default_factory=bytearray)
    received: bytearray = dataclasses.field(default_factory=bytearray)
    trailers: list[tuple[bytes, bytes]] | None = None
    ended: bool = False
    at_end: bool = False


@dataclasses.dataclass
class Exchange:
    """A stream, seen from both sides."""

    client: ClientStream
    server: ServerStream
    answer: Half
    request: Half | None
    """None for a push."""
    interim: int = 0
    fields: list[tuple[bytes, bytes]] | None = None
    """What the response has; None before it was asked for."""
    reset: bool = False
    parent: Exchange | None = None

    @property
    def halves(self) -> list[Half]:
        """The directions in which something is sent."""
        return [self.answer] if self.request is None else [self.request, self.answer]


class Machine:
    """Two endpoints, the exchanges between them, and the steps that can be taken.

    Args:
        data: Where the choices come from.
        client: The client, ours or h2's.
        server: The server's session, h2's or ours.
        requests: Brings the server's streams.
        pushes: Brings the pushed streams of our client.
        nursery: Where everything is sent.
    """

    def __init__(
        self,
        data: DataObject,
        client: trio_h2.ClientSession | ReferenceClient,
        server: trio_h2.ServerSession | ReferenceServer,
        requests: trio.MemoryReceiveChannel[ServerStream],
        pushes: trio.MemoryReceiveChannel[trio_h2.PushedStream],
        nursery: trio.Nursery,
    ) -> None:
        self.data = data
        self.client = client
        self.server = server
        self.requests = requests
        self.pushes = pushes
        self.nursery = nursery
        self.exchanges: list[Exchange] = []
        self.numbers = itertools.count()

    async def run(self) -> None:
        """Takes some steps, then completes and compares everything."""
        for _step in range(self.data.draw(st.integers(1, 40), label="steps")):
            steps = self.steps()
            name = self.data.draw(st.sampled_from(sorted(steps)), label="step")
            await steps[name]()
        await self.complete()

    def steps(self) -> dict[str, Action]:
        """Returns what can be done now, by name."""
        steps: dict[str, Action] = {"settings": self.settings, "ping": self.ping, "enlarge": self.enlarge}
        if len([exchange for exchange in self.exchanges if not exchange.reset]) < MAX_OPEN:
            steps["open"] = self.open
        alive = [exchange for exchange in self.exchanges if not exchange.reset]
        if alive:
            steps["reset"] = self.reset
        if self.can_read():
            steps["read"] = self.read
        if self.can_send():
            steps["send"] = self.send
            steps["end"] = self.end
        if self.can_respond():
            steps["respond"] = self.respond
        if self.can_inform():
            steps["inform"] = self.inform
        if self.can_push() and len(alive) < MAX_OPEN:
            steps["push"] = self.push
        return steps

    # ---- What can be done ----

    def can_read(self) -> list[Half]:
        return [half for one in self.exchanges if not one.reset for half in one.halves if not half.at_end]

    def can_send(self) -> list[Half]:
        return [
            half
            for one in self.exchanges
            if not one.reset
            for half in one.halves
            if not half.ended and (half is one.request or one.fields is not None)
        ]

    def can_respond(self) -> list[Exchange]:
        return [one for one in self.exchanges if not one.reset and one.fields is None]

    def can_inform(self) -> list[Exchange]:
        return [one for one in self.can_respond() if one.request is not None]  # h2 knows no 1xx of pushes

    def can_push(self) -> list[Exchange]:
        return [one for one in self.exchanges if not one.reset and one.request is not None and not one.answer.ended]

    # ---- Steps ----

    async def open(self) -> None:
        """A request, without its end."""
        fields = self.data.draw(FIELDS, label="fields")
        path = f"/{next(self.numbers)}"
        client = await self.client.open_stream("POST", path, headers=Headers(fields), end_stream=False)
        server = await self.requests.receive()
        assert server.path == path
        assert _others(server.headers) == Headers(fields).raw
        self.add(client, server)

    async def push(self) -> None:
        """A push on a request, and its response later."""
        parent = self.data.draw(st.sampled_from(self.can_push()), label="parent")
        path = f"/{next(self.numbers)}"
        client: ClientStream | None
        if isinstance(parent.server, ReferenceServerStream):
            server: ServerStream = await parent.server.push(path)
            client = await self.pushes.receive()
            assert client.path == path
        else:
            assert isinstance(parent.client, ReferenceClientStream)
            server = await parent.server.push({":path": path})
            client = await parent.client.receive_push()
            assert client is not None
            assert client.request[":path"] == path
        self.add(client, server, parent=parent)

    def add(self, client: ClientStream, server: ServerStream, parent: Exchange | None = None) -> None:
        """Takes a stream into the model."""
        halves: list[tuple[Half, trio.MemoryReceiveChannel[Action]]] = []
        for sender, receiver in ((client, server), (server, client)):
            actions, channel = trio.open_memory_channel[Action](1000)
            halves.append((Half(sender, receiver, actions), channel))
        request = halves[0][0] if parent is None else None
        exchange = Exchange(client, server, answer=halves[1][0], request=request, parent=parent)
        self.exchanges.append(exchange)
        for half, channel in halves:
            if half in exchange.halves:
                self.nursery.start_soon(self.pump, exchange, channel)

    async def pump(self, exchange: Exchange, actions: trio.MemoryReceiveChannel[Action]) -> None:
        """Sends what is asked for in one direction, one after the other."""
        async for action in actions:
            try:
                await action()
            except (trio_h2.StreamError, trio.ClosedResourceError):
                if not exchange.reset:
                    raise

    async def send(self) -> None:
        """Some bytes of a body."""
        half = self.data.draw(st.sampled_from(self.can_send()), label="half")
        body = pattern(self.data.draw(SIZES, label="size"))
        half.sent += body
        half.actions.send_nowait(lambda: half.sender.send_all(body))

    async def end(self) -> None:
        """The end of a body, perhaps with trailers."""
        half = self.data.draw(st.sampled_from(self.can_send()), label="half")
        half.ended = True
        if trailers := Headers(self.data.draw(FIELDS, label="trailers")):
            half.trailers = trailers.raw
            half.actions.send_nowait(lambda: half.sender.send_trailers(trailers))
        else:
            half.actions.send_nowait(half.sender.send_eof)

    async def inform(self) -> None:
        """A 1xx response."""
        exchange = self.data.draw(st.sampled_from(self.can_inform()), label="exchange")
        exchange.interim += 1
        exchange.answer.actions.send_nowait(lambda: exchange.server.send_informational(103, {"link": "</a>"}))

    async def respond(self) -> None:
        """The final response's headers."""
        exchange = self.data.draw(st.sampled_from(self.can_respond()), label="exchange")
        self.answer(exchange, Headers(self.data.draw(FIELDS, label="fields")))

    def answer(self, exchange: Exchange, fields: Headers) -> None:
        """Has a response sent."""
        exchange.fields = fields.raw
        server = exchange.server
        if isinstance(server, ReferenceServerStream):
            exchange.answer.actions.send_nowait(lambda: server.respond(200, fields, end_stream=False))
        else:
            section = [(b":status", b"200"), *fields.raw]
            exchange.answer.actions.send_nowait(lambda: server.respond(section, send_date=False))

    async def read(self) -> None:
        """Some bytes of a body, if there are any within a second."""
        half = self.data.draw(st.sampled_from(self.can_read()), label="half")
        size = self.data.draw(st.sampled_from([None, 1, 1000, 100_000]), label="at most")
        with trio.move_on_after(self.data.draw(st.sampled_from([0, 1]), label="seconds")):
            self.took(half, await half.receiver.receive_some(size))

    def took(self, half: Half, data: bytes) -> None:
        """Compares what came with what was sent."""
        half.received += data
        assert half.sent.startswith(half.received)
        if not data:
            assert half.ended
            assert half.received == half.sent
            half.at_end = True

    async def reset(self) -> None:
        """RST_STREAM of either side."""
        alive = [exchange for exchange in self.exchanges if not exchange.reset]
        exchange = self.data.draw(st.sampled_from(alive), label="exchange")
        exchange.reset = True
        stream = exchange.client if self.data.draw(st.booleans(), label="by the client") else exchange.server
        stream.reset(self.data.draw(CODES, label="code"))
        for one in self.exchanges:
            # If the stream was not over yet, its handler is cancelled, and the pushes that it has made end with it.
            if one.parent is exchange and isinstance(one.server, trio_h2.ServerStream):
                one.reset = True
                one.server.reset()

    async def settings(self) -> None:
        """SETTINGS of either side."""
        end = self.client if self.data.draw(st.booleans(), label="of the client") else self.server
        settings = self.data.draw(SETTINGS, label="settings")
        window = settings.initial_window_size
        if window is not None and isinstance(end, ReferencePeer) and self.sent_more_than(window):
            # RFC 9113 §6.9.2: a window may become negative so, and §6.9.1 allows an empty DATA frame with END_STREAM
            # even then. h2 takes that for an error of flow control.
            settings = dataclasses.replace(settings, initial_window_size=None)
        await end.update_settings(settings)

    def sent_more_than(self, size: int) -> bool:
        """Whether the reference peer may have got more than so many bytes of a body."""
        halves = [half for one in self.exchanges if not one.reset for half in one.halves]
        return any(isinstance(half.receiver, ReferenceStream) and len(half.sent) > size for half in halves)

    async def ping(self) -> None:
        """PING of either side."""
        end = self.client if self.data.draw(st.booleans(), label="of the client") else self.server
        await end.ping()

    async def enlarge(self) -> None:
        """WINDOW_UPDATE of the reference peer, for a stream or the session."""
        size = self.data.draw(st.integers(1, 100_000), label="size")
        streams: list[ReferenceStream] = [
            half.receiver
            for one in self.exchanges
            if not one.reset
            for half in one.halves
            if not half.ended and isinstance(half.receiver, ReferenceStream)
        ]
        chosen = self.data.draw(st.booleans(), label="of a stream")
        if streams and chosen:
            streams[self.data.draw(st.integers(0, len(streams) - 1), label="stream")].enlarge_window(size)
        else:
            reference = self.client if isinstance(self.client, ReferenceClient) else self.server
            assert isinstance(reference, (ReferenceClient, ReferenceServer))
            reference.enlarge_window(size)

    # ---- The end ----

    async def complete(self) -> None:
        """Completes what was not reset, reads it all, and compares."""
        for end in (self.client, self.server):
            await end.update_settings(Settings(initial_window_size=65_535))
        async with trio.open_nursery() as nursery:
            for exchange in self.exchanges:
                if not exchange.reset:
                    if exchange.fields is None:
                        self.answer(exchange, Headers())
                    for half in exchange.halves:
                        if not half.ended:
                            half.ended = True
                            half.actions.send_nowait(half.sender.send_eof)
                for half in exchange.halves:
                    nursery.start_soon(self.read_all, exchange, half)
        for exchange in self.exchanges:
            for half in exchange.halves:
                half.actions.close()
            if exchange.reset:
                exchange.client.destroy()
                exchange.server.destroy()
            else:
                await self.compare(exchange)
                await exchange.client.aclose()
                await exchange.server.aclose()

    async def read_all(self, exchange: Exchange, half: Half) -> None:
        """Reads one direction to its end, or to the reset."""
        if not exchange.reset:
            while not half.at_end:
                self.took(half, await half.receiver.receive_some())
            return
        try:
            while data := await half.receiver.receive_some():
                half.received += data
        except (trio_h2.StreamError, trio.ClosedResourceError):
            pass
        assert half.sent.startswith(half.received)

    async def compare(self, exchange: Exchange) -> None:
        """The headers, interim responses and trailers are those that were sent."""
        headers = await exchange.client.receive_response()
        assert _others(headers) == exchange.fields
        assert len(exchange.client.informational) == exchange.interim
        for half in exchange.halves:
            trailers = half.receiver.trailers
            assert (None if trailers is None else trailers.raw) == half.trailers


def _others(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Returns the fields that a test gave."""
    return [field for field in headers.raw if not field[0].startswith(b":")]


async def run(data: DataObject, ours: str) -> None:
    """Runs a machine once, with our server or our client."""
    settings = data.draw(SETTINGS, label="settings of h2")
    send_request, requests = trio.open_memory_channel[ServerStream](1000)
    send_push, pushes = trio.open_memory_channel[trio_h2.PushedStream](1000)
    over = trio.Event()

    async def handler(stream: ServerStream) -> None:
        send_request.send_nowait(stream)
        await over.wait()

    async def push_handler(stream: trio_h2.PushedStream) -> None:
        send_push.send_nowait(stream)
        await over.wait()

    if ours == "server":
        async with our_server(handler, settings=settings) as (client, session), trio.open_nursery() as nursery:
            await Machine(data, client, session, requests, pushes, nursery).run()
            over.set()
    else:
        async with (
            our_client(handler, settings=settings, push_handler=push_handler) as (client_session, server),
            trio.open_nursery() as nursery,
        ):
            await Machine(data, client_session, server, requests, pushes, nursery).run()
            over.set()

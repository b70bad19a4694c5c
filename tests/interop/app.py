"""The application that foreign clients talk to: every path does one thing that a client can check."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

import trio

from tests.interop.bodies import pieces
from trio_h2 import ServerSession, Settings, StreamResetError

if TYPE_CHECKING:
    from trio_h2 import ServerStream

HELLO = b"hello, world\n"


class DeliberateError(Exception):
    """What `/boom` raises."""


class App:
    """The handler, and what it remembers for the test."""

    def __init__(self) -> None:
        self.started = trio.Event()
        """A handler of `/hang` or `/gate` runs."""
        self.cancelled = trio.Event()
        """A handler of `/hang` was cancelled."""
        self.gate = trio.Event()
        """Lets the handlers of `/gate` end."""
        self.gated = 0
        """Handlers that have come to the gate."""

    async def handle(self, stream: ServerStream) -> None:
        """Answers one request."""
        _, name, *rest = stream.path.split("?")[0].split("/")
        handler = getattr(self, f"at_{name.replace('-', '_')}", None)
        if handler is None:
            await stream.respond(404, body=b"no such path\n")
        else:
            await handler(stream, *rest)

    async def at_hello(self, stream: ServerStream) -> None:
        """A short body with content-length."""
        await stream.respond({":status": "200", "content-type": "text/plain"}, body=HELLO)

    async def at_echo(self, stream: ServerStream) -> None:
        """Sends the request's body back while it comes, and its trailers."""
        await stream.respond({":status": "200", "content-type": "application/octet-stream"})
        async for chunk in stream:
            await stream.send_all(chunk)
        trailers = await stream.receive_trailers()
        if trailers is None:
            await stream.send_eof()
        else:
            await stream.send_trailers(trailers)

    async def at_sum(self, stream: ServerStream) -> None:
        """Says what came: the length and checksum of the body, and the trailers."""
        digest, length = hashlib.sha256(), 0
        async for chunk in stream:
            digest.update(chunk)
            length += len(chunk)
        trailers = await stream.receive_trailers()
        told = {
            "method": stream.method,
            "length": length,
            "sha256": digest.hexdigest(),
            "trailers": None if trailers is None else dict(trailers),
        }
        await self._respond_json(stream, told)

    async def at_push(self, stream: ServerStream, count: str) -> None:
        """Pushes so many streams, /pushed/0 …, each with its path as the body and in a trailer; 204 if it may not."""
        if not stream.push_allowed:
            await stream.respond(204)
            return
        async with trio.open_nursery() as nursery:
            for number in range(int(count)):
                nursery.start_soon(_answer_push, await stream.push({":path": f"/pushed/{number}", "x-number": number}))
            await stream.respond(body=HELLO)

    async def at_headers(self, stream: ServerStream) -> None:
        """Says what the request's header fields were."""
        await self._respond_json(stream, dict(stream.headers))

    async def at_version(self, stream: ServerStream) -> None:
        """Says what is spoken."""
        await self._respond_json(stream, {"alpn": stream.transport.alpn_protocol, "version": stream.http_version})

    async def at_bytes(self, stream: ServerStream, length: str) -> None:
        """Streams a body of so many bytes, and its checksum as a trailer.

        Without content-length: a client that knows the length may leave before it has seen the trailer.
        """
        await stream.respond({":status": "200", "content-type": "application/octet-stream"})
        digest = hashlib.sha256()
        for piece in pieces(int(length)):
            digest.update(piece)
            await stream.send_all(piece)
        await stream.send_trailers({"x-sha256": digest.hexdigest()})

    async def at_trailers(self, stream: ServerStream) -> None:
        """A body without content-length, and two trailers."""
        await stream.respond({":status": "200", "trailer": "x-count, x-note"})
        await stream.send_all(HELLO)
        await stream.send_trailers([("x-count", "13"), ("x-note", "the end")])

    async def at_early(self, stream: ServerStream) -> None:
        """Answers without reading the request's body."""
        await stream.respond(413, body=b"too much\n")

    async def at_hints(self, stream: ServerStream) -> None:
        """Two informational responses, then the final one."""
        await stream.send_informational(103, {"link": "</style.css>; rel=preload"})
        await stream.send_informational(103, {"link": "</script.js>; rel=preload"})
        await stream.respond(200, body=HELLO)

    async def at_interim(self, stream: ServerStream) -> None:
        """Three informational responses, then the final one."""
        await stream.send_informational(102)
        await stream.send_informational(103, {"link": "</first.css>; rel=preload"})
        await stream.send_informational(103, {"link": "</second.css>; rel=preload"})
        await stream.respond(200, body=HELLO)

    async def at_reject(self, stream: ServerStream) -> None:
        """Does not want the body."""
        await stream.respond(417, body=b"no\n")

    async def at_bare(self, stream: ServerStream) -> None:
        """Trailers without a body."""
        await stream.respond(200)
        await stream.send_trailers({"x-sum": "0"})

    async def at_altsvc(self, stream: ServerStream) -> None:
        """Names alternative services, for an origin and for this stream's."""
        session = _session_of(stream)
        await session.altsvc('h2=":8000"', "https://example.org:8443/foo")
        await session.altsvc('h3=":443"; ma=60', stream.id)
        await session.altsvc("clear", "http://example.com")
        await self.at_hello(stream)

    async def at_origin(self, stream: ServerStream) -> None:
        """Names origins, twice."""
        session = _session_of(stream)
        await session.origin("https://example.org/foo", "https://example.com:444")
        await session.origin("https://third.example")
        await self.at_hello(stream)

    async def at_settings(self, stream: ServerStream) -> None:
        """Changes settings, twice, and answers when both are acknowledged."""
        session = _session_of(stream)
        await session.update_settings(Settings(max_header_list_size=20_000, initial_window_size=70_000))
        await session.update_settings(Settings(max_concurrent_streams=77))
        await self.at_hello(stream)

    async def at_ping(self, stream: ServerStream) -> None:
        """Pings the client, and answers with what came back."""
        result = await _session_of(stream).ping(b"are you?")
        assert result.round_trip > 0
        await stream.respond(200, body=result.payload)

    async def at_goaway(self, stream: ServerStream) -> None:
        """Says GOAWAY with a reason, and answers."""
        await _session_of(stream).goaway(debug_data=b"because of the test")
        await self.at_hello(stream)

    async def at_continue(self, stream: ServerStream) -> None:
        """Asks for the body of a request that waits for that."""
        if stream.headers.get("expect") != "100-continue":
            await stream.respond(417, body=b"no expect\n")
            return
        await stream.send_informational(100)
        await self.at_sum(stream)

    async def at_hang(self, stream: ServerStream) -> None:
        """Responds, sends something, and waits until it is cancelled."""
        await stream.respond(200)
        await stream.send_all(HELLO)
        self.started.set()
        try:
            await trio.sleep_forever()
        finally:
            self.cancelled.set()

    async def at_gate(self, stream: ServerStream) -> None:
        """Waits for the gate to open; then the rest of the response follows."""
        await stream.respond(200)
        await stream.send_all(HELLO)
        self.gated += 1
        self.started.set()
        await self.gate.wait()
        await stream.send_all(HELLO)

    async def at_reset(self, stream: ServerStream, code: str) -> None:
        """Resets the stream after its headers and some of the body."""
        await stream.respond(200)
        await stream.send_all(HELLO)
        stream.reset(int(code))

    async def at_boom(self, stream: ServerStream) -> None:
        """Fails before the headers."""
        raise DeliberateError("before the headers")

    async def at_late_boom(self, stream: ServerStream) -> None:
        """Fails in the middle of the body."""
        await stream.respond(200)
        await stream.send_all(HELLO)
        raise DeliberateError("after the headers")

    async def _respond_json(self, stream: ServerStream, value: object) -> None:
        await stream.respond({":status": "200", "content-type": "application/json"}, body=json.dumps(value).encode())


def _session_of(stream: ServerStream) -> ServerSession:
    session = stream.session
    assert isinstance(session, ServerSession)
    return session


async def _answer_push(pushed: ServerStream) -> None:
    with contextlib.suppress(StreamResetError):  # the client may not want it
        await pushed.respond({":status": 200, "content-type": "text/plain"})
        await pushed.send_all(pushed.path.encode())
        await pushed.send_trailers({"x-path": pushed.path})

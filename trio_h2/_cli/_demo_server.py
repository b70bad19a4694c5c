"""The server of the tour: a handler for each thing that the client of the tour shows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio_h2 import ServerStream

STYLE = b"body { color: teal }"


class DemoServer:
    """The handlers, and what they have to tell each other and the tour."""

    def __init__(self, guests: int) -> None:
        self.guests = guests
        """How many requests meet at ``/meet``."""
        self.present = 0
        self.all_present = trio.Event()
        self.flood_ended = trio.Event()
        self.may_finish = trio.Event()
        self._routes = {
            "/hello": self.hello,
            "/upload": self.upload,
            "/echo": self.echo,
            "/checked": self.checked,
            "/loud": self.loud,
            "/page": self.page,
            "/meet": self.meet,
            "/flood": self.flood,
            "/never": self.never,
            "/slow": self.slow,
        }

    async def __call__(self, stream: ServerStream) -> None:
        """Handles one request, in a task of its own."""
        handler = self._routes.get(stream.path)
        if handler is None:
            await stream.respond(404, body=b"not part of the tour\n")
        else:
            await handler(stream)

    async def hello(self, stream: ServerStream) -> None:
        """A whole response in one call."""
        await stream.respond({":status": 200, "content-type": "text/plain"}, body=b"hello, world\n")

    async def upload(self, stream: ServerStream) -> None:
        """Reads a body as it comes. The client is not let ahead further than the flow-control window."""
        digest, octets = hashlib.sha256(), 0
        async for chunk in stream:
            digest.update(chunk)
            octets += len(chunk)
        await stream.respond(200, body=f"{octets} {digest.hexdigest()}".encode())

    async def echo(self, stream: ServerStream) -> None:
        """Sends while it receives: the response begins before the request has ended."""
        await stream.respond(200)
        async for chunk in stream:
            await stream.send_all(chunk)

    async def checked(self, stream: ServerStream) -> None:
        """Reads trailers after the body, and sends some."""
        body = b"".join([chunk async for chunk in stream])
        trailers = await stream.receive_trailers()
        intact = trailers is not None and trailers.get("sha256") == hashlib.sha256(body).hexdigest()
        answer = b"intact" if intact else b"damaged"
        await stream.respond(200)
        await stream.send_all(answer)
        await stream.send_trailers({"sha256": hashlib.sha256(answer).hexdigest()})

    async def loud(self, stream: ServerStream) -> None:
        """Answers every message of a WebSocket."""
        from trio_h2.websocket import accept_websocket

        async with accept_websocket(stream) as ws:
            async for message in ws:
                await ws.send_message(message.upper())

    async def page(self, stream: ServerStream) -> None:
        """Sends what the page needs before it is asked for, if the client takes that."""
        if stream.push_allowed:
            style = await stream.push({":path": "/style.css"})
            await style.respond({"content-type": "text/css"}, body=STYLE)
        await stream.respond({"content-type": "text/html"}, body=b"<link rel=stylesheet href=/style.css>")

    async def meet(self, stream: ServerStream) -> None:
        """Answers when all guests are there, which they never are if they come one after the other."""
        self.present += 1
        if self.present == self.guests:
            self.all_present.set()
        await self.all_present.wait()
        await stream.respond(200, body=b"met")

    async def flood(self, stream: ServerStream) -> None:
        """Sends for ever. When the client resets the stream, this task is cancelled."""
        await stream.respond(200)
        try:
            while True:
                await stream.send_all(bytes(64 * 1024))
        finally:
            self.flood_ended.set()

    async def never(self, stream: ServerStream) -> None:
        """Never answers."""
        await trio.sleep_forever()

    async def slow(self, stream: ServerStream) -> None:
        """Begins its response, and waits before it goes on."""
        await stream.respond(200)
        await stream.send_all(b"begun before the drain, ")
        await self.may_finish.wait()
        await stream.send_all(b"ended after it")

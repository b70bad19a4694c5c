"""A chat: what one member says, all others hear. Open the page it serves in two windows of a browser.

In cleartext a browser speaks HTTP/1.1, and asks for an upgrade; a client of trio_h2 uses HTTP/2. Both meet in one room.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import trio

import trio_h2
from trio_h2.websocket import WebSocket, WebSocketHandler

BACKLOG = 100
"""How many lines a member may be behind, before it is dropped: nobody else waits for it."""
PAGE = b"""<!doctype html><meta charset="utf-8"><title>chat</title>
<form><input autofocus autocomplete="off"></form><pre></pre>
<script>
const name = encodeURIComponent(prompt("Your name?") || "me");
const ws = new WebSocket(location.origin.replace("http", "ws") + "/chat?name=" + name);
const [form, text, log] = ["form", "input", "pre"].map(name => document.querySelector(name));
form.onsubmit = () => { ws.send(text.value); text.value = ""; return false };
ws.onmessage = event => log.textContent += event.data + "\\n";
ws.onclose = event => log.textContent += "closed: " + event.code + " " + event.reason + "\\n";
</script>
"""


@dataclass(eq=False)
class Member:
    """Somebody in the room."""

    name: str
    lines: trio.MemorySendChannel[str]
    scope: trio.CancelScope


class Room:
    """Who is there, and hears what."""

    def __init__(self) -> None:
        self._members: set[Member] = set()

    def say(self, line: str) -> None:
        """Tells all members. Never waits: who has not kept up is dropped."""
        for member in list(self._members):
            try:
                member.lines.send_nowait(line)
            except trio.WouldBlock:
                member.scope.cancel()

    async def chat(self, ws: WebSocket) -> None:
        """The handler of each WebSocket."""
        lines, to_send = trio.open_memory_channel[str](BACKLOG)
        with trio.CancelScope() as scope:
            name = dict(parse_qsl(urlsplit(ws.path).query)).get("name", "somebody")
            member = Member(name, lines, scope)
            self._members.add(member)
            self.say(f"{member.name} has come")
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._forward, to_send, ws)
                    async for message in ws:
                        self.say(f"{member.name}: {message!s}")
                    nursery.cancel_scope.cancel()
            finally:
                self._members.discard(member)
                self.say(f"{member.name} has left")
        if scope.cancelled_caught:
            await ws.aclose(1008, "too slow")

    async def _forward(self, to_send: trio.MemoryReceiveChannel[str], ws: WebSocket) -> None:
        async for line in to_send:
            await ws.send_message(line)


async def page(stream: trio_h2.ServerStream) -> None:
    await stream.respond({"content-type": "text/html; charset=utf-8"}, body=PAGE)


async def main(port: int) -> None:
    handler = WebSocketHandler(Room().chat, fallback=page)
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio_h2.open_server(handler, port, config=config, allow_http1=True) as server:
            print("Listening on", *server.urls, flush=True)
            await anext(signals)  # leaving the block closes each WebSocket with 1001


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)

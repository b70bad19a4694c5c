"""Listens to server-sent events, and reconnects: python3 event_client.py https://localhost:8443 cert.pem"""

import random
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass

import trio

import trio_h2

NOT_NOW = (502, 503, 504)
"""What a proxy answers while the server behind it restarts."""


@dataclass
class Event:
    id: str
    kind: str
    data: str


class EventParser:
    """Makes events of the bytes of a ``text/event-stream``."""

    def __init__(self) -> None:
        self.rest = b""
        self.last_id = ""
        self.retry = 3.0
        self.kind = ""
        self.data: list[str] = []

    def feed(self, chunk: bytes | bytearray) -> list[Event]:
        *lines, self.rest = (self.rest + bytes(chunk)).replace(b"\r\n", b"\n").split(b"\n")
        events: list[Event] = []
        for line in lines:
            field, _, value = line.decode().partition(":")
            value = value.removeprefix(" ")
            if not line and self.data:
                events.append(Event(self.last_id, self.kind or "message", "\n".join(self.data)))
            if not line:
                self.kind, self.data = "", []
            elif field == "data":
                self.data.append(value)
            elif field == "event":
                self.kind = value
            elif field == "id":
                self.last_id = value
            elif field == "retry" and value.isdecimal():
                self.retry = int(value) / 1000
        return events


async def listen(url: str, path: str, handle: Callable[[Event], object], context: ssl.SSLContext | None) -> None:
    """Calls *handle* with each event, for ever; an answer that will not change ends it with `ValueError`."""
    parser = EventParser()
    while True:
        try:
            async with trio_h2.connect(url, ssl_context=context) as session:
                headers = {"accept": "text/event-stream"}
                if parser.last_id:
                    headers["last-event-id"] = parser.last_id
                async with session.request("GET", path, headers=headers) as stream:
                    response = await stream.receive_response()
                    if response.status == 204:
                        return  # the server has no more events
                    if response.status not in (200, *NOT_NOW):
                        raise ValueError(f"status {response.status}")
                    if response.status == 200:
                        async for chunk in stream:
                            for event in parser.feed(chunk):
                                handle(event)
        except (OSError, trio_h2.StreamError, trio_h2.SessionError) as error:
            print(f"{error!r}, reconnecting", file=sys.stderr)
        parser.rest, parser.kind, parser.data = b"", "", []
        await trio.sleep(parser.retry * random.uniform(0.5, 1.5))


if __name__ == "__main__":
    trio.run(listen, sys.argv[1], "/ticks", print, trio_h2.client_ssl_context(sys.argv[2]))

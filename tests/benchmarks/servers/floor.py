"""The floor: what Trio and h2 alone cost. A server without tasks, timeouts, limits or fairness.

One loop for each connection: read, let h2 parse, answer, write. Requests are answered where they are seen; what waits
for flow-control windows is kept in a dict and sent when the windows allow it. A real server cannot be this simple: no
handler may wait here, and a client that stops reading stops everything in its connection.

This file stays as it is. A change would make older results worthless.

Usage: floor.py PORT [CERTIFICATE KEY]. Paths: /small, /bytes/N, /sink (reads the body), /echo.
"""

from __future__ import annotations

import ssl
import sys
from collections import deque

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import trio

SMALL = b"hello, world\n"
PIECE = bytes(range(256)) * 256
READ_SIZE = 64 * 1024
WRITE_SIZE = 64 * 1024
STREAM_WINDOW = 1024 * 1024
CONNECTION_WINDOW = 16 * 1024 * 1024

# Our own fields are constants that need neither checks nor lower case; what comes in is checked as h2 does by default.
CONFIG = h2.config.H2Configuration(
    client_side=False, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
)
SETTINGS = {
    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
    h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1000,
    h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 65_536,
}
SMALL_HEADERS = [(b":status", b"200"), (b"content-type", b"text/plain"), (b"content-length", b"%d" % len(SMALL))]
STREAM_HEADERS = [(b":status", b"200"), (b"content-type", b"application/octet-stream")]


class Body:
    """A response body that is being sent."""

    __slots__ = ("complete", "pieces", "sent")

    def __init__(self) -> None:
        self.pieces: deque[tuple[bytes, int]] = deque()
        """Data, and how many received bytes are to be acknowledged when it was sent."""
        self.sent = 0
        """How much of the first piece was sent."""
        self.complete = False
        """No more pieces will come."""


class Connection:
    """The loop of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.h2 = h2.connection.H2Connection(CONFIG)
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=SETTINGS)
        self.bodies: dict[int, Body] = {}
        self.echoes: set[int] = set()
        self.sinks: set[int] = set()

    async def run(self) -> None:
        conn, stream = self.h2, self.stream
        conn.initiate_connection()
        conn.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        await stream.send_all(conn.data_to_send())
        while data := await stream.receive_some(READ_SIZE):
            for event in conn.receive_data(data):
                self.handle(event)
            while self.fill():
                await stream.send_all(conn.data_to_send())
            if output := conn.data_to_send():
                await stream.send_all(output)

    def handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.request(event)
        elif isinstance(event, h2.events.DataReceived):
            if event.stream_id in self.echoes:
                self.bodies[event.stream_id].pieces.append((event.data, event.flow_controlled_length))
            else:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            if event.stream_id in self.sinks:
                self.sinks.discard(event.stream_id)
                self.respond_small(event.stream_id)
            elif event.stream_id in self.echoes:
                self.bodies[event.stream_id].complete = True
        elif isinstance(event, h2.events.StreamReset):
            self.reset(event.stream_id)

    def request(self, event: h2.events.RequestReceived) -> None:
        conn, stream_id = self.h2, event.stream_id
        path = next(value for name, value in event.headers if name == b":path")
        if path.startswith(b"/bytes/"):
            conn.send_headers(stream_id, STREAM_HEADERS)
            whole, rest = divmod(int(path[7:]), len(PIECE))
            body = self.bodies[stream_id] = Body()
            body.pieces.extend([(PIECE, 0)] * whole)
            if rest:
                body.pieces.append((PIECE[:rest], 0))
            body.complete = True
        elif path == b"/echo":
            conn.send_headers(stream_id, STREAM_HEADERS)
            self.bodies[stream_id] = Body()
            self.echoes.add(stream_id)
        elif path == b"/sink":
            self.sinks.add(stream_id)
        else:
            self.respond_small(stream_id)

    def respond_small(self, stream_id: int) -> None:
        self.h2.send_headers(stream_id, SMALL_HEADERS)
        self.h2.send_data(stream_id, SMALL, end_stream=True)

    def reset(self, stream_id: int) -> None:
        self.echoes.discard(stream_id)
        self.sinks.discard(stream_id)
        body = self.bodies.pop(stream_id, None)
        if body is not None:
            for _, owed in body.pieces:
                if owed:
                    self.h2.acknowledge_received_data(owed, stream_id)

    def fill(self) -> bool:
        """Frames bodies, one frame of each in turn, until enough for one write is there.

        Returns False when nothing more can be sent.
        """
        conn, bodies = self.h2, self.bodies
        framed = 0
        progress = True
        while progress and framed < WRITE_SIZE:
            progress = False
            for stream_id, body in list(bodies.items()):
                if body.pieces:
                    room = min(conn.local_flow_control_window(stream_id), conn.max_outbound_frame_size)
                    if room <= 0:
                        continue
                    data, owed = body.pieces[0]
                    part = data[body.sent : body.sent + room]
                    body.sent += len(part)
                    if body.sent == len(data):
                        body.pieces.popleft()
                        body.sent = 0
                        if owed:
                            conn.acknowledge_received_data(owed, stream_id)
                    framed += len(part)
                elif body.complete:
                    part = b""
                else:
                    continue
                end = body.complete and not body.pieces
                conn.send_data(stream_id, part, end_stream=end)
                progress = True
                if end:
                    del bodies[stream_id]
                    self.echoes.discard(stream_id)
        return framed > 0


async def serve(stream: trio.abc.Stream) -> None:
    try:
        await Connection(stream).run()
    except (trio.BrokenResourceError, h2.exceptions.ProtocolError):
        pass  # the client is gone, has sent GOAWAY, or breaks the rules
    finally:
        await trio.aclose_forcefully(stream)


async def main(port: int, *tls_files: str) -> None:
    if not tls_files:
        await trio.serve_tcp(serve, port, host="127.0.0.1")
        return
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*tls_files)
    context.set_alpn_protocols(["h2"])
    await trio.serve_ssl_over_tcp(serve, port, context, host="127.0.0.1", https_compatible=True)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), *sys.argv[2:])

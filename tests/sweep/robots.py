"""A scripted server and a scripted client for the paths of `exchanges.py`.

Each pumps: it sends what the windows allow, reads one frame, and goes on, whatever the other side does meanwhile. The
rules of the protocol are watched by the `ScriptedPeer` below (windows, lengths) and the wire log (streams, bodies).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from tests.sweep.exchanges import BODIES, TRAILERS
from trio_h2.testing import DataFrame, Frame, HeadersFrame, PeerClosedError, RstStreamFrame, ScriptedPeer
from trio_h2.testing._frames import SettingCode

if TYPE_CHECKING:
    from tests.sweep.wirelog import Tap


@dataclass
class Line:
    """One stream, as a robot sees it."""

    path: str
    to_send: bytearray = field(default_factory=bytearray)
    last: bool = False
    """Whether the end follows what is to be sent."""
    sent_end: bool = False
    got_end: bool = False
    received: bytearray = field(default_factory=bytearray)
    status: int | None = None
    trailers: dict[str, str] | None = None
    reset: int | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more can happen."""
        return self.reset is not None or (self.sent_end and self.got_end)


class _Robot:
    """What both robots do the same way."""

    def __init__(self, transport: Tap, *, client: bool, window: int) -> None:
        self.peer = ScriptedPeer(transport, client=client, timeout=float("inf"))
        self.streams: dict[int, Line] = {}
        self.saw_end = False
        self._gone = False
        self._settings = {SettingCode.INITIAL_WINDOW_SIZE: window}

    async def step(self) -> Frame | None:
        """Sends what may be sent, and reads one frame; None at the end."""
        try:
            for stream_id, line in list(self.streams.items()):
                await self._send(stream_id, line)
        except trio.BrokenResourceError:
            self._is_gone()
        try:
            frame = await self.peer.receive_frame()
        except PeerClosedError as exc:
            if exc.partial:
                raise  # a frame was cut
            self.saw_end = True
            return None
        try:
            if not self._gone:
                await self._received(frame)
        except trio.BrokenResourceError:
            self._is_gone()
        return frame

    def _is_gone(self) -> None:
        """Nobody listens any more: all that is left to do is to read what was said before."""
        self._gone = True
        self.streams.clear()

    async def _send(self, stream_id: int, line: Line) -> None:
        peer = self.peer
        while line.to_send:
            size = min(peer.send_window(), peer.send_window(stream_id), len(line.to_send))
            if size <= 0:
                return
            piece = bytes(line.to_send[:size])
            del line.to_send[:size]
            ends = line.last and not line.to_send and line.path != "/trailers"
            line.sent_end = ends
            await peer.send_data(stream_id, piece, end_stream=ends)
        if line.last and not line.sent_end:
            line.sent_end = True
            if line.path == "/trailers":
                await peer.send_headers(stream_id, TRAILERS, end_stream=True)
            else:
                await peer.send_data(stream_id, b"", end_stream=True)
        self._forget_if_over(stream_id, line)

    async def _received(self, frame: Frame) -> None:
        line = self.streams.get(frame.stream_id)
        match frame:
            case HeadersFrame():
                await self._headers(frame, line)
            case DataFrame():
                await self._give_back(frame, line)
                if line is not None:
                    line.received += frame.data
                    line.got_end = frame.end_stream
                    await self._data(frame, line)
            case RstStreamFrame() if line is not None:
                line.reset = frame.code
        line = self.streams.get(frame.stream_id)
        if line is not None:
            self._forget_if_over(frame.stream_id, line)

    def _forget_if_over(self, stream_id: int, line: Line) -> None:
        if line.over:
            self.streams.pop(stream_id, None)

    async def _give_back(self, frame: DataFrame, line: Line | None) -> None:
        if not frame.flow_controlled_length:
            return
        async with self.peer.batch():
            if line is None or not line.path.startswith("/burn"):  # what is burnt never comes back
                await self.peer.send_window_update(0, frame.flow_controlled_length)
            if not frame.end_stream:
                await self.peer.send_window_update(frame.stream_id, frame.flow_controlled_length)

    async def _headers(self, frame: HeadersFrame, line: Line | None) -> None:
        raise NotImplementedError

    async def _data(self, frame: DataFrame, line: Line) -> None:
        """More of a body has come."""


class RobotServer(_Robot):
    """Answers like our server's handlers.

    Args:
        transport: The stream below.
        window: The initial window of its streams, in bytes.
        max_streams: How many streams it allows.
    """

    def __init__(self, transport: Tap, *, window: int, max_streams: int) -> None:
        super().__init__(transport, client=False, window=window)
        self._settings[SettingCode.MAX_CONCURRENT_STREAMS] = max_streams
        self._max_streams = max_streams

    async def run(self) -> None:
        """Serves until the client ends."""
        try:
            await self.peer.handshake(self._settings, wait_ack=False)
        except trio.BrokenResourceError:
            self._is_gone()
        except PeerClosedError as exc:
            if exc.partial:
                raise
            self.saw_end = True  # the client never began
        while not self.saw_end and await self.step() is not None:
            pass
        await self.peer.aclose()

    async def let_go(self) -> None:
        """Answers the requests for /hold."""
        for stream_id, line in list(self.streams.items()):
            if line.path == "/hold":
                await self._respond(stream_id, line)
                await self._send(stream_id, line)

    async def _headers(self, frame: HeadersFrame, line: Line | None) -> None:
        stream_id = frame.stream_id
        if line is None:
            path = frame.get(":path")
            assert path is not None
            line = self.streams[stream_id] = Line(path)
            # RFC 9113 §5.1.2: "Endpoints MUST NOT exceed the limit set by their peer."
            assert len(self.streams) <= self._max_streams
            if path in ("/early", "/download"):
                await self._respond(stream_id, line)
            elif path == "/echo":
                await self.peer.send_headers(stream_id, {":status": "200"})
        else:
            assert frame.get("x-sum") == TRAILERS["x-sum"]
        if frame.end_stream:
            line.got_end = True
            await self._request_ended(stream_id, line)

    async def _data(self, frame: DataFrame, line: Line) -> None:
        if line.path == "/echo":
            line.to_send += frame.data
            line.last = frame.end_stream
        elif frame.end_stream:
            await self._request_ended(frame.stream_id, line)

    async def _request_ended(self, stream_id: int, line: Line) -> None:
        assert bytes(line.received) == BODIES[line.path][0], "a cut body looks complete"
        if line.path == "/trailers":
            await self.peer.send_headers(stream_id, {":status": "103"})
        if line.path in ("/plain", "/upload", "/trailers", "/burn-up"):
            await self._respond(stream_id, line)

    async def _respond(self, stream_id: int, line: Line) -> None:
        await self.peer.send_headers(stream_id, {":status": "200"})
        line.to_send += BODIES[line.path][1]
        line.last = True


class RobotClient(_Robot):
    """Asks like our clients.

    Args:
        transport: The stream below.
        window: The initial window of its streams, in bytes.
    """

    def __init__(self, transport: Tap, *, window: int) -> None:
        super().__init__(transport, client=True, window=window)

    async def handshake(self) -> None:
        """Opens the connection."""
        await self.peer.handshake(self._settings)

    async def exchange(self, path: str) -> Line:
        """Sends a request and returns what has become of it."""
        line = await self._ask(path)
        while not line.over:
            assert await self.step() is not None, f"the server closed the connection: {line}"
        return line

    async def ask_and_read_to_end(self, path: str) -> None:
        """Sends a request and reads until the server closes the connection."""
        await self._ask(path)
        await self.read_to_end()

    async def _ask(self, path: str) -> Line:
        stream_id, line = self.peer.next_stream_id(), Line(path, bytearray(BODIES[path][0]))
        line.last = True
        line.sent_end = not line.to_send
        self.streams[stream_id] = line
        method = "POST" if line.to_send else "GET"
        fields = {":method": method, ":scheme": "http", ":authority": "localhost", ":path": path}
        await self.peer.send_headers(stream_id, fields, end_stream=line.sent_end)
        return line

    async def read_to_end(self) -> None:
        """Reads until the server closes, and closes."""
        while not self.saw_end:
            await self.step()
        await self.peer.aclose()

    async def _headers(self, frame: HeadersFrame, line: Line | None) -> None:
        if line is None:
            return
        if frame.status is None:
            line.trailers = {name.decode(): value.decode() for name, value in frame.fields}
        elif frame.status >= 200:
            line.status = frame.status
        line.got_end = frame.end_stream

"""Scripted peers in memory: they replay recorded frames, so that almost all the time measured is our own.

Each object is both our transport and the peer behind it.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from typing import TYPE_CHECKING

import trio

from tests.benchmarks import _recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_HEADER = struct.Struct(">HBBBI")
_WORD = struct.Struct(">I")
_SETTING = struct.Struct(">HI")
_SETTINGS_ACK = _recorded.frame(_recorded.SETTINGS, _recorded.ACK, 0)
_GOAWAY, _RST_STREAM = 7, 3
_CANCEL, _NO_ERROR = _WORD.pack(8), _WORD.pack(0)
_INITIAL_WINDOW_SIZE = 4


class Meter:
    """Takes the CPU time of one unit of work, between *warm* and *warm + count* units.

    The time is taken in several parts, and the cheapest one counts: on a busy machine, some are disturbed less.
    """

    def __init__(self, warm: int, count: int, parts: int = 5) -> None:
        self.total = warm + count
        self._step = max(1, count // parts)
        self._next = warm
        self._seen: tuple[int, float] | None = None
        self.parts: list[float] = []
        """The CPU time of one unit in each part, in µs."""

    def reached(self, done: int) -> None:
        """Notes that *done* units are done."""
        if done < self._next:
            return
        now = time.process_time()
        if self._seen is not None and done > self._seen[0]:
            self.parts.append((now - self._seen[1]) / (done - self._seen[0]) * 1e6)
        self._seen = done, now
        self._next = min(done + self._step, self.total) if done < self.total else self.total + 1

    @property
    def microseconds(self) -> float:
        """The CPU time of one unit."""
        return min(self.parts)


class ScriptedPeer(trio.abc.Stream):
    """A transport with a peer behind it. Subclasses say what the peer does."""

    def __init__(self, *, is_server: bool) -> None:
        self.writes = 0
        self._preface = len(_recorded.PREFACE) if is_server else 0
        self._ready: deque[bytes] = deque()
        self._ended = False
        self._closed = False
        self._partial = b""
        self._reader = trio.lowlevel.ParkingLot()

    def feed(self, data: bytes) -> None:
        """Makes *data* available to our side."""
        self._ready.append(data)
        self._reader.unpark_all()

    def end(self) -> None:
        """Ends what our side receives."""
        self._ended = True
        self._reader.unpark_all()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Waits for bytes and returns all that are there, like a socket."""
        await trio.lowlevel.checkpoint()
        while not self._ready:
            if self._closed:
                raise trio.ClosedResourceError
            if self._ended:
                return b""
            await self._reader.park()
        ready = self._ready
        room = 65_536 if max_bytes is None else max_bytes
        if len(ready) == 1 and len(ready[0]) <= room:
            return ready.popleft()
        taken = []
        while ready and room:
            piece = ready.popleft()
            if len(piece) > room:
                ready.appendleft(piece[room:])
                piece = piece[:room]
            room -= len(piece)
            taken.append(piece)
        return b"".join(taken)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Passes *data* to the peer."""
        if self._closed:
            raise trio.ClosedResourceError
        self.writes += 1
        self._take(data)
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """Never blocks."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Closes both directions."""
        self._closed = True
        self._reader.unpark_all()
        await trio.lowlevel.checkpoint()

    def _take(self, data: bytes | bytearray | memoryview) -> None:
        if self._partial:
            data = self._partial + data
        position = self._preface
        self._preface = 0
        end = len(data)
        while position + 9 <= end:
            high, low, kind, flags, stream_id = _HEADER.unpack_from(data, position)
            after = position + 9 + (high << 8 | low)
            if after > end:
                break
            if kind <= _recorded.HEADERS:
                self._message(kind, flags & _recorded.END_STREAM, stream_id)
            else:
                self._control(kind, flags, stream_id, bytes(data[position + 9 : after]))
            position = after
        self._partial = b"" if position == end else bytes(data[position:])
        self._taken()

    def _control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == _recorded.SETTINGS:
            if not flags & _recorded.ACK:
                self.feed(_SETTINGS_ACK)
                for code, value in _SETTING.iter_unpack(payload):
                    if code == _INITIAL_WINDOW_SIZE:
                        self._stream_window(value)
        elif kind == _recorded.PING:
            if not flags & _recorded.ACK:
                self.feed(_recorded.frame(_recorded.PING, _recorded.ACK, 0, payload))
        elif kind == _recorded.WINDOW_UPDATE:
            self._credit(stream_id, _WORD.unpack(payload)[0])
        elif (kind == _RST_STREAM and payload not in (_CANCEL, _NO_ERROR)) or (
            kind == _GOAWAY and payload[4:8] != _NO_ERROR
        ):
            raise AssertionError(f"the peer was told of an error on stream {stream_id}: {payload!r}")

    def _message(self, kind: int, ended: int, stream_id: int) -> None:
        """Called for every HEADERS and DATA frame we sent."""

    def _taken(self) -> None:
        """Called after the frames of one write."""

    def _stream_window(self, size: int) -> None:
        """Called with SETTINGS_INITIAL_WINDOW_SIZE of our side."""

    def _credit(self, stream_id: int, increment: int) -> None:
        """Called for every WINDOW_UPDATE we sent."""


class RequestingClient(ScriptedPeer):
    """Sends requests, *concurrency* at once; ends when the meter is over."""

    def __init__(self, requests: Iterator[bytes], concurrency: int, meter: Meter, before: bytes = b"") -> None:
        super().__init__(is_server=False)
        self._requests = requests
        self._running = concurrency
        self._done = 0
        self._meter = meter
        self.feed(_recorded.PREFACE + _recorded.wide_open() + before)
        for _ in range(concurrency):
            self.feed(next(requests))

    def _message(self, kind: int, ended: int, stream_id: int) -> None:
        if ended:
            self._done += 1
            self._running -= 1
            if request := next(self._requests, b""):
                self._running += 1
                self.feed(request)

    def _taken(self) -> None:
        self._meter.reached(self._done)
        if not self._running:
            self.end()


class RespondingServer(ScriptedPeer):
    """Answers every request at once; counts requests."""

    def __init__(self, blocks: Iterator[bytes], meter: Meter, max_concurrent_streams: int = 100) -> None:
        super().__init__(is_server=True)
        self._blocks = blocks
        self._done = 0
        self._meter = meter
        self.feed(_recorded.wide_open(max_concurrent_streams=max_concurrent_streams))

    def _message(self, kind: int, ended: int, stream_id: int) -> None:
        if ended:
            self._done += 1
            head = _recorded.frame(_recorded.HEADERS, _recorded.END_HEADERS, stream_id, next(self._blocks))
            self.feed(head + _recorded.frame(_recorded.DATA, _recorded.END_STREAM, stream_id, _recorded.BODY))

    def _taken(self) -> None:
        self._meter.reached(self._done)


class DownloadingClient(ScriptedPeer):
    """Sends one request, and counts the DATA frames of the response."""

    def __init__(self, request: bytes, meter: Meter) -> None:
        super().__init__(is_server=False)
        self._frames = 0
        self._meter = meter
        self.feed(_recorded.PREFACE + _recorded.wide_open() + request)

    def _message(self, kind: int, ended: int, stream_id: int) -> None:
        if kind == _recorded.DATA:
            self._frames += 1
        if ended:
            self.end()

    def _taken(self) -> None:
        self._meter.reached(self._frames)


class TakingServer(ScriptedPeer):
    """Takes the body of one request, counts its DATA frames, and answers when it has ended."""

    def __init__(self, block: bytes, meter: Meter) -> None:
        super().__init__(is_server=True)
        self._block = block
        self._frames = 0
        self._meter = meter
        self.feed(_recorded.wide_open(max_concurrent_streams=100))

    def _message(self, kind: int, ended: int, stream_id: int) -> None:
        if kind == _recorded.DATA:
            self._frames += 1
        if ended:
            flags = _recorded.END_HEADERS | _recorded.END_STREAM
            self.feed(_recorded.frame(_recorded.HEADERS, flags, stream_id, self._block))

    def _taken(self) -> None:
        self._meter.reached(self._frames)


class _SendingPeer(ScriptedPeer):
    """Sends one body of full frames, as fast as our windows allow."""

    def __init__(self, frames: int, *, is_server: bool) -> None:
        super().__init__(is_server=is_server)
        self._left = frames
        self._window = 0
        self._session_window = 65_535
        self._stream_id: int | None = None
        self._one = b""

    def _begin(self, stream_id: int) -> None:
        self._stream_id = stream_id
        self._one = _recorded.frame(_recorded.DATA, 0, stream_id, bytes(_recorded.FRAME))
        self._pump()

    def _stream_window(self, size: int) -> None:
        self._window = size
        self._pump()

    def _credit(self, stream_id: int, increment: int) -> None:
        if stream_id:
            self._window += increment
        else:
            self._session_window += increment

    def _taken(self) -> None:
        self._pump()

    def _pump(self) -> None:
        if self._stream_id is None or not self._left:
            return
        frames = min(self._window // _recorded.FRAME, self._session_window // _recorded.FRAME, self._left)
        for _ in range(frames):
            self.feed(self._one)
        self._window -= frames * _recorded.FRAME
        self._session_window -= frames * _recorded.FRAME
        self._left -= frames
        if not self._left:
            self.feed(_recorded.frame(_recorded.DATA, _recorded.END_STREAM, self._stream_id))


class UploadingClient(_SendingPeer):
    """Sends one request with a large body; ends after the response."""

    def __init__(self, request: bytes, frames: int) -> None:
        super().__init__(frames, is_server=False)
        self.feed(_recorded.PREFACE + _recorded.wide_open() + request)
        self._begin(1)

    def _message(self, kind: int, ended: int, stream_id: int) -> None:
        if ended:
            self.end()


class SendingServer(_SendingPeer):
    """Answers one request with a large body."""

    def __init__(self, block: bytes, frames: int) -> None:
        super().__init__(frames, is_server=True)
        self._block = block
        self.feed(_recorded.wide_open(max_concurrent_streams=100))

    def _message(self, kind: int, ended: int, stream_id: int) -> None:
        if ended:
            self.feed(_recorded.frame(_recorded.HEADERS, _recorded.END_HEADERS, stream_id, self._block))
            self._begin(stream_id)


class ManualClient(ScriptedPeer):
    """Sends only what the test feeds, and calls *on_write* for each write of our side."""

    def __init__(self, on_write: Callable[[], None] | None = None) -> None:
        super().__init__(is_server=False)
        self._on_write = on_write
        self._waiting = trio.lowlevel.ParkingLot()
        self.ended: set[int] = set()
        self.feed(_recorded.PREFACE + _recorded.wide_open())

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Passes *data* to the peer."""
        if self._on_write is not None:
            self._on_write()
        await super().send_all(data)

    async def wait_ended(self, stream_ids: Sequence[int]) -> None:
        """Waits until our side has ended all these streams."""
        while not self.ended.issuperset(stream_ids):
            await self._waiting.park()

    def _message(self, kind: int, ended: int, stream_id: int) -> None:
        if ended:
            self.ended.add(stream_id)
            self._waiting.unpark_all()

"""The load generator of everything but small requests: the same for all servers, and cheap.

It frames by hand: DATA frames are made once, received ones are only counted. Its windows are as large as they may be,
so that a server is held up by its own means alone.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import Final

FRAME: Final = 16_384
_MAX_WINDOW = 2**31 - 1
_TOP_UP = 2**26
_PAYLOAD = bytes(range(256)) * (FRAME // 256)
_BATCH = 16
_BUFFER = 256 * 1024
_SECONDS = 60.0
"""A transfer that takes longer fails."""

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4


class TransferError(Exception):
    """The server did not do what it should."""


@dataclass(slots=True)
class Exchange:
    """One request and what has come of its response."""

    upload: int = 0
    """Bytes of the request body that are still to be sent."""
    window: int = 0
    """What the server allows us to send now."""
    received: int = 0
    """Bytes of the response body."""
    unacknowledged: int = 0
    ended: bool = False
    """The response has come to its end."""


class RawSession:
    """One connection to a server that speaks HTTP/2 in cleartext with prior knowledge."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.exchanges: dict[int, Exchange] = {}
        self._next_id = 1
        self._window = 65_535
        self._stream_window = 65_535
        self._unacknowledged = 0
        self._control = bytearray(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._output = memoryview(b"")
        self._buffer = memoryview(bytearray(_BUFFER))
        self._left = 0
        """Bytes at the front of the buffer: a frame that has not come in full."""
        self._skip = 0
        """Bytes of a DATA payload that are still to come."""
        self._ending = 0
        """The stream that ends with that payload, or 0."""
        self._settled = False
        self._control += _frame(_SETTINGS, 0, 0, struct.pack(">HIHI", 2, 0, _INITIAL_WINDOW_SIZE, _MAX_WINDOW))
        self._control += _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _MAX_WINDOW - 65_535))
        while not self._settled:
            self.step()

    def request(self, path: str, upload: int | None = None) -> int:
        """Begins a GET, or with *upload* a POST with so many bytes; returns the stream id."""
        stream_id = self._next_id
        self._next_id += 2
        method = b"\x82" if upload is None else b"\x83"  # the static table: GET, POST, then http, :path, :authority
        encoded = path.encode()
        block = method + b"\x86\x04" + bytes([len(encoded)]) + encoded + b"\x01\x09localhost"
        flags = _END_HEADERS | (0 if upload else _END_STREAM)
        self._control += _frame(_HEADERS, flags, stream_id, block)
        self.exchanges[stream_id] = Exchange(upload or 0, self._stream_window)
        return stream_id

    def finish(self, *stream_ids: int) -> int:
        """Waits until these exchanges are over, forgets them, and returns how many bytes their responses had."""
        wanted = [self.exchanges[stream_id] for stream_id in stream_ids]
        while not all(exchange.ended and not exchange.upload for exchange in wanted):
            self.step()
        for stream_id in stream_ids:
            del self.exchanges[stream_id]
        return sum(exchange.received for exchange in wanted)

    def close(self) -> None:
        """Says GOAWAY if that goes at once, and closes the socket."""
        if not self._output:
            with contextlib.suppress(OSError):  # the server is gone, or does not read
                self.socket.send(_frame(_GOAWAY, 0, 0, bytes(8)))
        self.socket.close()

    def step(self) -> None:
        """Waits until something can be received or sent, and does that."""
        if not self._output:
            self._fill()
        readable, writable, _ = select.select([self.socket], [self.socket] if self._output else [], [], _SECONDS)
        if not readable and not writable:
            raise TransferError("the server does nothing")
        if writable:
            self._output = self._output[self.socket.send(self._output) :]
        if readable:
            count = self.socket.recv_into(self._buffer[self._left :])
            if not count:
                raise TransferError("the server has closed the connection")
            self._feed(self._left + count)

    def _fill(self) -> None:
        """Makes the next batch of output: control frames, and DATA of all uploads in turn."""
        parts = [bytes(self._control)]
        self._control.clear()
        for stream_id, exchange in self.exchanges.items():
            for _ in range(_BATCH // 4):
                size = min(exchange.upload, FRAME)
                if not size or exchange.window < size or self._window < size:
                    break
                exchange.upload -= size
                exchange.window -= size
                self._window -= size
                parts += [_header(size, _DATA, 0 if exchange.upload else _END_STREAM, stream_id), _PAYLOAD[:size]]
        self._output = memoryview(b"".join(parts))

    def _feed(self, end: int) -> None:
        """Parses what is in the buffer up to *end*; moves an incomplete frame to its front."""
        buffer, position = self._buffer, 0
        while position < end:
            if self._skip:
                step = min(self._skip, end - position)
                self._skip -= step
                position += step
                if not self._skip and self._ending:
                    self._end(self._ending)
                continue
            if end - position < 9:
                break
            high, low, kind, flags, stream_id = struct.unpack_from(">BHBBI", buffer, position)
            length = high << 16 | low
            if kind == _DATA:
                position += 9
                self._data(stream_id, length, flags & _END_STREAM)
            elif end - position < 9 + length:
                break
            else:
                self._control_frame(kind, flags, stream_id, bytes(buffer[position + 9 : position + 9 + length]))
                position += 9 + length
        self._left = end - position
        if self._left and position:
            buffer[: self._left] = bytes(buffer[position:end])

    def _data(self, stream_id: int, length: int, ends: int) -> None:
        exchange = self.exchanges.get(stream_id)
        if exchange is not None:
            exchange.received += length
            exchange.unacknowledged += length
            if exchange.unacknowledged > _TOP_UP:
                self._control += _frame(_WINDOW_UPDATE, 0, stream_id, struct.pack(">I", exchange.unacknowledged))
                exchange.unacknowledged = 0
        self._unacknowledged += length
        if self._unacknowledged > _TOP_UP:
            self._control += _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._unacknowledged))
            self._unacknowledged = 0
        self._skip = length
        self._ending = stream_id if ends else 0
        if ends and not length:
            self._end(stream_id)

    def _end(self, stream_id: int) -> None:
        self._ending = 0
        if stream_id in self.exchanges:
            self.exchanges[stream_id].ended = True

    def _control_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == _HEADERS and flags & _END_STREAM:
            self._end(stream_id)
        elif kind == _WINDOW_UPDATE:
            (increment,) = struct.unpack(">I", payload)
            if stream_id == 0:
                self._window += increment
            elif stream_id in self.exchanges:
                self.exchanges[stream_id].window += increment
        elif kind == _SETTINGS and not flags & _ACK:
            for code, value in struct.iter_unpack(">HI", payload):
                if code == _INITIAL_WINDOW_SIZE:
                    for exchange in self.exchanges.values():
                        exchange.window += value - self._stream_window
                    self._stream_window = value
            self._control += _frame(_SETTINGS, _ACK, 0, b"")
            self._settled = True
        elif kind == _PING and not flags & _ACK:
            self._control += _frame(_PING, _ACK, 0, payload)
        elif kind == _GOAWAY:
            raise TransferError(f"GOAWAY with {payload!r}")
        elif kind == _RST_STREAM and stream_id in self.exchanges and not self.exchanges[stream_id].ended:
            raise TransferError(f"RST_STREAM with {payload!r}")


def transfer(port: int, path: str, upload: int | None, download: int, streams: int, repeat: int) -> float:
    """Makes *streams* requests at once, *repeat* times over one connection; returns the seconds that took.

    Args:
        port: Where the server is.
        path: What is asked for.
        upload: Bytes of each request body; None: a GET.
        download: Bytes that each response must have.
        streams: How many exchanges go on at once.
        repeat: How many times.

    Raises:
        TransferError, OSError: The server did something else.
    """
    session = RawSession(port)
    try:
        start = time.perf_counter()
        for _ in range(repeat):
            received = session.finish(*[session.request(path, upload) for _ in range(streams)])
            if received != download * streams:
                raise TransferError(f"{received} bytes came, not {download * streams}")
        return time.perf_counter() - start
    finally:
        session.close()


class Probe:
    """Small requests, one after the other, beside a download without end in the same session."""

    def __init__(self, port: int, bulk: str | None) -> None:
        self.session = RawSession(port)
        self._bulk = self.session.request(bulk) if bulk else 0
        while bulk and self.session.exchanges[self._bulk].received < _BUFFER:
            self.session.step()

    def seconds(self, count: int) -> list[float]:
        """Returns how long each of *count* small requests has taken.

        Raises:
            TransferError, OSError: The server did something else, or the download has ended.
        """
        found = []
        for _ in range(count):
            start = time.perf_counter()
            self.session.finish(self.session.request("/small"))
            found.append(time.perf_counter() - start)
        if self._bulk and self.session.exchanges[self._bulk].ended:
            raise TransferError("the download has ended before the small requests")
        return found


def raw_transfer(port: int, verb: str, size: int, streams: int, repeat: int) -> float:
    """Does the same over the server that has no HTTP: one connection, *streams* × *repeat* transfers.

    Args:
        port: Where the server is.
        verb: "down", "up" or "echo".
        size: Bytes of each transfer.
        streams: How many transfers are asked for at once.
        repeat: How many times.

    Returns:
        The seconds that took.
    """
    sock = socket.create_connection(("127.0.0.1", port))
    try:
        sock.setblocking(False)
        buffer = bytearray(_BUFFER)
        payload = memoryview(_PAYLOAD * _BATCH)
        start = time.perf_counter()
        for _ in range(streams * repeat):
            line = memoryview(f"{verb} {size}\n".encode())
            sending = size if verb != "down" else 0
            receiving = 1 if verb == "up" else size
            while line or sending or receiving:
                readable, writable, _ = select.select([sock], [sock] if line or sending else [], [], _SECONDS)
                if not readable and not writable:
                    raise TransferError("the server does nothing")
                if writable and line:
                    line = line[sock.send(line) :]
                elif writable:
                    sending -= sock.send(payload[:sending])
                if readable:
                    count = sock.recv_into(buffer)
                    if not count:
                        raise TransferError("the server has closed the connection")
                    receiving -= count
        return time.perf_counter() - start
    finally:
        sock.close()


def _header(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    return struct.pack(">BHBBI", length >> 16, length & 0xFFFF, kind, flags, stream_id)


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return _header(len(payload), kind, flags, stream_id) + payload

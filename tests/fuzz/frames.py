"""Hostile byte streams: what a peer would send, built from frames, and then spoiled in many ways.

Nothing here is shared with the code under test: frames are packed here, and field blocks are made of literals that are
written here, or by `hpack`. The same source of randomness gives the same bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from hpack import Encoder

from trio_h2 import Role

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ALTSVC, ORIGIN, PRIORITY_UPDATE = 0xA, 0xC, 0x10
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, WEIGHTED = 0x4, 0x8, 0x20

Pair: TypeAlias = tuple[bytes, bytes]


@dataclass(slots=True)
class RawFrame:
    """A frame as it goes over the wire; *length* is what its header says instead of the truth."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes = b""
    length: int | None = None

    def pack(self) -> bytes:
        """Returns its bytes."""
        size = len(self.payload) if self.length is None else self.length
        head = struct.pack(">LBL", (size & 0xFFFFFF) << 8 | self.kind & 0xFF, self.flags & 0xFF, self.stream_id)
        return head + self.payload


def parse(data: bytes) -> Iterator[RawFrame]:
    """Yields the whole frames in *data*; what is left over comes as one with a *length* that is not its own."""
    while data:
        if len(data) < 9:
            yield RawFrame(-1, 0, 0, data, 0)
            return
        size = int.from_bytes(data[:3])
        payload = data[9 : 9 + size]
        whole = len(payload) == size
        yield RawFrame(data[3], data[4], int.from_bytes(data[5:9]) & 0x7FFF_FFFF, payload, None if whole else size)
        data = data[9 + size :]


# -- field blocks ------------------------------------------------------------------------------------------------------


def _integer(value: int, bits: int, first: int) -> bytes:
    """RFC 7541 §5.1."""
    limit = 2**bits - 1
    if value < limit:
        return bytes([first | value])
    found = bytearray([first | limit])
    value -= limit
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def literals(fields: Iterable[Pair], first: int = 0x00) -> bytes:
    """Returns a block of literals: 0x00 without indexing, 0x10 never indexed, 0x40 for the table."""
    return b"".join(
        bytes([first]) + _integer(len(name), 7, 0) + name + _integer(len(value), 7, 0) + value for name, value in fields
    )


_GET = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"example.com"), (b":path", b"/")]
_POST = [(b":method", b"POST"), *_GET[1:]]
_CONNECT = [(b":method", b"CONNECT"), (b":authority", b"example.com:443")]
_OK = [(b":status", b"200")]
_MORE = [(b"accept", b"*/*"), (b"user-agent", b"fuzz/1.0 (hostile)"), (b"cookie", b"a=b"), (b"cookie", b"c=d")]

_GOOD_REQUESTS: list[list[Pair]] = [
    _GET,
    [*_GET, *_MORE],
    _POST,
    [*_POST, (b"content-length", b"5")],
    [*_POST, (b"content-length", b"1000"), *_MORE],
    [(b":method", b"HEAD"), *_GET[1:]],
    [(b":method", b"OPTIONS"), *_GET[1:3], (b":path", b"*")],
    _CONNECT,
    [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *_GET[1:]],
    [*_GET, (b"te", b"trailers"), (b"expect", b"100-continue"), (b"priority", b"u=1, i")],
]
_GOOD_RESPONSES: list[list[Pair]] = [
    _OK,
    [*_OK, (b"content-type", b"text/plain"), (b"set-cookie", b"a=b")],
    [*_OK, (b"content-length", b"5")],
    [*_OK, (b"content-length", b"1000")],
    [(b":status", b"204")],
    [(b":status", b"304"), (b"content-length", b"77")],
    [(b":status", b"404"), (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")],
    [(b":status", b"100")],
    [(b":status", b"103"), (b"link", b"</a.css>; rel=preload")],
]
_TRAILERS: list[list[Pair]] = [
    [],
    [(b"grpc-status", b"0")],
    [(b"checksum", b"x" * 40), (b"server-timing", b"t")],
    [(b"content-length", b"3")],
    _OK,
]
_BAD: list[list[Pair]] = [
    [],
    _GET[:3],
    [*_GET, (b":path", b"/twice")],
    [(b"early", b"1"), *_GET],
    [*_GET, (b"Upper", b"case")],
    [*_GET, (b"connection", b"close")],
    [*_GET, (b"te", b"gzip")],
    [*_GET, (b"", b"nameless")],
    [*_GET, (b"null", b"a\x00b"), (b"line", b"a\r\nb: c")],
    [*_GET, (b"space", b" around "), (b"h\xc3\xa4", b"\xff\xfe")],
    [*_GET, (b"host", b"elsewhere.example")],
    [*_GET, (b":unknown", b"pseudo")],
    [*_POST, (b"content-length", b"5"), (b"content-length", b"6")],
    [*_POST, (b"content-length", b"-1")],
    [*_POST, (b"content-length", b"9" * 5000)],
    [*_GET, *[(b"x-%d" % number, b"y") for number in range(200)]],
    [*_GET, (b"large", b"z" * 3000)],
    [*_GET, *[(b"cookie", b"crumb=%d" % number) for number in range(150)]],
    [*_GET[:3], (b":path", b"no-slash")],
    [*_GET[:2], (b":authority", b"user@host:http"), _GET[3]],
    [(b":method", b"G E T"), *_GET[1:]],
    [(b":status", b"101")],
    [(b":status", b"20")],
    [(b":status", b"\xb2\xb3\xb2")],
    [*_OK, (b"transfer-encoding", b"chunked")],
    [*_OK, *_OK],
]
_BROKEN_BLOCKS = [
    b"\x80",  # index 0
    b"\xff\xff\xff\xff\x7f",  # an index beyond the table
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # an integer without end
    b"\x3f\xff\xff\x7f\x82",  # a table larger than allowed
    b"\x82\x20",  # a change of the table's size behind a field
    b"\x20\x3f\xe1\x1f\x20\x82",  # three changes of it
    b"\x40\x0aab",  # a string that is cut
    b"\x40\x82\xff\xff\x01a",  # Huffman code with EOS in it
    b"\x00\x81\xfe\x01a",  # its padding is not made of ones
    b"\x41",
    b"\xbe" * 50,  # the newest entry of an empty table
]
_TABLED = literals([(b"x-bomb", b"b" * 3900)], 0x40)
_BOMB = b"\xbe" * 400
"""Each byte stands for the newest entry of the table."""


def _shortened(fields: Iterable[Pair]) -> bytes:
    """Returns a block that begins with indexed fields of the static table, where it has them."""
    known = {_GET[0]: 2, _POST[0]: 3, _GET[3]: 4, _GET[1]: 7, _OK[0]: 8, (b":status", b"204"): 9}
    return b"".join(
        bytes([0x80 | known[pair]]) if pair in known else literals([pair], 0x40 if len(pair[1]) < 40 else 0)
        for pair in fields
    )


_ALL = [*_GOOD_REQUESTS, *_GOOD_RESPONSES, *_TRAILERS, *_BAD]
_CODED = {id(fields): (literals(fields), literals(fields, 0x10), _shortened(fields)) for fields in _ALL}


# -- streams of frames -------------------------------------------------------------------------------------------------


class Hostile:
    """Makes what one peer sends to an engine with the role *role*.

    Args:
        source: the randomness.
        role: of the engine that will read it.
        opened: how many streams a client has opened.
        table: the size of the header table that the engine allows.
        push: whether the engine takes pushes.
    """

    def __init__(
        self, source: random.Random, role: Role, opened: int = 0, *, table: int = 4096, push: bool = False
    ) -> None:
        self._random = source
        self._server = role is Role.SERVER
        self._encoder = Encoder() if source.random() < 0.1 else None
        self._resize = b""
        if table < 4096 and self._encoder is not None:
            self._encoder.header_table_size = table
        elif table < 4096:
            # RFC 7541 §4.2: a smaller table is to be acknowledged by the next field block.
            self._resize = _integer(table, 5, 0x20)
        weights = self._SERVER_WEIGHTS if self._server else self._CLIENT_WEIGHTS
        self._weights = weights if push else [*weights[:8], 0.3, *weights[9:]]
        self._waiting: list[int] = []
        self._ids = [] if self._server else [2 * number + 1 for number in range(opened)]
        self._promised: list[int] = []
        self._next_id = 1 if self._server else 2
        self._waiting += self._ids

    def frames(self) -> list[RawFrame]:
        """Returns the frames of one connection, mostly right."""
        source = self._random
        frames = [self._settings()]
        if source.random() < 0.8:
            frames.append(RawFrame(SETTINGS, ACK, 0))
        for _ in range(int(25 ** source.random())):
            make = source.choices(self._MENU, self._weights)[0]
            frames += make(self)
        return frames

    def connection(self) -> bytes:
        """Returns a connection as bytes, spoiled more often than not."""
        source = self._random
        frames = self.frames()
        if source.random() < 0.6:
            for _ in range(source.choice((1, 1, 1, 2, 3, 6))):
                source.choice(_SPOILERS)(source, frames)
        data = (PREFACE if self._server else b"") + b"".join(frame.pack() for frame in frames)
        if source.random() < 0.15:
            data = _spoil_bytes(source, data)
        return data

    # -- one kind of thing each

    def _settings(self) -> RawFrame:
        source = self._random
        pairs = []
        for _ in range(source.choice((0, 0, 1, 1, 2, 5))):
            code = source.choice((1, 2, 3, 4, 4, 5, 6, 8, 9, 0x1234, source.randrange(2**16)))
            right = {1: (0, 100, 4096, 65_536), 2: (0,), 3: (0, 1, 100), 4: (0, 1, 65_535, 2**20), 8: (1,), 9: (0, 1)}
            value = source.choice(right.get(code, (16_384, 20_000)))
            if source.random() < 0.02:
                value = source.choice((0, 1, 2, 16_383, 2**24, 2**31, 2**32 - 1))
            pairs.append(struct.pack(">HL", code, value))
        return RawFrame(SETTINGS, 0, 0, b"".join(pairs))

    def _more_settings(self) -> list[RawFrame]:
        return [self._settings()]

    def _acknowledgement(self) -> list[RawFrame]:
        return [RawFrame(SETTINGS, ACK, 0)]

    def _block(self, good: list[list[Pair]]) -> bytes:
        source = self._random
        chance = source.random()
        if chance < 0.015:
            return source.choice(_BROKEN_BLOCKS)
        if chance < 0.03:
            return _TABLED + _BOMB
        fields = source.choice(_BAD if chance < 0.1 else good)
        if self._encoder is not None:
            return self._encoder.encode(fields)
        resize, self._resize = self._resize, b""
        return resize + source.choice(_CODED[id(fields)])

    def _spread(self, kind: int, flags: int, stream_id: int, prefix: bytes, block: bytes) -> list[RawFrame]:
        """Puts a field block into frames."""
        source = self._random
        first, parts = b"", [block]
        padding = b""
        if source.random() < 0.1:
            flags |= PADDED
            padding = bytes(source.choice((0, 1, 50, 255)))
            first = bytes([len(padding)])
        if kind == HEADERS and source.random() < 0.1:
            flags |= WEIGHTED
            prefix = struct.pack(">LB", source.choice((0, 1, stream_id)), 15)
        if source.random() < 0.12 or len(block) > 16_000:
            cuts = sorted(source.randrange(len(block) + 1) for _ in range(source.choice((1, 2, 5))))
            parts = [block[start:end] for start, end in zip([0, *cuts], [*cuts, len(block)], strict=True)]
        frames = [RawFrame(kind, flags, stream_id, first + prefix + parts[0] + padding)]
        frames += [RawFrame(CONTINUATION, 0, stream_id, part) for part in parts[1:]]
        frames[-1].flags |= END_HEADERS
        return frames

    def _some_id(self) -> int:
        source = self._random
        if self._promised and source.random() < 0.15:
            return source.choice(self._promised)
        if self._ids and source.random() < 0.985:
            return source.choice(self._ids[-4:])
        return source.choice((0, 1, 2, 3, 7, 100, 101, 2**31 - 1, self._next_id, self._next_id + 2))

    def _message(self) -> list[RawFrame]:
        """A request, or a response; perhaps with all of its body."""
        source = self._random
        if self._server:
            stream_id, good = self._next_id, _GOOD_REQUESTS
            self._next_id += source.choice((2, 2, 2, 2, 2, 4, 200))
            self._ids.append(stream_id)
        else:
            stream_id, good = self._some_id(), _GOOD_RESPONSES
            if self._waiting and source.random() < 0.95:
                stream_id = source.choice(self._waiting)
                if source.random() < 0.9:
                    self._waiting.remove(stream_id)
        ends = source.random() < 0.4
        frames = self._spread(HEADERS, END_STREAM if ends else 0, stream_id, b"", self._block(good))
        if not ends and source.random() < 0.5:
            frames += self._body(stream_id)
        return frames

    def _body(self, stream_id: int) -> list[RawFrame]:
        source = self._random
        frames = [self._piece(stream_id) for _ in range(source.choice((1, 1, 2, 4)))]
        if source.random() < 0.6:
            frames[-1].flags |= END_STREAM
        elif source.random() < 0.5:
            frames += self._end(stream_id)
        return frames

    def _piece(self, stream_id: int) -> RawFrame:
        source = self._random
        size = source.choice((0, 1, 5, 5, 5, 100, 100, 995, 995, 3000, 5, 5, 0, 16_384))
        if source.random() < 0.15:
            padding = source.choice((0, 1, 30, 255))
            return RawFrame(DATA, PADDED, stream_id, bytes([padding]) + bytes(min(size, 16_000)) + bytes(padding))
        return RawFrame(DATA, 0, stream_id, bytes(size))

    def _more_body(self) -> list[RawFrame]:
        return self._body(self._some_id()) if self._ids else self._message()

    def _end(self, stream_id: int) -> list[RawFrame]:
        flags = END_STREAM if self._random.random() < 0.9 else 0
        return self._spread(HEADERS, flags, stream_id, b"", self._block(_TRAILERS))

    def _trailers(self) -> list[RawFrame]:
        return self._end(self._some_id()) if self._ids else self._message()

    def _reset(self) -> list[RawFrame]:
        if not self._ids:
            return self._message()
        code = self._random.choice((0, 1, 2, 5, 7, 8, 11, 13, 99, 2**32 - 1))
        return [RawFrame(RST_STREAM, 0, self._some_id(), struct.pack(">L", code))]

    def _priority(self) -> list[RawFrame]:
        stream_id = self._some_id()
        parent = self._random.choice((0, 1, stream_id, 2**31 + 1))
        return [RawFrame(PRIORITY, 0, stream_id, struct.pack(">LB", parent, self._random.randrange(256)))]

    def _window(self) -> list[RawFrame]:
        stream_id = self._random.choice((0, self._some_id())) if self._ids else 0
        increment = self._random.choice((1, 1000, 65_535, 65_535, 65_535, 2**20, 2**20, 2**31 - 1, 0, 2**31 + 5))
        return [RawFrame(WINDOW_UPDATE, 0, stream_id, struct.pack(">L", increment))]

    def _ping(self) -> list[RawFrame]:
        source = self._random
        count = source.choice((1, 1, 1, 3, 60))
        return [RawFrame(PING, source.choice((0, 0, 0, ACK)), 0, source.randbytes(8)) for _ in range(count)]

    def _goaway(self) -> list[RawFrame]:
        last = self._random.choice((0, 1, 3, 2**31 - 1, 2**32 - 1))
        payload = struct.pack(">LL", last, self._random.choice((0, 0, 2, 11, 1000)))
        return [RawFrame(GOAWAY, 0, 0, payload + self._random.choice((b"", b"why", bytes(2000))))]

    def _promise(self) -> list[RawFrame]:
        source = self._random
        promised = self._next_id if not self._server else 2
        if not self._server:
            self._next_id += source.choice((2, 2, 2, 6))
            self._promised.append(promised)
            self._waiting.append(promised)
        return self._spread(PUSH_PROMISE, 0, self._some_id(), struct.pack(">L", promised), self._block(_GOOD_REQUESTS))

    def _extension(self) -> list[RawFrame]:
        source = self._random
        stream_id = source.choice((0, 0, self._some_id()))
        kind = source.choice((ALTSVC, ORIGIN, PRIORITY_UPDATE, 0xB, 0x42, 0xFF))
        origin = b"https://example.com"
        right = {
            ALTSVC: struct.pack(">H", 0 if stream_id else len(origin)) + (b"" if stream_id else origin) + b'h2=":443"',
            ORIGIN: struct.pack(">H", len(origin)) + origin,
            PRIORITY_UPDATE: struct.pack(">L", self._some_id()) + b"u=%d, i" % source.randrange(10),
        }
        payload = right.get(kind, bytes(10)) if source.random() < 0.7 else source.randbytes(source.randrange(30))
        return [RawFrame(kind, source.choice((0, 0, 1, 0xFF)), stream_id, payload)]

    def _continuation(self) -> list[RawFrame]:
        return [RawFrame(CONTINUATION, END_HEADERS, self._some_id(), b"\x82")]

    _MENU = (
        _message,
        _more_body,
        _trailers,
        _reset,
        _priority,
        _window,
        _ping,
        _goaway,
        _promise,
        _extension,
        _more_settings,
        _acknowledgement,
        _continuation,
    )
    _SERVER_WEIGHTS = (40, 18, 8, 8, 3, 8, 4, 1, 0.3, 5, 4, 1, 0.3)
    _CLIENT_WEIGHTS = (40, 18, 8, 5, 3, 4, 4, 1.5, 10, 5, 4, 1, 0.3)


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def _at(source: random.Random, frames: list[RawFrame]) -> int:
    """Mostly not the first one: without SETTINGS a connection is over at once."""
    return (
        source.randrange(len(frames))
        if source.random() < 0.1
        else source.randrange(min(1, len(frames) - 1), len(frames))
    )


def _wrong_length(source: random.Random, frames: list[RawFrame]) -> None:
    frame = frames[_at(source, frames)]
    size = len(frame.payload)
    frame.length = max(0, source.choice((0, size - 1, size + 1, size + 9, 16_384, 16_385, 2**24 - 1)))


def _wrong_size(source: random.Random, frames: list[RawFrame]) -> None:
    frame = frames[_at(source, frames)]
    if source.random() < 0.5:
        frame.payload = frame.payload[: source.randrange(len(frame.payload) + 1)]
    else:
        frame.payload += source.randbytes(source.choice((1, 3, 6, 100)))


def _wrong_id(source: random.Random, frames: list[RawFrame]) -> None:
    frame = frames[_at(source, frames)]
    frame.stream_id = source.choice(
        (0, 1, 3, 1, 3, 2, 5, frame.stream_id ^ 1, frame.stream_id | 2**31, frame.stream_id + 2)
    )


def _wrong_flags(source: random.Random, frames: list[RawFrame]) -> None:
    frames[_at(source, frames)].flags ^= source.choice((1, 1, 4, 8, 0x20, 0x21, 0xFF))


def _wrong_kind(source: random.Random, frames: list[RawFrame]) -> None:
    frames[_at(source, frames)].kind = source.choice((*range(10), ALTSVC, ORIGIN, PRIORITY_UPDATE, 0x99))


def _flip(source: random.Random, frames: list[RawFrame]) -> None:
    frame = frames[_at(source, frames)]
    if frame.payload:
        place = source.randrange(min(len(frame.payload), 200))
        changed = frame.payload[place] ^ 1 << source.randrange(8)
        frame.payload = frame.payload[:place] + bytes([changed]) + frame.payload[place + 1 :]


def _twice(source: random.Random, frames: list[RawFrame]) -> None:
    start = _at(source, frames)
    end = start + source.choice((1, 1, 2, 5))
    frames[end:end] = [
        RawFrame(frame.kind, frame.flags, frame.stream_id, frame.payload, frame.length) for frame in frames[start:end]
    ]


def _flood(source: random.Random, frames: list[RawFrame]) -> None:
    frame = frames[_at(source, frames)]
    if len(frame.payload) < 100:
        place = _at(source, frames)
        frames[place:place] = [
            RawFrame(frame.kind, frame.flags, frame.stream_id, frame.payload, frame.length)
            for _ in range(source.choice((20, 70, 300)))
        ]


def _swap(source: random.Random, frames: list[RawFrame]) -> None:
    one, two = _at(source, frames), _at(source, frames)
    frames[one], frames[two] = frames[two], frames[one]


def _drop(source: random.Random, frames: list[RawFrame]) -> None:
    if len(frames) > 1:
        del frames[_at(source, frames)]


def _noise(source: random.Random, frames: list[RawFrame]) -> None:
    kind, flags, stream_id = source.randrange(17), source.randrange(256), source.randrange(12)
    frames.insert(_at(source, frames), RawFrame(kind, flags, stream_id, source.randbytes(source.choice((0, 4, 8, 40)))))


_SPOILERS: tuple[Callable[[random.Random, list[RawFrame]], None], ...] = (
    _wrong_length,
    _wrong_size,
    _wrong_id,
    _wrong_id,
    _wrong_flags,
    _wrong_flags,
    _wrong_kind,
    _flip,
    _flip,
    _twice,
    _twice,
    _flood,
    _swap,
    _swap,
    _drop,
    _noise,
)


def _spoil_bytes(source: random.Random, data: bytes) -> bytes:
    """Spoils bytes wherever it comes: cut off, cut out, flipped, or more put in."""
    place = source.randrange(len(data) + 1)
    match source.randrange(4):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + data[place + source.randrange(20) :]
        case 2:
            return data[:place] + source.randbytes(source.randrange(20)) + data[place:]
    changed = bytearray(data)
    for _ in range(source.randrange(1, 6)):
        changed[source.randrange(len(changed))] = source.randrange(256)
    return bytes(changed)

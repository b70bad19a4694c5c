"""Field blocks, ours against hpack's: what one encodes the other decodes, and both refuse the same blocks.

`run` makes up short sessions. In each, one of four things is compared block by block:

* *ours*: our encoder makes the blocks, and both decoders read them;
* *theirs*: hpack's encoder makes them, and both decoders read them;
* *made*: blocks are put together from representations that are right or nearly so;
* *changed*: blocks of hpack's encoder are changed a little.

All along, the peer's table size and ours change, and the tables must stay the same. The known differences, which are
all there are, and on purpose:

1. More than 16 size updates are refused by us. RFC 7541 §4.2: "resulting in at most two dynamic table size updates".
   hpack accepts any number, and its encoder sends one for each change.
2. A block that does not confirm a lower table size is refused by both, but hpack looks at that last. So if its list of
   fields is too large as well, hpack says that it is (OversizedHeaderListError), and we say that it is malformed.
3. hpack's encoder puts every field into the table, sends literals in the Huffman code even if that is longer, and sends
   a never-indexed field as an index if it is in the table. Ours does none of these. So the blocks of both encoders are
   not compared, only what they decode to; and fields marked as never indexed are not put in hpack's way when an equal
   one is in its table.
4. hpack's encoder forgets a change of size if it is told the same size twice. It is not told twice here.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

import hpack

from trio_h2._wire._hpack import (
    Decoder,
    Encoder,
    HeaderListTooLargeError,
    HpackError,
    NeverIndexedHeaderTuple,
)
from trio_h2._wire._hpack._codes import CODES
from trio_h2._wire._hpack._integers import encode_integer

Fields = list[tuple[bytes, bytes]]

NAMES = b""":method :path :status :authority accept age content-length content-type cookie date etag location set-cookie
    user-agent www-authenticate x-one x-two x-three X-Four authorization""".split()
VALUES = [b"", b"GET", b"POST", b"/", b"200", b"304", b"gzip, deflate", b"no-cache", b"Mon, 21 Oct 2013 20:13:21 GMT"]
SIZES = [0, 1, 33, 34, 100, 200, 500, 1000, 4095, 4096, 5000, 10_000]
MAX_LIST_SIZES = [600, 65_536, 65_536, 65_536]


@dataclass
class Report:
    """What was compared, and with which outcome."""

    seed: int
    blocks: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(self.counts.items()))
        return f"{self.blocks:,} field blocks in {self.seconds:.1f} s, seed {self.seed}: {counts}"


def run(seconds: float, seed: int, max_blocks: int | None = None) -> Report:
    """Compares blocks for so long, or so many of them.

    Raises:
        AssertionError: Both differ, where they should not; the text has the seed of the session.
    """
    report = Report(seed)
    start = time.monotonic()
    sessions = random.Random(seed)
    while report.seconds < seconds and (max_blocks is None or report.blocks < max_blocks):
        session = sessions.getrandbits(64)
        try:
            run_session(session, report)
        except AssertionError as exc:
            raise AssertionError(f"session {session:#x} of seed {seed}: {exc}") from exc
        report.seconds = time.monotonic() - start
    return report


def run_session(seed: int, report: Report) -> None:
    """Compares the blocks of one session, until one of them is refused."""
    rng = random.Random(seed)
    kind = rng.choice((_ours, _theirs, _made, _changed))
    report.counts["sessions"] += 1
    kind(rng, _Readers(rng, report))


class _Readers:
    """Both decoders, which must agree on each block and each table."""

    def __init__(self, rng: random.Random, report: Report) -> None:
        self.limit = rng.choice(MAX_LIST_SIZES)
        self.ours = Decoder(max_list_size=self.limit)
        self.theirs = hpack.Decoder(self.limit)
        self._report = report

    def allow(self, size: int) -> None:
        self.ours.max_allowed_table_size = size
        self.theirs.max_allowed_table_size = size

    def read(self, block: bytes) -> Fields | None:
        """Returns what both read, or `None` if both refuse the block."""
        report = self._report
        report.blocks += 1
        ours: Fields | type[Exception]
        theirs: Fields | type[Exception]
        lists_too_late = self.theirs.header_table_size > self.theirs.max_allowed_table_size
        try:
            ours = self.ours.decode(block)
        except HpackError as exc:
            ours = type(exc)
        try:
            theirs = list(self.theirs.decode(block, raw=True))
        except hpack.OversizedHeaderListError:
            theirs = HeaderListTooLargeError
        except hpack.HPACKError:
            theirs = HpackError
        if isinstance(ours, list) and isinstance(theirs, list):
            assert ours == theirs, f"{block.hex()}: {ours} is not {theirs}"
            for field_of_ours, field_of_theirs in zip(ours, theirs, strict=True):
                assert _is_secret(field_of_ours) == _is_secret(field_of_theirs), f"{block.hex()}: {ours}"
            size = self.theirs.header_table._current_size
            assert self.ours.size == size, f"{block.hex()}: table of {self.ours.size} bytes, not {size}"
            report.counts["accepted"] += 1
            return ours
        if ours is not theirs:
            if ours is HpackError and count_size_updates(block) > 16:  # difference 1
                report.counts["difference 1"] += 1
                return None
            # difference 2
            assert (ours, theirs) == (HpackError, HeaderListTooLargeError), f"{block.hex()}: {ours} is not {theirs}"
            assert lists_too_late, f"{block.hex()}: {ours} is not {theirs}"
            report.counts["difference 2"] += 1
            return None
        report.counts["too large" if ours is HeaderListTooLargeError else "refused"] += 1
        return None

    def compare_tables(self) -> None:
        """Reads every entry of the tables."""
        entries = list(self.theirs.header_table.dynamic_entries)
        self.ours.max_list_size = 2**30
        self.allow(max(SIZES))
        indexes = b"".join(encode_integer(62 + index, 0x80, 0x7F) for index in range(len(entries)))
        assert self.ours.decode(indexes) == entries
        try:
            self.ours.decode(encode_integer(62 + len(entries), 0x80, 0x7F))
        except HpackError:
            return
        raise AssertionError("our table has more entries than hpack's")


def _is_secret(pair: tuple[bytes, bytes]) -> bool:
    return isinstance(pair, NeverIndexedHeaderTuple)


def count_size_updates(block: bytes) -> int:
    """Returns how many size updates a block begins with; if they are malformed, then perhaps some more."""
    count = position = 0
    while position < len(block) and block[position] & 0xE0 == 0x20:
        long = block[position] & 0x1F == 0x1F
        position += 1
        while long and position < len(block):
            long = block[position] >= 0x80
            position += 1
        count += 1
    return count


# -- fields ------------------------------------------------------------------------------------------------------------


def _string(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(VALUES)
    if kind < 0.7:
        return b"value %d" % rng.randrange(30)
    if kind < 0.994:
        return rng.randbytes(rng.randrange(40))
    return rng.choice((b"x", b"\xc3\xa9", rng.randbytes(1))) * rng.randrange(100, 1200)


def _fields(rng: random.Random, old: list[Fields]) -> Fields:
    """Returns fields, now and then those of an earlier block, or nearly."""
    if old and rng.random() < 0.4:
        fields = list(rng.choice(old))
        if fields and rng.random() < 0.3:
            place = rng.randrange(len(fields))
            name, value = fields[place]
            fields[place] = NeverIndexedHeaderTuple(name, value) if rng.random() < 0.5 else (name, _string(rng))
        return fields
    fields = []
    for _ in range(rng.randrange(9)):
        name = rng.choice(NAMES) if rng.random() < 0.9 else _string(rng)
        pair = (name, _string(rng))
        fields.append(NeverIndexedHeaderTuple(*pair) if rng.random() < 0.1 else pair)
    old.append(fields)
    del old[:-6]
    return fields


def _check(fields: Fields, read: Fields | None) -> None:
    """What was decoded must be what was encoded."""
    if read is not None:
        assert read == fields, f"{fields} became {read}"
        assert list(map(_is_secret, read)) == list(map(_is_secret, fields)), f"marks of {fields} were lost"


# -- sessions ----------------------------------------------------------------------------------------------------------


def _ours(rng: random.Random, readers: _Readers) -> None:
    """Our encoder, with a table that changes its size at any time and by any means."""
    cap = rng.choice(SIZES)
    encoder = Encoder(cap)
    old: list[Fields] = []
    for _ in range(60):
        if rng.random() < 0.15:
            for _ in range(rng.randrange(1, 5)):
                size = rng.choice(SIZES)
                encoder.allow_table_size(size)
                readers.allow(size)
        fields = _fields(rng, old)
        given = tuple(fields) if rng.random() < 0.5 else fields
        size = encoder.block_size(given)
        block = encoder.encode(given)
        assert len(block) == size, f"{len(block)} bytes, not {size}"
        plain = sum(len(name) + len(value) + 15 for name, value in fields) + 15
        assert len(block) <= plain, f"{len(block)} bytes for {fields}"
        read = readers.read(block)
        if read is None:
            size = sum(32 + len(name) + len(value) for name, value in fields)
            assert size > readers.limit, f"{fields} refused"
            return
        _check(fields, read)
        assert encoder.size == readers.ours.size <= cap, f"table of {encoder.size} bytes"
        if rng.random() < 0.3:
            again = encoder.encode(given)
            _check(fields, readers.read(again))
    readers.compare_tables()


def _theirs(rng: random.Random, readers: _Readers) -> None:
    """hpack's encoder, with a table whose size changes at most twice between two blocks."""
    encoder = hpack.Encoder()
    old: list[Fields] = []
    for _ in range(60):
        if rng.random() < 0.1:
            for size in rng.sample(SIZES, rng.choice((1, 1, 2))):
                if size != encoder.header_table_size:  # difference 4
                    encoder.header_table_size = size
                    readers.allow(size)
        fields = [
            pair[:] if encoder.header_table.search(*pair) else pair  # difference 3
            for pair in _fields(rng, old)
        ]
        read = readers.read(encoder.encode(fields, huffman=rng.random() < 0.7))
        if read is None:
            return
        assert read == fields, f"{fields} became {read}"
    readers.compare_tables()


def _made(rng: random.Random, readers: _Readers) -> None:
    """Blocks of representations, in which something is wrong now and then."""
    wrong = rng.choice((0.0, 0.01, 0.05))
    for _ in range(40):
        if rng.random() < 0.1:
            readers.allow(rng.choice(SIZES))
        parts = []
        due = readers.theirs.header_table_size > readers.theirs.max_allowed_table_size
        if rng.random() < (0.97 if due else 0.2):
            for _ in range(1 if rng.random() < 0.9 else rng.randrange(5)):
                size = rng.choice(SIZES)
                if rng.random() >= wrong:
                    size = min(size, readers.theirs.max_allowed_table_size)
                parts.append(_integer(rng, size, 0x20, 0x1F, wrong))
        parts.extend(_representation(rng, readers, wrong) for _ in range(rng.randrange(8)))
        block = b"".join(parts)
        if rng.random() < wrong:
            block = block[: rng.randrange(len(block) + 1)]
        if readers.read(block) is None:
            return
        if rng.random() < 0.3 and readers.read(block) is None:
            return
    readers.compare_tables()


def _changed(rng: random.Random, readers: _Readers) -> None:
    """Blocks that were right, until some of their bytes were changed."""
    encoder = hpack.Encoder()
    old: list[Fields] = []
    for _ in range(10):
        block = bytearray(encoder.encode(_fields(rng, old), huffman=rng.random() < 0.7))
        if rng.random() < 0.5:
            for _ in range(rng.randrange(1, 4)):
                place = rng.randrange(len(block) + 1)
                change = rng.random()
                if change < 0.4 and place < len(block):
                    block[place] = rng.choice((rng.randrange(256), block[place] ^ 1 << rng.randrange(8), 0xFF, 0))
                elif change < 0.6:
                    del block[place : place + rng.randrange(4)]
                elif change < 0.8:
                    block[place:place] = rng.randbytes(rng.randrange(4))
                else:
                    block[place:place] = block[: rng.randrange(20)]
        if readers.read(bytes(block)) is None:
            return
    readers.compare_tables()


# -- representations ---------------------------------------------------------------------------------------------------


def _representation(rng: random.Random, readers: _Readers, wrong: float) -> bytes:
    entries = len(readers.theirs.header_table.dynamic_entries)
    kind = rng.random()
    if kind < 0.4:
        return _integer(rng, _index(rng, entries, wrong), 0x80, 0x7F, wrong)
    if kind < 0.7:
        pattern, mask = 0x40, 0x3F
    elif kind < 0.99 or rng.random() > wrong:
        pattern, mask = rng.choice((0x00, 0x10)), 0x0F
    else:
        return _integer(rng, rng.choice(SIZES), 0x20, 0x1F, wrong)
    if rng.random() < 0.5:
        name = _integer(rng, _index(rng, entries, wrong), pattern, mask, wrong)
    else:
        name = bytes((pattern,)) + _literal(rng, rng.choice(NAMES) if rng.random() < 0.9 else _string(rng), wrong)
    return name + _literal(rng, _string(rng), wrong)


def _index(rng: random.Random, entries: int, wrong: float) -> int:
    """Returns the index of an entry; the tables change inside of a block, so it may be gone by then."""
    if rng.random() < wrong:
        return rng.choice((0, 61 + entries + rng.randrange(9), rng.randrange(300), rng.randrange(2**36)))
    return rng.randrange(1, 62) if not entries or rng.random() < 0.5 else rng.randrange(62, 62 + min(entries, 2))


def _integer(rng: random.Random, value: int, pattern: int, mask: int, wrong: float) -> bytes:
    """Returns an integer, perhaps with zeros on top that nobody needs, or without its end."""
    data = encode_integer(value, pattern, mask)
    if len(data) > 1 and rng.random() < 0.1:
        zeros = rng.randrange(5 if rng.random() < wrong else max(1, 7 - len(data)))
        if zeros:
            data = data[:-1] + bytes((data[-1] | 0x80,)) + b"\x80" * (zeros - 1) + b"\x00"
    if rng.random() < wrong / 4:
        data = data[: rng.randrange(len(data) + 1)]
    return data


def _literal(rng: random.Random, data: bytes, wrong: float) -> bytes:
    """Returns a string literal, in the Huffman code or not, whose padding or length may be wrong."""
    flag = 0
    if rng.random() < 0.5:
        flag = 0x80
        digits = "".join(CODES[byte] for byte in data)
        if rng.random() < wrong:
            place = rng.randrange(len(digits) + 1)
            digits = digits[:place] + CODES[rng.choice((256, 256, rng.randrange(257)))] + digits[place:]
        fill = "1" * (-len(digits) % 8)
        if rng.random() < wrong:
            fill = rng.choice((fill + "1" * 8, "0" * len(fill), fill[:-1] + "0" if fill else "0" * 8))
        digits += fill
        data = int(digits, 2).to_bytes(len(digits) // 8, "big") if digits else b""
    length = len(data)
    if rng.random() < wrong / 2:
        length = max(0, length + rng.choice((-1, 1, 2**20)))
    return _integer(rng, length, flag, 0x7F, wrong) + data

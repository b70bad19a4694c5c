"""From fields to field blocks: what is indexed and what is not, the size of the table, and what is remembered."""

from __future__ import annotations

import hpack
import pytest

from tests.wire.hpack.lines import count_lines
from trio_h2._wire._hpack import Decoder, Encoder, NeverIndexedHeaderTuple
from trio_h2._wire._hpack._encoder import VOLATILE
from trio_h2._wire._hpack._integers import decode_long_integer, encode_integer

Fields = list[tuple[bytes, bytes]]

REQUEST: Fields = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"example.com"),
    (b":path", b"/index?x=1"),
    (b"user-agent", b"test"),
    (b"x-new", b"value"),
]


class Pair:
    """An encoder, and the decoders of both libraries, which must agree on what they read."""

    def __init__(self, max_table_size: int = 4096) -> None:
        self.encoder = Encoder(max_table_size)
        self.decoder = Decoder(2**32, 2**30)
        self.judge = hpack.Decoder(2**30)
        self.judge.max_allowed_table_size = 2**32

    def send(self, fields: Fields | tuple[tuple[bytes, bytes], ...]) -> bytes:
        """Encodes *fields*, checks how they arrive, and returns the block."""
        size = self.encoder.block_size(fields)
        block = self.encoder.encode(fields)
        assert len(block) == size
        marks = [isinstance(field, NeverIndexedHeaderTuple) for field in fields]
        for received in self.decoder.decode(block), list(self.judge.decode(block, raw=True)):
            assert received == list(fields)
            assert [isinstance(field, NeverIndexedHeaderTuple) for field in received] == marks
        assert self.encoder.size == self.decoder.size == self.judge.header_table._current_size
        return block

    @property
    def table(self) -> Fields:
        return list(self.judge.header_table.dynamic_entries)


def updates(block: bytes) -> list[int]:
    """Returns the sizes of the updates that a block begins with."""
    sizes = []
    position = 0
    while position < len(block) and block[position] & 0xE0 == 0x20:
        size = block[position] & 0x1F
        position += 1
        if size == 0x1F:
            size, position = decode_long_integer(block, position, 0x1F)
        sizes.append(size)
    return sizes


# -- representations ---------------------------------------------------------------------------------------------------


def test_a_request_becomes_short() -> None:
    pair = Pair()
    pair.send(REQUEST)
    assert pair.table == [(b"x-new", b"value"), (b"user-agent", b"test"), (b":authority", b"example.com")]
    block = pair.send(REQUEST)
    assert block[:3] == b"\x82\x87\xc0"
    assert block[3] == 0x04
    assert block[-2:] == b"\xbf\xbe"


def test_static_fields_take_one_byte() -> None:
    pair = Pair()
    assert (
        pair.send([(b":method", b"POST"), (b":status", b"404"), (b"accept-encoding", b"gzip, deflate")])
        == b"\x83\x8d\x90"
    )
    assert pair.send([(b"etag", b""), (b"content-length", b"")]) == b"\xa2\x9c"
    assert pair.encoder.size == 0


@pytest.mark.parametrize("name", sorted(VOLATILE))
def test_fields_that_are_always_others_stay_out_of_the_table(name: bytes) -> None:
    pair = Pair()
    for number in range(3):
        block = pair.send([(name, b"value %d" % number)])
        assert block[0] & 0xF0 == 0x00  # RFC 7541 §6.2.2
        assert (block[0] == 0x00) == (
            name.startswith((b"x-", b"trace")) or name.endswith((b"digest", b"md5", b"event-id"))
        )
    assert pair.encoder.size == 0


def test_a_date_is_in_the_table() -> None:
    """It is the same for a second."""
    pair = Pair()
    date = (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT")
    assert len(pair.send([date])) > 20
    assert len(pair.send([date])) == 1


def test_a_known_name_is_indexed() -> None:
    pair = Pair()
    assert pair.send([(b"user-agent", b"\xff")]) == b"\x7a\x01\xff"
    pair.send([(b"x-new", b"1")])
    assert pair.send([(b"x-new", b"\xff")]) == b"\x7e\x01\xff"
    pair.send([(b"traceparent", b"1")])
    assert pair.send([(b"x-new", b"\xfe"), (b":path", b"\xff")]) == b"\x7e\x01\xfe\x04\x01\xff"


def test_a_field_that_is_large_for_the_table_stays_out_of_it() -> None:
    """It would drive out all the others."""
    pair = Pair()
    pair.send([(b"x-small", b"x")])
    pair.send([(b"x-large", b"x" * (3072 - 39))])
    assert len(pair.table) == 2
    block = pair.send([(b"x-large", b"x" * (3072 - 38)), (b"x-huge", b"x" * 10_000)])
    assert len(pair.table) == 2
    assert block[0] == 0x0F


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (b"", 0),
        (b"a", 1),
        (b"aa", 2),  # ten bits: two bytes as well
        (b"aaa", 2),
        ("é".encode() * 4000, 8000),
        ("é".encode("latin-1") * 4000, 4000),
        (bytes(range(256)), 256),
        (b"0" * 4000, 2500),
        (b"{" * 4000, 4000),
    ],
)
def test_strings_never_grow(value: bytes, size: int) -> None:
    """The shorter coding is sent, and the plain one if both are the same."""
    pair = Pair()
    for block in pair.send([(b":path", value)]), pair.send([(b"\xff", value)]):
        assert block[-size - 1 :].endswith(value) == (size == len(value))
    assert len(pair.send([(b":path", value)])) == size + 1 + (1 if size == 0 else len(length_of(size)))
    assert len(pair.send([(value or b"n", b"\xff")])) <= 2 + len(length_of(len(value))) + max(1, size) + 2


def length_of(size: int) -> bytes:
    return encode_integer(size, 0, 0x7F)


# -- never-indexed fields ----------------------------------------------------------------------------------------------


def test_never_indexed_fields_are_literals_always() -> None:
    """With names from either table or none, and even if the same field without the mark is in a table."""
    pair = Pair()
    pair.send([(b"x-known", b"value")])
    cases: list[tuple[Fields, int]] = [
        ([NeverIndexedHeaderTuple(b":method", b"GET")], 0x12),
        ([NeverIndexedHeaderTuple(b"authorization", b"secret")], 0x1F),
        ([NeverIndexedHeaderTuple(b"x-known", b"value")], 0x1F),
        ([NeverIndexedHeaderTuple(b"x-unknown", b"value")], 0x10),
    ]
    for fields, first in cases:
        for _ in range(3):
            assert pair.send(fields)[0] == first
    assert pair.table == [(b"x-known", b"value")]


def test_a_mark_is_not_lost_to_an_equal_field() -> None:
    """A never-indexed field is equal to one without the mark: what is remembered of one is not of the other."""
    pair = Pair()
    plain: Fields = [(b":path", b"/secret")]
    marked: Fields = [NeverIndexedHeaderTuple(b":path", b"/secret")]
    assert plain == marked
    for _ in range(3):
        assert pair.send(plain)[0] == 0x04
        assert pair.send(tuple(plain))[0] == 0x04
        assert pair.send(marked)[0] == 0x14
        assert pair.send(tuple(marked))[0] == 0x14


def test_a_mark_in_the_same_list_is_seen() -> None:
    """A list is not the same because it is the same object."""
    pair = Pair()
    fields: Fields = [(b":path", b"/secret"), (b"etag", b"1")]
    pair.send(fields)
    pair.send(fields)
    fields[0] = NeverIndexedHeaderTuple(b":path", b"/secret")
    assert pair.send(fields)[0] == 0x14


def test_a_mark_of_a_class_of_ones_own_is_not_lost() -> None:
    class Secret(NeverIndexedHeaderTuple):
        pass

    pair = Pair()
    for _ in range(3):
        assert pair.send([(b":path", b"/secret")])[0] == 0x04
        assert pair.send([Secret(b":path", b"/secret")])[0] == 0x14
        assert pair.send((Secret(b":path", b"/secret"),))[0] == 0x14


def test_tuples_of_hpack_without_the_mark_are_ordinary() -> None:
    pair = Pair()
    pair.send([hpack.HeaderTuple(b"x-new", b"value")])
    assert pair.send([hpack.HeaderTuple(b"x-new", b"value")]) == b"\xbe"
    assert pair.send([(b"x-new", b"value")]) == b"\xbe"


# -- the size of the table ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [0, 1, 31, 1000])
def test_a_smaller_table_of_ours_is_announced_in_the_first_block(cap: int) -> None:
    pair = Pair(cap)
    assert updates(pair.send(REQUEST)) == [cap]
    assert pair.judge.header_table_size == cap
    assert updates(pair.send(REQUEST)) == []
    assert pair.encoder.size <= cap


def test_a_larger_table_is_used_when_the_peer_allows_it() -> None:
    pair = Pair(8192)
    assert updates(pair.send(REQUEST)) == []
    assert pair.encoder.table_size == 4096
    pair.encoder.allow_table_size(2**32 - 1)
    assert pair.encoder.table_size == 8192
    assert updates(pair.send(REQUEST)) == [8192]
    for number in range(1000):
        pair.send([(b"x-number", b"%d" % number)])
    assert 8100 < pair.encoder.size <= 8192


@pytest.mark.parametrize(
    ("changes", "announced"),
    [
        ([100], [100]),
        ([100, 100], [100]),
        ([0, 4096], [0, 4096]),
        ([4096], []),
        ([5000], []),
        ([200, 100, 4096, 2**20], [100, 4096]),
        ([200, 100, 150], [100, 150]),
        ([100, 200, 50], [50]),
        ([100, 0, 100, 0], [0]),
        ([0, 1, 2, 3], [0, 3]),
    ],
)
def test_size_updates(changes: list[int], announced: list[int]) -> None:
    """RFC 7541 §4.2: the smallest size and the last one, "resulting in at most two dynamic table size updates"."""
    pair = Pair()
    pair.send(REQUEST)
    pair.send(tuple(REQUEST))
    for change in changes:
        pair.encoder.allow_table_size(change)
    pair.decoder.max_allowed_table_size = pair.judge.max_allowed_table_size = changes[-1]
    assert updates(pair.send(REQUEST)) == announced
    assert updates(pair.send(REQUEST)) == []
    assert updates(pair.send(tuple(REQUEST))) == []


def test_changes_of_more_than_one_interval() -> None:
    """The smallest size of an earlier interval does not come again."""
    pair = Pair(8192)
    pair.encoder.allow_table_size(100)
    assert updates(pair.send(REQUEST)) == [100]
    pair.encoder.allow_table_size(6000)
    assert updates(pair.send(REQUEST)) == [6000]
    pair.encoder.allow_table_size(8192)
    pair.encoder.allow_table_size(7000)
    assert updates(pair.send(REQUEST)) == [7000]
    pair.encoder.allow_table_size(6500)
    pair.encoder.allow_table_size(8192)
    assert updates(pair.send(REQUEST)) == [6500, 8192]


def test_a_table_that_shrinks_and_grows_is_empty_on_both_sides() -> None:
    pair = Pair()
    pair.send(REQUEST)
    pair.encoder.allow_table_size(0)
    pair.encoder.allow_table_size(4096)
    assert pair.encoder.size == 0
    pair.send(REQUEST)
    assert len(pair.table) == 3


def test_the_table_is_bounded() -> None:
    pair = Pair()
    pair.encoder.allow_table_size(2**32 - 1)
    for number in range(500):
        pair.send([*REQUEST, (b"x-number", b"%d" % number)])
        assert pair.encoder.size <= 4096


def test_evicted_entries_are_not_referred_to() -> None:
    """Entries come and go; `Pair` checks that both decoders read what was meant."""
    pair = Pair(200)
    fields: Fields = [(b"x-%d" % (number % 7), b"value %d" % (number % 5)) for number in range(200)]
    for start in range(190):
        pair.send(fields[start : start + 3])


def test_a_table_of_more_than_192_indexes() -> None:
    pair = Pair(65_536)
    pair.encoder.allow_table_size(65_536)
    fields: Fields = [(b"x-%d" % number, b"\xff") for number in range(400)]
    pair.send(fields)
    assert len(pair.table) == 400
    # Indexes up to 126 take one byte, up to 254 two, and the others three.
    assert len(pair.send(fields)) == (126 - 61) + 2 * (254 - 126) + 3 * (461 - 254)
    assert pair.send([(b"x-0", b"\xfe")])[:3] == b"\x7f\x8e\x03"


def test_encoding_takes_linear_time() -> None:
    """The table is searched in constant time, whatever is in it."""

    def work(count: int) -> int:
        encoder = Encoder(2**20)
        encoder.allow_table_size(2**20)
        fields = [(b"x-%d" % number, b"v") for number in range(count)]
        return count_lines(lambda: encoder.encode(fields)) + count_lines(lambda: encoder.encode(fields))

    work(4000)  # the names are kept
    assert work(4000) < 2.1 * work(2000)


# -- what it would be --------------------------------------------------------------------------------------------------


def test_the_size_of_a_block_changes_nothing() -> None:
    encoder = Encoder(1000)
    encoder.allow_table_size(100)
    encoder.allow_table_size(500)
    before = encoder.generation
    sizes = [encoder.block_size(REQUEST) for _ in range(3)]
    assert encoder.generation == before
    assert encoder.size == 0
    block = encoder.encode(REQUEST)
    assert sizes == [len(block)] * 3
    assert updates(block) == [100, 500]
    assert encoder.block_size(REQUEST) == len(encoder.encode(REQUEST)) < len(block)


# -- remembered blocks -------------------------------------------------------------------------------------------------


def test_a_block_is_encoded_once() -> None:
    pair = Pair()
    pair.send(REQUEST)
    first = pair.send(REQUEST)
    assert pair.send(REQUEST) is first
    assert pair.send(list(REQUEST)) is first
    same = tuple(REQUEST)
    assert pair.send(same) is first
    assert pair.send(same) is first


def test_a_block_that_changed_the_table_is_not_sent_again() -> None:
    pair = Pair()
    same = tuple(REQUEST)
    assert pair.send(same) != pair.send(same)


def test_a_changed_table_changes_the_blocks() -> None:
    pair = Pair()
    same = tuple(REQUEST)
    pair.send(same)
    before = pair.send(same)
    pair.send([(b"x-other", b"value")])
    assert pair.send(same) != before
    pair.send(same)
    pair.encoder.allow_table_size(0)
    pair.encoder.allow_table_size(4096)
    pair.send(same)
    pair.send(same)


def test_a_list_that_was_changed_is_another_one() -> None:
    pair = Pair()
    fields = list(REQUEST)
    pair.send(fields)
    pair.send(fields)
    fields[3] = (b":path", b"/other")
    pair.send(fields)
    del fields[1:]
    assert pair.send(fields) == b"\x82"


def test_another_tuple_at_the_same_address() -> None:
    """A tuple that is gone leaves its address to others; so a remembered one must not go."""
    pair = Pair()
    pair.send([*REQUEST, (b"x-number", b"")])
    for number in range(300):
        pair.send((*REQUEST, (b":path", b"/%d" % number)))
        pair.send((*REQUEST, (b"etag", b"%d" % (number // 2))))


def test_long_blocks_are_not_remembered() -> None:
    pair = Pair()
    for fields in [(b":path", b"\xff" * 1100)], [(b"etag", b"0" * 1500)] * 3, [(b":method", b"GET")] * 200:
        same = tuple(fields)
        assert pair.send(same) is not pair.send(same)
        assert pair.send(fields) is not pair.send(fields)


def test_the_generation_tells_of_every_change() -> None:
    encoder = Encoder(8192)
    seen = {encoder.generation}

    def changed() -> bool:
        known = encoder.generation in seen
        seen.add(encoder.generation)
        return not known

    encoder.encode([(b":method", b"GET"), (b":path", b"/x"), NeverIndexedHeaderTuple(b"a", b"b")])
    assert not changed()
    encoder.encode(REQUEST)
    assert changed()
    encoder.encode(REQUEST)
    encoder.encode(REQUEST)
    assert not changed()
    encoder.allow_table_size(8192)
    assert changed()
    encoder.allow_table_size(10_000)
    assert not changed()
    encoder.encode(REQUEST)
    assert changed()  # the update was sent, and must not be sent again
    encoder.encode(REQUEST)
    assert not changed()

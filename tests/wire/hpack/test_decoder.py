"""From field blocks to fields: what is refused, what is bounded, and what is remembered."""

from __future__ import annotations

import pytest

from tests.wire.hpack.lines import count_lines
from trio_h2._wire._hpack import (
    Block,
    Decoder,
    Encoder,
    HeaderListTooLargeError,
    HpackError,
    NeverIndexedHeaderTuple,
)
from trio_h2._wire._hpack._codes import CODES, EOS
from trio_h2._wire._hpack._integers import encode_integer
from trio_h2._wire._hpack._memory import MAX_BLOCKS, MAX_LIST_SIZE

ENTRY = b"\x40\x01a\x01b"  # puts (a, b), 34 bytes, into the table
FIRST = b"\xbe"  # its newest entry


def update(size: int) -> bytes:
    """Returns a size update."""
    return encode_integer(size, 0x20, 0x1F)


def eos() -> bytes:
    return int(CODES[EOS] + "11", 2).to_bytes(4, "big")


MALFORMED: dict[str, bytes] = {
    "index 0": b"\x80",
    "index beyond the static table, with an empty dynamic one": b"\xbe",
    "index beyond the dynamic table": ENTRY + b"\xbf",
    "long index beyond the tables": b"\xff\xff\x03",
    "huge index": b"\xff\xff\xff\xff\xff\x0f",
    "index of a name beyond the tables, with indexing": b"\x7e\x01x",
    "index of a name beyond the tables, without indexing": b"\x0f\x2f\x01x",
    "index of a name beyond the tables, never indexed": b"\x1f\x2f\x01x",
    "index that is cut": b"\xff",
    "index that is cut later": b"\xff\x80",
    "index that is too long": b"\xff\x80\x80\x80\x80\x80\x00",
    "endless index": b"\xff" + b"\x80" * 200,
    "index of a name that is cut": b"\x7f",
    "index of a name that is too long": b"\x0f\x80\x80\x80\x80\x80\x00\x01x",
    "no name": b"\x00",
    "no value": b"\x00\x01x",
    "no value after an indexed name": b"\x41",
    "name that is cut": b"\x00\x05x",
    "value that is cut": b"\x00\x01x\x05abcd",
    "length of a name that is cut": b"\x00\x7f",
    "length of a value that is cut": b"\x00\x01x\x7f\x80",
    "length of a name that is too long": b"\x00\x7f\x80\x80\x80\x80\x80\x00",
    "length of a value that is too long": b"\x00\x01x\x7f\x80\x80\x80\x80\x80\x00",
    "huge length of a name": b"\x00\x7f\xff\xff\xff\xff\x0f",
    "huge length of a value": b"\x41\x7f\xff\xff\xff\xff\x0f",
    "name with EOS": b"\x00\x84" + eos() + b"\x00",
    "value with EOS": b"\x00\x01x\x84" + eos(),
    "value with a byte of padding": b"\x41\x81\xff",
    "value with a byte of padding after text": b"\x41\x82\x1f\xff",
    "value with padding of zeros": b"\x41\x81\x18",
    "size update beyond what is allowed": update(4097),
    "huge size update": b"\x3f\xff\xff\xff\xff\x0f",
    "size update that is cut": b"\x3f",
    "size update that is cut later": b"\x3f\x80",
    "size update that is too long": b"\x3f\x80\x80\x80\x80\x80\x00",
    "second size update beyond what is allowed": update(0) + update(4097),
    "seventeenth size update": update(0) + update(100) * 16,
    "size update after a field": b"\x82" + update(100),
    "size update after a literal": ENTRY + update(100),
    "cut literal in a long block": b"\x00\x01x\x01y" * 1000 + b"\x00\x05x",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_blocks_are_refused(name: str) -> None:
    """Behind good fields too, and what was decoded before does not help."""
    for before in b"", b"\x82\x86":
        decoder = Decoder()
        decoder.decode(b"\x82")
        with pytest.raises(HpackError) as caught:
            decoder.decode(before + MALFORMED[name])
        assert type(caught.value) is HpackError


def test_the_longest_prefix_of_a_block_that_is_right() -> None:
    """A block that is cut anywhere inside a field is refused, and right between two fields."""
    pieces = [
        update(100),
        b"\x82",
        b"\x41\x03abc",
        b"\x00\x82" + bytes.fromhex("1c64") + b"\x7f\x01" + b"v" * 128,
        b"\x10\x01n\x00",
        b"\xbe",
    ]
    whole = b"".join(pieces)
    ends = {len(b"".join(pieces[:count])) for count in range(len(pieces) + 1)}
    for size in range(len(whole) + 1):
        if size in ends:
            Decoder().decode(whole[:size])
        else:
            with pytest.raises(HpackError):
                Decoder().decode(whole[:size])


def test_each_representation() -> None:
    decoder = Decoder()
    block = (
        b"\x82"
        + b"\x41\x01x"
        + b"\x40\x01a\x01b"
        + b"\x04\x02/x"
        + b"\x00\x01c\x00"
        + b"\x14\x02/y"
        + b"\x10\x01d\x01e"
    )
    fields = decoder.decode(block + b"\xbe\xbf\x7e\x01z\x0f\x30\x01y")
    assert fields == [
        (b":method", b"GET"),
        (b":authority", b"x"),
        (b"a", b"b"),
        (b":path", b"/x"),
        (b"c", b""),
        (b":path", b"/y"),
        (b"d", b"e"),
        (b"a", b"b"),
        (b":authority", b"x"),
        (b"a", b"z"),
        (b"a", b"y"),
    ]
    assert [isinstance(field, NeverIndexedHeaderTuple) for field in fields] == [False] * 5 + [True] * 2 + [False] * 4
    assert all(type(part) is bytes for field in fields for part in field)
    assert decoder.size == 43 + 34 + 34


def test_an_empty_block_has_no_fields() -> None:
    assert Decoder().decode(b"") == []


def test_errors_do_not_quote_the_block() -> None:
    """They go to the peer with GOAWAY, and into logs."""
    for block in b"\x00\x06secret\x7f", b"\x41\x90secretsecretsecret", b"\x00\x06secret\x06secret\xbe":
        with pytest.raises(HpackError) as caught:
            Decoder().decode(block)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None


# -- size updates ------------------------------------------------------------------------------------------------------


def test_a_size_update_evicts() -> None:
    decoder = Decoder()
    decoder.decode(ENTRY + b"\x40\x01c\x01d")
    assert decoder.size == 68
    assert decoder.decode(update(34) + FIRST) == [(b"c", b"d")]
    assert decoder.size == 34
    assert decoder.decode(update(0) + update(4096)) == []
    assert decoder.size == 0
    with pytest.raises(HpackError):
        decoder.decode(FIRST)


def test_a_larger_table_may_be_used_when_it_is_allowed() -> None:
    decoder = Decoder()
    decoder.max_allowed_table_size = 10_000
    value = b"v" * 5000
    literal = b"\x40\x01a" + encode_integer(5000, 0, 0x7F) + value
    decoder.decode(literal)
    assert decoder.size == 0  # the peer has not said that it uses more
    decoder.decode(update(10_000) + literal)
    assert decoder.size == 5033
    assert decoder.decode(FIRST) == [(b"a", value)]


@pytest.mark.parametrize("block", [b"", b"\x82", update(101), update(4096) + update(100), update(0) + update(101)])
def test_a_lowered_table_must_be_confirmed(block: bytes) -> None:
    decoder = Decoder()
    decoder.decode(b"\x82")
    decoder.max_allowed_table_size = 100
    with pytest.raises(HpackError):
        decoder.decode(block)


@pytest.mark.parametrize("updates", [update(100), update(0), update(0) + update(100), update(10) + update(20)])
def test_a_lowered_table_that_is_confirmed(updates: bytes) -> None:
    decoder = Decoder()
    decoder.max_allowed_table_size = 100
    assert decoder.decode(updates + b"\x82") == [(b":method", b"GET")]
    assert decoder.decode(b"\x82") == [(b":method", b"GET")]  # once


def test_a_table_that_is_small_enough_needs_no_confirmation() -> None:
    decoder = Decoder()
    decoder.decode(update(50))
    decoder.max_allowed_table_size = 100
    assert decoder.decode(b"\x82") == [(b":method", b"GET")]


def test_a_decoder_with_a_small_table_begins_with_the_default() -> None:
    with pytest.raises(HpackError):
        Decoder(100).decode(b"\x82")
    assert Decoder(100).decode(update(100) + b"\x82") == [(b":method", b"GET")]
    assert Decoder(10_000).decode(b"\x82") == [(b":method", b"GET")]


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_the_list_is_bounded() -> None:
    """32 bytes a field, names and values, whatever the representation."""
    for block, size in (
        (b"\x82", 42),
        (ENTRY, 34),
        (b"\x00\x01a\x01b", 34),
        (b"\x10\x01a\x01b", 34),
        (b"\x00\x00\x00", 32),
    ):
        assert Decoder(max_list_size=size).decode_entry(block).size == size
        with pytest.raises(HeaderListTooLargeError):
            Decoder(max_list_size=size - 1).decode(block)
        assert Decoder(max_list_size=3 * size).decode_entry(block * 3).size == 3 * size
        with pytest.raises(HeaderListTooLargeError):
            Decoder(max_list_size=3 * size - 1).decode(block * 3)


def test_a_bomb_ends_early() -> None:
    """An entry of 4 kB, named again and again by one byte each."""
    decoder = Decoder(max_list_size=65_536)
    large = b"\x40\x01a" + encode_integer(4000, 0, 0x7F) + b"v" * 4000
    with pytest.raises(HeaderListTooLargeError):
        decoder.decode(large + FIRST * 100_000)

    def refuse(block: bytes) -> None:
        with pytest.raises(HeaderListTooLargeError):
            decoder.decode(block)

    assert count_lines(lambda: refuse(FIRST * 100)) == count_lines(lambda: refuse(FIRST * 100_000))


def test_a_lower_bound_counts_for_remembered_blocks() -> None:
    decoder = Decoder()
    assert decoder.decode(b"\x82\x86")
    decoder.max_list_size = 50
    with pytest.raises(HeaderListTooLargeError):
        decoder.decode(b"\x82\x86")
    assert decoder.max_list_size == 50


class CountingBytes(bytes):
    """A block that counts how much of it is copied."""

    copied = 0

    def __getitem__(  # type: ignore[override]  # no other slices are taken here
        self, key: int | slice[int, int, None], /
    ) -> int | bytes:
        part = super().__getitem__(key)
        if isinstance(part, bytes):
            CountingBytes.copied += len(part)
        return part


@pytest.mark.parametrize(
    "piece",
    [b"\x00\x01a\x00", b"\x40\x01a\x00", b"\x10\x00\x00", b"\x00\x81\x1f\x81\x1f", b"\x82", b"\x7e\x00", b"\xbe"],
    ids=["literal", "indexing", "never indexed", "Huffman", "indexed", "indexed name", "newest entry"],
)
def test_a_long_block_takes_linear_time(piece: bytes) -> None:
    """Twice as many fields run twice as many lines, and no byte is copied twice."""

    def work(count: int) -> int:
        decoder = Decoder(max_list_size=2**30)
        decoder.decode(ENTRY)
        CountingBytes.copied = 0
        block = CountingBytes(piece * count)
        lines = count_lines(lambda: decoder.decode(block))
        assert CountingBytes.copied <= len(block)
        return lines

    work(1)  # steps of the Huffman code are made when they are first needed
    start, some, twice = work(0), work(2000), work(4000)
    assert (twice - start) < 2.1 * (some - start)
    assert (some - start) < 2000 * 80


def test_a_long_string_takes_linear_time() -> None:
    def work(count: int) -> int:
        block = b"\x00\x01a" + encode_integer(count, 0x80, 0x7F) + bytes(count)
        return count_lines(lambda: Decoder(max_list_size=2**30).decode(block))

    work(1000)
    some, twice = work(50_000), work(100_000)
    assert twice < 2.1 * some


# -- remembered blocks -------------------------------------------------------------------------------------------------


def request() -> bytes:
    return Encoder().encode([(b":method", b"GET"), (b":path", b"/x"), (b"etag", b"abc")])


def test_a_block_that_comes_again_is_the_same() -> None:
    decoder = Decoder()
    block = request()
    first = decoder.decode_entry(block)
    first.checked = "checked"
    assert decoder.decode_entry(bytes(bytearray(block))) is first
    assert decoder.decode_entry(block).checked == "checked"
    assert first.size == 42 + 39 + 39


def test_the_list_is_a_fresh_one_each_time() -> None:
    decoder = Decoder()
    fields = decoder.decode(request())
    fields.clear()
    again = decoder.decode(request())
    assert len(again) == 3
    again.append((b"x", b"y"))
    assert len(decoder.decode(request())) == 3


def test_a_block_that_changes_the_table_is_not_remembered() -> None:
    decoder = Decoder()
    for block in ENTRY, update(100), update(100) + b"\x82":
        first = decoder.decode_entry(block)
        assert decoder.decode_entry(block) is not first
    decoder.decode(update(0) + update(4096))
    for _ in range(5):
        decoder.decode(ENTRY)
    assert decoder.size == 5 * 34  # each of them counted


def test_a_changed_table_changes_what_blocks_mean() -> None:
    decoder = Decoder()
    decoder.decode(ENTRY)
    first = decoder.decode_entry(FIRST)
    assert decoder.decode_entry(FIRST) is first
    decoder.decode(b"\x40\x01c\x01d")
    assert decoder.decode(FIRST) == [(b"c", b"d")]
    decoder.decode(update(34))
    assert decoder.decode(FIRST) == [(b"c", b"d")]
    decoder.decode(update(0))
    with pytest.raises(HpackError):
        decoder.decode(FIRST)


def test_an_insertion_that_empties_the_table_changes_what_blocks_mean() -> None:
    decoder = Decoder()
    decoder.decode(ENTRY)
    decoder.decode(FIRST)
    decoder.decode(b"\x40\x01c" + encode_integer(5000, 0, 0x7F) + b"v" * 5000)
    assert decoder.size == 0
    with pytest.raises(HpackError):
        decoder.decode(FIRST)


def test_a_lowered_table_counts_for_remembered_blocks() -> None:
    decoder = Decoder()
    decoder.decode(b"\x82")
    decoder.max_allowed_table_size = 100
    assert decoder.max_allowed_table_size == 100
    with pytest.raises(HpackError):
        decoder.decode(b"\x82")


def test_never_indexed_fields_are_not_remembered() -> None:
    decoder = Decoder()
    block = b"\x82\x10\x01a\x01b"
    first = decoder.decode_entry(block)
    again = decoder.decode_entry(block)
    assert first is not again
    assert first.fields is not again.fields
    assert [isinstance(field, NeverIndexedHeaderTuple) for field in again.fields] == [False, True]


def test_equal_fields_of_different_blocks_stay_apart() -> None:
    """The same field with and without the mark, which compare equal."""
    decoder = Decoder()
    for _ in range(3):
        for byte, kind in (b"\x10", NeverIndexedHeaderTuple), (b"\x00", tuple):
            (field,) = decoder.decode(byte + b"\x01a\x01b")
            assert type(field) is kind


def test_only_so_many_blocks_are_remembered() -> None:
    decoder = Decoder()
    blocks = [b"\x04" + bytes((3,)) + b"/%02d" % number for number in range(MAX_BLOCKS + 1)]
    first = [decoder.decode_entry(block) for block in blocks]
    assert decoder.decode_entry(blocks[1]) is first[1]
    assert decoder.decode_entry(blocks[0]) is not first[0]


@pytest.mark.parametrize(
    ("name", "value", "repeated"),
    [(b"", b"/" * 2100, 1), (b"", b"/" * MAX_LIST_SIZE, 1), (b"", b"", 130)],
    ids=["long block", "long list", "many fields"],
)
def test_long_blocks_are_not_remembered(name: bytes, value: bytes, repeated: int) -> None:
    decoder = Decoder(max_list_size=2**20)
    block = (b"\x00\x00" + encode_integer(len(value), 0, 0x7F) + value) * repeated
    first = decoder.decode_entry(block)
    assert first.fields == [(name, value)] * repeated
    assert decoder.decode_entry(block) is not first


def test_the_generation_tells_of_every_change() -> None:
    decoder = Decoder()
    seen = {decoder.generation}

    def changed() -> bool:
        known = decoder.generation in seen
        seen.add(decoder.generation)
        return not known

    decoder.decode(b"\x82\x04\x01/\x10\x01a\x01b")
    assert not changed()
    decoder.decode(ENTRY)
    assert changed()
    decoder.decode(FIRST)
    decoder.decode(FIRST)
    assert not changed()
    decoder.decode(update(4096))
    assert changed()
    decoder.max_allowed_table_size = 5000
    assert changed()
    decoder.max_allowed_table_size = 5000
    assert not changed()
    decoder.max_list_size = 5000
    assert changed()
    decoder.max_list_size = 5000
    assert not changed()


def test_a_new_block_has_nothing_checked() -> None:
    block = Block([(b"a", b"b")], 34)
    assert (block.fields, block.size, block.checked) == ([(b"a", b"b")], 34, None)

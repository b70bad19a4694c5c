"""The static table, and dynamic tables (RFC 7541 §2.3, §4)."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hpack.table import HeaderTable

from trio_h2._wire._hpack._search_table import SearchTable
from trio_h2._wire._hpack._table import (
    FIRST_DYNAMIC,
    STATIC_ENTRIES,
    STATIC_FIELDS,
    STATIC_NAMES,
    DynamicTable,
    field_size,
)

Field = tuple[bytes, bytes]


def test_the_static_table() -> None:
    """RFC 7541, Appendix A, as hpack has it."""
    assert {index: field for index, (field, _) in STATIC_ENTRIES.items()} == dict(
        enumerate(HeaderTable.STATIC_TABLE, 1)
    )
    assert FIRST_DYNAMIC == 62
    assert all(size == 32 + len(name) + len(value) for (name, value), size in STATIC_ENTRIES.values())
    assert STATIC_FIELDS[b":method", b"POST"] == 3
    assert STATIC_NAMES[b":method"] == 2
    assert STATIC_NAMES[b"www-authenticate"] == 61


def content(table: DynamicTable) -> list[Field]:
    """Returns the fields of a table by index, newest first."""
    return [
        table.entries[table.offset - index][0] for index in range(FIRST_DYNAMIC, FIRST_DYNAMIC + len(table.entries))
    ]


@pytest.mark.parametrize("kind", [DynamicTable, SearchTable])
def test_a_table_is_first_in_first_out(kind: type[DynamicTable]) -> None:
    table = kind()
    table.resize(3 * 34)
    for letter in b"abcd":
        table.add((bytes((letter,)), b"x"), 34)
    assert content(table) == [(b"d", b"x"), (b"c", b"x"), (b"b", b"x")]
    assert table.size == 3 * 34
    table.add((b"e", b"12"), 35)
    assert content(table) == [(b"e", b"12"), (b"d", b"x")]
    table.resize(34)
    assert content(table) == []  # the newest is too large, and the older ones go first
    assert table.size == 0


@pytest.mark.parametrize("kind", [DynamicTable, SearchTable])
def test_an_entry_larger_than_the_table_empties_it(kind: type[DynamicTable]) -> None:
    """RFC 7541 §4.4: "It is not an error"."""
    table = kind()
    table.resize(40)
    table.add((b"a", b"x"), 34)
    table.add((b"b", b"12345678"), 41)
    assert content(table) == []
    assert table.size == 0
    table.add((b"c", b"1234567"), 40)
    assert content(table) == [(b"c", b"1234567")]


def test_random_changes() -> None:
    """Against a simple model: a table's content, its size, and what a search finds."""
    rng = random.Random(2)
    for _ in range(60):
        table = SearchTable()
        model: deque[Field] = deque()
        capacity = 4096
        for _ in range(200):
            if rng.random() < 0.05:
                capacity = rng.choice([0, 33, 100, 300, 4096])
                table.resize(capacity)
            else:
                field = (rng.choice([b"a", b"b", b"long-name"]), rng.choice([b"", b"x", b"y" * 90, b"z" * 280]))
                table.add(field, field_size(field))
                model.appendleft(field)
            while sum(map(field_size, model)) > capacity:
                model.pop()
            assert content(table) == list(model)
            assert table.size == sum(map(field_size, model))
            assert {field: table.offset - number for field, number in table.numbers.items()} == {
                field: FIRST_DYNAMIC + model.index(field) for field in model
            }
            names = [name for name, _ in model]
            assert {name: table.offset - number for name, number in table.names.items()} == {
                name: FIRST_DYNAMIC + names.index(name) for name in names
            }


def test_a_copy_goes_its_own_way() -> None:
    table = SearchTable()
    table.add((b"a", b"x"), 34)
    copy = table.copy()
    copy.add((b"b", b"x"), 34)
    copy.resize(34)
    assert content(copy) == [(b"b", b"x")]
    assert content(table) == [(b"a", b"x")]
    assert (b"b", b"x") not in table.numbers
    assert table.size == 34
    assert table.capacity == 4096

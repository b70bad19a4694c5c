"""`Value` does what `dataclass` does by itself; it is only quicker to import."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import dataclass, field

import pytest

import trio_h2
from tests.house.public import public_things
from trio_h2._values import Value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Base(Value):
    size: int
    name: str = "name"
    aside: int = field(default=0, compare=False)
    secret: str = field(default="", repr=False)
    custom: dict[int, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Derived(_Base):
    more: float = 1.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Single(Value):
    number: float


def test_equal_are_those_with_equal_fields() -> None:
    assert _Base(1) == _Base(1)
    assert _Base(1, "name", 7) == _Base(1, "name", 8), "a field that is not compared"
    assert _Base(1) != _Base(2)
    assert _Base(1, custom={1: 2}) != _Base(1)
    assert _Derived(1, more=2.0) != _Derived(1)


def test_equal_are_only_those_of_one_class() -> None:
    assert _Base(1) != _Derived(1)
    assert _Single(1) != 1
    assert _Base(1).__eq__("other") is NotImplemented


def test_the_very_same_number_is_equal_as_in_a_tuple() -> None:
    nan = float("nan")
    assert _Single(nan) == _Single(nan)


def test_equal_ones_have_one_hash() -> None:
    assert len({_Base(1), _Base(1, aside=7), _Base(1, custom={1: 2}), _Base(2), _Derived(1)}) == 4
    with pytest.raises(TypeError, match="unhashable"):
        hash(trio_h2.PingReceived(bytearray(8)))  # type: ignore[arg-type]


def test_repr_names_the_fields() -> None:
    assert repr(_Base(1)) == "_Base(size=1, name='name', aside=0, custom={})"
    assert repr(_Derived(1, secret="x")) == "_Derived(size=1, name='name', aside=0, custom={}, more=1.0)"
    assert repr(trio_h2.Priority(urgency=1)) == "Priority(urgency=1, incremental=False)"


def test_they_are_frozen_and_can_be_replaced_matched_and_pickled() -> None:
    value = trio_h2.GoAwayReceived(3, trio_h2.ErrorCode.NO_ERROR, b"why")
    assert not hasattr(value, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.last_stream_id = 5  # type: ignore[misc]
    assert dataclasses.replace(value, last_stream_id=5) == trio_h2.GoAwayReceived(5, value.code, b"why")
    match value:
        case trio_h2.GoAwayReceived(last, _, debug):
            assert (last, debug) == (3, b"why")
    assert pickle.loads(pickle.dumps(value)) == value


def test_none_of_the_public_ones_has_methods_compiled_for_it() -> None:
    values = {path: thing for path, thing in public_things() if isinstance(thing, type) and issubclass(thing, Value)}
    assert len(values) > 20
    doubled = [path for path, thing in values.items() if {"__eq__", "__hash__", "__repr__"} & vars(thing).keys()]
    assert doubled == [], "they want `eq=False, repr=False`"

"""The books of receive credit, one operation at a time."""

from __future__ import annotations

import pytest

from trio_h2._wire._config import ServerConfig
from trio_h2._wire._flow import Ledger, ReceiveBudget
from trio_h2._wire._output import Output
from trio_h2._wire._padding import PaddingStrategy
from trio_h2._wire._pushes import Pushes
from trio_h2._wire._stream import WireStream
from trio_h2._wire._windows import Windows


def test_ledger() -> None:
    ledger = Ledger(received=10, taken=3, discarded=2)
    assert ledger.held == 5
    copy = ledger.copy()
    ledger.taken += 5
    assert (ledger.held, copy.held) == (0, 5)


def stream(target: int) -> WireStream:
    return WireStream(1, b"GET", target)


@pytest.mark.parametrize(
    ("target", "owed", "increment"),
    [(100, 0, 0), (100, 49, 0), (100, 50, 50), (100, 100, 100), (1, 1, 1), (0, 0, 0), (0, 5, 5), (101, 50, 0)],
)
def test_credit_of_a_stream_goes_back_by_halves(target: int, owed: int, increment: int) -> None:
    output = Output(PaddingStrategy.NONE)
    windows = Windows(ServerConfig(), output, {}, Pushes(None))
    wire = stream(target)
    wire.owed = owed
    wire.receive_window -= owed
    windows.give_back(wire)
    assert (wire.owed, wire.receive_window) == (owed - increment, target - owed + increment)
    assert output.frames == bool(increment)


def budget(size: int = 1000, window: int = 1000, reserved: int = 0) -> ReceiveBudget:
    return ReceiveBudget(size, window=window, reserved=reserved)


def test_what_was_not_announced_is_owed() -> None:
    books = budget(1000, window=100)
    assert (books.size, books.window, books.owed) == (1000, 100, 900)
    assert books.give_back() == 900
    assert (books.window, books.owed) == (1000, 0)
    assert books.give_back() == 0


def test_a_small_rest_is_owed_until_it_matters() -> None:
    books = budget(1000, window=900)
    assert books.give_back() == 0
    assert books.receive(800)
    assert books.give_back() == 100
    assert (books.window, books.owed) == (200, 0)


def test_the_window_is_a_hard_bound() -> None:
    books = budget(1000)
    assert books.receive(1000)
    assert not books.receive(1)
    assert books.receive(0)
    assert books.ledger.received == books.ledger.held == 1000
    assert (books.window, books.owed) == (0, 0)


def test_taken_and_discarded_bytes_come_back() -> None:
    books = budget(1000)
    books.receive(600)
    books.take(150)
    assert books.give_back() == 0
    books.discard(250)
    assert books.give_back() == 400
    assert (books.window, books.owed, books.ledger.held) == (800, 0, 200)
    assert books.ledger == Ledger(received=600, taken=150, discarded=250)


def test_nothing_is_starved_when_most_is_held() -> None:
    """A fixed threshold of half the budget would keep the last 100 bytes for ever."""
    books = budget(1000)
    books.receive(900)
    for _ in range(50):
        assert books.receive(min(60, books.window))
        books.take(60)
        books.give_back()
        assert books.window >= 40


def test_windows_fit_until_they_do_not() -> None:
    books = budget(1000)
    assert books.fits(10, 100)
    assert not books.fits(11, 100)
    assert books.fits(10**9, 0)
    credit = stream(100)
    assert books.grow(credit, 150, spare=1000) == 50
    assert books.extra == 50
    assert books.fits(9, 100)
    assert not books.fits(10, 100)
    credit.held = 30
    books.close(credit, 100)
    assert (books.extra, books.stranded) == (0, 30)
    assert books.fits(9, 100)
    assert not books.fits(10, 100)
    books.unstrand(30)
    assert books.fits(10, 100)


def test_the_spare_part_of_the_budget() -> None:
    books = budget(1000, reserved=400)
    assert books.spare(0, 100) == 600
    assert books.spare(4, 100) == 600
    assert books.spare(7, 100) == 300
    books.reserve(800)
    assert books.spare(7, 100) == 200
    books.grow(stream(100), 250, spare=200)
    assert books.spare(7, 100) == 50
    assert books.spare(9, 100) == -50
    closed = stream(100)
    closed.held = 20
    books.close(closed, 100)
    assert books.spare(7, 100) == 30


@pytest.mark.parametrize(("target", "spare", "increment"), [(500, 1000, 400), (500, 10, 10), (500, 0, 0), (50, 99, 0)])
def test_growth_is_bounded(target: int, spare: int, increment: int) -> None:
    credit = stream(100)
    assert budget().grow(credit, target, spare) == increment
    assert credit.target == 100 + increment


def test_a_window_never_exceeds_what_the_protocol_allows() -> None:
    credit = stream(2**31 - 10)
    assert budget(2**31 - 1).grow(credit, 2**40, 2**40) == 9

"""Whose turn it is: round robin, and the order of RFC 9218."""

from __future__ import annotations

import pytest

from trio_h2._wire._schedule import UNSIGNALLED, Priority, Scheduler, parse_priority


def turns(scheduler: Scheduler, count: int) -> list[int | None]:
    return [scheduler.next() for _ in range(count)]


def scheduler_with(priorities: dict[int, Priority | None]) -> Scheduler:
    scheduler = Scheduler()
    for stream_id, priority in priorities.items():
        if priority is not None:
            scheduler.prioritize(stream_id, priority)
        scheduler.add(stream_id)
    return scheduler


def test_nobody_is_ready() -> None:
    assert Scheduler().next() is None
    assert len(Scheduler()) == 0


def test_streams_without_a_signal_take_turns() -> None:
    scheduler = scheduler_with({5: None, 1: None, 3: None})
    assert turns(scheduler, 7) == [5, 1, 3, 5, 1, 3, 5]
    assert len(scheduler) == 3
    assert 5 in scheduler
    assert 7 not in scheduler


def test_adding_twice_gives_no_second_turn() -> None:
    scheduler = scheduler_with({1: None, 3: None})
    scheduler.add(1)
    assert turns(scheduler, 4) == [1, 3, 1, 3]


def test_a_stream_that_comes_back_stands_at_the_end() -> None:
    scheduler = scheduler_with({1: None, 3: None, 5: None})
    assert scheduler.next() == 1
    scheduler.remove(3)
    scheduler.remove(3)
    scheduler.add(3)
    assert turns(scheduler, 3) == [5, 1, 3]


def test_lower_urgency_numbers_come_first() -> None:
    scheduler = scheduler_with(
        {1: Priority(7), 3: Priority(0, incremental=True), 5: None, 7: Priority(0, incremental=True)}
    )
    assert turns(scheduler, 4) == [3, 7, 3, 7]
    scheduler.remove(3)
    scheduler.remove(7)
    assert turns(scheduler, 2) == [5, 5]
    scheduler.remove(5)
    assert turns(scheduler, 2) == [1, 1]
    scheduler.remove(1)
    assert scheduler.next() is None


def test_streams_that_are_not_incremental_go_one_after_the_other() -> None:
    scheduler = scheduler_with({5: Priority(3), 1: Priority(3), 3: Priority(3)})
    assert turns(scheduler, 3) == [1, 1, 1]
    scheduler.remove(1)
    assert turns(scheduler, 3) == [3, 3, 3]


def test_both_kinds_of_one_urgency_alternate() -> None:
    scheduler = scheduler_with({1: Priority(3), 3: None, 5: Priority(3), 7: None})
    assert turns(scheduler, 6) == [1, 3, 1, 7, 1, 3]
    scheduler.remove(3)
    scheduler.remove(7)
    assert turns(scheduler, 2) == [1, 1]
    scheduler.add(7)
    scheduler.remove(1)
    scheduler.remove(5)
    assert turns(scheduler, 2) == [7, 7]


def test_a_new_priority_counts_from_the_next_frame_on() -> None:
    scheduler = scheduler_with({1: None, 3: None})
    scheduler.prioritize(3, Priority(1))
    assert turns(scheduler, 2) == [3, 3]
    scheduler.prioritize(3, UNSIGNALLED)
    assert turns(scheduler, 2) == [1, 3]
    scheduler.prioritize(5, Priority(0))  # not ready yet
    assert turns(scheduler, 1) == [1]
    scheduler.add(5)
    assert turns(scheduler, 1) == [5]


def shares(scheduler: Scheduler, count: int) -> dict[int | None, int]:
    got = turns(scheduler, count)
    return {stream_id: got.count(stream_id) for stream_id in sorted(set(got), key=str)}


def test_weights_say_how_many_turns() -> None:
    scheduler = scheduler_with({1: None, 3: None, 5: None})
    scheduler.weigh(1, 256)
    assert shares(scheduler, 180) == {1: 160, 3: 10, 5: 10}  # 16 is the weight of who has none
    scheduler.weigh(3, 256)
    scheduler.weigh(5, 1)
    assert shares(scheduler, 2 * 513) == {1: 512, 3: 512, 5: 2}


def test_no_weight_keeps_a_stream_waiting_for_ever() -> None:
    scheduler = scheduler_with({1: None, 3: None})
    scheduler.weigh(1, 256)
    scheduler.weigh(3, 1)
    assert 3 in turns(scheduler, 257)


def test_a_stream_that_leaves_after_each_turn_gets_no_more_of_them() -> None:
    """As one does whose program hands over one piece after the other."""
    scheduler = scheduler_with({1: None, 3: None})
    scheduler.weigh(1, 64)
    scheduler.weigh(3, 16)
    got = []
    for _ in range(500):
        stream_id = scheduler.next()
        assert stream_id is not None
        got.append(stream_id)
        scheduler.remove(stream_id)
        scheduler.add(stream_id)
    assert got.count(1) == 400


def test_a_stream_that_was_away_makes_up_for_nothing() -> None:
    scheduler = scheduler_with({1: None, 3: None})
    scheduler.weigh(1, 16)
    turns(scheduler, 10)
    scheduler.remove(3)
    turns(scheduler, 1000)
    scheduler.add(3)
    assert shares(scheduler, 100) == {1: 50, 3: 50}


def test_urgency_comes_before_weights() -> None:
    scheduler = scheduler_with({1: Priority(1, incremental=True), 3: None})
    scheduler.weigh(3, 256)
    assert turns(scheduler, 3) == [1, 1, 1]


def test_a_stream_with_a_weight_takes_turns_whatever_its_signal_says() -> None:
    scheduler = scheduler_with({1: Priority(3), 3: Priority(3), 5: Priority(3)})
    for stream_id in 1, 3:
        scheduler.weigh(stream_id, 16)
    assert shares(scheduler, 8) == {1: 2, 3: 2, 5: 4}  # half of the turns are for those that go one after the other
    scheduler.forget(5)
    scheduler.prioritize(1, Priority(3))
    assert shares(scheduler, 8) == {1: 4, 3: 4}


def test_the_last_weight_takes_its_books_along() -> None:
    scheduler = scheduler_with({1: None, 3: None, 5: None})
    scheduler.weigh(1, 256)
    turns(scheduler, 100)
    scheduler.forget(1)
    assert not scheduler._weights._free_at
    assert shares(scheduler, 10) == {3: 5, 5: 5}


def test_a_forgotten_stream_leaves_nothing() -> None:
    scheduler = scheduler_with({1: Priority(0), 3: None})
    scheduler.forget(1)
    assert turns(scheduler, 1) == [3]
    scheduler.add(1)
    assert turns(scheduler, 4) == [3, 1, 3, 1]  # its priority is forgotten, too
    scheduler.forget(99)
    scheduler.forget(1)
    scheduler.forget(3)
    assert len(scheduler) == 0
    assert scheduler.next() is None


@pytest.mark.parametrize(
    ("value", "urgency", "incremental"),
    [
        ("", 3, False),
        ("u=0", 0, False),
        ("u=7, i", 7, True),
        ("i,u=5", 5, True),
        ("i=?1", 3, True),
        ("i=?0", 3, False),
        (" u=1 ,\ti ", 1, True),
        ("u=1;x=y, i;z", 1, True),
        ("u=8", 3, False),
        ("u=-1", 3, False),
        ("u=12", 3, False),
        ("u", 3, False),
        ("i=1", 3, False),
        ("U=1, I", 3, False),
        ("x=1, u=2, y", 2, False),
        ("u=1, u=2", 2, False),
        ("u=1, u=9", 3, False),
        ("i, i=?0", 3, False),
        ("=, ;, u=4", 4, False),
        ("u=01, i=?1", 1, True),
        ("u=0000000000000001", 3, False),
        ("u=1.0", 3, False),
        ('u=1, x="a,u=5,i"', 1, False),
        (r'x="\", u=6", u=2', 2, False),
        ('u="1"', 3, False),
        ("u=\u0661", 3, False),
    ],
)
def test_priority_field(value: str, urgency: int, incremental: bool) -> None:
    """RFC 9218 §4: what is missing or makes no sense has its default."""
    assert parse_priority(value) == Priority.parse(value) == Priority(urgency, incremental)


@pytest.mark.parametrize("urgency", range(8))
@pytest.mark.parametrize("incremental", [True, False])
def test_a_priority_is_read_as_it_is_written(urgency: int, incremental: bool) -> None:
    priority = Priority(urgency, incremental)
    assert Priority.parse(str(priority)) == priority


def test_a_priority_is_read_from_text() -> None:
    with pytest.raises(TypeError, match="must be a str, not b'u=1'"):
        Priority.parse(b"u=1")  # type: ignore[arg-type]

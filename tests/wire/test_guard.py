"""Token buckets and the count of unread answers."""

from __future__ import annotations

import pytest

from trio_h2._wire._codes import ErrorCode
from trio_h2._wire._config import ServerConfig
from trio_h2._wire._failure import SessionFaultError
from trio_h2._wire._guard import Guard, TokenBucket


def bucket(burst: int = 3, rate: float = 2.0) -> TokenBucket:
    return TokenBucket(burst, rate, name="thing", where="set here", what="too many things")


def spend(tokens: TokenBucket, now: float) -> int:
    """Spends until nothing is left; returns how much there was."""
    count = 0
    with pytest.raises(SessionFaultError) as caught:
        while True:
            tokens.spend(now)
            count += 1
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM
    return count


def test_burst_and_rate() -> None:
    tokens = bucket()
    assert spend(tokens, 100.0) == 3
    assert spend(tokens, 100.0) == 0
    assert spend(tokens, 100.4) == 0
    assert spend(tokens, 100.5) == 1
    assert spend(tokens, 101.5) == 2
    assert spend(tokens, 10**6) == 3  # never more than the burst


def test_a_slow_stream_of_events_passes_for_ever() -> None:
    tokens = bucket(burst=1, rate=10.0)
    for number in range(1000):
        tokens.spend(number * 0.101)


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    tokens = bucket()
    assert spend(tokens, 50.0) == 3
    assert spend(tokens, 10.0) == 0
    assert spend(tokens, 50.0) == 0
    assert spend(tokens, 51.0) == 2


def test_an_infinite_rate() -> None:
    tokens = bucket(burst=2, rate=float("inf"))
    assert spend(tokens, 1.0) == 2
    assert spend(tokens, 1.000001) == 2


def test_refund() -> None:
    tokens = bucket()
    assert spend(tokens, 1.0) == 3
    tokens.refund(2)
    assert spend(tokens, 1.0) == 2
    tokens.refund(100)
    assert spend(tokens, 1.0) == 3


def test_the_reason_names_the_limit() -> None:
    with pytest.raises(
        SessionFaultError, match=r"too many things: .*thing_burst=1 .*thing_rate=0.5 per second \(set here\)"
    ):
        spend_all = bucket(burst=1, rate=0.5)
        spend_all.spend(0.0)
        spend_all.spend(0.0)


def test_budgets_of_a_session_are_those_of_its_configuration() -> None:
    guard = Guard(ServerConfig(reset_burst=1, overhead_burst=2, max_queued_replies=3))
    guard.count_reset(0.0)
    with pytest.raises(SessionFaultError, match=r"reset_burst=1 .*reset_rate=33 "):
        guard.count_reset(0.0)
    guard.count_overhead(0.0)
    guard.count_overhead(0.0)
    guard.progress(1)
    guard.count_overhead(0.0)
    with pytest.raises(SessionFaultError, match=r"overhead_burst=2 .*overhead_rate=1000 "):
        guard.count_overhead(0.0)
    for _ in range(3):
        guard.count_reply()
    guard.replies_taken()
    for _ in range(3):
        guard.count_reply()
    guard.reads += 16
    with pytest.raises(SessionFaultError, match="max_queued_replies=3"):
        guard.count_reply()


def test_replies_wait_for_the_peer_only_after_some_reads() -> None:
    """A writer that nothing holds up has its turn by then."""
    guard = Guard(ServerConfig(max_queued_replies=3))
    guard.reads += 100
    for _ in range(10):
        guard.count_reply()
    guard.reads += 15
    guard.count_reply()
    guard.replies_taken()
    guard.reads += 1
    for _ in range(10):
        guard.count_reply()
    guard.reads += 16
    with pytest.raises(SessionFaultError, match="max_queued_replies=3"):
        guard.count_reply()


def test_large_frames_cost_more() -> None:
    guard = Guard(ServerConfig(overhead_burst=10))
    guard.count_overhead(0.0, 7)
    guard.count_overhead(0.0, 3)
    with pytest.raises(SessionFaultError, match="overhead_burst=10 "):
        guard.count_overhead(0.0)

"""Connecting to one of several addresses: whatever is cancelled when, no socket stays open."""

from __future__ import annotations

import errno
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
import trio

from tests.tunnel.fakenet import FakeNet
from trio_h2.testing import sweep_cancellation
from trio_h2.tunnel._dial import Candidate, abort, dial, resolve
from trio_h2.tunnel._target import parse_target

if TYPE_CHECKING:
    from trio.testing import MockClock

FIRST, SECOND, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"

pytestmark = pytest.mark.parity("L1")


def candidates(*addresses: str) -> list[Candidate]:
    return [Candidate(ip_address(one), trio.socket.AF_INET, (one, 80), 80) for one in addresses]


async def test_two_that_answer_in_the_same_moment(autojump_clock: MockClock) -> None:
    net = FakeNet()
    net.install()
    net.delays = {FIRST: 0.25, SECOND: 0.0}
    for _ in range(50):
        connection, who = await dial(candidates(FIRST, SECOND))
        assert str(who.address) in (FIRST, SECOND)
        assert net.open_sockets == 1
        abort(connection)
        assert net.open_sockets == 0
    winners = {sock.was_reset for sock in net.sockets}
    assert winners == {True, False}


async def test_cancelled_anywhere_no_socket_is_left(autojump_clock: MockClock) -> None:
    net = FakeNet()
    net.install()
    net.errors = {FIRST: errno.ECONNREFUSED}
    net.delays = {FIRST: 0.1, SECOND: 0.5, THIRD: 0.25}
    reached = 0

    async def scenario() -> None:
        nonlocal reached
        connection, who = await dial(candidates(FIRST, SECOND, THIRD))
        reached += 1
        assert str(who.address) in (SECOND, THIRD)
        abort(connection)

    async def after() -> None:
        assert net.open_sockets == 0
        await trio.lowlevel.checkpoint()

    assert await sweep_cancellation(scenario, after=after) > 10
    assert reached >= 3


async def test_the_families_take_turns(autojump_clock: MockClock) -> None:
    net = FakeNet()
    net.install()
    net.names["many.test"] = ["2001:db8::1", "2001:db8::2", "2001:db8::1", FIRST, "2001:db8::3", SECOND]
    found = await resolve(parse_target("many.test:80"))
    assert [str(one) for one in found] == [
        *("[2001:db8::1]:80", f"{FIRST}:80", "[2001:db8::2]:80", f"{SECOND}:80", "[2001:db8::3]:80"),
    ]
    assert [str(one) for one in await resolve(parse_target(f"{THIRD}:81"))] == [f"{THIRD}:81"]
    assert [str(one) for one in await resolve(parse_target("[::1]:81"))] == ["[::1]:81"]

"""`Session.ping` (RFC 9113 §6.7)."""

from __future__ import annotations

import math

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import connected, hello, served, settle
from trio_h2 import (
    ClientConfig,
    KeepaliveTimeoutError,
    LocalProtocolError,
    PingResult,
    Role,
    SettingCode,
    TransportLostError,
)
from trio_h2.testing import PingFrame


@pytest.mark.parity("B18")
async def test_the_round_trip_is_measured(autojump_clock: object) -> None:
    results: list[PingResult] = []
    async with connected() as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False

        async def ping() -> None:
            results.append(await session.ping())

        nursery.start_soon(ping)
        frame = await peer.expect(PingFrame, ack=False)
        await trio.sleep(2.5)
        await peer.send_ping(frame.data, ack=True)
    (result,) = results
    assert result.round_trip == pytest.approx(2.5)
    assert result.payload == frame.data


@pytest.mark.parity("B18")
async def test_answers_find_their_questions(autojump_clock: object) -> None:
    order: list[str] = []
    async with connected() as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False

        async def ping(name: str, payload: bytes) -> None:
            assert (await session.ping(payload)).payload == payload
            order.append(name)

        for name, payload in [("a1", b"aaaaaaaa"), ("a2", b"aaaaaaaa"), ("b", b"bbbbbbbb")]:
            nursery.start_soon(ping, name, payload)
            await settle()
        for payload in (b"bbbbbbbb", b"unwanted", b"aaaaaaaa", b"aaaaaaaa"):
            await peer.send_ping(payload, ack=True)
            await settle()
    assert order == ["b", "a1", "a2"]


@pytest.mark.parity("B18")
async def test_payloads_are_unique_by_default(autojump_clock: object) -> None:
    async with connected() as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False
        for _ in range(10):
            nursery.start_soon(session.ping)
        await settle()
        sent = [(await peer.expect(PingFrame)).data for _ in range(10)]
        assert len(set(sent)) == 10
        for payload in sent:
            await peer.send_ping(payload, ack=True)


@pytest.mark.parity("B18", "H4")
async def test_the_limit_raises_at_once_and_keepalive_is_not_counted(autojump_clock: object) -> None:
    async with served(hello) as (peer, session), trio.open_nursery() as nursery:
        peer.auto_ack = False
        for _ in range(10):
            nursery.start_soon(session.ping)
        await settle()
        with pytest.raises(LocalProtocolError, match="max_outstanding_pings"):
            await session.ping()
        sent = [await peer.expect(PingFrame) for _ in range(10)]
        await peer.expect_nothing()
        await peer.send_settings({})  # it speaks, but it does not answer
        peer.timeout = 100
        keepalive = await peer.until(PingFrame, ack=False)
        session.shutdown()
        await peer.expect_goaway()
        drain = await peer.expect(PingFrame, ack=False)
        assert keepalive.data != drain.data
        for frame in sent:
            await peer.send_ping(frame.data, ack=True)
        await settle()
        async with trio.open_nursery() as inner:
            inner.start_soon(session.ping)
            await peer.send_ping((await peer.expect(PingFrame)).data, ack=True)


@pytest.mark.parity("B18")
async def test_a_cancelled_ping_is_outstanding_until_its_answer(autojump_clock: object) -> None:
    async with connected(config=ClientConfig(max_outstanding_pings=1)) as (session, peer):
        peer.auto_ack = False
        with trio.move_on_after(1):
            await session.ping()
        with pytest.raises(LocalProtocolError):
            await session.ping()
        await peer.send_ping((await peer.expect(PingFrame)).data, ack=True)
        await settle()
        with trio.move_on_after(1):
            await session.ping()
        await peer.expect(PingFrame)


@pytest.mark.parity("B18", "K1")
async def test_wrong_payloads_are_refused_at_the_call() -> None:
    async with connected() as (session, peer):
        with pytest.raises(TypeError, match="bytes-like"):
            await session.ping("12345678")  # type: ignore[arg-type]  # that is the point
        with pytest.raises(ValueError, match="8 bytes"):
            await session.ping(b"1234567")
        for reserved in (b"\xffkeep-h2", b"\xffdrain\xffh", b"\xffbdp-h2\xff"):
            with pytest.raises(ValueError, match="library itself"):
                await session.ping(reserved)
        await peer.expect_nothing(strict=False)
        assert not any(isinstance(frame, PingFrame) for frame in peer.frames)


@pytest.mark.parity("B18")
async def test_a_cancelled_task_sends_nothing(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await session.ping()
        await peer.ping()
        assert not any(isinstance(frame, PingFrame) and not frame.ack for frame in peer.frames)


@pytest.mark.parity("B18")
async def test_our_answers(autojump_clock: object) -> None:
    async with served(hello) as (peer, _):
        for payload in (b"12345678", b"\xffdrain\xffh", b"\xffkeep-h2"):
            await peer.ping(payload)


@pytest.mark.parity("B18", "H4", "K2")
@both_roles
async def test_over_the_limit_nothing_is_sent(role: Role, autojump_clock: object) -> None:
    """At the call, and the session stays healthy."""
    async with session_of(role, max_outstanding_pings=2) as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False
        for payload in b"number 1", b"number 2":
            nursery.start_soon(session.ping, payload)
            assert (await peer.expect(PingFrame, ack=False)).data == payload
        for _ in range(3):
            with pytest.raises(LocalProtocolError, match=r"2 pings have no answer yet \(max_outstanding_pings\)"):
                await session.ping(b"number 3")
        await peer.expect_nothing()
        await peer.send_ping(b"number 1", ack=True)
        await settle()
        nursery.start_soon(session.ping, b"number 4")
        assert (await peer.expect(PingFrame, ack=False)).data == b"number 4"
        for payload in b"number 2", b"number 4":
            await peer.send_ping(payload, ack=True)


@pytest.mark.parity("B18")
@both_roles
async def test_the_session_ends_while_pings_wait(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False
        raised: list[str] = []

        async def wait(error: type[Exception]) -> None:
            with pytest.raises(error):
                await session.ping()
            raised.append(error.__name__)

        for _ in range(3):
            nursery.start_soon(wait, TransportLostError)
        await settle()
        await peer.send_bytes(b"\0\0")  # no graceful end
        await peer.aclose()
        await settle()
        assert raised == ["TransportLostError"] * 3
        await wait(TransportLostError)


@pytest.mark.parity("B18")
@both_roles
async def test_our_own_end_while_pings_wait(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await session.ping()

        nursery.start_soon(wait)
        await settle()
        session.destroy()


@pytest.mark.parity("B18")
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_payloads_are_bytes_like(kind: type, autojump_clock: object) -> None:
    async with connected() as (session, peer), trio.open_nursery() as nursery:
        results: list[PingResult] = []

        async def ping() -> None:
            results.append(await session.ping(kind(b"\0payload")))

        nursery.start_soon(ping)
        await peer.expect(PingFrame, ack=False, data=b"\0payload")
    ((round_trip, payload),) = [(result.round_trip, result.payload) for result in results]
    assert (type(round_trip), round_trip, type(payload), payload) == (float, 0.0, bytes, b"\0payload")


# -- a peer that has gone silent ---------------------------------------------------------------------------------------


@both_roles
async def test_a_silent_peer_ends_the_wait(role: Role, autojump_clock: object) -> None:
    """The PING is as good as one of the keep-alive, on a session without streams, too: no need to send another one."""
    async with session_of(role) as (session, peer):
        peer.auto_ack = False
        start = trio.current_time()
        with pytest.raises(KeepaliveTimeoutError, match="within ping_timeout"):
            await session.ping()
        assert trio.current_time() - start == pytest.approx(session.config.ping_timeout)


async def test_a_peer_that_speaks_but_does_not_answer_is_alive(autojump_clock: object) -> None:
    """And watched for as long as the ping waits: when it falls silent, the keep-alive asks it once more."""
    config = ClientConfig(ping_interval=30, ping_timeout=15)
    async with connected(config=config) as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False
        peer.timeout = 100
        start = trio.current_time()

        async def ping() -> None:
            with pytest.raises(KeepaliveTimeoutError):
                await session.ping()

        nursery.start_soon(ping)
        await peer.expect(PingFrame)
        for _ in range(5):
            await trio.sleep(14)
            await peer.send_settings({})
        await peer.until(PingFrame)
        assert trio.current_time() - start == pytest.approx(5 * 14 + 30)
    assert trio.current_time() - start == pytest.approx(5 * 14 + 30 + 15)


@both_roles
async def test_without_keepalive_a_ping_waits_as_long_as_it_may(role: Role, autojump_clock: object) -> None:
    async with session_of(role, ping_interval=math.inf, idle_timeout=math.inf) as (session, peer):
        peer.auto_ack = False
        with trio.move_on_after(1000) as scope:
            await session.ping()
        assert scope.cancelled_caught
        assert not session.closed


async def test_after_its_ping_a_client_without_streams_watches_nobody(autojump_clock: object) -> None:
    config = ClientConfig(ping_interval=30, ping_timeout=15)
    async with connected(config=config) as (session, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.ping)
            await peer.expect(PingFrame)  # and answers
        with trio.move_on_after(5):
            await session.ping()
        await peer.ping()  # it lives
        peer.auto_ack = False
        await trio.sleep(1000)
        assert not session.closed


async def test_a_request_that_waits_for_a_slot_on_a_silent_session(autojump_clock: object) -> None:
    """It waits for the server as an open stream does, though there is none."""
    config = ClientConfig(ping_interval=30, ping_timeout=15)
    async with connected(config=config, settings={SettingCode.MAX_CONCURRENT_STREAMS: 0}) as (session, peer):
        await peer.ping()
        await trio.sleep(1000)
        start = trio.current_time()
        with trio.move_on_after(20):
            await session.open_stream("GET")
        await trio.sleep(1000)
        assert not session.closed  # nobody waits any more
        start = trio.current_time()
        peer.auto_ack = False
        with pytest.raises(KeepaliveTimeoutError) as caught:
            await session.open_stream("GET")
        assert caught.value.retryable
        assert trio.current_time() - start == pytest.approx(45)

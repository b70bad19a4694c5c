"""Which connections a client opens, keeps, leaves and closes."""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.client.network import failing, network, ours, scripted, until_closed
from trio_h2 import Client, ErrorCode, Retry, Timeouts
from trio_h2.testing import GoAwayFrame, HeadersFrame, PeerClosedError, RstStreamFrame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

    from tests.client.network import Network
    from trio_h2.testing import ScriptedPeer

A, B = "http://a.example", "http://b.example"


def _client(
    made: Network,
    *,
    retry: Retry | None = None,
    timeouts: Timeouts | None = None,
    max_sessions: int = 100,
    max_sessions_per_origin: int = 1,
    idle_timeout: float = 60,
) -> Client:
    return Client(
        transport=made,
        prior_knowledge=True,
        retry=retry,
        timeouts=timeouts,
        max_sessions=max_sessions,
        max_sessions_per_origin=max_sessions_per_origin,
        idle_timeout=idle_timeout,
    )


async def _hello(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=stream.path.encode())


async def _get_all(client: Client, *urls: str) -> list[bytes]:
    bodies = [b""] * len(urls)

    async def get(number: int, url: str) -> None:
        bodies[number] = (await client.get(url)).content

    async with trio.open_nursery() as nursery:
        for number, url in enumerate(urls):
            nursery.start_soon(get, number, url)
    return bodies


async def _never(_origin: str) -> trio.abc.Stream:
    await trio.sleep_forever()
    raise AssertionError


# -- one session for all -------------------------------------------------------------------------------------------


async def test_concurrent_first_requests_share_one_connection(autojump_clock: MockClock) -> None:
    async with network(ours(_hello)) as made, _client(made) as client:
        assert await _get_all(client, f"{A}/1", f"{A}/2", f"{B}/3", f"{A}/4") == [b"/1", b"/2", b"/3", b"/4"]
        assert sorted(made.asked) == [A, B]
        assert (await client.get(f"{A}/5")).content == b"/5"
        assert len(made.asked) == 2
        assert len(client.sessions) == 2


async def test_cancelling_one_waiter_fails_no_other(autojump_clock: MockClock) -> None:
    bodies = []

    async with network(ours(_hello)) as made:

        async def dial(origin: str) -> trio.abc.Stream:
            await trio.sleep(3)
            return await made(origin)

        async def get(client: Client, seconds: float) -> None:
            with trio.move_on_after(seconds):
                bodies.append((await client.get(f"{A}/{seconds:g}")).content)

        async with Client(transport=dial, prior_knowledge=True) as client, trio.open_nursery() as nursery:
            for seconds in 1, 100, 2, 200:
                nursery.start_soon(get, client, seconds)
        assert sorted(bodies) == [b"/100", b"/200"]
        assert made.asked == [A]


async def test_a_connection_that_nobody_waits_for_is_not_opened(autojump_clock: MockClock) -> None:
    async with Client(transport=_never) as client:
        with trio.move_on_after(1):
            await client.get(A)
        await trio.testing.wait_all_tasks_blocked()
        assert (client.statistics().connections, client.statistics().opening) == (0, 0)


async def test_who_waits_for_a_connection_that_fails_is_told(autojump_clock: MockClock) -> None:
    async def unreachable(_origin: str) -> trio.abc.Stream:
        await trio.sleep(1)
        raise ConnectionRefusedError("nobody is there")

    errors: list[OSError] = []

    async def get() -> None:
        try:
            await client.get(A)
        except OSError as exc:
            errors.append(exc)

    async with Client(transport=unreachable, retry=Retry(attempts=0)) as client, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(get)
    assert [str(error) for error in errors] == ["nobody is there"] * 3
    assert len({id(error) for error in errors}) == 3  # each raise adds to its own traceback


async def test_idle_connections_are_closed(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def script(peer: ScriptedPeer) -> None:
        peer.timeout = 100
        for _ in range(2):
            head = await peer.until(HeadersFrame)
            await peer.respond(head.stream_id, 200)
        await peer.until(GoAwayFrame, code=ErrorCode.NO_ERROR)
        ended.append(trio.current_time())

    async with network(scripted(script)) as made, _client(made, idle_timeout=10) as client:
        await client.get(A)
        await trio.sleep(9)
        await client.get(A)
        last = trio.current_time()
        await trio.sleep(11)
        assert client.sessions == []
        assert ended == [pytest.approx(last + 10)]


@pytest.mark.timeout(20)
async def test_idle_connections_are_closed_where_the_clock_rounds(autojump_clock: MockClock) -> None:
    start = next(start for start in range(1, 1000) if (start + 10.1) - start < 10.1)
    autojump_clock.jump(start)
    async with network(ours(_hello)) as made, _client(made, idle_timeout=10.1) as client:
        await client.get(A)
        await trio.sleep(10.2)
        assert client.statistics().connections == 0


async def test_a_request_that_takes_long_is_not_idle(autojump_clock: MockClock) -> None:
    async def slow(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(100)
        await stream.respond(200, body=b"at last")

    async with network(ours(slow)) as made, _client(made, idle_timeout=10) as client:
        assert (await client.get(A)).content == b"at last"


# -- leaving a session -----------------------------------------------------------------------------------------------


async def test_a_session_is_left_at_goaway_and_its_streams_finish(autojump_clock: MockClock) -> None:
    async def leaving(peer: ScriptedPeer) -> None:
        first = await peer.until(HeadersFrame)
        await peer.send_goaway(first.stream_id)
        await trio.sleep(5)
        await peer.respond(first.stream_id, 200, body=b"old")
        await until_closed(peer)

    bodies: list[bytes] = []

    async def get(client: Client) -> None:
        bodies.append((await client.get(f"{A}/1")).content)

    async with network(scripted(leaving), ours(_hello)) as made, _client(made) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(get, client)
            await trio.sleep(1)
            assert (await client.get(f"{A}/2")).content == b"/2"
        assert bodies == [b"old"]
        assert made.asked == [A, A]
        await trio.sleep(1)
        assert len(client.sessions) == 1


async def test_what_goaway_did_not_process_is_sent_again(autojump_clock: MockClock) -> None:
    """However often, as long as each session answers something."""

    async def one_each(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await trio.sleep(0.01)
        await peer.send_goaway(head.stream_id)
        await peer.respond(head.stream_id, 200, body=(head.get(":path") or "").encode())
        await until_closed(peer)

    async with network(scripted(one_each)) as made, _client(made, retry=Retry(attempts=1)) as client:
        paths = [f"/{number}" for number in range(20)]
        assert await _get_all(client, *(A + path for path in paths)) == [path.encode() for path in paths]
        assert len(made.asked) == 20
        assert trio.current_time() < 5  # without a pause


async def test_a_refused_stream_is_sent_again(autojump_clock: MockClock) -> None:
    async def refusing(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.send_rst(head.stream_id, ErrorCode.REFUSED_STREAM)
        again = await peer.until(HeadersFrame)
        assert again.fields == head.fields
        assert await peer.collect_body(again.stream_id) == b"once"
        await peer.respond(again.stream_id, 200, body=b"now")
        await until_closed(peer)

    async with network(scripted(refusing)) as made, _client(made) as client:
        response = await client.fetch("POST", A, body=b"once")
        assert response.content == b"now"
        assert 0.1 <= trio.current_time() <= 0.2
        assert made.asked == [A]


async def test_a_failed_connect_is_tried_again(autojump_clock: MockClock) -> None:
    tries: list[float] = []

    async with network(ours(_hello)) as made:

        async def flaky(origin: str) -> trio.abc.Stream:
            tries.append(trio.current_time())
            if len(tries) < 4:
                raise ConnectionRefusedError("not yet")
            return await made(origin)

        async with Client(transport=flaky, prior_knowledge=True) as client:
            assert (await client.get(f"{A}/x")).content == b"/x"
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(low <= wait <= 2 * low for wait, low in zip(waits, (0.1, 0.2, 0.4), strict=True)), waits


@pytest.mark.parametrize(
    ("method", "idempotent", "answered"), [("GET", False, False), ("GET", True, True), ("POST", True, False)]
)
async def test_what_a_lost_session_may_have_processed(
    method: str, idempotent: bool, answered: bool, autojump_clock: MockClock
) -> None:
    """Sent again if that was switched on, and repeating it does no harm."""

    async def dying(peer: ScriptedPeer) -> None:
        await peer.until(HeadersFrame)

    retry = Retry(idempotent=idempotent)
    async with network(scripted(dying), ours(_hello)) as made, _client(made, retry=retry) as client:
        if answered:
            assert (await client.fetch(method, f"{A}/1")).content == b"/1"
        else:
            with pytest.raises(trio_h2.TransportLostError):
                await client.fetch(method, f"{A}/1")
        assert (await client.get(f"{A}/2")).content == b"/2"
        assert len(made.asked) == 2


@pytest.mark.parametrize("code", [ErrorCode.INTERNAL_ERROR, ErrorCode.CANCEL])
@pytest.mark.parametrize(
    ("method", "idempotent", "answered"), [("GET", False, False), ("GET", True, True), ("POST", True, False)]
)
async def test_what_a_reset_stream_may_have_processed(
    method: str, idempotent: bool, answered: bool, code: ErrorCode, autojump_clock: MockClock
) -> None:
    """As after a lost session: nobody knows how far the server got."""

    async def resetting(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.send_rst(head.stream_id, code)
        again = await peer.until(HeadersFrame)
        await peer.respond(again.stream_id, 200, body=b"/1" if answered else b"other")
        await until_closed(peer)

    retry = Retry(idempotent=idempotent)
    async with network(scripted(resetting)) as made, _client(made, retry=retry) as client:
        if answered:
            assert (await client.fetch(method, f"{A}/1")).content == b"/1"
        else:
            with pytest.raises(trio_h2.StreamResetError):
                await client.fetch(method, f"{A}/1")
            assert (await client.get(f"{A}/2")).content == b"other"
        assert len(made.asked) == 1


async def test_a_handler_whose_session_was_destroyed_is_asked_again(autojump_clock: MockClock) -> None:
    asked: list[str] = []

    async def once(stream: trio_h2.ServerStream) -> None:
        asked.append(stream.path)
        if len(asked) == 1:
            stream.session.destroy()
        else:
            await stream.respond(200, body=b"now")

    async with network(ours(once)) as made, _client(made, retry=Retry(idempotent=True)) as client:
        assert (await client.get(f"{A}/1")).content == b"now"
    assert asked == ["/1", "/1"]


async def test_a_response_that_this_side_refuses_is_not_asked_for_again(autojump_clock: MockClock) -> None:
    async def malformed(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.send_headers(head.stream_id, [(":status", "12")], end_stream=True)
        await peer.until(RstStreamFrame)
        await until_closed(peer)

    async with network(scripted(malformed)) as made, _client(made, retry=Retry(idempotent=True)) as client:
        with trio.fail_after(5), pytest.raises(trio_h2.StreamResetError) as caught:
            await client.get(A)
        assert caught.value.initiator is trio_h2.Initiator.LIBRARY


async def test_a_server_that_closes_at_once_is_not_asked_for_ever(autojump_clock: MockClock) -> None:
    async with network(failing) as made, _client(made, retry=Retry(idempotent=True)) as client:
        with pytest.raises(trio_h2.SessionError):
            await client.get(A)
        assert len(made.asked) == 4


async def test_misdirected_requests_go_to_a_fresh_session(autojump_clock: MockClock) -> None:
    async def misdirected(stream: trio_h2.ServerStream) -> None:
        await stream.respond(421)

    async with network(ours(misdirected), ours(_hello)) as made, _client(made) as client:
        assert (await client.fetch("POST", f"{A}/x")).content == b"/x"
    async with network(ours(misdirected)) as made, _client(made) as client:
        assert (await client.get(A)).status == 421
        assert len(made.asked) == 2


async def test_a_server_that_requires_http1_gets_it(autojump_clock: MockClock) -> None:
    async def refusing(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.send_rst(head.stream_id, ErrorCode.HTTP_1_1_REQUIRED)
        await until_closed(peer)

    async with network(scripted(refusing), ours(_hello, http1=True)) as made, _client(made) as client:
        response = await client.get(f"{A}/x")
        assert (response.http_version, response.content) == ("1.1", b"/x")
        assert (await client.get(f"{A}/y")).http_version == "1.1"
        assert len(made.asked) == 2


# -- several sessions, and none to spare -------------------------------------------------------------------------------


async def _slowly(stream: trio_h2.ServerStream) -> None:
    await trio.sleep(1)
    await stream.respond(200, body=stream.path.encode())


@pytest.mark.parametrize(("most", "seconds"), [(1, 5), (2, 3), (9, 1)])
async def test_further_sessions_are_opened_when_slots_are_short(
    most: int, seconds: int, autojump_clock: MockClock
) -> None:
    config = trio_h2.ServerConfig(max_concurrent_streams=2)
    async with network(ours(_slowly, config=config)) as made, _client(made, max_sessions_per_origin=most) as client:
        await client.get(A)  # SETTINGS have come
        start = trio.current_time()
        paths = [f"/{number}" for number in range(10)]
        assert await _get_all(client, *(A + path for path in paths)) == [path.encode() for path in paths]
        assert len(made.asked) <= most
        assert trio.current_time() - start == pytest.approx(seconds, abs=0.3)


async def test_all_origins_share_the_limit_fairly(autojump_clock: MockClock) -> None:
    """Who keeps a connection busy does not keep others from theirs."""
    done: list[str] = []

    async def keep_busy(client: Client) -> None:
        for _ in range(20):
            await client.get(f"{A}/busy")
            done.append("a")

    async with network(ours(_slowly)) as made, _client(made, max_sessions=1) as client, trio.open_nursery() as nursery:
        nursery.start_soon(keep_busy, client)
        nursery.start_soon(keep_busy, client)
        await trio.sleep(0.5)
        for url in B, "http://c.example":
            await client.get(url)
            done.append("b")
            assert client.statistics().connections <= 1
        nursery.cancel_scope.cancel()
    assert done.index("b") <= 4
    assert done.count("b") == 2


async def test_idle_connections_make_room(autojump_clock: MockClock) -> None:
    async with network(ours(_hello)) as made, _client(made, max_sessions=2) as client:
        for host in "abcdefgh":
            assert (await client.get(f"http://{host}.example/{host}")).content == f"/{host}".encode()
        assert len(made.asked) == 8
        assert client.statistics().connections <= 2
        await client.get("http://h.example")
        assert len(made.asked) == 8


# -- the end of the client ---------------------------------------------------------------------------------------------


async def test_outside_its_block_a_client_is_closed(autojump_clock: MockClock) -> None:
    async with network(ours(_hello)) as made:
        client = _client(made)
        with pytest.raises(trio.ClosedResourceError, match="async with"):
            await client.get(A)
        async with client:
            await client.get(A)
        with pytest.raises(trio.ClosedResourceError):
            await client.get(A)
        with pytest.raises(RuntimeError, match="once"):
            await client.__aenter__()


async def test_leaving_the_block_says_goodbye(autojump_clock: MockClock) -> None:
    said: list[int] = []

    async def script(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.respond(head.stream_id, 200)
        said.append((await peer.until(GoAwayFrame)).code)
        await until_closed(peer)

    async with network(scripted(script)) as made:
        async with _client(made) as client:
            await client.get(A)
        await trio.testing.wait_all_tasks_blocked()
    assert said == [ErrorCode.NO_ERROR]


async def test_an_error_in_the_block_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    error = ValueError("mine")
    async with network(ours(_hello)) as made:
        with pytest.raises(ValueError, match="mine") as caught:
            async with _client(made) as client:
                await client.get(A)
                raise error
        assert caught.value is error


async def test_who_waits_when_the_client_closes_is_told(autojump_clock: MockClock) -> None:
    told: list[bool] = []

    async def wait(client: Client) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await client.get(A)
        told.append(True)

    async with trio.open_nursery() as nursery, Client(transport=_never) as client:
        nursery.start_soon(wait, client)
        await trio.sleep(1)
    assert told == [True]


# -- time-outs ---------------------------------------------------------------------------------------------------------


async def _never_answers(peer: ScriptedPeer) -> None:
    peer.timeout = 100
    await peer.until(HeadersFrame)
    await peer.until(RstStreamFrame, code=ErrorCode.CANCEL)
    second = await peer.until(HeadersFrame)
    await peer.respond(second.stream_id, 200, body=b"part", end_stream=False)
    await peer.until(RstStreamFrame, stream_id=second.stream_id, code=ErrorCode.CANCEL)
    third = await peer.until(HeadersFrame)
    await peer.respond(third.stream_id, 200, body=b"whole")
    await until_closed(peer)


async def test_each_part_has_its_time(autojump_clock: MockClock) -> None:
    timeouts = Timeouts(response=7, idle=3)
    async with network(scripted(_never_answers)) as made, _client(made, timeouts=timeouts) as client:
        start = trio.current_time()
        with pytest.raises(trio_h2.RequestTimeoutError, match="response=7 s") as caught:
            await client.get(A)
        assert (caught.value.phase, caught.value.retryable) == ("response", False)
        assert trio.current_time() - start == pytest.approx(7)
        async with client.request("GET", A) as response:
            assert await response.receive_some() == b"part"
            await trio.sleep(10)  # whoever reads may take its time
            start = trio.current_time()
            with pytest.raises(trio_h2.RequestTimeoutError, match="idle=3 s"):
                await response.receive_some()
            assert trio.current_time() - start == pytest.approx(3)
        assert (await client.get(A)).content == b"whole"
        assert len(made.asked) == 1


async def test_each_request_has_its_own_time(autojump_clock: MockClock) -> None:
    """Whichever begins first; one that was answered in time holds up none that was not."""
    late: dict[int, float] = {}

    async def get(client: Client, seconds: int) -> None:
        try:
            await client.get(A, timeouts=Timeouts(response=seconds))
        except trio_h2.RequestTimeoutError:
            late[seconds] = trio.current_time()

    async def second_alone(peer: ScriptedPeer) -> None:
        peer.timeout = 100
        heads = [await peer.until(HeadersFrame) for _ in range(4)]
        await peer.respond(heads[1].stream_id, 200)
        await until_closed(peer)

    async with network(scripted(second_alone)) as made, _client(made) as client, trio.open_nursery() as nursery:
        for seconds in (20, 4, 8, 2):
            nursery.start_soon(get, client, seconds)
            await trio.testing.wait_all_tasks_blocked()
    assert late == {2: pytest.approx(2), 8: pytest.approx(8), 20: pytest.approx(20)}


async def test_connecting_has_its_time(autojump_clock: MockClock) -> None:
    async with Client(transport=_never, timeouts=Timeouts(connect=4), retry=Retry(attempts=0)) as client:
        with pytest.raises(trio_h2.RequestTimeoutError, match=f"connecting to {A} took longer than connect=4 s"):
            await client.get(A)
        assert trio.current_time() == pytest.approx(4)
    assert issubclass(trio_h2.RequestTimeoutError, trio.TooSlowError)


async def test_waiting_for_a_slot_has_its_time(autojump_clock: MockClock) -> None:
    async def busy(peer: ScriptedPeer) -> None:
        await peer.until(HeadersFrame)
        await trio.sleep_forever()

    async with (
        network(scripted(busy, max_streams=1)) as made,
        _client(made, timeouts=Timeouts(slot=5), retry=Retry(attempts=0)) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(client.get, A)
        await trio.sleep(1)
        with pytest.raises(trio_h2.RequestTimeoutError, match="slot=5 s"):
            await client.get(A)
        assert trio.current_time() == pytest.approx(6)
        nursery.cancel_scope.cancel()


async def test_a_request_has_times_of_its_own(autojump_clock: MockClock) -> None:
    """They count from when it waits for something, and what took too long is not tried again."""
    times = Timeouts(connect=4, slot=2)
    async with Client(transport=_never, prior_knowledge=True, max_sessions=1) as client, trio.open_nursery() as nursery:
        with pytest.raises(trio_h2.RequestTimeoutError, match=f"connecting to {A} took longer than connect=4 s"):
            async with client.request("GET", A, timeouts=times):
                pass
        assert trio.current_time() == pytest.approx(4)
        nursery.start_soon(client.get, A)
        await trio.sleep(1)
        with pytest.raises(trio_h2.RequestTimeoutError, match="slot=2 s"):  # another origin has the only place
            async with client.request("GET", B, timeouts=times):
                pass
        assert trio.current_time() == pytest.approx(7)
        with pytest.raises(trio_h2.RequestTimeoutError, match="connect=4 s"):  # shares what another request has begun
            async with client.request("GET", A, timeouts=times):
                pass
        assert trio.current_time() == pytest.approx(11)
        nursery.cancel_scope.cancel()


async def test_connecting_counts_from_when_it_begins(autojump_clock: MockClock) -> None:
    async def slow(origin: str) -> trio.abc.Stream:
        await trio.sleep(3 if origin == A else math.inf)
        raise OSError("unreachable")

    async def ask_later(client: Client) -> None:
        with pytest.raises(OSError, match="unreachable"):
            await client.get(A)

    async with (
        Client(transport=slow, max_sessions=1, retry=Retry(attempts=0)) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(ask_later, client)
        await trio.sleep(1)
        with pytest.raises(trio_h2.RequestTimeoutError, match="connect=6 s"):
            async with client.request("GET", B, timeouts=Timeouts(connect=6, slot=4)):
                pass
        assert trio.current_time() == pytest.approx(9)


async def test_the_response_has_its_time_when_the_request_was_sent(autojump_clock: MockClock) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(4):
            await trio.sleep(5)
            yield b"piece"

    async def silent(stream: trio_h2.ServerStream) -> None:
        await trio.sleep_forever()

    timeouts = Timeouts(response=7, send=3)
    async with network(ours(silent)) as made, _client(made, timeouts=timeouts) as client:
        with pytest.raises(trio_h2.RequestTimeoutError, match="response=7 s"):
            async with client.request("POST", A, body=body()):
                pass
        assert trio.current_time() == pytest.approx(4 * 5 + 7)
        start = trio.current_time()
        with pytest.raises(trio_h2.RequestTimeoutError, match="send=3 s") as caught:
            async with client.request("POST", A, body=_endless):
                pass
        assert (caught.value.phase, caught.value.retryable) == ("send", False)
        assert trio.current_time() - start == pytest.approx(3)
        assert len(made.asked) == 1


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(100_000)


@pytest.mark.parametrize("name", ["connect", "slot", "response", "idle", "send"])
def test_wrong_timeouts_are_refused(name: str) -> None:
    for wrong in 0, -1, float("nan"):
        with pytest.raises(ValueError, match=name):
            Timeouts(**{name: wrong})


async def test_a_connection_that_is_needed_no_more_is_given_to_nobody(autojump_clock: MockClock) -> None:
    """It may be open at the very moment at which it is given up, and others may ask for one then."""
    release, hold = trio.Event(), trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/held":
            await hold.wait()
        await stream.respond(200)

    async with network(ours(handler, http1=True)) as made:

        async def transport(origin: str) -> trio.abc.Stream:
            first = not made.asked
            with trio.CancelScope(shield=True):
                if not first:
                    await release.wait()
                stream = await made(origin)
            return stream

        async with trio_h2.Client(transport=transport) as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.get, "http://example.test/1")
                nursery.start_soon(client.get, "http://example.test/2")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.get, "http://example.test/held")
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(client.get, "http://example.test/3")
                await trio.testing.wait_all_tasks_blocked()
                release.set()
                await trio.testing.wait_all_tasks_blocked()
                hold.set()
    assert len(made.asked) == 3


async def test_http1_that_is_required_but_not_allowed(autojump_clock: MockClock) -> None:
    async def refusing(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.send_rst(head.stream_id, ErrorCode.HTTP_1_1_REQUIRED)
        await until_closed(peer)

    async with network(scripted(refusing)) as made, Client(transport=made, http1=False) as client:
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await client.get(A)
        assert caught.value.code == ErrorCode.HTTP_1_1_REQUIRED
        assert len(made.asked) == 1


async def test_a_request_that_is_always_left_out_is_not_sent_for_ever(autojump_clock: MockClock) -> None:
    """Though others get their answers, and each session is left for it."""

    async def unfair(peer: ScriptedPeer) -> None:
        refused = answered = 0
        with contextlib.suppress(PeerClosedError):
            while not (refused and answered):
                head = await peer.until(HeadersFrame)
                if head.get(":path") == "/mine":
                    refused = head.stream_id
                else:
                    answered = head.stream_id
                    await peer.respond(answered, 200)
            await trio.sleep(0.001)  # the answer comes first
            async with peer.batch():
                await peer.send_goaway(max(refused, answered))
                await peer.send_rst(refused, ErrorCode.REFUSED_STREAM)
            await until_closed(peer)

    async def others(client: Client) -> None:
        while True:
            with contextlib.suppress(trio_h2.H2Error):
                await client.get(f"{A}/other")
            await trio.sleep(0.01)

    async def mine(client: Client) -> None:
        await trio.sleep(0.005)
        with trio.fail_after(1000), pytest.raises(trio_h2.StreamRefusedError):
            await client.get(f"{A}/mine")
        nursery.cancel_scope.cancel()

    async with network(scripted(unfair)) as made, _client(made) as client, trio.open_nursery() as nursery:
        nursery.start_soon(others, client)
        nursery.start_soon(mine, client)
    assert 50 < len(made.asked) < 500


async def test_requests_that_are_over_leave_nothing_behind(autojump_clock: MockClock) -> None:
    """Neither those that were timed, nor those that were given up."""
    async with network(ours(_hello)) as made, _client(made) as client:
        for _ in range(20):
            await client.get(A)
            async with client.request("GET", A):
                pass
        gc.collect()
        assert [one for one in gc.get_objects() if type(one).__name__ == "Incoming"] == []
        await trio.sleep(1000)  # the connection idles, and is closed
        assert client.statistics().connections == 0
        gc.collect()
        assert [one for one in gc.get_objects() if type(one).__name__ == "Lane"] == []

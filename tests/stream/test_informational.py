"""1xx responses both ways, and ``expect: 100-continue``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypedDict

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, pair, scripted_client, scripted_server
from trio_h2 import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

_EXPECT = {"expect": "100-continue"}


# -- one by one --------------------------------------------------------------------------------------------------------


@pytest.mark.parity("C4", "E1")
async def test_many_informational_responses_come_in_order(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(1)
        got: list[trio_h2.Headers | None] = []

        async def receive() -> None:
            while (headers := await stream.receive_informational()) is not None:
                got.append(headers)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            for status in ("102", "103", "103", "199"):
                await peer.send_headers(1, {":status": status, "x-number": str(len(got))})
                await peer.ping()
                await trio.testing.wait_all_tasks_blocked()
                assert len(got) == len(stream.informational)
            await peer.respond(1)
        assert [headers.status for headers in got if headers] == [102, 103, 103, 199]
        assert [headers["x-number"] for headers in got if headers] == ["0", "1", "2", "3"]
        with trio.testing.assert_checkpoints():
            assert await stream.receive_informational() is None


@pytest.mark.parity("C4")
async def test_what_came_before_the_response_is_not_lost(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(1)
        for number in range(3):
            await peer.send_headers(1, {":status": str(102 + number)})
        await peer.respond(1)
        assert (await stream.receive_response()).status == 200
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.receive_informational()
        assert [headers.status for headers in stream.informational] == [102, 103, 104]
        for number in range(3):
            early = await stream.receive_informational()
            assert early is not None
            assert early.status == 102 + number
        assert await stream.receive_informational() is None


@pytest.mark.parity("C4")
async def test_informational_responses_cannot_fill_the_memory(autojump_clock: MockClock) -> None:
    config = trio_h2.ClientConfig(max_header_list_size=10 * (42 + 40))
    async with scripted_server(config=config) as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(1)
        for _ in range(10):
            await peer.send_headers(1, {":status": "103", "x-number": ""})
            assert await stream.receive_informational() is not None
        await peer.expect_nothing(1)
        await peer.send_headers(1, {":status": "103", "x-number": ""})  # what was received counts, taken or not
        await peer.expect_rst(1, ErrorCode.ENHANCE_YOUR_CALM)
        assert len(stream.informational) == 10
        with pytest.raises(
            trio_h2.StreamResetError, match="interim responses together are larger than max_header_list_size=820"
        ):
            await stream.receive_informational()
        assert not session.closed


@pytest.mark.parity("C4", "K5")
@pytest.mark.parametrize("end", ["reset", "lost", "closed"])
async def test_a_wait_for_informational_responses_ends_with_the_stream(end: str, autojump_clock: MockClock) -> None:
    errors: dict[str, type[Exception]] = {
        "reset": trio_h2.StreamResetError,
        "lost": trio_h2.SessionError,
        "closed": trio.ClosedResourceError,
    }
    async with scripted_server() as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(1)

        async def receive() -> None:
            with pytest.raises(errors[end]):
                await stream.receive_informational()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await stream.receive_informational()
            if end == "reset":
                await peer.send_rst(1)
            elif end == "lost":
                await peer.aclose()
            else:
                await stream.aclose()


# -- the client holds its body -----------------------------------------------------------------------------------------


class _Arguments(TypedDict, total=False):
    body: bytes
    end_stream: bool


async def _expectation(peer: ScriptedPeer) -> int:
    headers = await peer.expect_headers(end_stream=False)
    assert headers.get("expect") == "100-continue"
    await peer.expect_nothing(0.1)
    return headers.stream_id


@pytest.mark.parity("C4")
@pytest.mark.parametrize("first", [100, 200])
async def test_the_body_waits_for_100_or_a_final_status(first: int, autojump_clock: MockClock) -> None:
    async with (
        scripted_server() as (session, peer),
        session.request("POST", body=b"held", expect_continue=True) as stream,
    ):
        await _expectation(peer)
        await peer.send_headers(1, {":status": "103"})
        await peer.expect_nothing(0.1)
        assert stream.buffer_size == 4
        await peer.send_headers(1, {":status": str(first)})
        assert await peer.collect_body(1) == b"held"
        if first == 100:
            await peer.send_headers(1, {":status": "200"})
        await peer.send_data(1, end_stream=True)
        assert (await stream.receive_response()).status == 200
        await stream.wait_closed()
        assert stream.rst_code == ErrorCode.NO_ERROR


@pytest.mark.parity("C4")
async def test_send_all_waits_for_100(autojump_clock: MockClock) -> None:
    async with (
        scripted_server() as (session, peer),
        session.request("POST", headers=_EXPECT, end_stream=False, expect_continue=True) as stream,
    ):
        await _expectation(peer)
        with trio.move_on_after(0.1) as scope:
            await stream.wait_send_all_might_not_block()
        assert scope.cancelled_caught
        with trio.move_on_after(0.1) as scope:
            await stream.send_all(b"withdrawn")
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, b"body")
            await peer.expect_nothing(0.1)
            await peer.send_headers(1, {":status": "100"})
        await stream.send_trailers({"x-sum": "4"})
        assert (await peer.expect_data(1)).data == b"body"
        assert (await peer.expect_headers(1, end_stream=True)).get("x-sum") == "4"


@pytest.mark.parity("C4")
@pytest.mark.parametrize("status", [417, 413])
@pytest.mark.parametrize("arguments", [_Arguments(body=b"held"), _Arguments(end_stream=False)])
@pytest.mark.parametrize("response", [b"", b"go away"])
async def test_a_body_refused_is_never_sent(
    status: int, arguments: _Arguments, response: bytes, autojump_clock: MockClock
) -> None:
    async with scripted_server() as (session, peer):
        async with session.request("POST", expect_continue=True, **arguments) as stream:
            await _expectation(peer)

            async def send() -> None:
                if not arguments.get("end_stream", True):
                    await stream.send_all(b"never sent")
                    await stream.send_all(b"neither")
                    await stream.send_eof()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                await trio.testing.wait_all_tasks_blocked()
                await peer.respond(1, status, body=response or None)
            assert (await stream.receive_response()).status == status
            assert await stream.receive_some() == response
            await peer.expect_rst(1, ErrorCode.CANCEL)
            await stream.wait_closed()
        await peer.expect_nothing()
        async with session.request("GET") as stream:
            await peer.expect_headers(3)


@pytest.mark.parity("C4")
async def test_a_reset_ends_the_holding(autojump_clock: MockClock) -> None:
    async with (
        scripted_server() as (session, peer),
        session.request("POST", end_stream=False, expect_continue=True) as stream,
    ):
        await _expectation(peer)

        async def send() -> None:
            with pytest.raises(trio_h2.StreamRefusedError):
                await stream.send_all(b"held")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked()
            await peer.send_rst(1, ErrorCode.REFUSED_STREAM)


@pytest.mark.parity("C4")
@pytest.mark.parametrize("arguments", [_Arguments(body=b"held"), _Arguments(end_stream=False)])
@pytest.mark.parametrize("seconds", [None, 5.0])
async def test_a_body_is_sent_if_no_100_comes(
    seconds: float | None, arguments: _Arguments, autojump_clock: MockClock
) -> None:
    """RFC 9110 §10.1.1: a client "SHOULD NOT wait for an indefinite period before sending the content"."""
    config = trio_h2.ClientConfig() if seconds is None else trio_h2.ClientConfig(expect_continue_timeout=seconds)
    async with (
        scripted_server(config=config) as (session, peer),
        session.request("POST", expect_continue=True, **arguments) as stream,
        trio.open_nursery() as nursery,
    ):

        async def send() -> None:
            if not arguments.get("end_stream", True):
                await stream.send_all(b"held")
                await stream.send_eof()

        nursery.start_soon(send)
        await peer.expect_headers(end_stream=False)
        start = trio.current_time()
        assert await peer.collect_body(1) == b"held"
        assert trio.current_time() - start == pytest.approx(seconds or 1.0)
        await peer.send_headers(1, {":status": "100"})  # late, and of no interest any more
        await peer.respond(1, body=b"fine")
        assert (await stream.receive_response()).status == 200
        assert await stream.receive_some() == b"fine"


@pytest.mark.parity("C4")
async def test_a_body_can_be_held_for_ever(autojump_clock: MockClock) -> None:
    config = trio_h2.ClientConfig(expect_continue_timeout=math.inf)
    async with (
        scripted_server(config=config) as (session, peer),
        session.request("POST", body=b"held", expect_continue=True),
    ):
        await peer.expect_headers(end_stream=False)
        await peer.expect_nothing(20)
        await peer.send_headers(1, {":status": "100"})
        assert await peer.collect_body(1) == b"held"


@pytest.mark.parity("C4")
async def test_the_time_for_100_begins_when_the_request_is_written(autojump_clock: MockClock) -> None:
    """A transport that is slow to take the request leaves the server all of its second."""
    async with scripted_server(capacity=1000) as (session, peer):
        padding = {"x-padding": "x" * 4000}
        async with session.request("POST", headers=padding, body=b"held", expect_continue=True) as stream:
            await trio.sleep(5)
            await peer.expect_headers(1, end_stream=False)
            await peer.expect_nothing(0.9)
            assert stream.buffer_size == 4
            await peer.respond(1, 417)
            await peer.expect_rst(1, ErrorCode.CANCEL)


class _Wrong(_Arguments, total=False):
    headers: dict[str, str]


@pytest.mark.parity("C4", "K1")
@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("POST", _Wrong(), "no body"),
        ("POST", _Wrong(body=b"x", headers={"expect": "something else"}), "says something else"),
        ("CONNECT", _Wrong(headers={":authority": "a:1"}, end_stream=False), "CONNECT"),
    ],
)
async def test_what_cannot_expect_100(method: str, arguments: _Wrong, message: str, autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer):
        with pytest.raises(ValueError, match=message):
            session.request(method, expect_continue=True, **arguments)
        with pytest.raises(ValueError, match="no body"):
            await session.open_stream("PUT", expect_continue=True)
        await peer.expect_nothing()


# -- the server answers ------------------------------------------------------------------------------------------------


@pytest.mark.parity("F2", "E1")
@pytest.mark.parametrize("reads", ["receive_some", "receive_trailers"])
async def test_the_first_wait_for_the_body_sends_100(reads: str, autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer), trio.open_nursery() as nursery:
        await peer.request("POST", headers={"expect": "100-Continue"}, end_stream=False)
        stream = await exchanges.next()
        assert stream.expects_continue
        await peer.expect_nothing(1)
        operation: Callable[[], Awaitable[object]] = getattr(stream, reads)
        nursery.start_soon(operation)
        assert (await peer.expect_headers(1)).status == 100
        assert [headers.status for headers in stream.sent_info_headers] == [100]
        await peer.send_data(1, b"x", end_stream=True)
        await peer.ping()
        assert await stream.receive_some() == b""
        await stream.respond(204)
        assert (await peer.expect_headers(1)).status == 204
        await peer.expect_nothing()
        exchanges.finish()


@pytest.mark.parity("F2", "E1")
@pytest.mark.parametrize("case", ["no expectation", "own 100", "answered", "body is there", "no body", "wrong use"])
async def test_no_second_opinion_of_the_handler(case: str, autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        fields = {} if case == "no expectation" else _EXPECT
        await peer.request("POST", headers=fields, end_stream=case == "no body")
        stream = await exchanges.next()
        assert stream.expects_continue is (case not in ("no expectation", "no body"))
        if case == "own 100":
            await stream.send_informational(100, {"x-own": "yes"})
            assert (await peer.expect_headers(1)).get("x-own") == "yes"
        elif case == "answered":
            await stream.respond(200)
            await peer.expect_headers(1)
        elif case == "body is there":
            await peer.send_data(1, b"impatient")
            await peer.ping()
            assert await stream.receive_some() == b"impatient"
        elif case == "wrong use":
            with pytest.raises(ValueError, match="max_bytes"):
                await stream.receive_some(0)
        if case != "wrong use":
            with trio.move_on_after(1):
                await stream.receive_some()
        await peer.expect_nothing()
        exchanges.finish()


@pytest.mark.parity("C4", "F2")
@pytest.mark.parametrize("wanted", [False, True])
async def test_both_sides_of_an_expectation(wanted: bool, autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        assert stream.expects_continue
        if not wanted:
            await stream.respond(417, body=b"no")
            return
        size = 0
        async for chunk in stream:
            size += len(chunk)
        await stream.respond(body=b"%d" % size)

    async with (
        pair(handler) as (client, _server),
        client.request("PUT", body=bytes(300_000), expect_continue=True) as stream,
    ):
        response = await stream.receive_response()
        assert response.status == (200 if wanted else 417)
        assert await stream.receive_some() == (b"300000" if wanted else b"no")
        assert [headers.status for headers in stream.informational] == ([100] if wanted else [])
        assert stream.buffer_size == 0

"""100 by hand: `ClientStream.wait_continue`, and servers that do not send it by themselves (RFC 9110 §10.1.1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.compat.clients import every_version, served
from tests.http1.client import serving
from tests.stream.harness import pair, scripted_client, scripted_server
from tests.sweep.exchanges import HELLO, LONG
from tests.sweep.harness import goes_on, sweep
from tests.sweep.harness import pair as sweep_pair
from trio_h2 import ErrorCode, ServerConfig, compat

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2 import ServerExchange, ServerStream
    from trio_h2.testing import SweepRun

BY_HAND = ServerConfig(auto_continue=False)


# -- clients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [True, False])
async def test_a_client_waits_for_100(early: bool, autojump_clock: MockClock) -> None:
    async with (
        scripted_server() as (session, peer),
        session.request("POST", end_stream=False, expect_continue=True) as stream,
        trio.open_nursery() as nursery,
    ):
        stream_id = (await peer.expect_headers(end_stream=False)).stream_id

        async def answer() -> None:
            await peer.send_headers(stream_id, {":status": "103"})
            await trio.sleep(0 if early else 0.5)
            await peer.send_headers(stream_id, {":status": "100", "x": "1"})

        nursery.start_soon(answer)
        if early:
            await trio.testing.wait_all_tasks_blocked()
        for _ in range(2):
            with trio.testing.assert_checkpoints():
                headers = await stream.wait_continue()
            assert (headers.status, headers["x"]) == (100, "1")
        await stream.send_all(b"body")
        await stream.send_eof()
        assert (await peer.expect_data(stream_id)).data == b"body"
        await peer.respond(stream_id)
        assert (await stream.receive_response()).status == 200
        # What was waited for is still told one by one.
        statuses = [one.status for _ in range(2) if (one := await stream.receive_informational()) is not None]
        assert statuses == [103, 100]


@pytest.mark.parametrize("status", [200, 417])
async def test_a_final_response_ends_the_wait(status: int) -> None:
    async with (
        scripted_server() as (session, peer),
        session.request("POST", end_stream=False, expect_continue=True) as stream,
    ):
        stream_id = (await peer.expect_headers()).stream_id
        await peer.send_headers(stream_id, {":status": str(status)}, end_stream=True)
        assert (await stream.wait_continue()).status == status
        assert (await stream.receive_response()).status == status


@pytest.mark.parametrize(
    ("code", "error"),
    [(ErrorCode.REFUSED_STREAM, trio_h2.StreamRefusedError), (ErrorCode.CANCEL, trio_h2.StreamResetError)],
)
async def test_a_reset_ends_the_wait(code: ErrorCode, error: type[Exception]) -> None:
    async with scripted_server() as (session, peer), session.request("POST", end_stream=False) as stream:
        await peer.send_rst((await peer.expect_headers()).stream_id, code)
        with pytest.raises(error):
            await stream.wait_continue()


async def test_several_tasks_wait(autojump_clock: MockClock) -> None:
    seen: list[int] = []

    async def handler(stream: ServerStream) -> None:
        await trio.sleep(1)
        await stream.respond(body=await stream.read())

    async with (
        pair(handler) as (client, _),
        client.request("POST", body=b"abc", expect_continue=True) as stream,
        trio.open_nursery() as nursery,
    ):

        async def wait() -> None:
            seen.append((await stream.wait_continue()).status)

        nursery.start_soon(wait)
        nursery.start_soon(wait)
        interim = await stream.receive_informational()
        assert interim is not None
        seen.append(interim.status)
        assert await stream.read() == b"abc"
    assert seen == [100, 100, 100]


async def test_cancelled_at_every_moment(autojump_clock: MockClock) -> None:
    async def handler(stream: ServerStream) -> None:
        assert not stream.expects_continue or await stream.read() == LONG
        await stream.respond(body=HELLO)

    async def one_run(run: SweepRun) -> None:
        async with sweep_pair(handler=handler) as both:
            request = both.client.request("POST", "/upload", end_stream=False, expect_continue=True)
            async with request as stream:
                async with run:
                    await stream.wait_continue()
                assert (await stream.wait_continue()).status == 100
                await stream.send_all(LONG)
                await stream.send_eof()
                assert await stream.read() == HELLO
            await goes_on(both)

    await sweep(one_run, more_than=1)  # before the wait, and in it


# -- servers -------------------------------------------------------------------------------------------------------


async def read_at_once(stream: ServerExchange) -> None:
    await stream.respond(body=await stream.read())


async def ask_first(stream: ServerExchange) -> None:
    assert stream.expects_continue
    for _ in range(2):
        with trio.testing.assert_checkpoints():
            await stream.send_continue()
    assert [sent.status for sent in stream.sent_info_headers] == [100]
    await stream.respond(body=await stream.read())


@every_version
@pytest.mark.parametrize("config", [ServerConfig(), BY_HAND])
async def test_a_handler_asks_for_the_body(version: str, config: ServerConfig) -> None:
    async with served(version, ask_first, config=config) as client:
        reply = await client.fetch("POST", body=b"abc", expect_continue=True)
    assert reply.body == b"abc"
    assert [headers.status for headers in reply.informational] == [100]


@every_version
async def test_nobody_asks_who_has_not_been_asked(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        await stream.send_continue()
        await stream.respond(body=await stream.read())
        await stream.send_continue()

    async with served(version, handler, config=BY_HAND) as client:
        reply = await client.fetch("POST", body=b"abc")
    assert (reply.body, reply.informational) == (b"abc", [])


async def test_without_the_switch_nothing_is_sent(autojump_clock: MockClock) -> None:
    async with scripted_client(read_at_once, config=BY_HAND) as (_, peer):
        stream_id = await peer.request("POST", headers={"expect": "100-continue"}, end_stream=False)
        await peer.expect_nothing(20)
        await peer.send_data(stream_id, b"abc", end_stream=True)  # it has lost its patience
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == b"abc"


async def test_without_the_switch_nothing_is_sent_over_http1(autojump_clock: MockClock) -> None:
    async with serving(read_at_once, config=BY_HAND) as served:
        await served.client.request("POST /", "content-length: 3", "expect: 100-continue")
        with trio.move_on_after(20) as scope:
            await served.client.transport.receive_some()
        assert scope.cancelled_caught
        await served.client.send("abc")
        answer = await served.client.answer()
        assert (answer.status, answer.body) == (200, b"abc")


@every_version
async def test_a_body_that_has_come_is_not_asked_for(version: str, autojump_clock: MockClock) -> None:
    """RFC 9110 §10.1.1: 100 may be omitted if some of the content has been received."""
    seen: list[int] = []

    async def handler(stream: ServerStream) -> None:
        await trio.sleep(1)
        await stream.send_continue()
        seen.append(len(stream.sent_info_headers))
        await stream.respond(body=await stream.read())

    if version == "1.1":
        async with serving(handler) as served:
            await served.client.request("POST /", "content-length: 3", "expect: 100-continue", body="abc")
            assert (await served.client.answer()).body == b"abc"
    else:
        async with scripted_client(handler) as (_, peer):
            stream_id = await peer.request("POST", headers={"expect": "100-continue"}, end_stream=False)
            await peer.send_data(stream_id, b"abc", end_stream=True)
            await peer.expect_headers(stream_id, status=200)
    assert seen == [0]


@every_version
async def test_handlers_of_requests(version: str) -> None:
    async def app(request: compat.Request, response: compat.Response) -> None:
        await response.write_continue()
        await response.end(await request.read())

    async with served(version, compat.request_handler(app), config=BY_HAND) as client:
        reply = await client.fetch("POST", body=b"abc", expect_continue=True)
    assert reply.body == b"abc"
    assert [headers.status for headers in reply.informational] == [100]


async def test_a_stream_that_is_over_asks_for_nothing(autojump_clock: MockClock) -> None:
    caught: list[type[BaseException]] = []

    async def handler(stream: ServerStream) -> None:
        await trio.sleep(1)
        with pytest.raises(trio_h2.StreamResetError) as info:
            await stream.send_continue()
        caught.append(info.type)
        stream.destroy()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_continue()

    async with scripted_client(handler, cancel_handler_on_reset=False) as (_, peer):
        stream_id = await peer.request("POST", headers={"expect": "100-continue"}, end_stream=False)
        await peer.send_rst(stream_id, ErrorCode.CANCEL)
        await trio.sleep(2)
    assert caught == [trio_h2.StreamResetError]


def test_the_switch_is_a_bool() -> None:
    with pytest.raises(TypeError, match="auto_continue must be True or False, not inf"):
        ServerConfig(auto_continue=math.inf)  # type: ignore[arg-type]

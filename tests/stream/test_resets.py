"""RST_STREAM: what stays readable, and who learns what."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, answer, scripted_client, scripted_server
from trio_h2 import ErrorCode
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock


@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.CANCEL, ErrorCode.INTERNAL_ERROR, 0xFFFF])
async def test_after_the_end_a_reset_leaves_the_data(autojump_clock: MockClock, code: int) -> None:
    async with scripted_server() as (client, peer):
        async with client.request("POST", end_stream=False) as stream:
            stream_id = await answer(peer, b"whole", end_stream=True)
            await peer.send_rst(stream_id, code)
            await peer.ping()
            assert (await stream.receive_response()).status == 200
            assert await stream.receive_some() == b"whole"
            assert await stream.receive_some() == b""
            assert stream.rst_code == code
            if code == ErrorCode.NO_ERROR:
                await stream.send_all(b"dropped")
                await stream.send_trailers({"also": "dropped"})
            else:
                with pytest.raises(trio_h2.StreamResetError) as caught:
                    await stream.send_all(b"refused")
                assert (caught.value.code, caught.value.stream_id) == (code, stream_id)
                assert caught.value.initiator is trio_h2.Initiator.REMOTE
        await peer.expect_nothing()


@pytest.mark.parity("D2", "K4")
@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.CANCEL])
async def test_before_the_end_a_reset_comes_after_the_data(autojump_clock: MockClock, code: int) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = await answer(peer, b"part")
        await peer.send_rst(stream_id, code)
        await peer.ping()
        assert await stream.receive_some(2) == b"pa"
        assert await stream.receive_some() == b"rt"
        for receive in (stream.receive_some, stream.receive_trailers):
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await receive()
            assert caught.value.code == code
        assert (await stream.receive_response()).status == 200


@pytest.mark.parity("D2", "K4")
async def test_a_reset_wakes_whoever_waits(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = (await peer.expect_headers()).stream_id
        await stream.send_all(bytes(65_535))

        async def raises(method: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(trio_h2.StreamRefusedError) as caught:
                await method()
            assert caught.value.retryable

        async with trio.open_nursery() as nursery:
            nursery.start_soon(raises, stream.receive_response)
            nursery.start_soon(raises, stream.receive_some)
            nursery.start_soon(raises, partial(stream.send_all, b"blocked"))
            await trio.testing.wait_all_tasks_blocked()
            await peer.send_rst(stream_id, ErrorCode.REFUSED_STREAM)


async def test_a_request_reset_after_its_end(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, cancel_handler_on_reset=False) as (_server, peer):
        stream_id = await peer.request("POST", body=b"request")
        stream = await exchanges.next()
        await peer.send_rst(stream_id, ErrorCode.CANCEL)
        await peer.ping()
        assert await stream.receive_some() == b"request"
        assert await stream.receive_some() == b""
        with pytest.raises(trio_h2.StreamResetError):
            await stream.respond(200)
        exchanges.finish()
        await peer.expect_nothing()


async def test_a_request_whose_response_nobody_wants(autojump_clock: MockClock) -> None:
    """NO_ERROR: what the handler still sends is dropped, headers included."""
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, cancel_handler_on_reset=False) as (_server, peer):
        streams = []
        for _ in range(2):
            stream_id = await peer.request("POST", body=b"request")
            streams.append(await exchanges.next())
            await peer.send_rst(stream_id, ErrorCode.NO_ERROR)
        await peer.ping()
        piecewise, whole = streams
        await piecewise.send_informational(103)
        await piecewise.respond(200)
        assert piecewise.headers_sent
        await piecewise.send_all(b"dropped")
        await piecewise.send_trailers({"also": "dropped"})
        await whole.respond(200, body=b"dropped")
        assert await whole.receive_some() == b"request"
        exchanges.finish()
        await peer.expect_nothing()


@pytest.mark.parity("D7")
@pytest.mark.parametrize(
    ("given", "code"), [((), ErrorCode.NO_ERROR), ((ErrorCode.ENHANCE_YOUR_CALM,), ErrorCode.ENHANCE_YOUR_CALM)]
)
async def test_after_an_own_reset_what_was_received_stays(
    given: tuple[int, ...], code: ErrorCode, autojump_clock: MockClock
) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = await answer(peer, b"abc")
        stream.reset(*given)
        stream.reset(ErrorCode.CANCEL)
        await peer.expect_rst(stream_id, code)
        assert stream.rst_code is code
        assert await stream.receive_some() == b"abc"
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await stream.receive_some()
        assert caught.value.initiator is trio_h2.Initiator.LOCAL
        await peer.expect_nothing()


@pytest.mark.parametrize("cancels", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
async def test_a_reset_of_ours_that_cancels_the_handler(autojump_clock: MockClock, wanted: bool, cancels: bool) -> None:
    """For tasks beside the handler that find out that its client is lost; as its server says, like a client's reset."""
    ended: list[str] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        async def lose() -> None:
            await trio.sleep(1)
            stream.reset(ErrorCode.CANCEL, cancel_handler=wanted)
            stream.reset(ErrorCode.CANCEL, cancel_handler=wanted)  # does nothing

        await stream.respond(200)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            with trio.move_on_after(5) as scope:
                await trio.sleep_forever()
            ended.append("timeout" if scope.cancelled_caught else "?")
        ended.append("returned")

    async with session_pair(handler, cancel_handler_on_reset=cancels) as (client, server):
        async with client.request("GET") as stream:
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await stream.receive_some()
            assert caught.value.code == ErrorCode.CANCEL
        await trio.sleep(10)
        assert ended == ([] if wanted and cancels else ["timeout", "returned"])
        assert server.statistics().running_handlers == 0

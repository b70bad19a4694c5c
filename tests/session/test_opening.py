"""Opening streams when many want to, when the server lets few, and when the request is cancelled (B5–B13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair, scripted_client, scripted_server
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import HeadersFrame

if TYPE_CHECKING:
    from trio.testing import MockClock


async def _count(stream: trio_h2.ServerStream) -> None:
    size = 0
    async for chunk in stream:
        size += len(chunk)
    await stream.respond(body=b"%d" % size)


@pytest.mark.parametrize("given", [True, False])
async def test_b05_uploads_in_line_hold_no_window(autojump_clock: MockClock, given: bool) -> None:
    """The server allows one stream; 50 uploads of more than any window start at once."""
    config = trio_h2.ServerConfig(max_concurrent_streams=1)
    async with pair(_count, server_config=config) as (client, server), trio.open_nursery() as nursery:
        await client.ping()  # the server's SETTINGS have arrived

        async def upload() -> None:
            body = bytes(200_000)
            async with client.request("PUT", body=body if given else b"", end_stream=given) as stream:
                assert server.statistics().open_streams <= 1
                if not given:
                    await stream.send_all(body)
                    await stream.send_eof()
                assert await stream.receive_some() == b"200000"

        for _ in range(50):
            nursery.start_soon(upload)


async def test_b08_a_limit_of_nothing_lets_open_streams_finish(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), trio.open_nursery() as nursery:
        statuses: list[int] = []

        async def upload() -> None:
            async with client.request("PUT", body=b"abc") as stream:
                statuses.append((await stream.receive_response()).status)

        for _ in range(3):
            nursery.start_soon(upload)
        await trio.testing.wait_all_tasks_blocked()
        await peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 0})
        await peer.ping()
        for _ in range(2):
            nursery.start_soon(upload)
        for stream_id in (1, 3, 5):
            await peer.respond(stream_id)
        await trio.sleep(100)
        assert statuses == [200] * 3
        assert client.statistics().waiting_for_slot == 2
        await peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 1})
        for stream_id in (7, 9):
            await peer.until(HeadersFrame, stream_id=stream_id)
            await peer.respond(stream_id)


async def test_b09_a_server_refuses_what_is_too_much(autojump_clock: MockClock) -> None:
    done = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        await done.wait()
        await stream.respond(200, end_stream=True)

    async with scripted_client(handler, config=trio_h2.ServerConfig(max_concurrent_streams=2)) as (_server, peer):
        for stream_id in (1, 3):
            assert await peer.request() == stream_id
        for _ in range(3):
            await peer.expect_rst(await peer.request(), ErrorCode.REFUSED_STREAM)
        done.set()
        assert {(await peer.expect_headers(status=200, end_stream=True)).stream_id for _ in range(2)} == {1, 3}
        await peer.request()
        await peer.expect_headers(11, status=200)


async def test_b10_cancelled_in_line_it_never_was_there(autojump_clock: MockClock) -> None:
    async with scripted_server(settings={SettingCode.MAX_CONCURRENT_STREAMS: 1}) as (client, peer):
        first = await client.open_stream("GET")
        for _ in range(3):
            with trio.move_on_after(1) as scope:
                async with client.request("GET", "/never", body=b"abc"):
                    pytest.fail("there is no slot")  # pragma: no cover
            assert scope.cancelled_caught
        assert client.statistics().waiting_for_slot == 0
        assert client.statistics().queued_body == 0
        await peer.expect_headers(1, end_stream=True)
        await peer.respond(1)
        await first.aclose()
        async with client.request("GET", "/then"):
            assert (await peer.expect_headers(3)).get(":path") == "/then"
            await peer.respond(3)


async def test_b12_cancelled_before_it_began_nothing_is_sent(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            async with client.request("POST", body=b"abc"):
                pytest.fail("it is cancelled")  # pragma: no cover
        await peer.expect_nothing()
        async with client.request("GET"):
            await peer.expect_headers(1)
            await peer.respond(1)


async def test_a_request_cancelled_before_its_body_is_its_headers_and_a_reset(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        with trio.CancelScope() as scope:
            async with client.request("POST", body=b"abc", expect_continue=True):
                scope.cancel()
                await trio.sleep_forever()
        await peer.expect_headers(1, end_stream=False)
        await peer.expect_rst(1, ErrorCode.CANCEL)
        await peer.expect_nothing()


async def test_b13_ids_increase_on_the_wire(autojump_clock: MockClock) -> None:
    config = trio_h2.ClientConfig(stream_window=65_535, peer_max_concurrent_streams=200)
    async with scripted_server(config=config) as (client, peer), trio.open_nursery() as nursery:

        async def ask(number: int) -> None:
            async with client.request("POST", f"/{number}", body=b"abc") as stream:
                paths[stream.id] = f"/{number}"
                await stream.receive_response()

        paths: dict[int, str] = {}
        for number in range(200):
            nursery.start_soon(ask, number)
        headers = [await peer.until(HeadersFrame) for _ in range(200)]
        assert [frame.stream_id for frame in headers] == list(range(1, 400, 2))
        assert {frame.stream_id: frame.get(":path") for frame in headers} == paths
        for frame in headers:
            await peer.respond(frame.stream_id)


async def test_b22_no_id_is_left(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        client._core.engine.highest_outbound_id = 2**31 - 3
        async with client.request("GET") as last:
            assert last.id == 2**31 - 1
            with pytest.raises(trio_h2.SessionError, match="used up") as caught:
                await client.open_stream("GET")
            assert caught.value.retryable
            assert client.statistics().waiting_for_slot == 0
            await peer.expect_headers(last.id)
            await peer.respond(last.id)
            assert (await last.receive_response()).status == 200


# -- what is checked at the call ---------------------------------------------------------------------------------------


async def test_a_request_is_checked_at_the_call(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        with pytest.raises(ValueError, match="content-length"):
            client.request("PUT", headers={"content-length": 5}, body=b"abc")
        with pytest.raises(ValueError, match="content-length"):
            client.request("PUT", headers={"content-length": 2}, body=b"abc", end_stream=False)
        with pytest.raises(ValueError, match=r"field .a."):
            client.request("GET", headers={"a": "line\nbreak"})
        with pytest.raises(TypeError):
            client.request("PUT", body="text")  # type: ignore[arg-type]  # the point of it
        await peer.expect_nothing()


async def test_a_body_is_what_it_was_at_the_call(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        body = bytearray(b"abc")
        request = client.request("PUT", body=body)
        body[:] = b"other octets"
        async with request:
            await peer.expect_headers(1, fields={"content-length": "3"})
            await peer.expect_data(1, b"abc", end_stream=True)
            await peer.respond(1)


async def test_opening_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, _peer):
        with trio.testing.assert_no_checkpoints():
            request = client.request("GET")
        with trio.testing.assert_checkpoints():
            stream = await request.__aenter__()
        with trio.testing.assert_checkpoints():
            await request.__aexit__(None, None, None)
        with trio.testing.assert_checkpoints():
            stream = await client.open_stream("GET")
        with trio.testing.assert_checkpoints():
            await stream.aclose()

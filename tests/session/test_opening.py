"""Opening streams when many want to, when the server lets few, and when the request is cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair, scripted_server
from trio_h2 import ErrorCode, SettingCode

if TYPE_CHECKING:
    from trio.testing import MockClock


async def _count(stream: trio_h2.ServerStream) -> None:
    size = 0
    async for chunk in stream:
        size += len(chunk)
    await stream.respond(body=b"%d" % size)


@pytest.mark.parametrize("given", [True, False])
async def test_uploads_in_line_hold_no_window(autojump_clock: MockClock, given: bool) -> None:
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


async def test_cancelled_in_line_it_never_was_there(autojump_clock: MockClock) -> None:
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


async def test_a_request_cancelled_before_its_body_is_its_headers_and_a_reset(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        with trio.CancelScope() as scope:
            async with client.request("POST", body=b"abc", expect_continue=True):
                scope.cancel()
                await trio.sleep_forever()
        await peer.expect_headers(1, end_stream=False)
        await peer.expect_rst(1, ErrorCode.CANCEL)
        await peer.expect_nothing()


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
        body[:] = b"other bytes"
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
        with trio.testing.assert_no_checkpoints():
            await request.__aexit__(None, None, None)  # a block is one checkpoint, which entering it was
        with trio.testing.assert_checkpoints():
            stream = await client.open_stream("GET")
        with trio.testing.assert_checkpoints():
            await stream.aclose()


async def test_a_request_that_is_refused_is_a_checkpoint(autojump_clock: MockClock) -> None:
    """A loop that tries again and again starves nobody."""
    async with scripted_server() as (client, peer), trio.open_nursery() as nursery:
        passes = 0

        async def others() -> None:
            nonlocal passes
            while True:
                await trio.lowlevel.checkpoint()
                passes += 1

        nursery.start_soon(others)
        await peer.send_goaway(0)
        await client.wait_draining()
        before = passes
        for _ in range(10):
            with pytest.raises(trio_h2.GoAwayError):
                await client.open_stream("GET")
        assert passes >= before + 9
        nursery.cancel_scope.cancel()


async def test_a_request_without_a_method_is_a_get() -> None:
    async with scripted_server() as (client, peer), client.request() as one, await client.open_stream() as other:
        for stream in (one, other):
            frame = await peer.expect_headers(stream.id)
            assert dict(frame.fields)[b":method"] == b"GET"
            assert dict(frame.fields)[b":path"] == b"/"

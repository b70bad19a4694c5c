"""Messages that are large, contradict themselves, or have content where there must be none (B14, B28, B29, B31)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.stream.harness import Exchanges, scripted_client, scripted_server
from trio_h2 import ErrorCode
from trio_h2.testing import ContinuationFrame, DataFrame, HeadersFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

_LARGE = "~" * 40_000  # "~" takes 13 bits in HPACK's Huffman code, so it goes as it is


def _assert_contiguous(peer: ScriptedPeer, stream_id: int) -> None:
    """The peer itself refuses a block with anything between its frames; here, that there was a block to interrupt."""
    kinds = [type(frame) for frame in peer.frames]
    assert kinds.count(ContinuationFrame) >= 2
    first = next(i for i, f in enumerate(peer.frames) if isinstance(f, ContinuationFrame))
    assert isinstance(peer.frames[first - 1], HeadersFrame)
    assert peer.frames[first - 1].stream_id == stream_id
    data = [i for i, frame in enumerate(peer.frames) if isinstance(frame, DataFrame)]
    assert min(data) < first < max(data)


@pytest.mark.parity("C1")
async def test_b14_a_large_request_is_contiguous_among_data(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), session.request("POST", end_stream=False) as upload:

        async def send() -> None:
            for _ in range(30):
                await upload.send_all(bytes(2000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await peer.expect_headers(1)
            await peer.expect_data(1)
            async with session.request("GET", headers={"x-large": _LARGE}):
                assert (await peer.pick(HeadersFrame, stream_id=3)).get("x-large") == _LARGE
        await peer.ping()
        _assert_contiguous(peer, 3)


@pytest.mark.parity("E4")
async def test_b14_a_large_response_is_contiguous_among_data(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        await peer.request()
        await peer.request()
        bulk, other = await exchanges.next(), await exchanges.next()

        async def send() -> None:
            await bulk.respond()
            for _ in range(30):
                await bulk.send_all(bytes(2000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await peer.expect_headers(1)
            await peer.expect_data(1)
            await other.respond({"x-large": _LARGE})
            assert (await peer.pick(HeadersFrame, stream_id=3)).get("x-large") == _LARGE
        await peer.ping()
        _assert_contiguous(peer, 3)
        exchanges.finish()


@pytest.mark.parity("E4", "K4")
@pytest.mark.parametrize(("method", "status"), [("GET", 204), ("GET", 304), ("HEAD", 200)])
async def test_b28_content_where_there_is_none_breaks_the_stream(
    method: str, status: int, autojump_clock: MockClock
) -> None:
    async with scripted_server() as (session, peer):
        async with session.request(method) as stream:
            await peer.expect_headers(1)
            await peer.send_headers(1, {":status": str(status)})
            assert (await stream.receive_response()).status == status
            await peer.send_data(1, b"content")
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await stream.receive_some()
            assert caught.value.code == ErrorCode.PROTOCOL_ERROR
            await peer.expect_rst(1, ErrorCode.PROTOCOL_ERROR)
        async with session.request("GET") as stream:
            await peer.expect_headers(3)
            await peer.respond(3, body=b"fine")
            assert await stream.receive_some() == b"fine"


_WRONG_LENGTHS = [
    ("4", b"123", True, False),
    ("4", b"12345", False, False),
    ("4", b"", True, False),
    ("4", b"123", False, True),
    ("four", b"", False, False),
    ("4, 5", b"", False, False),
    ("4 5", b"1234", False, False),
]
_SHAPES = ("length", "body", "end_stream", "trailers")


async def _send_wrong(peer: ScriptedPeer, stream_id: int, body: bytes, end_stream: bool, trailers: bool) -> None:
    if body or end_stream:
        await peer.send_data(stream_id, body, end_stream=end_stream)
    if trailers:
        await peer.send_headers(stream_id, {"x-t": "1"}, end_stream=True)


def _lengths(value: str) -> list[tuple[str, str]]:
    """One field for each word: "4 5" is a content-length that is repeated with another value."""
    parts = [value] if "," in value else value.split()
    return [("content-length", part) for part in parts]


@pytest.mark.parity("J8", "K4")
@pytest.mark.parametrize(_SHAPES, _WRONG_LENGTHS)
async def test_b29_a_response_that_contradicts_its_length(
    length: str, body: bytes, end_stream: bool, trailers: bool, autojump_clock: MockClock
) -> None:
    async with scripted_server() as (session, peer):
        async with session.request("GET") as stream:
            await peer.expect_headers(1)
            await peer.send_headers(1, [(":status", "200"), *_lengths(length)])
            await _send_wrong(peer, 1, body, end_stream, trailers)
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await stream.receive_trailers()
            assert caught.value.code == ErrorCode.PROTOCOL_ERROR
            await peer.expect_rst(1, ErrorCode.PROTOCOL_ERROR)
        async with session.request("GET"):
            await peer.expect_headers(3)


@pytest.mark.parity("J8", "K4")
@pytest.mark.parametrize(_SHAPES, _WRONG_LENGTHS)
async def test_b29_a_request_that_contradicts_its_length(
    length: str, body: bytes, end_stream: bool, trailers: bool, autojump_clock: MockClock
) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (session, peer):
        await peer.request("POST", headers=_lengths(length), end_stream=False)
        await _send_wrong(peer, 1, body, end_stream, trailers)
        await peer.expect_rst(1, ErrorCode.PROTOCOL_ERROR)
        await peer.request()
        stream = await exchanges.next()
        if stream.id == 1:
            stream = await exchanges.next()
        await stream.respond(204)
        assert (await peer.expect_headers(3)).status == 204
        assert not session.closed
        exchanges.finish()


@pytest.mark.parity("J8", "K2")
async def test_b29_a_client_cannot_contradict_its_length(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer):
        with pytest.raises(ValueError, match="content-length is 4"):
            session.request("POST", headers={"content-length": "4"}, body=b"12345")
        with pytest.raises(ValueError, match="content-length is 4"):
            session.request("POST", headers={"content-length": "4"}, body=b"123")
        async with session.request("POST", headers={"content-length": "4"}, end_stream=False) as stream:
            await stream.send_all(b"123")
            for wrong in (stream.send_eof(), stream.send_trailers({"x-t": "1"}), stream.send_all(b"45")):
                with pytest.raises(trio_h2.LocalProtocolError, match="content-length is 4"):
                    await wrong
            await stream.send_all(b"4")
            await stream.send_eof()
            await peer.expect_headers(1)
            assert await peer.collect_body(1) == b"1234"


_TOO_LARGE = [
    [("x", "y")] * 20,
    [("x-large", "y" * 2000)],
]


@pytest.mark.parity("H3", "I6")
@pytest.mark.parametrize("fields", _TOO_LARGE)
async def test_b31_a_request_with_too_large_headers_gets_431(
    fields: list[tuple[str, str]], autojump_clock: MockClock
) -> None:
    config = trio_h2.ServerConfig(max_header_fields=20, max_header_list_size=2000)
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, config=config) as (session, peer):
        await peer.request(headers=fields)
        assert (await peer.expect_headers(1, end_stream=True)).status == 431
        await peer.request()
        stream = await exchanges.next()
        assert stream.id == 3
        await stream.respond(204)
        assert (await peer.expect_headers(3)).status == 204
        assert not session.closed
        exchanges.finish()


@pytest.mark.parity("H3", "I6")
@pytest.mark.parametrize("fields", _TOO_LARGE)
async def test_b31_a_response_with_too_large_headers_is_reset(
    fields: list[tuple[str, str]], autojump_clock: MockClock
) -> None:
    config = trio_h2.ClientConfig(max_header_fields=20, max_header_list_size=2000)
    async with scripted_server(config=config) as (session, peer):
        async with session.request("GET") as stream:
            await peer.expect_headers(1)
            await peer.send_headers(1, [(":status", "200"), *fields])
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await stream.receive_response()
            assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM
            await peer.expect_rst(1, ErrorCode.ENHANCE_YOUR_CALM)
        async with session.request("GET") as stream:
            await peer.expect_headers(3)
            await peer.respond(3)
            assert (await stream.receive_response()).status == 200

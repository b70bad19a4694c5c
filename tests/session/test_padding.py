"""Padding of HEADERS and DATA, as it is on the wire (RFC 9113 §§6.1, 6.2, 10.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from hpack import Encoder

from tests.session.scripted import connected, served
from trio_h2 import ClientConfig, PaddingStrategy, ServerConfig

if TYPE_CHECKING:
    from trio_h2 import ServerStream
    from trio_h2.testing import DataFrame, Frame, HeadersFrame

MAX, ALIGNED, NONE = PaddingStrategy.MAX, PaddingStrategy.ALIGNED, PaddingStrategy.NONE


def check(strategy: PaddingStrategy, frame: HeadersFrame | DataFrame, content: int) -> None:
    """Asserts that a frame with so many bytes of content is padded as it should be, where there is room."""
    padding = len(frame.payload) - content
    if strategy is NONE:
        assert (frame.pad_length, padding) == (None, 0)
    elif strategy is MAX:
        assert (frame.pad_length, padding) == (255, 256)
    else:
        assert (9 + len(frame.payload)) % 8 == 0
        assert padding < 8
        assert frame.pad_length == (padding - 1 if padding else None)
    assert not any(frame.payload[len(frame.payload) - (frame.pad_length or 0) :])  # RFC 9113 §6.1: zeros


@pytest.mark.parity("H6")
@pytest.mark.parametrize("strategy", PaddingStrategy)
async def test_what_a_server_sends(strategy: PaddingStrategy, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        size = int(stream.path[1:])
        await stream.send_informational(103)
        await stream.respond({"x-fill": "~" * size})
        await stream.send_all(bytes(size + 1))
        await stream.send_trailers({"x-size": str(size)})

    config = ServerConfig(padding=strategy)
    assert config.padding is strategy
    async with served(handler, config=config) as (peer, session):
        assert session.config.padding is strategy
        for size in range(12):
            stream_id = await peer.request(path=f"/{size}")
            for _ in range(2):
                headers = await peer.expect_headers(stream_id=stream_id)
                check(strategy, headers, len(headers.fragment))
            data = await peer.expect_data(stream_id)
            assert data.data == bytes(size + 1)
            check(strategy, data, size + 1)
            trailers = await peer.expect_headers(stream_id=stream_id, end_stream=True)
            assert trailers.get("x-size") == str(size)
            check(strategy, trailers, len(trailers.fragment))


@pytest.mark.parity("H6")
@pytest.mark.parametrize("strategy", PaddingStrategy)
async def test_what_a_client_sends(strategy: PaddingStrategy, autojump_clock: object) -> None:
    async with connected(config=ClientConfig(padding=strategy)) as (session, peer):
        for size in range(12):
            async with session.request("POST", body=bytes(size + 1), end_stream=False) as stream:
                headers = await peer.expect_headers()
                check(strategy, headers, len(headers.fragment))
                check(strategy, await peer.expect_data(stream.id), size + 1)
                await stream.send_eof()
                end = await peer.expect_data(stream.id, end_stream=True)
                assert end.data == b""
                check(strategy, end, 0)
            await peer.expect_rst(stream.id)


@pytest.mark.parity("H6")
@pytest.mark.parametrize("strategy", [MAX, ALIGNED])
async def test_padding_is_limited_by_the_windows(strategy: PaddingStrategy, autojump_clock: object) -> None:
    """The peer's book-keeping fails the test if padding overdraws a window."""
    for window in range(1, 30):
        async with (
            connected(config=ClientConfig(padding=strategy), settings={0x4: window}) as (session, peer),
            session.request("POST", body=bytes(20)) as stream,
        ):
            await peer.expect_headers()
            first = await peer.expect_data(stream.id)
            assert len(first.data) == min(20, window)
            if window > 20:
                assert len(first.payload) == min(window, 20 + (256 if strategy is MAX else 3))
            received = len(first.data)
            while received < 20:
                await peer.send_window_update(stream.id, 7)
                frame = await peer.expect_data(stream.id)
                assert len(frame.payload) <= 7
                received += len(frame.data)
            assert received == 20


@pytest.mark.parity("H6")
@pytest.mark.parametrize("strategy", [MAX, ALIGNED])
async def test_padding_counts_against_both_windows(strategy: PaddingStrategy, autojump_clock: object) -> None:
    """A long body over many windows arrives whole, and the peer's sums agree with ours to the byte."""
    async with connected(config=ClientConfig(padding=strategy)) as (session, peer):
        async with session.request("POST", body=bytes(range(250)) * 1000) as stream:
            await peer.expect_headers()
            assert await peer.collect_body(stream.id) == bytes(range(250)) * 1000
        await peer.ping()  # whatever credit the peer gave has arrived
        assert session.statistics().send_window == peer.receive_window()


@pytest.mark.parity("H6")
@pytest.mark.parametrize("strategy", [MAX, ALIGNED])
async def test_padding_is_limited_by_the_frame_size(strategy: PaddingStrategy, autojump_clock: object) -> None:
    async with connected(config=ClientConfig(padding=strategy)) as (session, peer):
        base = len(Encoder().encode([("x-fill", "")]))
        for size in *range(16_384 - 300 - base, 16_384 + 20, 97), 40_000:
            headers = {"x-fill": "~" * (size * 8 // 13)}  # the Huffman code of ~ has 13 bits
            async with session.request("GET", headers=headers) as stream:
                frame = await peer.expect_headers(stream_id=stream.id)
                parts = [cast("Frame", frame), *frame.continuations]
                assert all(len(part.payload) <= 16_384 for part in parts)
                assert frame.get("x-fill") == headers["x-fill"]
                if len(parts) > 1:
                    assert frame.pad_length is None
            await peer.expect_rst(stream.id)
        stream = await session.open_stream("POST", body=bytes(16_384 + 16_380))
        await peer.expect_headers()
        sizes = [len((await peer.expect_data(stream.id)).payload) for _ in range(2)]
        assert sizes == [16_384, 16_384 if strategy is MAX else 16_383]
        stream.reset()


@pytest.mark.parity("H6")
def test_other_paddings() -> None:
    for config in ClientConfig, ServerConfig:
        assert config().padding is NONE
        with pytest.raises(TypeError, match="padding must be a PaddingStrategy"):
            config(padding=cast("PaddingStrategy", "max"))

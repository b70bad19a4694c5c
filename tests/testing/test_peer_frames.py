"""Two scripted peers talk: whatever one sends, the other one reads as just that."""

from __future__ import annotations

import contextlib
import functools
import struct
from typing import TYPE_CHECKING

import hpack
import pytest
import trio

from trio_h2.testing import (
    ContinuationFrame,
    DataFrame,
    FrameFlag,
    FrameType,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    Priority,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    ScriptedPeer,
    SettingsFrame,
    TrickleStream,
    UnknownFrame,
    WindowUpdateFrame,
    memory_transports,
    pack_frame,
)
from trio_h2.testing._frames import SettingCode, parse_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

REQUEST = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": "/"}


@contextlib.asynccontextmanager
async def peers(*, trickle: bool = False) -> AsyncIterator[tuple[ScriptedPeer, ScriptedPeer]]:
    """A client and a server that have not said anything yet."""
    left, right = memory_transports()
    server_end = TrickleStream(right) if trickle else right
    async with ScriptedPeer(left, client=True) as client, ScriptedPeer(server_end, client=False) as server:
        yield client, server


async def shake_hands(client: ScriptedPeer, server: ScriptedPeer) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.handshake)
        nursery.start_soon(server.handshake)


@pytest.mark.parametrize("trickle", [False, True])
async def test_handshake(trickle: bool) -> None:
    async with peers(trickle=trickle) as (client, server):
        seen: dict[str, SettingsFrame] = {}

        async def shake(name: str, peer: ScriptedPeer, settings: dict[int, int]) -> None:
            seen[name] = await peer.handshake(settings)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shake, "client", client, {2: 0})
            nursery.start_soon(shake, "server", server, {5: 20_000, 0xF000: 7})
        assert seen["server"].settings == {SettingCode.ENABLE_PUSH: 0}
        assert seen["client"].settings == {SettingCode.MAX_FRAME_SIZE: 20_000, 0xF000: 7}
        assert [type(frame) for frame in client.frames] == [SettingsFrame, SettingsFrame]
        await client.expect_nothing(strict=True)
        await server.expect_nothing(strict=True)


async def test_early_frames_survive_the_handshake() -> None:
    async with peers() as (client, server):
        async with trio.open_nursery() as nursery:
            async with client.batch():
                await client.send_preface()
                await client.send_settings()
                await client.request("GET", "/early")
            nursery.start_soon(server.handshake)
            await client.expect(SettingsFrame, ack=False)
        request = await server.expect_headers(1, fields={":path": "/early"}, end_stream=True)
        assert request.status is None


async def test_a_wrong_preface_is_noticed() -> None:
    async with peers() as (client, server):
        await client.send_preface(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        with pytest.raises(AssertionError, match="no client preface"):
            await server.handshake()


async def test_a_missing_preface_is_noticed(autojump_clock: trio.testing.MockClock) -> None:
    async with peers() as (client, server):
        await client.send_preface(b"PRI * ")
        with pytest.raises(AssertionError, match=r"no client preface came, only b'PRI \* '"):
            await server.handshake()


async def test_settings_must_come_first() -> None:
    async with peers() as (client, server):
        await client.send_preface()
        await client.send_ping()
        with pytest.raises(AssertionError, match="the first frame is not SETTINGS"):
            await server.handshake()


@pytest.mark.parametrize(
    ("send", "kind", "attributes"),
    [
        (
            lambda peer: peer.send_data(1, b"abc", end_stream=True),
            DataFrame,
            {"stream_id": 1, "data": b"abc", "end_stream": True, "pad_length": None, "flow_controlled_length": 3},
        ),
        (
            lambda peer: peer.send_data(3, b"abc", padding=4),
            DataFrame,
            {"data": b"abc", "end_stream": False, "pad_length": 4, "flow_controlled_length": 8},
        ),
        (
            lambda peer: peer.send_data(3, padding=0),
            DataFrame,
            {"data": b"", "pad_length": 0, "flow_controlled_length": 1},
        ),
        (lambda peer: peer.send_rst(5), RstStreamFrame, {"stream_id": 5, "code": 8}),
        (lambda peer: peer.send_rst(5, 0xBEEF), RstStreamFrame, {"code": 0xBEEF}),
        (lambda peer: peer.send_settings({4: 99}), SettingsFrame, {"ack": False, "settings": {4: 99}}),
        (lambda peer: peer.send_ping(b"12345678"), PingFrame, {"ack": False, "data": b"12345678"}),
        (lambda peer: peer.send_ping(ack=True), PingFrame, {"ack": True, "data": bytes(8)}),
        (
            lambda peer: peer.send_goaway(7, 2, b"why"),
            GoAwayFrame,
            {"last_stream_id": 7, "code": 2, "debug": b"why", "stream_id": 0},
        ),
        (lambda peer: peer.send_goaway(), GoAwayFrame, {"last_stream_id": 0, "code": 0, "debug": b""}),
        (lambda peer: peer.send_window_update(9, 5), WindowUpdateFrame, {"stream_id": 9, "increment": 5}),
        (
            lambda peer: peer.send_priority(3, Priority(depends_on=1, weight=256, exclusive=True)),
            PriorityFrame,
            {"stream_id": 3, "priority": Priority(depends_on=1, weight=256, exclusive=True)},
        ),
        (
            lambda peer: peer.send_raw_frame(0xFA, 0xFF, 0x8000_0003, b"?!"),
            UnknownFrame,
            {"type": 0xFA, "flags": 0xFF, "stream_id": 3, "payload": b"?!"},
        ),
        (
            lambda peer: peer.send_headers(
                1, [("a", "b"), (b"c", b"\xff")], end_stream=True, padding=3, priority=Priority(weight=1)
            ),
            HeadersFrame,
            {
                "fields": ((b"a", b"b"), (b"c", b"\xff")),
                "end_stream": True,
                "pad_length": 3,
                "priority": Priority(weight=1),
                "continuations": [],
            },
        ),
        (
            lambda peer: peer.send_push_promise(1, 2, {":path": "/"}, padding=0),
            PushPromiseFrame,
            {"promised_stream_id": 2, "fields": ((b":path", b"/"),), "pad_length": 0},
        ),
    ],
)
async def test_what_is_sent_is_what_is_read(
    send: Callable[[ScriptedPeer], Awaitable[None]],
    kind: type[DataFrame],
    attributes: dict[str, object],
) -> None:
    async with peers() as (client, server):
        await shake_hands(client, server)
        client.auto_ack = server.auto_ack = False
        await send(client)
        frame = await server.receive_frame()
        assert type(frame) is kind
        assert {name: getattr(frame, name) for name in attributes} == attributes
        assert repr(frame).startswith(f"{kind.__name__}(")
        assert f"stream_id={frame.stream_id}" in repr(frame)


def test_numbers_are_those_of_the_rfcs() -> None:
    """RFC 9113 §6 and §6.5.2, RFC 7838 §4, RFC 8336 §2, RFC 8441 §3, RFC 9218 §2.1 and §7.1."""
    types = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY"]
    types += ["WINDOW_UPDATE", "CONTINUATION"]
    later = {"ALTSVC": 10, "ORIGIN": 12, "PRIORITY_UPDATE": 16}
    assert {one.name: one.value for one in FrameType} == {**{name: code for code, name in enumerate(types)}, **later}
    settings = ["HEADER_TABLE_SIZE", "ENABLE_PUSH", "MAX_CONCURRENT_STREAMS", "INITIAL_WINDOW_SIZE"]
    settings += ["MAX_FRAME_SIZE", "MAX_HEADER_LIST_SIZE"]
    later = {"ENABLE_CONNECT_PROTOCOL": 8, "NO_RFC7540_PRIORITIES": 9}
    assert {one.name: one.value for one in SettingCode} == {
        **{name: code for code, name in enumerate(settings, 1)},
        **later,
    }
    flags = {"NONE": 0, "END_STREAM": 1, "ACK": 1, "END_HEADERS": 4, "PADDED": 8, "PRIORITY": 32}
    assert {name: int(flag) for name, flag in FrameFlag.__members__.items()} == flags
    assert Priority() == Priority(depends_on=0, weight=16, exclusive=False)  # RFC 7540 §5.3.5


def test_frames_are_shown_briefly() -> None:
    settings = parse_frame(pack_frame(FrameType.SETTINGS, FrameFlag.NONE, 0, struct.pack(">HIHI", 1, 4096, 0xF000, 7)))
    assert "settings={HEADER_TABLE_SIZE: 4096, 0xf000: 7}" in repr(settings)
    for size, shown in ((40, f"{b'a' * 40!r}"), (41, f"{b'a' * 40!r}… (41 bytes)")):
        data = parse_frame(pack_frame(FrameType.DATA, FrameFlag.NONE, 1, b"a" * size))
        assert f"data={shown}" in repr(data)


@pytest.mark.parametrize("split", [1, 7, [0], [0, 0, 3], None])
async def test_a_field_block_is_put_together(split: int | list[int] | None) -> None:
    fields = [("x-long", "v" * 40_000), ("x-short", "w")]
    async with peers() as (client, server):
        await shake_hands(client, server)
        await client.send_headers(1, fields, split=split, padding=2, priority=Priority())
        frame = await server.expect_headers(1)
        assert frame.fields == tuple((name.encode(), value.encode()) for name, value in fields)
        assert frame.continuations
        assert not frame.end_headers
        assert [part.end_headers for part in frame.continuations] == [False] * (len(frame.continuations) - 1) + [True]
        sizes = [len(part.payload) for part in (frame, *frame.continuations)]
        if isinstance(split, int):
            assert sizes[0] == split + 8
            assert set(sizes[1:-1]) <= {split}
        elif split is not None:
            assert sizes[: len(split)] == [split[0] + 8, *split[1:]]
        assert max(sizes) <= 16_384
        assert server.frames[-len(frame.continuations) :] == frame.continuations


async def test_a_block_can_be_left_open_and_continued_by_hand() -> None:
    async with peers() as (client, server):
        await shake_hands(client, server)
        block = client.encode(REQUEST)
        await client.send_headers(1, block[:3], end_headers=False)
        await server.expect_nothing(strict=True)
        await client.send_continuation(1, block[3:5], end_headers=False)
        await server.expect_nothing(strict=True)
        await client.send_continuation(1, block[5:])
        frame = await server.expect_headers(1)
        assert frame.get(":path") == "/"
        assert frame.get("missing") is None
        assert isinstance(server.frames[-1], ContinuationFrame)


async def test_never_indexed_fields_are_kept_so() -> None:
    async with peers() as (client, server):
        await shake_hands(client, server)
        await client.send_headers(1, [hpack.NeverIndexedHeaderTuple(b"secret", b"s"), ("open", "o")])
        frame = await server.expect_headers(1)
        assert isinstance(frame.fields[0], hpack.NeverIndexedHeaderTuple)
        assert not isinstance(frame.fields[1], hpack.NeverIndexedHeaderTuple)
        assert frame.fields == ((b"secret", b"s"), (b"open", b"o"))


async def test_a_lower_header_table_size_is_obeyed() -> None:
    async with peers() as (client, server):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.handshake)
            nursery.start_soon(server.handshake, {SettingCode.HEADER_TABLE_SIZE: 0})
        for _ in range(3):
            # The server's decoder refuses a block that doesn't begin with the new size.
            stream_id = await client.request(headers={"x-new": "not indexed"})
            await server.expect_headers(stream_id, fields={"x-new": "not indexed"})


async def test_a_disobeyed_header_table_size_is_noticed() -> None:
    async with peers() as (client, server):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.handshake)
            nursery.start_soon(server.handshake, {SettingCode.HEADER_TABLE_SIZE: 100})
        # RFC 7541 §4.2: a lower limit has to be signalled at the start of the next block.
        await client.send_headers(1, b"\x82")
        with pytest.raises(AssertionError, match="did not shrink table size"):
            await server.receive_frame()


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (pack_frame(FrameType.DATA, 0, 0, b"x"), "invalid frame"),
        (pack_frame(FrameType.RST_STREAM, 0, 1, b"xxx"), "invalid frame"),
        (pack_frame(FrameType.WINDOW_UPDATE, 0, 1, bytes(4)), "invalid frame"),
        (pack_frame(FrameType.DATA, FrameFlag.PADDED, 1, b"\x05xxxx"), "invalid frame"),
        (pack_frame(FrameType.PING, 0, 0, b"", length=16_385), "16385 bytes where 16384"),
        (pack_frame(FrameType.CONTINUATION, 0, 1), "without a field block"),
        (pack_frame(FrameType.HEADERS, 0, 1) + pack_frame(FrameType.PING, 0, 0, bytes(8)), "interrupts"),
        (pack_frame(FrameType.HEADERS, 0, 1) + pack_frame(FrameType.CONTINUATION, 4, 3), "interrupts"),
        (pack_frame(FrameType.HEADERS, FrameFlag.END_HEADERS, 1, b"\xff\xff"), "doesn't decode"),
        (pack_frame(FrameType.SETTINGS, FrameFlag.ACK, 0), "never sent"),
        (pack_frame(FrameType.PING, 0, 0, b"1234")[:11], "in the middle of a frame"),
    ],
)
async def test_a_wrong_frame_fails_the_test_that_receives_it(octets: bytes, message: str) -> None:
    async with peers() as (client, server):
        await shake_hands(client, server)
        await client.send_bytes(octets)
        await client.send_eof()
        with pytest.raises(AssertionError, match=message):
            await server.receive_frame()


async def test_a_raw_frame_has_any_length_it_says() -> None:
    assert pack_frame(1, 2, 0xFFFF_FFFF, b"abc", length=0x01_02_03) == b"\x01\x02\x03\x01\x02\xff\xff\xff\xffabc"
    async with peers() as (client, server):
        await shake_hands(client, server)
        await client.send_raw_frame(FrameType.PING, 0, 0, b"1234", length=8)
        await server.expect_nothing(strict=True)
        await client.send_bytes(b"5678")
        await server.expect(PingFrame, data=b"12345678")


async def test_a_batch_is_one_write() -> None:
    async with peers() as (client, server):
        await shake_hands(client, server)
        async with client.batch():
            await client.send_ping()
            await client.send_goaway()
            await server.expect_nothing(strict=True)
            with pytest.raises(RuntimeError, match="already open"):
                async with client.batch():
                    pass
        assert await server.transport.receive_some() == pack_frame(6, 0, 0, bytes(8)) + pack_frame(7, 0, 0, bytes(8))


async def test_a_failed_batch_sends_nothing() -> None:
    async with peers() as (client, server):
        await shake_hands(client, server)
        with pytest.raises(ZeroDivisionError):
            async with client.batch():
                await client.send_ping()
                raise ZeroDivisionError
        await server.expect_nothing(strict=True)
        await client.send_goaway()
        await server.expect_goaway()


async def test_field_blocks_of_many_tasks_stay_whole_and_in_step() -> None:
    async with peers() as (client, server):
        await shake_hands(client, server)
        async with trio.open_nursery() as nursery:
            for number in range(10):
                fields = {f"x-{number}": str(number) * 200}
                nursery.start_soon(functools.partial(client.send_headers, 2 * number + 1, fields, split=9))
        seen = set()
        for _ in range(10):
            frame = await server.expect_headers()
            number = (frame.stream_id - 1) // 2
            assert frame.get(f"x-{number}") == str(number) * 200
            seen.add(number)
        assert seen == set(range(10))

"""Priority signals: PRIORITY_UPDATE and the `priority` field (RFC 9218), PRIORITY of RFC 7540 (deprecated)."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, cast

import pytest
import trio

from tests.session.scripted import connected, forever, served, settle
from trio_h2 import ClientConfig, ErrorCode, PaddingStrategy, Priority, ServerConfig
from trio_h2.testing import DataFrame, PriorityFrame, RstStreamFrame, SettingsFrame, StallableStream, UnknownFrame
from trio_h2.testing import Priority as WirePriority

if TYPE_CHECKING:
    from trio_h2 import ServerStream
    from trio_h2.testing import ScriptedPeer

PRIORITY_UPDATE = 0x10
LARGE_WINDOWS = {0x4: 1_000_000}
WEIGHTED = ClientConfig(rfc7540_priorities=True)


def update(stream_id: int, value: bytes) -> bytes:
    return stream_id.to_bytes(4, "big") + value


async def bulk_or_small(stream: ServerStream) -> None:
    await stream.respond(body=bytes(65_536 if stream.path == "/bulk" else 1000))


async def order_of_data(peer: ScriptedPeer, streams: int) -> list[int]:
    """Reads until so many streams have ended; returns whose DATA came in which order."""
    order: list[int] = []
    ended = 0
    while ended < streams:
        frame = await peer.receive_frame()
        if isinstance(frame, DataFrame):
            order.append(frame.stream_id)
            ended += frame.end_stream
    return order


class Wall:
    """Holds back what a session sends."""

    def __init__(self) -> None:
        self.streams: list[StallableStream] = []

    def __call__(self, transport: trio.abc.Stream) -> trio.abc.Stream:
        self.streams.append(StallableStream(transport))
        return self.streams[0]

    def stall(self) -> None:
        self.streams[0].stall_send()

    def resume(self) -> None:
        self.streams[0].resume_send()


# -- on a server -------------------------------------------------------------------------------------------------------


@pytest.mark.parity("D9")
@pytest.mark.parametrize("signal", ["none", "PRIORITY_UPDATE", "stream.prioritize"])
async def test_an_urgent_small_response_overtakes_ten_bulk_ones(signal: str, autojump_clock: object) -> None:
    """Also that nothing else makes it overtake."""
    wall = Wall()

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/urgent" and signal == "stream.prioritize":
            stream.prioritize(Priority(0))
        await stream.respond(body=bytes(65_536 if stream.path == "/bulk" else 20_000))

    async with served(handler, settings=LARGE_WINDOWS, wrap=wall) as (peer, _):
        await peer.send_window_update(0, 10_000_000)
        await peer.ping()
        wall.stall()
        for _ in range(10):
            await peer.request(path="/bulk")
        await settle()
        urgent = await peer.request(path="/urgent")
        await settle()
        if signal == "PRIORITY_UPDATE":
            await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(urgent, b"u=0"))
            await settle()
        wall.resume()
        order = await order_of_data(peer, 11)
        last = len(order) - 1 - order[::-1].index(urgent)
        assert (last <= 6) is (signal != "none")
        assert len(order) == 42


@pytest.mark.parity("D9")
async def test_an_update_before_the_stream_opens(autojump_clock: object) -> None:
    """RFC 9218 §7: it overrides the field of the request; of several, the last one counts."""
    async with served(bulk_or_small, settings=LARGE_WINDOWS) as (peer, _):
        await peer.send_window_update(0, 10_000_000)
        async with peer.batch():
            for value in b"u=7", b"u=1":
                await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(5, value))
            await peer.request(path="/bulk", headers={"priority": "u=2"})
            await peer.request(path="/bulk", headers={"priority": "u=2"})
            await peer.request(path="/bulk", headers={"priority": "u=6"})
        assert await order_of_data(peer, 3) == [5] * 4 + [1] * 4 + [3] * 4


@pytest.mark.parity("D9")
async def test_an_incremental_update(autojump_clock: object) -> None:
    async with served(bulk_or_small, settings=LARGE_WINDOWS) as (peer, _):
        await peer.send_window_update(0, 10_000_000)
        async with peer.batch():
            for stream_id in 1, 3:
                await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(stream_id, b"u=2, i"))
            for _ in range(2):
                await peer.request(path="/bulk", headers={"priority": "u=2"})
        order = await order_of_data(peer, 2)
        assert all(set(order[turn : turn + 2]) == {1, 3} for turn in range(0, 8, 2))


@pytest.mark.parity("D9")
async def test_the_server_has_the_last_word(autojump_clock: object) -> None:
    """What it decided holds against an update that comes later."""
    go_on = trio.Event()

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/late":
            stream.prioritize(Priority(urgency=7))
        await go_on.wait()
        await stream.respond(body=bytes(300_000 if stream.path == "/late" else 65_536))

    async with served(handler, settings=LARGE_WINDOWS) as (peer, _):
        await peer.send_window_update(0, 10_000_000)
        late = await peer.request(path="/late")
        other = await peer.request()
        await settle()
        await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(late, b"u=0"))
        await peer.ping()
        go_on.set()
        order = await order_of_data(peer, 2)
        last = len(order) - 1 - order[::-1].index(other)
        assert last <= 9  # at most one batch of the other one is before it
        assert len(order) == 23


@pytest.mark.parity("D9")
@pytest.mark.parametrize(
    ("stream_id", "payload", "code"),
    [
        (1, update(1, b"u=0"), ErrorCode.PROTOCOL_ERROR),
        (0, update(0, b"u=0"), ErrorCode.PROTOCOL_ERROR),
        (0, update(2, b"u=0"), ErrorCode.PROTOCOL_ERROR),
        (0, b"\0\0\1", ErrorCode.FRAME_SIZE_ERROR),
        (0, b"", ErrorCode.FRAME_SIZE_ERROR),
    ],
)
async def test_updates_that_are_wrong(stream_id: int, payload: bytes, code: ErrorCode, autojump_clock: object) -> None:
    """RFC 9218 §7.1."""
    async with served(forever) as (peer, _):
        await peer.send_raw_frame(PRIORITY_UPDATE, 0, stream_id, payload)
        await peer.expect_connection_error(code)


@pytest.mark.parity("D9")
async def test_updates_of_idle_streams_are_bounded(autojump_clock: object) -> None:
    """RFC 9218 §7.1: with the open ones, not more than MAX_CONCURRENT_STREAMS; closed ones are ignored."""
    async with served(forever, config=ServerConfig(max_concurrent_streams=3)) as (peer, _):
        await peer.request()
        for stream_id in 5, 5, 7, 1 << 31 | 7:
            await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(stream_id, b"u=0"))
        await peer.ping()
        await peer.send_rst(1)  # whatever is said of it from now on is ignored
        await peer.request()
        await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(1, b"u=0"))
        await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(3, b"nonsense; =?"))
        await peer.ping()
        await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(9, b"u=0"))
        await peer.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parity("D9")
async def test_updates_of_idle_streams_hold_no_memory(autojump_clock: object) -> None:
    """What they say is kept, not the bytes that say it."""
    async with served(forever, config=ServerConfig(overhead_burst=100_000)) as (peer, _):
        await peer.ping()
        tracemalloc.start()
        try:
            for stream_id in range(1, 201, 2):
                await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(stream_id, b"u=0, x=" + b"y" * 16_000))
            await peer.ping()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 500_000  # of 1.6 MB
        await peer.aclose()


@pytest.mark.parity("D9")
async def test_a_client_gets_no_updates(autojump_clock: object) -> None:
    """RFC 9218 §7.1."""
    async with connected() as (_, peer):
        await peer.send_raw_frame(PRIORITY_UPDATE, 0, 0, update(1, b"u=0"))
        await peer.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


# -- on a client -------------------------------------------------------------------------------------------------------


@pytest.mark.parity("D9")
async def test_a_client_sends_its_priorities(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        async with session.request("GET", priority=Priority(1, incremental=True)) as stream:
            assert (await peer.expect_headers(stream_id=stream.id)).get("priority") == "u=1, i"
            stream.prioritize(Priority(urgency=7))
            frame = await peer.expect(UnknownFrame, type=PRIORITY_UPDATE, flags=0, stream_id=0)
            assert frame.payload == update(stream.id, b"u=7")
            stream.prioritize(Priority(0), silent=True)
            await peer.expect_nothing()
        stream.prioritize(Priority(0))
        await peer.expect_rst(stream.id)
        await peer.expect_nothing()
        other = await session.open_stream("GET", priority=Priority(0))
        assert (await peer.expect_headers(stream_id=other.id)).get("priority") == "u=0"
        await other.aclose()


@pytest.mark.parity("D9")
async def test_a_client_orders_its_own_bodies(autojump_clock: object) -> None:
    wall = Wall()
    async with connected(settings=LARGE_WINDOWS, wrap=wall) as (session, peer):
        await peer.send_window_update(0, 10_000_000)
        await peer.ping()
        wall.stall()
        first = await session.open_stream("POST", body=bytes(200_000))
        second = await session.open_stream("POST", body=bytes(200_000))
        second.prioritize(Priority(0), silent=True)
        await settle()
        wall.resume()
        order = await order_of_data(peer, 2)
        assert second.id not in order[-10:]
        first.reset()
        second.reset()


# -- RFC 7540 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("D9")
@pytest.mark.parity("C1")
async def test_priority_of_rfc_7540_is_sent(autojump_clock: object) -> None:
    async with connected(config=WEIGHTED) as (session, peer), session.request("GET") as stream:
        await peer.expect_headers()
        stream.prioritize(weight=256, depends_on=0, exclusive=True)
        frame = await peer.expect(PriorityFrame, stream_id=stream.id)
        assert frame.priority == WirePriority(weight=256, depends_on=0, exclusive=True)
        stream.prioritize(depends_on=7)
        frame = await peer.expect(PriorityFrame, stream_id=stream.id)
        assert frame.priority == WirePriority(weight=16, depends_on=7)
        stream.prioritize(weight=1, silent=True)
        await peer.expect_nothing()


@pytest.mark.parity("C1")
@pytest.mark.parametrize("padding", [PaddingStrategy.NONE, PaddingStrategy.ALIGNED, PaddingStrategy.MAX])
@pytest.mark.parametrize("size", [0, 16_384])
async def test_requests_carry_the_priority_of_rfc_7540(
    size: int, padding: PaddingStrategy, autojump_clock: object
) -> None:
    """In their HEADERS, and only if it was asked for; also when the fields go on in CONTINUATION."""
    asked: list[tuple[dict[str, int], WirePriority | None]] = [
        ({}, None),
        ({"weight": 256}, WirePriority(weight=256)),
        ({"weight": 1, "depends_on": 1, "exclusive": True}, WirePriority(weight=1, depends_on=1, exclusive=True)),
        ({"depends_on": 99}, WirePriority(weight=16, depends_on=99)),
        ({"exclusive": True}, WirePriority(weight=16, exclusive=True)),
        ({"weight": 16}, WirePriority(weight=16)),
    ]
    async with connected(config=WEIGHTED.evolve(padding=padding)) as (session, peer):
        for options, expected in asked:
            for headers in {"x-large": "a" * (size * 8 // 5 - 60)}, {}:
                stream = await session.open_stream("GET", headers=headers, **options)  # type: ignore[arg-type]  # which
                frame = await peer.expect_headers(stream_id=stream.id)
                assert frame.priority == expected
                assert stream.state.weight == (16 if expected is None else expected.weight)
                if padding is PaddingStrategy.ALIGNED and not headers:
                    assert (9 + len(frame.payload)) % 8 == 0
                stream.reset()
                await peer.expect_rst(stream.id)
        async with session.request("GET", weight=3, priority=Priority(1)) as stream:
            frame = await peer.expect_headers(stream_id=stream.id)
            assert (frame.priority, frame.get("priority")) == (WirePriority(weight=3), "u=1")


@pytest.mark.parity("C1", "K1")
async def test_requests_with_priorities_that_are_wrong(autojump_clock: object) -> None:
    """At the call, but for a parent that turns out to be the stream itself when it is its turn."""
    async with connected(config=WEIGHTED) as (session, peer):
        for weight in 0, 257, -1:
            with pytest.raises(ValueError, match=rf"weight must be in 1\.\.256, not {weight}"):
                session.request("GET", weight=weight)
        for parent in -1, 2**31:
            with pytest.raises(ValueError, match=rf"depends_on must be in 0\.\.2147483647, not {parent}"):
                session.request("GET", depends_on=parent)
        with pytest.raises(TypeError, match=r"weight must be an int, not 1\.5"):
            session.request("GET", weight=cast("int", 1.5))
        with pytest.raises(TypeError, match="depends_on must be an int, not True"):
            session.request("GET", depends_on=True)
        with pytest.raises(TypeError, match="exclusive must be a bool, not 1"):
            session.request("GET", exclusive=cast("bool", 1))
        with pytest.raises(ValueError, match="weight must be in"):
            await session.open_stream("GET", weight=0)
        with pytest.raises(ValueError, match="stream 1 cannot depend on itself"):
            async with session.request("GET", depends_on=1):
                raise AssertionError("the block was entered")
        await peer.expect_nothing()
        async with session.request("GET", depends_on=3) as stream:
            assert (await peer.expect_headers(stream_id=1)).stream_id == stream.id


@pytest.mark.parity("C1", "D9")
@pytest.mark.parametrize("wanted", [False, True])
async def test_a_client_says_whether_it_uses_the_priorities_of_rfc_7540(wanted: bool, autojump_clock: object) -> None:
    """RFC 9218 §2.1: "Endpoints can use SETTINGS_NO_RFC7540_PRIORITIES to indicate that they are not using them"."""
    config = ClientConfig(rfc7540_priorities=wanted)
    async with connected(config=config, handshake=False) as (session, peer):
        first: SettingsFrame = await peer.handshake()
        assert first.settings.get(0x9) == (None if wanted else 1)
        asked: list[dict[str, int]] = [{"weight": 16}, {"depends_on": 0}, {"exclusive": True}]
        if wanted:
            for options in asked:
                async with session.request("GET", **options):  # type: ignore[arg-type]  # which of them, is the point
                    assert (await peer.expect_headers()).priority is not None
                await peer.expect(RstStreamFrame)
            return
        for options in asked:
            with pytest.raises(ValueError, match="set rfc7540_priorities=True in ClientConfig"):
                session.request("GET", **options)  # type: ignore[arg-type]
        async with session.request("GET") as stream:
            await peer.expect_headers()
            for options in asked:
                with pytest.raises(ValueError, match="set rfc7540_priorities=True in ClientConfig"):
                    stream.prioritize(**options)  # type: ignore[arg-type]
            assert stream.state.weight == 16
            stream.prioritize(weight=200, silent=True)  # of interest here only
            assert stream.state.weight == 200
            await peer.expect_nothing()


@pytest.mark.parity("D9")
@pytest.mark.parametrize(("weights", "expected"), [((256, 1), 256), ((200, 50), 4), ((256, None), 16), ((16, None), 1)])
async def test_weights_share_what_is_sent(
    weights: tuple[int, int | None], expected: float, autojump_clock: object
) -> None:
    """In proportion, and in no strict order."""

    async def handler(stream: ServerStream) -> None:
        weight = weights[stream.id // 2]
        if weight is not None:
            stream.prioritize(weight=weight, silent=True)
        await stream.respond()
        await stream.send_all(bytes(20_000_000))

    async with served(handler, settings={0x4: 2**31 - 1}) as (peer, _):
        async with peer.batch():
            for _ in weights:
                await peer.request()
        await peer.send_window_update(0, 20_000_000)
        got = {1: 0, 3: 0}
        while sum(got.values()) < 15_000_000:
            frame = await peer.until(DataFrame)
            got[frame.stream_id] += len(frame.data)
        assert got[3] > 0
        assert got[1] / got[3] == pytest.approx(expected, rel=0.15)


@pytest.mark.parity("D9")
async def test_weights_share_uploads_too(autojump_clock: object) -> None:
    async with connected(config=WEIGHTED, settings={0x4: 2**31 - 1}) as (session, peer):
        body = bytes(6_000_000)
        async with session.request("POST", body=body, weight=30), session.request("POST", body=body, weight=10):
            await peer.send_window_update(0, 20_000_000)
            got = {1: 0, 3: 0}
            while sum(got.values()) < 5_000_000:
                frame = await peer.until(DataFrame)
                got[frame.stream_id] += len(frame.data)
            assert got[1] / got[3] == pytest.approx(3, rel=0.15)


@pytest.mark.parity("D9")
async def test_a_server_can_send_priority(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        stream.prioritize(weight=1)
        await stream.respond()

    async with served(handler) as (peer, _):
        stream_id = await peer.request()
        assert (await peer.expect(PriorityFrame, stream_id=stream_id)).priority == WirePriority(weight=1)
        await peer.expect_headers()


@pytest.mark.parity("D9")
async def test_priorities_that_are_wrong(autojump_clock: object) -> None:
    """Nothing is sent."""
    async with connected(config=WEIGHTED) as (session, peer), session.request("GET") as stream:
        await peer.expect_headers()
        for weight in 0, 257, -1:
            with pytest.raises(ValueError, match=r"weight must be in 1\.\.256"):
                stream.prioritize(weight=weight)
        for parent in -1, 2**31:
            with pytest.raises(ValueError, match="depends_on must be in"):
                stream.prioritize(depends_on=parent)
        with pytest.raises(ValueError, match="cannot depend on itself"):
            stream.prioritize(depends_on=stream.id)
        for urgency in -1, 8:
            with pytest.raises(ValueError, match=r"urgency must be in 0\.\.7"):
                Priority(urgency)
        with pytest.raises(TypeError, match="urgency"):
            Priority(cast("int", "1"))
        with pytest.raises(TypeError, match="incremental"):
            Priority(1, cast("bool", 1))
        with pytest.raises(TypeError, match="weight must be"):
            stream.prioritize(weight=cast("int", 1.5))
        with pytest.raises(TypeError, match="exclusive must be"):
            stream.prioritize(exclusive=cast("bool", 1))
        with pytest.raises(TypeError, match="must be a Priority"):
            stream.prioritize(cast("Priority", 3))
        with pytest.raises(TypeError, match="needs a Priority"):
            stream.prioritize()
        with pytest.raises(TypeError, match="must be a Priority"):
            session.request("GET", priority=cast("Priority", "u=1"))
        with pytest.raises(ValueError, match="exclude each other"):
            session.request("GET", headers={"priority": "u=1"}, priority=Priority(1))
        await peer.expect_nothing()


@pytest.mark.parity("D9")
async def test_priority_is_parsed_and_bounded(autojump_clock: object) -> None:
    """Our SETTINGS say that it is not followed (RFC 9218 §2.1); a flood of it ends the session."""
    async with served(forever, handshake=False) as (peer, _):
        first: SettingsFrame = await peer.handshake()
        assert first.settings[0x9] == 1
        stream_id = await peer.request()
        await peer.send_priority(stream_id, WirePriority(weight=1, depends_on=99))
        await peer.send_priority(stream_id + 100, WirePriority(weight=256, exclusive=True))
        await peer.ping()
        await peer.send_raw_frame(0x2, 0, stream_id, b"\0\0\0\1")
        await peer.expect_rst(stream_id, ErrorCode.FRAME_SIZE_ERROR)
        async with peer.batch():
            for _ in range(10_050):
                await peer.send_priority(stream_id)
        await peer.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)

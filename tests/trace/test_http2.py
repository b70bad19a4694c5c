"""What instruments are told of HTTP/2 sessions, in both roles, against a scripted peer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import GET, POST, connected, forever, hello, served, settle
from tests.trace.recorder import Recorder
from trio_h2 import (
    ClientConfig,
    ErrorCode,
    GoAwayError,
    Headers,
    Initiator,
    PushedStream,
    RemoteProtocolError,
    Role,
    ServerConfig,
    ServerStream,
    SettingCode,
    StreamResetError,
    serve_stream,
)
from trio_h2.instruments import Dependency
from trio_h2.testing import (
    DataFrame,
    FaultyStream,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    ScriptedPeer,
    memory_transports,
    session_pair,
)

if TYPE_CHECKING:
    from trio_h2.instruments import OutgoingRequest, SessionInfo


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def client(recorder: Recorder, **values: float) -> ClientConfig:
    return ClientConfig().evolve(instruments=[recorder], **values)


def server(recorder: Recorder, **values: float) -> ServerConfig:
    return ServerConfig().evolve(instruments=[recorder], **values)


# -- sessions ----------------------------------------------------------------------------------------------------------


async def test_a_session_is_told_from_its_first_frame_to_its_end(recorder: Recorder, autojump_clock: object) -> None:
    async with connected(config=client(recorder)) as (session, peer):
        await session.aclose()
        await peer.expect(GoAwayFrame)
    (info,) = recorder.sessions
    assert (info.role, info.http_version, info.label) == (Role.CLIENT, "2", "http://localhost")
    assert (info.alpn, info.tls, info.scheme, info.authority) == ("h2c", None, "http", "localhost")
    assert (info.peer, info.local) == (None, None)
    assert recorder.names[0] == "session_started"
    assert recorder.names[-1] == "session_ended"
    (end,) = recorder.session_ends
    assert (end.by, end.clean, end.error_code, end.streams) == (Initiator.LOCAL, True, ErrorCode.NO_ERROR, 0)
    assert end.bytes_sent == len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + sum(9 + frame.length for frame in recorder.sent)
    assert end.bytes_received == sum(9 + frame.length for frame in recorder.received)


async def test_whoever_broke_the_session_is_named(recorder: Recorder, autojump_clock: object) -> None:
    async with served(hello, config=server(recorder)) as (peer, _):
        await peer.send_window_update(0, 0)
        await peer.expect_goaway(code=ErrorCode.PROTOCOL_ERROR)
    (end,) = recorder.session_ends
    assert (end.by, end.clean, end.error_code) == (Initiator.LIBRARY, False, ErrorCode.PROTOCOL_ERROR)
    assert "WINDOW_UPDATE" in end.reason


async def test_each_session_of_many_has_its_own_number(recorder: Recorder, autojump_clock: object) -> None:
    for _ in range(2):
        async with connected(config=client(recorder)):
            pass
    first, second = recorder.sessions
    assert second.number > first.number
    assert recorder.names.count("session_ended") == 2


# -- frames ------------------------------------------------------------------------------------------------------------


async def test_settings_come_with_names_and_values(recorder: Recorder, autojump_clock: object) -> None:
    async with connected(config=client(recorder, stream_window=100_000), settings={0x3: 7, 0x77: 5}):
        await settle()
    sent, *acks = recorder.frames("SETTINGS", sent=True)
    assert (SettingCode.INITIAL_WINDOW_SIZE, 100_000) in (sent.settings or ())
    assert [(ack.flag_names, ack.settings) for ack in acks] == [(["ACK"], ())]
    received, *_ = recorder.frames("SETTINGS", sent=False)
    assert received.settings == ((3, 7), (0x77, 5))


async def test_every_frame_of_an_exchange_is_seen_once_in_order(recorder: Recorder, autojump_clock: object) -> None:
    async with connected(config=client(recorder)) as (session, peer):
        before = len(recorder.names)
        async with session.request("POST", "/up", headers={"x-a": "b"}, body=b"12345") as stream:
            request = await peer.expect(HeadersFrame)
            await peer.expect(DataFrame)
            await peer.send_headers(request.stream_id, [(":status", "103"), ("link", "</a>")])
            await peer.send_headers(request.stream_id, [(":status", "200")])
            await peer.send_data(request.stream_id, b"hello", padding=3)
            await peer.send_headers(request.stream_id, [("x-sum", "9")], end_stream=True)
            await stream.receive_response()
            assert await stream.receive_some() == b"hello"
        seen = [name for name in recorder.names[before:] if name != "window_updated"]
        assert seen[:12] == [
            "request_begun",
            "request_sent",
            "sent HEADERS",
            "stream_opened",
            "sent DATA",
            "received HEADERS",
            "received HEADERS",
            "received DATA",
            "received HEADERS",
            "stream_closed",
        ]
    (request_frame,) = recorder.frames("HEADERS", sent=True)
    assert request_frame.headers is not None
    assert request_frame.headers[":path"] == "/up"
    assert request_frame.headers["x-a"] == "b"
    assert request_frame.flag_names == ["END_HEADERS"]
    assert [frame.message for frame in recorder.frames("HEADERS", sent=True)] == ["request"]
    answers = recorder.frames("HEADERS", sent=False)
    assert [frame.message for frame in answers] == ["informational", "response", "trailers"]
    (data,) = recorder.frames("DATA", sent=False)
    assert (data.length, data.data_length, data.flag_names) == (9, 5, ["PADDED"])
    (upload,) = recorder.frames("DATA", sent=True)
    assert (upload.length, upload.data_length, upload.flag_names) == (5, 5, ["END_STREAM"])


async def test_rare_frames_tell_what_is_in_them(recorder: Recorder, autojump_clock: object) -> None:
    async with connected(config=client(recorder)) as (_, peer):
        await peer.send_raw_frame(0x2, 0, 1, bytes([0x80, 0, 0, 0, 15]))  # PRIORITY: exclusive, on 0, weight 16
        await peer.send_raw_frame(0xA, 0, 0, b"\x00\x09https://ah2=:1")
        await peer.send_raw_frame(0xC, 0, 0, b"\x00\x09https://a")
        await peer.send_raw_frame(0x10, 0, 0, b"\x00\x00\x00\x07u=1")
        await peer.send_raw_frame(0x2A, 0xFF, 5, b"what")
        await peer.send_goaway(0, ErrorCode.NO_ERROR, b"bye")
        await settle()
    frames = {frame.type_name: frame for frame in recorder.received}
    assert frames["PRIORITY"].dependency == Dependency(0, 16, True)
    assert (frames["ALTSVC"].origins, frames["ALTSVC"].text) == (("https://a",), "h2=:1")
    assert frames["ORIGIN"].origins == ("https://a",)
    assert (frames["PRIORITY_UPDATE"].prioritized_stream_id, frames["PRIORITY_UPDATE"].text) == (7, "u=1")
    assert (frames["0x2a"].stream_id, frames["0x2a"].length, len(frames["0x2a"].flag_names)) == (5, 4, 8)
    goaway = frames["GOAWAY"]
    assert (goaway.last_stream_id, goaway.error_code, goaway.debug_data) == (0, ErrorCode.NO_ERROR, b"bye")


async def test_a_field_block_in_pieces_is_told_whole(recorder: Recorder, autojump_clock: object) -> None:
    async with served(hello, config=server(recorder)) as (peer, _):
        block = peer.encode(GET)
        await peer.send_raw_frame(0x1, 0x1, 1, block[:3])
        await peer.send_continuation(1, block[3:5], end_headers=False)
        await peer.send_continuation(1, block[5:])
        await peer.until(DataFrame, end_stream=True)
    (headers,) = recorder.frames("HEADERS", sent=False)
    assert headers.headers is not None
    assert dict(headers.headers.items()) == GET
    assert headers.length == 3
    assert [frame.length for frame in recorder.frames("CONTINUATION", sent=False)] == [2, len(block) - 5]


async def test_the_tables_of_header_compression_are_followed(recorder: Recorder, autojump_clock: object) -> None:
    """Fields that are indexed, in both directions, and a table that shrinks."""
    async with session_pair(hello, client_config=client(recorder, header_table_size=64)) as (session, _):
        for turn in range(3):
            async with session.request(headers={"x-same": "always", "x-turn": str(turn)}, method="GET") as stream:
                await stream.receive_response()
    requests = [frame.headers for frame in recorder.frames("HEADERS", sent=True)]
    assert [None if one is None else (one["x-same"], one["x-turn"]) for one in requests] == [
        ("always", "0"),
        ("always", "1"),
        ("always", "2"),
    ]
    assert all(frame.headers is not None for frame in recorder.frames("HEADERS", sent=False))


async def test_a_block_that_cannot_be_decoded_says_so(recorder: Recorder, autojump_clock: object) -> None:
    async with served(forever, config=server(recorder)) as (peer, _):
        await peer.send_raw_frame(0x1, 0x5, 1, b"\xff\xff\xff\xff\xff\x7f")
        await peer.expect_goaway(code=ErrorCode.COMPRESSION_ERROR)
    (frame,) = recorder.frames("HEADERS", sent=False)
    assert frame.headers is None
    assert frame.headers_error


# -- streams -----------------------------------------------------------------------------------------------------------


async def test_a_stream_that_ends_in_good_order(recorder: Recorder, autojump_clock: object) -> None:
    async with (
        connected(config=client(recorder)) as (session, peer),
        session.request("POST", "/", body=b"12345") as stream,
    ):
        frame = await peer.expect(HeadersFrame)
        await trio.sleep(2)
        await peer.send_headers(frame.stream_id, [(":status", "404")])
        await trio.sleep(1)
        await peer.send_data(frame.stream_id, b"hello world", end_stream=True)
        await stream.receive_response()
        await settle()
    ((info, end),) = recorder.closed
    assert info is recorder.opened[0]
    assert (info.stream_id, info.by, info.pushed) == (1, Initiator.LOCAL, False)
    assert info.headers is not None
    assert info.headers[":method"] == "POST"
    assert (end.how, end.by, end.error_code, end.status) == ("complete", Initiator.REMOTE, None, 404)
    assert (end.bytes_sent, end.bytes_received) == (5, 11)
    assert end.first_byte == pytest.approx(2)
    assert end.duration == pytest.approx(3)


async def test_a_server_ends_its_streams(recorder: Recorder, autojump_clock: object) -> None:
    async with served(hello, config=server(recorder)) as (peer, _):
        await peer.request("POST", body=b"abc")
        await peer.until(DataFrame, end_stream=True)
    ((info, end),) = recorder.closed
    assert (info.by, end.how, end.by, end.status) == (Initiator.REMOTE, "complete", Initiator.LOCAL, 200)
    assert (end.bytes_sent, end.bytes_received) == (5, 3)


async def test_a_peer_resets(recorder: Recorder, autojump_clock: object) -> None:
    async with connected(config=client(recorder)) as (session, peer), session.request("GET") as stream:
        await peer.expect(HeadersFrame)
        await peer.send_rst(1, ErrorCode.INTERNAL_ERROR)
        with pytest.raises(StreamResetError):
            await stream.receive_response()
    ((_, end),) = recorder.closed
    assert (end.how, end.by, end.error_code) == ("reset", Initiator.REMOTE, ErrorCode.INTERNAL_ERROR)
    (frame,) = recorder.frames("RST_STREAM", sent=False)
    assert frame.error_code is ErrorCode.INTERNAL_ERROR


async def test_an_application_resets(recorder: Recorder, autojump_clock: object) -> None:
    async with connected(config=client(recorder)) as (session, peer):
        async with session.request("GET"):
            await peer.expect(HeadersFrame)
        await peer.expect(RstStreamFrame)
    ((_, end),) = recorder.closed
    assert (end.how, end.by, end.error_code) == ("reset", Initiator.LOCAL, ErrorCode.CANCEL)
    assert end.reason == "the stream was cancelled on this side"


async def test_the_library_resets(recorder: Recorder, autojump_clock: object) -> None:
    async with served(forever, config=server(recorder)) as (peer, _):
        await peer.send_headers(1, [*POST.items(), ("content-length", "3")])
        await peer.send_data(1, b"abcd")
        await peer.expect_rst(1, ErrorCode.PROTOCOL_ERROR)
    ((_, end),) = recorder.closed
    assert (end.how, end.by, end.error_code) == ("reset", Initiator.LIBRARY, ErrorCode.PROTOCOL_ERROR)
    assert "content-length" in (end.reason or "")


async def test_a_session_ends_its_streams(recorder: Recorder, autojump_clock: object) -> None:
    with pytest.raises(RemoteProtocolError):
        async with connected(config=client(recorder)) as (session, peer), session.request("GET") as stream:
            await peer.expect(HeadersFrame)
            await peer.send_window_update(0, 0)
            await stream.receive_response()
    ((_, end),) = recorder.closed
    assert (end.how, end.by) == ("session", Initiator.LIBRARY)
    assert recorder.names[-2:] == ["stream_closed", "session_ended"]


async def test_a_push_is_a_stream(recorder: Recorder, autojump_clock: object) -> None:
    async def push(stream: PushedStream) -> None:
        await stream.receive_response()

    config = client(recorder)
    async with connected(config=config, push_handler=push) as (session, peer), session.request("GET") as stream:
        await peer.expect(HeadersFrame)
        await peer.send_push_promise(1, 2, {**GET, ":path": "/pushed"})
        await peer.send_headers(2, [(":status", "200")], end_stream=True)
        await peer.send_headers(1, [(":status", "200")], end_stream=True)
        await stream.receive_response()
        await settle()
    pushed = recorder.opened[1]
    assert (pushed.stream_id, pushed.by, pushed.pushed, pushed.associated_stream_id) == (2, Initiator.REMOTE, True, 1)
    assert pushed.headers is not None
    assert pushed.headers[":path"] == "/pushed"
    assert [(info.stream_id, end.how, end.status) for info, end in recorder.closed] == [
        (2, "complete", 200),
        (1, "complete", 200),
    ]
    (promise,) = recorder.frames("PUSH_PROMISE", sent=False)
    assert (promise.stream_id, promise.promised_stream_id) == (1, 2)


# -- windows and stalls ------------------------------------------------------------------------------------------------


async def test_what_may_be_sent_is_booked(recorder: Recorder, autojump_clock: object) -> None:
    settings = {SettingCode.INITIAL_WINDOW_SIZE: 10}
    async with (
        connected(config=client(recorder), settings=settings) as (session, peer),
        session.request("POST", body=bytes(25)) as stream,
    ):
        await peer.until(DataFrame)
        await trio.sleep(3)
        await peer.send_window_update(1, 12)
        await peer.expect(DataFrame)
        await peer.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 20})
        await peer.expect(DataFrame, end_stream=True)
        await peer.send_headers(1, [(":status", "204")], end_stream=True)
        await stream.receive_response()
    assert recorder.window_of(1, "send") == [
        (10, "opened"),
        (0, "data"),
        (12, "window_update"),
        (0, "data"),
        (10, "settings"),
        (7, "data"),
    ]
    assert recorder.window_of(0, "send") == [
        (65_535, "opened"),
        (65_525, "data"),
        (65_513, "data"),
        (65_510, "data"),
    ]
    assert [(one.stream_id, one.side, one.limit) for one in recorder.stalls] == [(1, "send", "stream_window")] * 2
    first, second = recorder.resumes
    assert first.duration == pytest.approx(3)
    assert (first.ended, second.ended) == (False, False)


async def test_a_session_window_that_is_used_up_stalls_a_stream(recorder: Recorder, autojump_clock: object) -> None:
    settings = {SettingCode.INITIAL_WINDOW_SIZE: 100_000}
    async with (
        connected(config=client(recorder), settings=settings) as (session, peer),
        session.request("POST", body=bytes(70_000)),
    ):
        await trio.sleep(2)
        await peer.send_window_update(0, 10_000)
        await settle()
        (stall,) = recorder.stalls
        assert (stall.stream_id, stall.side, stall.limit) == (1, "send", "session_window")
        (resumed,) = recorder.resumes
        assert resumed.duration == pytest.approx(2)


async def test_an_application_that_does_not_read_stalls_its_peer(recorder: Recorder, autojump_clock: object) -> None:
    """What a slow download looks like on the client that is the reason for it."""
    config = client(recorder, stream_window=1000)
    async with connected(config=config) as (session, peer), session.request("GET") as stream:
        await peer.expect(HeadersFrame)
        await peer.send_headers(1, [(":status", "200")])
        await peer.send_data(1, bytes(1000))
        await trio.sleep(4)
        assert recorder.resumes == []
        assert len(await stream.receive_some()) == 1000
        await settle()
        (stall,) = recorder.stalls
        assert (stall.stream_id, stall.side, stall.limit) == (1, "receive", "stream_window")
        (resumed,) = recorder.resumes
        assert resumed.duration == pytest.approx(4)
        assert recorder.window_of(1, "receive") == [(1000, "opened"), (0, "data"), (1000, "window_update")]
        await peer.send_data(1, bytes(1000))
        await trio.sleep(1)
        await peer.send_data(1, b"", end_stream=True)
        await settle()
    last = recorder.resumes[-1]
    assert last.ended
    assert last.duration == pytest.approx(1)


async def test_a_session_window_of_ours_stalls_the_peer(recorder: Recorder, autojump_clock: object) -> None:
    config = client(recorder, stream_window=65_535, receive_budget=65_535, peer_max_concurrent_streams=1)
    async with connected(config=config) as (session, peer), session.request("GET"):
        await peer.expect(HeadersFrame)
        await peer.send_headers(1, [(":status", "200")])
        for _ in range(5):
            await peer.send_data(1, bytes(13_107))
        await settle()
    assert [(one.stream_id, one.side, one.limit) for one in recorder.stalls] == [
        (1, "receive", "stream_window"),
        (0, "receive", "session_window"),
    ]
    assert [one.ended for one in recorder.resumes] == [True, False]


async def test_requests_that_wait_for_a_stream_are_a_stall(recorder: Recorder, autojump_clock: object) -> None:
    settings = {SettingCode.MAX_CONCURRENT_STREAMS: 1}
    async with connected(config=client(recorder), settings=settings) as (session, peer), trio.open_nursery() as nursery:

        async def ask() -> None:
            async with session.request("GET") as stream:
                await stream.receive_response()

        nursery.start_soon(ask)
        nursery.start_soon(ask)
        await peer.expect(HeadersFrame)
        await trio.sleep(5)
        (stall,) = recorder.stalls
        assert (stall.stream_id, stall.side, stall.limit, stall.waiting) == (0, "send", "peer_streams", 1)
        for stream_id in (1, 3):
            await peer.send_headers(stream_id, [(":status", "200")], end_stream=True)
            await settle()
    assert [one.duration for one in recorder.resumes] == [pytest.approx(5)]


async def test_a_transport_that_takes_nothing_is_a_stall(recorder: Recorder, autojump_clock: object) -> None:
    clogged: list[FaultyStream] = []

    def wrap(transport: trio.abc.Stream) -> trio.abc.Stream:
        clogged.append(FaultyStream(transport))
        return clogged[0]

    async with (
        connected(config=client(recorder), capacity=10_000) as (session, peer),
        session.request("POST", body=bytes(40_000)),
    ):
        begun = trio.current_time()
        await trio.sleep(3)
        (stall,) = recorder.stalls
        assert (stall.stream_id, stall.side, stall.limit) == (0, "send", "transport")
        assert stall.since == pytest.approx(begun)
        assert recorder.times[recorder.names.index("stalled")] == pytest.approx(begun + 0.005)
        while not recorder.resumes:
            await peer.until(DataFrame)
        (resumed,) = recorder.resumes
        assert resumed.duration == pytest.approx(3)


# -- pings -------------------------------------------------------------------------------------------------------------


async def test_round_trips_of_pings(recorder: Recorder, autojump_clock: object) -> None:
    async with connected(config=client(recorder)) as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False
        nursery.start_soon(session.ping, b"12345678")
        frame = await peer.expect(PingFrame, ack=False)
        await trio.sleep(2.5)
        await peer.send_ping(frame.data, ack=True)
        await peer.send_ping(b"theirs!!")
        await peer.expect(PingFrame, ack=True)
        await settle()
    ours, theirs = recorder.pings
    assert (ours.payload, ours.by) == (b"12345678", Initiator.LOCAL)
    assert ours.round_trip == pytest.approx(2.5)
    assert (theirs.payload, theirs.by) == (b"theirs!!", Initiator.REMOTE)
    assert theirs.round_trip == pytest.approx(0)


# -- requests, and what instruments add --------------------------------------------------------------------------------


class Adder(Recorder):
    """Adds fields to each request."""

    def request_begun(self, session: SessionInfo, request: OutgoingRequest, now: float) -> None:
        self.requests.append(request)
        request.add_field("TraceParent", "00-1-2-01")
        request.add_field("x-mine", "not this one")


async def test_fields_can_be_added_to_a_request(autojump_clock: object) -> None:
    adder = Adder()
    async with connected(config=ClientConfig(instruments=(adder,))) as (session, peer):
        for _ in range(2):
            async with session.request("GET", headers={"x-mine": "1"}) as stream:
                fields = Headers((await peer.until(HeadersFrame)).fields)
                assert (fields["traceparent"], fields["x-mine"]) == ("00-1-2-01", "1")
                assert adder.requests[-1].stream_id == stream.id
                assert stream.sent_headers is not None
                assert stream.sent_headers["traceparent"] == "00-1-2-01"


async def test_a_request_that_is_never_sent_has_failed(recorder: Recorder, autojump_clock: object) -> None:
    async with connected(config=client(recorder)) as (session, peer):
        await peer.send_goaway(0)
        await settle()
        with pytest.raises(GoAwayError) as caught:
            await session.open_stream("GET")
    assert recorder.failures == [caught.value]
    assert "request_sent" not in recorder.names


async def test_a_request_that_is_cancelled_in_line_has_failed(recorder: Recorder, autojump_clock: object) -> None:
    async with connected(config=client(recorder), settings={SettingCode.MAX_CONCURRENT_STREAMS: 0}) as (session, _):
        await settle()
        with trio.move_on_after(1):
            await session.open_stream("GET")
    (error,) = recorder.failures
    assert isinstance(error, trio.Cancelled)
    assert [one.limit for one in recorder.resumes] == ["peer_streams"]


async def test_sniffed_bytes_are_seen(recorder: Recorder, autojump_clock: object) -> None:
    """Where HTTP/1.1 is served, too, the first bytes are read before there is a session."""
    ours, theirs = memory_transports()
    serve = partial(serve_stream, hello, ours, config=server(recorder), allow_http1=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with ScriptedPeer(theirs, client=True) as peer:
            await peer.handshake()
            await peer.request()
            await peer.until(DataFrame, end_stream=True)
    assert recorder.names.count("received SETTINGS") == 2
    assert [frame.message for frame in recorder.frames("HEADERS", sent=False)] == ["request"]
    assert [one.http_version for one in recorder.sessions] == ["2"]


async def test_both_sides_of_a_session_see_the_same(autojump_clock: object) -> None:
    ours, theirs = Recorder(), Recorder()

    async def handler(stream: ServerStream) -> None:
        await stream.respond({":status": 200})
        while data := await stream.receive_some():
            await stream.send_all(data)
        await stream.send_trailers({"x-sum": "1"})

    configs = client(ours), server(theirs)
    async with session_pair(handler, client_config=configs[0], server_config=configs[1]) as (session, _):
        async with session.request("POST", body=bytes(300_000)) as stream:
            await stream.receive_response()
            received = 0
            while data := await stream.receive_some():
                received += len(data)
        assert received == 300_000
        await session.aclose()
    assert ours.sent == theirs.received[: len(ours.sent)]
    assert ours.received == theirs.sent[: len(ours.received)]
    assert len(theirs.sent) - len(ours.received) <= 1  # the last GOAWAY crosses the end of the client
    for stream_id in (0, 1):
        assert ours.window_of(stream_id, "send")[-1][0] == theirs.window_of(stream_id, "receive")[-1][0]

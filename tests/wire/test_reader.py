"""From bytes to frames (RFC 9113 §4), and what is refused on the way."""

from __future__ import annotations

import pytest
from hyperframe.frame import RstStreamFrame

from tests.wire.engine_pair import POST, raw_frame, server_peer, settings, the
from trio_h2._wire._codes import ErrorCode
from trio_h2._wire._failure import Cause, SessionFaultError
from trio_h2._wire._frames import DATA, HEADERS, PREFACE, PUSH_PROMISE, SETTINGS, WINDOW_UPDATE
from trio_h2._wire._reader import MAX_BLOCK_FRAMES, MAX_BLOCK_SIZE, Frame, FrameReader

PADDED, PRIORITY, END_HEADERS, END_STREAM = 0x8, 0x20, 0x4, 0x1


def reader_after_settings() -> FrameReader:
    reader = FrameReader(preface=b"")
    assert frames(reader, settings())[0].kind == SETTINGS
    return reader


def frames(reader: FrameReader, octets: bytes) -> list[Frame]:
    return list(reader.read(octets))


def only(octets: bytes) -> Frame:
    """Returns what one frame after the handshake is read as."""
    (frame,) = frames(reader_after_settings(), octets)
    return frame


def refused(octets: bytes) -> ErrorCode:
    """Returns the code of the connection error that one frame after the handshake is."""
    with pytest.raises(SessionFaultError) as caught:
        frames(reader_after_settings(), octets)
    assert caught.value.cause is Cause.PROTOCOL
    assert caught.value.reason
    return caught.value.code


def test_frames_of_every_type() -> None:
    payloads = {
        0x0: b"content",
        0x1: b"block",
        0x2: bytes(5),
        0x3: bytes(4),
        0x4: bytes(6),
        0x5: b"\0\0\0\2block",
        0x6: b"12345678",
        0x7: bytes(8) + b"debug",
        0x8: b"\0\0\0\1",
        0xA: b"\xff",
        0xEE: b"",
    }
    octets = {kind: raw_frame(kind, 0x4, 0 if kind in (4, 6, 7) else 3, payload) for kind, payload in payloads.items()}
    read = frames(reader_after_settings(), b"".join(octets.values()))
    assert [frame.kind for frame in read] == list(octets)
    for kind, payload in payloads.items():
        frame = only(octets[kind])
        assert (frame.kind, frame.flags, frame.stream_id) == (kind, 0x4, 0 if kind in (4, 6, 7) else 3)
        assert frame.payload == (b"block" if kind == PUSH_PROMISE else payload)
        assert frame.size == len(payload)


@pytest.mark.parametrize("step", [1, 5, 8, 9, 10, 100, 16_392, 16_393, 16_394, 40_000])
def test_frames_in_pieces_of_any_size(step: int) -> None:
    """What is kept for later is never more than the frame that is not complete."""
    sizes = [16_384, 0, 1, 16_384, 9, 0, 0, 16_383, 16_384]
    octets = b"".join(raw_frame(0x0, 0, 1, bytes([number]) * size) for number, size in enumerate(sizes))
    reader = reader_after_settings()
    read = []
    for start in range(0, len(octets), step):
        read += frames(reader, octets[start : start + step])
        assert reader.buffered == min(start + step, len(octets)) - sum(9 + frame.size for frame in read)
        assert reader.buffered < 9 + 16_384
    assert [frame.payload for frame in read] == [bytes([number]) * size for number, size in enumerate(sizes)]
    assert not reader.mid_frame


def test_frames_octet_by_octet() -> None:
    reader = reader_after_settings()
    octets = raw_frame(0x0, 0, 1, b"content")
    for octet in octets[:-1]:
        assert frames(reader, bytes([octet])) == []
        assert reader.mid_frame
    assert reader.buffered == len(octets) - 1
    assert len(frames(reader, octets[-1:])) == 1
    assert not reader.mid_frame
    assert reader.buffered == 0


def test_reserved_bits_and_unknown_flags_are_ignored() -> None:
    """RFC 9113 §4.1."""
    frame = only(raw_frame(0x0, 0xF6, 0x8000_0001, b"x"))
    assert frame.kind == DATA
    assert (frame.stream_id, frame.payload) == (1, b"x")
    update = only(raw_frame(0x8, 0xFF, 0x8000_0001, b"\x80\0\0\5"))
    assert update.kind == WINDOW_UPDATE
    assert (update.stream_id, update.payload) == (1, b"\x80\0\0\5")


def test_the_preface() -> None:
    for chunk in (1, 5, 100):
        reader = FrameReader(preface=PREFACE)
        octets = PREFACE + settings()
        read = [
            frame for start in range(0, len(octets), chunk) for frame in frames(reader, octets[start : start + chunk])
        ]
        assert len(read) == 1


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", b"\x16\x03\x01", b"P\0"])
def test_a_wrong_preface_is_found_at_the_first_wrong_octet(octets: bytes) -> None:
    reader = FrameReader(preface=PREFACE)
    with pytest.raises(SessionFaultError, match="preface") as caught:
        for octet in octets:
            frames(reader, bytes([octet]))
    assert (caught.value.code, caught.value.cause) == (ErrorCode.PROTOCOL_ERROR, Cause.HANDSHAKE)


def test_an_http1_answer() -> None:
    reader = FrameReader(preface=b"")
    for octet in b"HTTP":
        assert frames(reader, bytes([octet])) == []
    with pytest.raises(SessionFaultError, match="HTTP/1") as caught:
        frames(reader, b"/1.1 200 OK")
    assert caught.value.cause is Cause.HANDSHAKE


def test_octets_that_only_begin_like_http1() -> None:
    reader = FrameReader(preface=b"")
    with pytest.raises(SessionFaultError, match="not SETTINGS"):
        frames(reader, b"HTTPS is something else")


@pytest.mark.parametrize(
    "octets", [raw_frame(0x6, 0, 0, bytes(8)), settings(ack=True), raw_frame(0x0, 0, 1, length=2**24 - 1)]
)
def test_the_first_frame_must_be_settings(octets: bytes) -> None:
    for reader, preface in ((FrameReader(preface=PREFACE), PREFACE), (FrameReader(preface=b""), b"")):
        with pytest.raises(SessionFaultError, match="not SETTINGS") as caught:
            frames(reader, preface + octets[:9])  # the header is enough
        assert (caught.value.code, caught.value.cause) == (ErrorCode.PROTOCOL_ERROR, Cause.HANDSHAKE)


WRONG_SIZES = {
    "PRIORITY on no stream": raw_frame(0x2, 0, 0, bytes(4)),
    "RST_STREAM": raw_frame(0x3, 0, 1, bytes(5)),
    "SETTINGS": raw_frame(0x4, 0, 0, bytes(7)),
    "SETTINGS acknowledgement": raw_frame(0x4, 1, 0, bytes(6)),
    "PING": raw_frame(0x6, 0, 0, bytes(7)),
    "GOAWAY": raw_frame(0x7, 0, 0, bytes(7)),
    "WINDOW_UPDATE": raw_frame(0x8, 0, 0, bytes(3)),
    "DATA without its pad length": raw_frame(0x0, PADDED, 1),
    "HEADERS without its pad length": raw_frame(0x1, PADDED | END_HEADERS, 1),
    "HEADERS without its priority": raw_frame(0x1, PRIORITY | END_HEADERS, 1, bytes(4)),
    "PUSH_PROMISE without its stream": raw_frame(0x5, END_HEADERS, 1, bytes(3)),
}


@pytest.mark.parametrize("name", WRONG_SIZES)
def test_wrong_sizes(name: str) -> None:
    """RFC 9113 §4.2: FRAME_SIZE_ERROR."""
    expected = ErrorCode.PROTOCOL_ERROR if name == "PRIORITY on no stream" else ErrorCode.FRAME_SIZE_ERROR
    assert refused(WRONG_SIZES[name]) is expected


WRONG_STREAMS = {
    **{f"type {kind} on stream 0": raw_frame(kind, END_HEADERS, 0, bytes(8)) for kind in (0, 1, 2, 5, 9)},
    "RST_STREAM on stream 0": raw_frame(0x3, 0, 0, bytes(4)),
    **{f"type {kind} on a stream": raw_frame(kind, 0, 1, bytes(8)) for kind in (6, 7)},
    "SETTINGS on a stream": raw_frame(0x4, 0, 1, bytes(6)),
}


@pytest.mark.parametrize("name", WRONG_STREAMS)
def test_wrong_streams(name: str) -> None:
    assert refused(WRONG_STREAMS[name]) is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (raw_frame(0x2, 0, 3, bytes(4)), ErrorCode.FRAME_SIZE_ERROR),
        (raw_frame(0x2, 0, 3, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
        (raw_frame(0x2, 0, 3, b"\x80\0\0\3\0"), ErrorCode.PROTOCOL_ERROR),
        (raw_frame(0x8, 0, 3, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (raw_frame(0x8, 0, 3, b"\x80\0\0\0"), ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_errors_that_concern_one_stream_only(octets: bytes, code: ErrorCode) -> None:
    peer = server_peer()
    peer.feed(peer.headers(3, POST, end=False), octets)
    reset = the(peer.output(), RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (3, code)
    assert peer.engine.failure is None


@pytest.mark.parametrize(
    ("flags", "payload"),
    [
        (PADDED, b"\x01"),
        (PADDED, b"\x05abcd"),
        (PADDED, b"\xff" + bytes(100)),
    ],
)
def test_padding_longer_than_its_frame(flags: int, payload: bytes) -> None:
    """RFC 9113 §6.1 and §6.2."""
    for kind in (0x0, 0x1):
        assert refused(raw_frame(kind, flags | END_HEADERS, 1, payload)) is ErrorCode.PROTOCOL_ERROR


def test_padding_that_reaches_into_the_priority() -> None:
    payload = b"\x05" + bytes(5) + b"block"
    frame = only(raw_frame(0x1, PADDED | PRIORITY | END_HEADERS, 1, payload))
    assert frame.kind == HEADERS
    assert frame.payload == b""
    assert refused(raw_frame(0x1, PADDED | PRIORITY | END_HEADERS, 1, payload[:-1])) is ErrorCode.PROTOCOL_ERROR


def test_padding_that_fits() -> None:
    frame = only(raw_frame(0x0, PADDED, 1, b"\x04abcd"[:1] + b"abcd" + bytes(4)))
    assert frame.kind == DATA
    assert (frame.payload, frame.size) == (b"abcd", 9)
    all_padding = only(raw_frame(0x0, PADDED, 1, b"\x04" + bytes(4)))
    assert all_padding.kind == DATA
    assert all_padding.payload == b""


def test_padding_may_leave_an_empty_fragment() -> None:
    """RFC 9113 §6.2."""
    reader = reader_after_settings()
    octets = raw_frame(0x1, PADDED, 1, b"\x04" + bytes(4)) + raw_frame(0x9, END_HEADERS, 1, b"block")
    (frame,) = frames(reader, octets)
    assert frame.kind == HEADERS
    assert frame.payload == b"block"
    promise = only(raw_frame(0x5, PADDED | END_HEADERS, 1, b"\x02\0\0\0\2block" + bytes(2)))
    assert promise.kind == PUSH_PROMISE
    assert (promise.promised_id, promise.payload) == (2, b"block")


def test_promises_of_odd_streams() -> None:
    assert refused(raw_frame(0x5, END_HEADERS, 1, b"\0\0\0\3")) is ErrorCode.PROTOCOL_ERROR


def test_frame_size_limit() -> None:
    assert refused(raw_frame(0x0, 0, 1, length=16_385)) is ErrorCode.FRAME_SIZE_ERROR
    reader = reader_after_settings()
    reader.max_frame_size = 20_000
    assert len(frames(reader, raw_frame(0x0, 0, 1, bytes(20_000)))) == 1
    with pytest.raises(SessionFaultError):
        frames(reader, raw_frame(0xEE, 0, 1, length=20_001))


# -- field blocks -----------------------------------------------------------------------------------------------------


def test_a_block_comes_as_one_frame() -> None:
    reader = reader_after_settings()
    assert frames(reader, raw_frame(0x1, END_STREAM, 5, b"one ")) == []
    unfinished = [(reader.mid_frame, reader.buffered)]
    assert frames(reader, raw_frame(0x9, 0, 5, b"two ")) == []
    (frame,) = frames(reader, raw_frame(0x9, END_HEADERS, 5, b"three"))
    unfinished.append((reader.mid_frame, reader.buffered))
    assert unfinished == [(True, 4), (False, 0)]
    assert frame.kind == HEADERS
    assert frame.payload == b"one two three"
    assert frame.flags & END_STREAM
    (frame,) = frames(reader, raw_frame(0x1, END_HEADERS, 7, b"next"))
    assert frame.kind == HEADERS
    assert frame.payload == b"next"


def test_a_promise_in_parts() -> None:
    reader = reader_after_settings()
    octets = raw_frame(0x5, 0, 1, b"\0\0\0\2one") + raw_frame(0x9, END_HEADERS, 1, b"two")
    (frame,) = frames(reader, octets)
    assert frame.kind == PUSH_PROMISE
    assert frame.payload == b"onetwo"


@pytest.mark.parametrize(
    "octets",
    [
        raw_frame(0x0, 0, 1, b"x"),
        raw_frame(0x1, END_HEADERS, 1, b"x"),
        raw_frame(0x9, END_HEADERS, 3, b"x"),
        raw_frame(0x6, 0, 0, bytes(8)),
        raw_frame(0xEE, 0, 1),
    ],
)
def test_a_block_must_not_be_interrupted(octets: bytes) -> None:
    reader = reader_after_settings()
    assert frames(reader, raw_frame(0x1, 0, 1, b"begin")) == []
    with pytest.raises(SessionFaultError, match="interrupted") as caught:
        frames(reader, octets)
    assert caught.value.code is ErrorCode.PROTOCOL_ERROR


def test_continuation_of_nothing() -> None:
    assert refused(raw_frame(0x9, END_HEADERS, 1, b"x")) is ErrorCode.PROTOCOL_ERROR


def test_a_block_has_a_number_of_frames() -> None:
    reader = reader_after_settings()
    part = raw_frame(0x9, 0, 1)
    assert frames(reader, raw_frame(0x1, 0, 1) + part * (MAX_BLOCK_FRAMES - 1)) == []
    with pytest.raises(SessionFaultError, match=f"{MAX_BLOCK_FRAMES} frames") as caught:
        frames(reader, part)
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize("limit", [0, 100_000, 10 * MAX_BLOCK_SIZE])
def test_a_block_has_a_number_of_octets(limit: int) -> None:
    """More of them for those who announce that they accept larger header lists."""
    reader = reader_after_settings()
    reader.allow_header_list(limit)
    octets = max(limit, MAX_BLOCK_SIZE)
    part = raw_frame(0x9, 0, 1, bytes(16_384))
    assert frames(reader, raw_frame(0x1, 0, 1) + part * (octets // 16_384)) == []
    with pytest.raises(SessionFaultError, match=f"{octets} bytes") as caught:
        frames(reader, raw_frame(0x9, END_HEADERS, 1, b"x"))
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM

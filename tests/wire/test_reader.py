"""From bytes to frames: how they are cut, collected and counted.

Which frames are refused (RFC 9113 §§4 and 6) is tested in `tests/conformance`.
"""

from __future__ import annotations

import pytest

from tests.wire.engine_pair import raw_frame, settings
from trio_h2._wire._codes import ErrorCode
from trio_h2._wire._failure import Cause, SessionFaultError
from trio_h2._wire._frames import HEADERS, PREFACE, PUSH_PROMISE, SETTINGS
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


def test_frames_byte_by_byte() -> None:
    reader = reader_after_settings()
    octets = raw_frame(0x0, 0, 1, b"content")
    for octet in octets[:-1]:
        assert frames(reader, bytes([octet])) == []
        assert reader.mid_frame
    assert reader.buffered == len(octets) - 1
    assert len(frames(reader, octets[-1:])) == 1
    assert not reader.mid_frame
    assert reader.buffered == 0


def test_the_preface() -> None:
    for chunk in (1, 5, 100):
        reader = FrameReader(preface=PREFACE)
        octets = PREFACE + settings()
        read = [
            frame for start in range(0, len(octets), chunk) for frame in frames(reader, octets[start : start + chunk])
        ]
        assert len(read) == 1


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", b"\x16\x03\x01", b"P\0"])
def test_a_wrong_preface_is_found_at_the_first_wrong_byte(octets: bytes) -> None:
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


@pytest.mark.parametrize("minor", range(5))
@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_an_alert_of_tls(minor: int, chunk: int) -> None:
    """Whatever the version in its record: found at the first bytes that tell, for there are fewer than of a frame."""
    reader, alert = FrameReader(preface=b""), bytes((21, 3, minor, 0, 2, 2, 70))
    with pytest.raises(SessionFaultError, match="speak TLS: use https://") as caught:
        for start in range(0, 5, chunk):
            assert frames(reader, alert[start : start + chunk]) == []
    assert (caught.value.code, caught.value.cause) == (ErrorCode.INADEQUATE_SECURITY, Cause.HANDSHAKE)


@pytest.mark.parametrize("head", [b"\x15\x03\x05\x00\x02", b"\x15\x03\x01\x00\x03", b"\x15\x02\x01\x00\x02"])
def test_bytes_that_only_begin_like_an_alert(head: bytes) -> None:
    reader = FrameReader(preface=b"")
    with pytest.raises(SessionFaultError, match="not SETTINGS"):
        frames(reader, head + bytes(4))


def test_bytes_that_only_begin_like_http1() -> None:
    reader = FrameReader(preface=b"")
    with pytest.raises(SessionFaultError, match="not SETTINGS"):
        frames(reader, b"HTTPS is something else")


def test_frame_size_limit() -> None:
    assert refused(raw_frame(0x0, 0, 1, length=16_385)) is ErrorCode.FRAME_SIZE_ERROR
    reader = reader_after_settings()
    reader.max_frame_size = 20_000
    assert len(frames(reader, raw_frame(0x0, 0, 1, bytes(20_000)))) == 1
    with pytest.raises(SessionFaultError):
        frames(reader, raw_frame(0xEE, 0, 1, length=20_001))


# -- field blocks ------------------------------------------------------------------------------------------------------


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


def test_a_block_has_a_number_of_frames() -> None:
    reader = reader_after_settings()
    part = raw_frame(0x9, 0, 1)
    assert frames(reader, raw_frame(0x1, 0, 1) + part * (MAX_BLOCK_FRAMES - 1)) == []
    with pytest.raises(SessionFaultError, match=f"{MAX_BLOCK_FRAMES} frames") as caught:
        frames(reader, part)
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize("limit", [0, 100_000, 10 * MAX_BLOCK_SIZE])
def test_a_block_has_a_number_of_bytes(limit: int) -> None:
    """More of them for those who announce that they accept larger header lists."""
    reader = reader_after_settings()
    reader.allow_header_list(limit)
    octets = max(limit, MAX_BLOCK_SIZE)
    part = raw_frame(0x9, 0, 1, bytes(16_384))
    assert frames(reader, raw_frame(0x1, 0, 1) + part * (octets // 16_384)) == []
    with pytest.raises(SessionFaultError, match=f"{octets} bytes") as caught:
        frames(reader, raw_frame(0x9, END_HEADERS, 1, b"x"))
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM

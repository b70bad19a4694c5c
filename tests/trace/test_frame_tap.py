"""The second reading of frames: however they are cut, and whatever comes, it does no harm."""

from __future__ import annotations

import random

import pytest

from trio_h2._trace._frame_tap import FrameTap
from trio_h2._wire._frames import PREFACE, frame_bytes
from trio_h2._wire._hpack import Encoder


def _stream() -> bytes:
    encoder = Encoder()
    block = encoder.encode([(b":status", b"200"), (b"x-long", bytes(range(48, 58)) * 30)])
    return b"".join(
        [
            frame_bytes(0x4, 0, 0, b"\x00\x04\x00\x01\x00\x00"),
            frame_bytes(0x1, 0, 1, block[:100]),
            frame_bytes(0x9, 0, 1, block[100:101]),
            frame_bytes(0x9, 4, 1, block[101:]),
            frame_bytes(0x0, 0, 1, bytes(5000)),
            frame_bytes(0x0, 0x9, 1, b"\x03abc\0\0\0"),
            frame_bytes(0x6, 0, 0, b"12345678"),
        ]
    )


@pytest.mark.parametrize("size", [1, 2, 7, 9, 100, 4096])
def test_it_makes_no_difference_how_the_bytes_are_cut(size: int) -> None:
    data = _stream()
    whole = list(FrameTap(preface=False).read(data))
    tap = FrameTap(preface=True)
    data = PREFACE + data
    pieces = [frame for start in range(0, len(data), size) for frame in tap.read(data[start : start + size])]
    assert [frame.type_name for frame in whole] == [
        *("SETTINGS", "HEADERS", "CONTINUATION", "CONTINUATION", "DATA", "DATA", "PING")
    ]
    assert [(one.kind, one.length, one.data_length, one.ping, one.message) for one in pieces] == [
        (one.kind, one.length, one.data_length, one.ping, one.message) for one in whole
    ]
    assert whole[1].headers is not None
    assert whole[1].headers == pieces[1].headers
    assert whole[5].data_length == 3


@pytest.mark.parametrize("seed", range(30))
def test_garbage_never_raises(seed: int) -> None:
    """Frames with wrong lengths, cut blocks and random payloads are told as far as they can be read."""
    chance = random.Random(seed)
    tap = FrameTap(preface=False)
    told = 0
    for _ in range(300):
        kind = chance.choice([*range(14), 0x10, 0x77])
        length = chance.choice([0, 1, 3, 4, 5, 6, 8, 9, 30])
        payload = chance.randbytes(length)
        for frame in tap.read(frame_bytes(kind, chance.randrange(256), chance.randrange(4), payload)):
            told += 1
            assert frame.type_name
            assert isinstance(frame.flag_names, list)
    assert told > 0
    assert list(tap.read(chance.randbytes(5000))) is not None


def test_memory_is_bounded() -> None:
    """A field block without end, and a payload of 16 MiB."""
    tap = FrameTap(preface=False)
    for _ in range(100):
        assert list(tap.read(frame_bytes(0x9, 0, 1, bytes(200_000)))) == []
    assert len(tap._block) <= 1024 * 1024
    tap = FrameTap(preface=False)
    head = b"\xff\xff\xff\x07\x00" + bytes(4)
    for _ in range(200):
        assert list(tap.read(head + bytes(16_384))) == []
        head = b""
    assert len(tap._payload) == 0


def test_a_bomb_is_not_decoded() -> None:
    """RFC 7541 §7.3: one byte of a block may stand for a whole entry of the table."""
    block = b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 5000
    (frame,) = FrameTap(preface=False).read(frame_bytes(0x1, 0x4, 1, block))
    assert frame.headers is None
    assert frame.headers_error

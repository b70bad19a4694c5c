"""nghttp against our server, in cleartext with prior knowledge and over TLS; it tells of every frame."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.interop.app import HELLO
from tests.interop.bodies import MIB, body, sha256
from tests.interop.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.conftest import OurServer
    from tests.interop.processes import Finished, PeerFinder


class Nghttp:
    """nghttp on one server."""

    def __init__(self, program: str, server: OurServer) -> None:
        self._program = program
        self._url = server.url

    async def __call__(self, path: str, *options: str | Path) -> Finished:
        return await run(self._program, "--no-verify-peer", "--timeout=60", *options, self._url + path)


@pytest.fixture
def nghttp(server: OurServer, peers: PeerFinder) -> Nghttp:
    return Nghttp(peers.program("nghttp"), server)


def frames(done: Finished, direction: str) -> list[str]:
    """Returns the types of the frames that nghttp, verbose, has sent ("send") or received ("recv")."""
    return re.findall(rf"{direction} ([A-Z_]+) frame", done.text)


def received_fields(done: Finished) -> list[tuple[str, str]]:
    """Returns the header fields that nghttp, verbose, has received, trailers included."""
    return re.findall(r"recv \(stream_id=\d+\) (:?[^:]+): (.*)", done.text)


async def test_get(nghttp: Nghttp) -> None:
    done = await nghttp("/hello")
    assert done.stdout == HELLO


async def test_frames_of_a_session(nghttp: Nghttp) -> None:
    """Settings are sent and acknowledged; the response ends once and nothing is reset."""
    done = await nghttp("/hello", "-v")
    assert re.search(r"recv SETTINGS frame <length=0, flags=0x01, stream_id=0>\n *; ACK", done.text)
    assert "SETTINGS_MAX_CONCURRENT_STREAMS(0x03):128" in done.text
    assert frames(done, "recv").count("HEADERS") == frames(done, "recv").count("DATA") == 1
    assert not {"RST_STREAM", "GOAWAY"} & set(frames(done, "recv"))
    fields = dict(received_fields(done))
    assert (fields[":status"], fields["content-length"]) == ("200", str(len(HELLO)))


async def test_head(nghttp: Nghttp) -> None:
    done = await nghttp("/hello", "-v", "-H:method: HEAD")
    assert ("content-length", str(len(HELLO))) in received_fields(done)
    assert "DATA" not in frames(done, "recv")
    assert HELLO.decode() not in done.text


async def test_post_is_echoed(nghttp: Nghttp, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(body(300_000))
    done = await nghttp("/echo", f"--data={file}")
    assert done.stdout == body(300_000)


async def test_padded_upload(nghttp: Nghttp, tmp_path: Path) -> None:
    """RFC 9113 §6.9.1: padding counts against the windows, so without credit for it this upload would stall."""
    file = tmp_path / "body"
    file.write_bytes(body(4 * MIB))
    done = await nghttp("/sum", f"--data={file}", "--padding=255")
    told = json.loads(done.stdout)
    assert (told["length"], told["sha256"]) == (4 * MIB, sha256(4 * MIB))


async def test_trailers_both_ways(nghttp: Nghttp, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"payload")
    done = await nghttp("/echo", "-v", f"--data={file}", "--trailer=x-sum: 12")
    assert received_fields(done)[-1] == ("x-sum", "12")
    assert "payload" in done.text


async def test_response_trailers_follow_the_body(nghttp: Nghttp) -> None:
    done = await nghttp("/trailers", "-v")
    assert frames(done, "recv")[-3:] == ["HEADERS", "DATA", "HEADERS"]
    assert received_fields(done)[-2:] == [("x-count", "13"), ("x-note", "the end")]


async def test_100_continue(nghttp: Nghttp, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"payload")
    done = await nghttp("/continue", "-v", f"--data={file}", "--expect-continue")
    assert [value for name, value in received_fields(done) if name == ":status"] == ["100", "200"]
    assert '"length": 7' in done.text


async def test_early_response_to_an_upload(nghttp: Nghttp, tmp_path: Path) -> None:
    """RFC 9113 §8.1: the response is complete, then RST_STREAM(NO_ERROR) stops the upload, once."""
    file = tmp_path / "body"
    file.write_bytes(bytes(8 * MIB))
    done = await nghttp("/early", "-v", f"--data={file}")
    assert (":status", "413") in received_fields(done)
    assert frames(done, "recv").count("RST_STREAM") == 1
    assert "error_code=NO_ERROR(0x00)" in done.text.partition("recv RST_STREAM")[2]
    assert frames(done, "send").count("DATA") < 8 * MIB // 16_384


async def test_many_parallel_streams(nghttp: Nghttp, server: OurServer) -> None:
    """300 streams where 128 may be open at a time."""
    done = await nghttp("/bytes/5000", "--null-out", "--stat", "--multiply=300")
    assert len(re.findall(r" 200 +4K /bytes/5000$", done.text, re.MULTILINE)) == 300
    assert len(server.sessions) == 1


async def test_large_download_through_small_windows(nghttp: Nghttp) -> None:
    """16 KiB for the stream and 32 KiB for the session: thousands of WINDOW_UPDATE frames."""
    done = await nghttp(f"/bytes/{20 * MIB}", "--window-bits=14", "--connection-window-bits=15")
    assert done.stdout == body(20 * MIB)


async def test_large_header_block_is_continued(nghttp: Nghttp) -> None:
    """nghttp reports HEADERS and its CONTINUATION frames as one that is larger than our SETTINGS_MAX_FRAME_SIZE."""
    done = await nghttp("/headers", "-v", "--continuation")
    length = re.search(r"send HEADERS frame <length=(\d+)", done.text)
    assert length is not None
    assert int(length[1]) > 16_384
    told = json.loads((await nghttp("/headers", "--continuation")).stdout)
    assert [len(told[f"continuation-test-{n}"]) for n in range(1, 7)] == [4096] * 6


async def test_old_priorities_are_ignored(nghttp: Nghttp, server: OurServer) -> None:
    """nghttp builds a dependency tree of idle streams with PRIORITY frames (RFC 7540), unless told not to."""
    done = await nghttp("/hello", "-v")
    with_tree = frames(done, "send").count("PRIORITY")
    done = await nghttp("/hello", "-v", "--no-dep")
    assert with_tree > frames(done, "send").count("PRIORITY") == 0
    assert (":status", "200") in received_fields(done)

"""The frame dump and the log, beyond what `trio-h2 get -v` shows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from tests.http1.client import serving
from tests.session.scripted import connected
from trio_h2 import ClientConfig, ErrorCode, ServerConfig, ServerStream
from trio_h2.instruments import FrameDump, LogInstrument
from trio_h2.testing import HeadersFrame, session_pair

if TYPE_CHECKING:
    import pytest


async def _hello(stream: ServerStream) -> None:
    await stream.respond(body=b"hello")


async def test_every_type_of_frame_can_be_shown(autojump_clock: object) -> None:
    texts: list[str] = []
    async with connected(config=ClientConfig(instruments=[FrameDump(texts.append)])) as (_, peer):
        await trio.sleep(1.5)
        await peer.send_raw_frame(0x2, 0, 1, bytes([0x80, 0, 0, 3, 15]))
        await peer.send_raw_frame(0xA, 0, 0, b"\x00\x09https://ah2=:1")
        await peer.send_raw_frame(0xC, 0, 0, b"\x00\x09https://a")
        await peer.send_raw_frame(0x10, 0, 0, b"\x00\x00\x00\x07u=1")
        await peer.send_raw_frame(0x2A, 0, 5, b"what")
        await peer.send_settings({0x77: 5})
        await peer.send_ping(b"12345678")
        await peer.send_goaway(0, ErrorCode.ENHANCE_YOUR_CALM, b"slow\x1b")
        await trio.testing.wait_all_tasks_blocked()
    text = "".join(texts)
    for expected in (
        "[  1.500] recv PRIORITY frame <length=5, flags=0x00, stream_id=1>\n"
        "          (dep_stream_id=3, weight=16, exclusive=1)\n",
        "[  1.500] recv ALTSVC frame <length=16, flags=0x00, stream_id=0>\n          ([https://a], [h2=:1])\n",
        "[  1.500] recv ORIGIN frame <length=11, flags=0x00, stream_id=0>\n          ([https://a], [])\n",
        "          (prioritized_stream_id=7, priority_field_value=[u=1])\n",
        "[  1.500] recv 0x2a frame <length=4, flags=0x00, stream_id=5>\n",
        "          (niv=1)\n          [UNKNOWN(0x77):5]\n",
        "          (opaque_data=3132333435363738)\n",
        "          (last_stream_id=0, error_code=ENHANCE_YOUR_CALM(0x0b), opaque_data(5)=[slow\\x1b])\n",
    ):
        assert expected in text


async def test_stalls_and_resets_are_shown(autojump_clock: object) -> None:
    texts: list[str] = []
    config = ClientConfig(instruments=[FrameDump(texts.append)], stream_window=10)
    async with connected(config=config) as (session, peer), session.request("GET") as stream:
        await peer.expect(HeadersFrame)
        await peer.send_headers(1, [(":status", "200")])
        await peer.send_data(1, bytes(10))
        await trio.sleep(2)
        await stream.receive_some()
        await trio.testing.wait_all_tasks_blocked()
        await peer.send_rst(1, ErrorCode.INTERNAL_ERROR)
        await trio.testing.wait_all_tasks_blocked()
    text = "".join(texts)
    assert "stalled <receive stream_window, stream_id=1>\n" in text
    assert "resumed <receive stream_window, stream_id=1> after 2.000 s\n" in text
    assert "          (error_code=INTERNAL_ERROR(0x02))\n" in text
    assert "stream 1 was cut (remote): INTERNAL_ERROR\n" in text


async def test_several_sessions_are_told_apart(autojump_clock: object) -> None:
    texts: list[str] = []
    dump = FrameDump(texts.append)
    async with session_pair(
        _hello, client_config=ClientConfig(instruments=[dump]), server_config=ServerConfig(instruments=[dump])
    ):
        await trio.testing.wait_all_tasks_blocked()
    assert any(line.startswith("session ") and line.endswith(":\n") for text in texts for line in text.splitlines(True))


async def test_parts_of_http1_are_shown(autojump_clock: object) -> None:
    texts: list[str] = []
    async with serving(_hello, config=ServerConfig(instruments=[FrameDump(texts.append)])) as served:
        await served.client.request("POST /x", "content-length: 1", "cookie: a=b", body="y")
        await served.client.answer()
    text = "".join(texts)
    assert "recv request <exchange=1>\n          POST /x\n          host: example.org\n" in text
    assert "          cookie: <3 bytes, left out>\n" in text
    assert "recv data <length=1, exchange=1>\n" in text
    assert "send response <exchange=1>\n          200\n" in text
    assert "send end <exchange=1>\n" in text


async def test_the_log_has_a_line_for_each_stream(caplog: pytest.LogCaptureFixture, autojump_clock: object) -> None:
    caplog.set_level(logging.DEBUG, "trio_h2.instruments")
    config = ClientConfig(instruments=[LogInstrument()], stream_window=10)
    async with connected(config=config) as (session, peer), session.request("GET", "/x") as stream:
        await peer.expect(HeadersFrame)
        await peer.send_headers(1, [(":status", "404")])
        await peer.send_data(1, bytes(10))
        await trio.sleep(2)
        await stream.receive_some()
        await peer.send_data(1, b"", end_stream=True)
        await trio.testing.wait_all_tasks_blocked()
    lines = [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "trio_h2.instruments"]
    label = "http://localhost"
    assert lines[0] == (logging.DEBUG, f"{label}: session begun: HTTP/2")
    assert (logging.DEBUG, f"{label}: stream 1 opened: GET /x") in lines
    assert (logging.DEBUG, f"{label}: stream 1 stalls: receive, stream_window") in lines
    assert (logging.WARNING, f"{label}: stream 1 was stalled for 2.000 s: receive, stream_window") in lines
    closed = "stream 1 complete (remote): GET /x, status 404, 0 bytes sent, 10 received, 2.000 s"
    assert (logging.DEBUG, f"{label}: {closed}") in lines
    assert lines[-1][1].startswith(f"{label}: session ended after 1 streams, ")
    assert not any("sent SETTINGS" in line for _, line in lines)


async def test_the_log_can_have_frames(caplog: pytest.LogCaptureFixture, autojump_clock: object) -> None:
    own = logging.getLogger("mine")
    instrument = LogInstrument(own, level=logging.INFO, frames=True)
    caplog.set_level(logging.INFO, "mine")
    config = ServerConfig(instruments=[instrument])
    async with session_pair(_hello, server_config=config) as (session, _), session.request("GET") as stream:
        await stream.receive_response()
        await session.ping()
    async with serving(_hello, config=config) as served:
        await served.client.request("GET /")
        await served.client.answer()
    lines = [record.getMessage() for record in caplog.records if record.name == "mine"]
    assert any(line.endswith("sent DATA on stream 1, 5 bytes, END_STREAM") for line in lines)
    assert any("PING (remote) answered after 0.000 s" in line for line in lines)
    assert any("received request head of exchange 1" in line for line in lines)
    assert any("sent data of exchange 1, 5 bytes" in line for line in lines)

"""Traces: what is in the file, and what a file that cannot be written does to sessions: nothing."""

from __future__ import annotations

import json
import logging
import os
import stat
from typing import TYPE_CHECKING

import pytest
import trio

from tests.http1.client import serving
from tests.instruments.schema import read
from tests.session.scripted import connected, served
from trio_h2 import ClientConfig, ErrorCode, Headers, ServerConfig, ServerStream
from trio_h2.instruments import QlogTrace
from trio_h2.testing import DataFrame, HeadersFrame, session_pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.instruments.schema import Event


async def _hello(stream: ServerStream) -> None:
    await stream.respond(body=b"hello")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.sqlog"


def _named(events: list[Event], name: str, group: str = "") -> list[dict[str, object]]:
    return [event.data for event in events if event.name == name and event.group.startswith(group)]


async def test_sessions_of_both_roles_and_versions_in_one_file(path: Path, autojump_clock: object) -> None:
    with QlogTrace(path, title="all of it") as trace:
        client, server = ClientConfig(instruments=[trace]), ServerConfig(instruments=[trace])
        async with session_pair(_hello, client_config=client, server_config=server) as (session, _):
            async with session.request("GET", "/a?b=c") as stream:
                assert await stream.receive_some() == b"hello"
            await session.ping(b"12345678")
        async with serving(_hello, config=server) as http1:
            await http1.client.request("GET /old")
            await http1.client.answer()
    header, events = read(path)
    assert header["title"] == "all of it"
    groups = list(dict.fromkeys(event.group for event in events))
    assert sorted(group[0] for group in groups) == ["c", "s", "s"]
    for group in groups:
        names = [event.name.partition(":")[2] for event in events if event.group == group]
        assert (names[0], names[-1]) == ("session_started", "session_ended")
    for group in dict.fromkeys(event.group for event in events if event.name.startswith("http2")):
        (opened,) = _named(events, "http2:stream_opened", group)
        assert (opened["method"], opened["path"], opened["authority"]) == ("GET", "/a?b=c", "localhost")
        (closed,) = _named(events, "http2:stream_closed", group)
        assert (closed["status"], closed["how"]) == (200, "complete")
        (ping,) = _named(events, "http2:ping_acknowledged", group)
        assert (ping["payload"], ping["by"]) == (b"12345678".hex(), "local" if group[0] == "c" else "remote")
    (head,) = _named(events, "http1:head_received")
    assert (head["method"], head["target"]) == ("GET", "/old")
    assert _named(events, "http1:data_sent") == [{"stream_id": 1, "length": 5}]


async def test_time_is_in_milliseconds_since_the_trace_began(path: Path, autojump_clock: object) -> None:
    with QlogTrace(path) as trace:
        config = ClientConfig(instruments=[trace], stream_window=1000)
        async with connected(config=config) as (session, peer), session.request("GET") as stream:
            await peer.expect(HeadersFrame)
            await peer.send_headers(1, [(":status", "200")])
            await peer.send_data(1, bytes(1000))
            await trio.sleep(4)
            await stream.receive_some()
            await trio.testing.wait_all_tasks_blocked()
    _, events = read(path)
    (stalled,) = (event for event in events if event.name == "http2:stalled")
    (resumed,) = (event for event in events if event.name == "http2:resumed")
    assert 0 <= stalled.time < 60_000
    assert resumed.time - stalled.time == pytest.approx(4000, abs=0.01)
    assert resumed.data["duration"] == pytest.approx(4000, abs=0.01)
    assert resumed.data["since"] == pytest.approx(stalled.time, abs=0.01)
    assert (stalled.data["stream_id"], stalled.data["side"], stalled.data["limit"]) == (1, "receive", "stream_window")


async def test_all_types_of_frames_are_in_it(path: Path, autojump_clock: object) -> None:
    with QlogTrace(path) as trace:
        async with connected(config=ClientConfig(instruments=[trace])) as (_, peer):
            await peer.send_raw_frame(0x2, 0, 1, bytes([0x80, 0, 0, 0, 15]))
            await peer.send_raw_frame(0xA, 0, 0, b"\x00\x09https://ah2=:1")
            await peer.send_raw_frame(0xC, 0, 0, b"\x00\x09https://a")
            await peer.send_raw_frame(0x10, 0, 0, b"\x00\x00\x00\x07u=1")
            await peer.send_raw_frame(0x2A, 0xFF, 5, b"what")
            await peer.send_goaway(0, ErrorCode.ENHANCE_YOUR_CALM, b"\xffslow")
            await trio.testing.wait_all_tasks_blocked()
    _, events = read(path)
    frames = {str(one["frame_type"]): one for one in _named(events, "http2:frame_received")}
    assert frames["PRIORITY"]["weight"] == 16
    assert (frames["ALTSVC"]["origin"], frames["ALTSVC"]["value"]) == ("https://a", "h2=:1")
    assert frames["ORIGIN"]["origins"] == ["https://a"]
    assert (frames["PRIORITY_UPDATE"]["prioritized_stream_id"], frames["PRIORITY_UPDATE"]["priority"]) == (7, "u=1")
    assert frames["0x2a"]["flags"] == [f"0x{1 << bit:x}" for bit in range(8)]
    goaway = frames["GOAWAY"]
    assert (goaway["error_code"], goaway["debug_data"]) == ("ENHANCE_YOUR_CALM", "\ufffdslow")
    first = _named(events, "http2:frame_sent")[0]
    assert {"name": "ENABLE_PUSH", "value": 0} in first["settings"] if isinstance(first["settings"], list) else False


def _values(events: list[Event]) -> dict[object, dict[str, object]]:
    (frame,) = (one for one in _named(events, "http2:frame_sent") if one["frame_type"] == "HEADERS")
    headers = frame["headers"]
    assert isinstance(headers, list)
    return {field["name"]: field for field in headers}


_SECRETS = Headers(
    [("authorization", "Bearer 1"), ("cookie", "a=b"), ("x-plain", "seen"), ("x-odd", b"\xe4"), ("x-pin", "1234")],
    sensitive=["x-pin"],
)


async def _ask(path: Path, **options: str | list[str]) -> list[Event]:
    with QlogTrace(path, **options) as trace:  # type: ignore[arg-type]  # each by its own name
        async with (
            session_pair(_hello, client_config=ClientConfig(instruments=[trace])) as (session, _),
            session.request("GET", "/secret?token=1", headers=_SECRETS) as stream,
        ):
            await stream.receive_response()
    return read(path)[1]


async def test_secrets_are_left_out(path: Path, autojump_clock: object) -> None:
    fields = _values(await _ask(path))
    assert fields["authorization"] == {"name": "authorization", "redacted": 8, "never_indexed": True}
    assert fields["cookie"]["redacted"] == 3
    assert fields["x-plain"] == {"name": "x-plain", "value": "seen"}
    assert fields["x-odd"] == {"name": "x-odd", "value_bytes": "e4"}
    assert fields["x-pin"] == {"name": "x-pin", "redacted": 4, "never_indexed": True}


async def test_what_is_left_out_can_be_chosen(path: Path, autojump_clock: object) -> None:
    fields = _values(await _ask(path, redact=["X-Plain"]))
    assert fields["x-plain"] == {"name": "x-plain", "redacted": 4}
    assert fields["x-pin"] == {"name": "x-pin", "redacted": 4, "never_indexed": True}
    fields = _values(await _ask(path, redact=[]))
    assert not any("redacted" in field for field in fields.values())
    assert fields["authorization"]["value"] == "Bearer 1"


async def test_all_values_can_be_left_out(path: Path, autojump_clock: object) -> None:
    events = await _ask(path, redact="all")
    fields = _values(events)
    assert [name for name, field in fields.items() if "value" in field] == [":method", ":scheme"]
    assert "token" not in await trio.Path(path).read_text()
    (opened,) = _named(events, "http2:stream_opened")
    assert "path" not in opened


async def test_a_word_is_no_list_of_names(path: Path) -> None:
    with pytest.raises(ValueError, match="redact"):
        QlogTrace(path, redact="cookie")


def test_only_its_owner_can_read_it(path: Path) -> None:
    QlogTrace(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_made_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        QlogTrace(tmp_path / "nowhere" / "trace.sqlog")


async def test_a_full_disk_does_not_break_a_session(caplog: pytest.LogCaptureFixture, autojump_clock: object) -> None:
    """/dev/full takes nothing: ENOSPC at each write."""
    trace = QlogTrace("/dev/full")
    async with session_pair(_hello, client_config=ClientConfig(instruments=[trace])) as (session, _):
        for _ in range(3):
            async with session.request("GET") as stream:
                assert await stream.receive_some() == b"hello"
    records = [record for record in caplog.records if record.name == "trio_h2.instruments"]
    assert [record.levelno for record in records] == [logging.ERROR]
    assert records[0].getMessage() == "the trace /dev/full ends here, for it cannot be written: No space left on device"


async def test_a_disk_that_gets_full_leaves_whole_records_before(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    real, room = os.write, 3000

    def write(file: int, data: bytes | memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(28, "No space left on device")
        done = real(file, data[:room])
        room -= done
        return done

    trace = QlogTrace(path)
    monkeypatch.setattr(os, "write", write)
    async with session_pair(_hello, client_config=ClientConfig(instruments=[trace])) as (session, _):
        async with session.request("GET") as stream:
            assert await stream.receive_some() == b"hello"
        await session.aclose()
    *whole, torn = (await trio.Path(path).read_bytes()).split(b"\x1e")[1:]
    assert [json.loads(record) for record in whole]
    with pytest.raises(json.JSONDecodeError):
        json.loads(torn)
    assert len(caplog.records) == 1


async def test_cancellation_leaves_whole_records(path: Path, autojump_clock: object) -> None:
    """At each moment of an exchange: what was written so far can be read."""

    async def slow(stream: ServerStream) -> None:
        await stream.respond({":status": 200})
        for _ in range(5):
            await stream.send_all(bytes(30_000))
            await trio.sleep(1)

    for seconds in (0, 0.5, 1.5, 3.5):
        trace = QlogTrace(path)
        client, server = ClientConfig(instruments=[trace]), ServerConfig(instruments=[trace])
        with trio.move_on_after(seconds):
            async with (
                session_pair(slow, client_config=client, server_config=server) as (session, _),
                session.request("GET") as stream,
            ):
                async for _ in stream:
                    pass
        trace.close()
        _, events = read(path)
        for group in {event.group for event in events}:
            assert [event.name for event in events if event.group == group][-1] == "http2:session_ended"
            opened = {one["stream_id"] for one in _named(events, "http2:stream_opened", group)}
            assert opened == {one["stream_id"] for one in _named(events, "http2:stream_closed", group)}


def _size(path: Path) -> int:
    return path.stat().st_size  # not in a thread, during which the clock would jump


async def test_a_trace_that_is_closed_early_stays_as_it_is(path: Path, autojump_clock: object) -> None:
    trace = QlogTrace(path)
    async with served(_hello, config=ServerConfig(instruments=[trace])) as (peer, _):
        await peer.request()
        await peer.until(DataFrame, end_stream=True)
        trace.close()
        trace.close()
        size = _size(path)
        await peer.request()
        await peer.until(DataFrame, end_stream=True)
    assert _size(path) == size


def test_several_runs_of_trio_go_into_one_file(path: Path) -> None:
    """Each has a clock of its own, which begins anywhere."""

    async def main() -> None:
        async with session_pair(_hello, client_config=ClientConfig(instruments=[trace])) as (session, _):
            await session.ping()

    with QlogTrace(path) as trace:
        for _ in range(3):
            trio.run(main)
    _, events = read(path)
    assert len({event.group for event in events}) == 3
    assert all(0 <= event.time < 60_000 for event in events)

"""`--trace FILE` of `serve`, `get` and `proxy`, and `get -v`."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

from tests.cli.tools import assert_one_line, fetch, run, running, served
from tests.cli.worker_tools import who_serves, workers
from tests.instruments.schema import read
from trio_h2._cli import main
from trio_h2._cli._trace import trace_of_worker

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.tools import Command
    from tests.instruments.schema import Event
    from trio_h2 import ServerStream


async def hello(stream: ServerStream) -> None:
    await stream.respond({":status": 200, "x-a": "b", "set-cookie": "secret=1"}, body=b"hello")


def _paths(events: list[Event]) -> list[object]:
    return [event.data.get("path") for event in events if event.name == "http2:stream_opened"]


async def test_get_writes_a_trace(get: Command, tmp_path: Path) -> None:
    file = tmp_path / "get.sqlog"
    async with served(hello) as site:
        done = await get(site.url("/a"), site.url("/b"), "--trace", str(file))
    assert (done.code, done.out, done.err) == (0, b"hellohello", "")
    header, events = read(file)
    assert header["title"] == f"trio-h2 get {site.url('/a')}"
    assert _paths(events) == ["/a", "/b"]
    assert [event.data["role"] for event in events if event.name == "http2:session_started"] == ["client"]
    assert events[-1].name == "http2:session_ended"


async def test_a_trace_can_be_viewed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "get.sqlog"
    async with served(hello) as site:
        await fetch(site.url("/seen"), "--trace", str(file))
    assert main(["view", str(file), "-o", "-"]) == 0
    page = capfd.readouterr().out
    assert "/seen" in page
    assert "secret=1" not in page


async def test_a_trace_that_cannot_be_written(get: Command, tmp_path: Path) -> None:
    async with served(hello) as site:
        done = await get(site.url("/a"), "--trace", str(tmp_path / "no" / "trace"))
    done.failed(1, "cannot write the trace", "No such file or directory")


async def test_serve_writes_a_trace(tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(b"x")
    file = tmp_path / "serve.sqlog"
    async with running("serve", str(tmp_path), "--trace", str(file)) as server:
        assert await fetch(f"{await server.url()}/page") == 0
        server.signal(signal.SIGTERM)
        ended = await server.ended()
    assert (ended.code, ended.err) == (0, "")
    _, events = read(file)
    assert _paths(events) == ["/page"]
    assert [event.data["role"] for event in events if event.name == "http2:session_started"] == ["server"]


async def test_serve_says_that_it_cannot(tmp_path: Path) -> None:
    ended = await run("serve", str(tmp_path), "--trace", str(tmp_path / "no" / "trace"))
    assert ended.code == 1
    assert_one_line(ended.err, "cannot write the trace")


async def test_each_worker_writes_a_trace_of_its_own(tmp_path: Path, app: Path) -> None:
    file = tmp_path / "trace.sqlog"
    async with workers(app, "who", 2, "--trace", str(file)) as (server, url):
        found = await who_serves(url, 2)
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0
    traces = {name for name in os.listdir(tmp_path) if name.endswith(".sqlog")}
    assert traces == {f"trace.{number}.sqlog" for number in found}
    for name in traces:
        _, events = read(tmp_path / name)
        assert "/" in _paths(events)


def test_names_of_workers() -> None:
    assert trace_of_worker(None) is None
    assert re.fullmatch(r"a/b\.\d+\.sqlog", trace_of_worker("a/b.sqlog") or "")
    assert re.fullmatch(r"b\.\d+", trace_of_worker("b") or "")


async def test_proxy_writes_a_trace(tmp_path: Path) -> None:
    file = tmp_path / "proxy.sqlog"
    async with served(hello) as site:
        authority = site.url("").removeprefix("http://")
        async with running("proxy", "--allow", authority, "--trace", str(file)) as proxy:
            assert await fetch(site.url(), "--proxy", await proxy.url()) == 0
            proxy.signal(signal.SIGTERM)
            assert (await proxy.ended()).code == 0
    _, events = read(file)
    (opened,) = (event.data for event in events if event.name == "http2:stream_opened")
    assert (opened["method"], opened["authority"]) == ("CONNECT", authority)


async def test_verbose_shows_frames_as_nghttp_does(get: Command) -> None:
    async with served(hello) as site:
        done = await get(site.url("/a"), "-v", "-H", "authorization: Bearer secret")
    assert (done.code, done.out) == (0, b"hello")
    text = done.err
    assert re.search(r"^\[ +0\.0\d\d] Connected: http://127\.0\.0\.1:\d+ \(127\.0\.0\.1:\d+, h2c\)$", text, re.M)
    assert re.search(
        r"^\[ +\d+\.\d{3}] send SETTINGS frame <length=36, flags=0x00, stream_id=0>\n"
        r" {10}\(niv=6\)\n"
        r" {10}\[SETTINGS_HEADER_TABLE_SIZE\(0x01\):4096]\n",
        text,
        re.M,
    )
    assert re.search(r"recv SETTINGS frame <length=0, flags=0x01, stream_id=0>\n {10}; ACK\n", text)
    assert re.search(
        r"send HEADERS frame <length=\d+, flags=0x05, stream_id=1>\n"
        r" {10}; END_STREAM \| END_HEADERS\n"
        r" {10}; Open new stream\n"
        r" {10}:method: GET\n",
        text,
    )
    assert "          :path: /a\n" in text
    assert "          authorization: <13 bytes, left out>\n" in text
    assert "          set-cookie: <8 bytes, left out>\n" in text
    assert "secret" not in text
    assert "          ; First response header\n          :status: 200\n          x-a: b\n" in text
    assert re.search(r"recv DATA frame <length=5, flags=0x01, stream_id=1>\n {10}; END_STREAM\n", text)
    assert re.search(
        r"send GOAWAY frame <length=8, flags=0x00, stream_id=0>\n"
        r" {10}\(last_stream_id=0, error_code=NO_ERROR\(0x00\), opaque_data\(0\)=\[]\)\n",
        text,
    )
    assert text.endswith("Closed: this session was closed on this side\n")


async def test_a_server_cannot_move_the_cursor(get: Command) -> None:
    async def odd(stream: ServerStream) -> None:
        await stream.respond({":status": 200, "x-odd": b"\xc2\x9b2J"})

    async with served(odd) as site:
        done = await get(site.url(), "-v")
    assert "          x-odd: \\x9b2J\n" in done.err

"""`trio-h2 view`: a page of a trace, whatever the trace says. How a browser shows it is in `tests/interop`."""

from __future__ import annotations

import json
import re
import webbrowser
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trio_h2
from tests.cli.tools import assert_one_line, run
from tests.cli.trace_tools import HEADER, TraceText, fields, frame, slow_download
from trio_h2._cli import main
from trio_h2._cli._viewer import NoTraceError, Records, Trace, _budget, make_page
from trio_h2._cli._viewer._fields import Fields
from trio_h2._cli._viewer._pings import ping_purpose
from trio_h2._cli._viewer._redaction import bare_path
from trio_h2._session._pings import DRAIN_PAYLOAD
from trio_h2._session._watcher import KEEPALIVE_PAYLOAD
from trio_h2._wire._tuning import PROBE_PAYLOAD
from trio_h2.instruments import QlogTrace

if TYPE_CHECKING:
    from trio_h2._cli._viewer._series import Point

SECRET = "s3cr3t-Zq9"


def page_of(trace: bytes | TraceText, *, redact: bool = False) -> str:
    data = trace if isinstance(trace, bytes) else trace.encode()
    return make_page(Trace(Records(BytesIO(data)), redact=redact), "x.sqlog")


def data_of(page: str) -> Fields:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return Fields(json.loads(found[1]))


def shown(trace: bytes | TraceText, *, redact: bool = False) -> Fields:
    return data_of(page_of(trace, redact=redact))


def sessions_of(data: Fields) -> list[Fields]:
    return [Fields(session) for session in data.each("sessions")]


def streams_of(data: Fields, session: int = 0) -> dict[int | None, Fields]:
    streams = [Fields(stream) for stream in sessions_of(data)[session].each("streams")]
    return {stream.integer("id"): stream for stream in streams}


def notes_of(trace: bytes | TraceText, *, redact: bool = False) -> str:
    return "\n".join(str(note) for note in shown(trace, redact=redact).each("notes"))


def marks_of(owner: Fields) -> list[str]:
    return [mark[2] for mark in owner.each("marks") if isinstance(mark, list)]


# ---- The command ----


def test_the_page_stands_beside_the_trace(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace = slow_download().write(tmp_path / "slow.sqlog")
    assert main(["view", str(trace)]) == 0
    page = tmp_path / "slow.sqlog.html"
    assert capfd.readouterr() == (f"{page}: 1 session, 3 streams\n", "")
    assert page.read_text().startswith("<!doctype html>")


def test_the_page_goes_where_it_is_wanted(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    trace = slow_download().write(tmp_path / "slow.sqlog")
    assert main(["view", str(trace), "-o", str(tmp_path / "page.html")]) == 0
    capfdbinary.readouterr()
    assert main(["view", str(trace), "-o", "-"]) == 0
    out, err = capfdbinary.readouterr()
    assert out == (tmp_path / "page.html").read_bytes()
    assert err == b""
    assert sorted(file.name for file in tmp_path.iterdir()) == ["page.html", "slow.sqlog"]


async def test_view_as_a_program(tmp_path: Path) -> None:
    trace = slow_download().write(tmp_path / "slow.sqlog")
    ended = await run("view", str(trace))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.decode() == f"{trace}.html: 1 session, 3 streams\n"


async def test_the_trace_of_a_request(tmp_path: Path) -> None:
    """From `get --trace` to the page, with both sides of the same session in a file each."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 200, "x-custom": SECRET}, body=b"hello")

    files = [tmp_path / "client.sqlog", tmp_path / "server.sqlog"]
    with QlogTrace(files[1]) as trace:
        config = trio_h2.ServerConfig(instruments=[trace])
        async with trio_h2.open_server(handler, host="127.0.0.1", config=config) as server:
            ended = await run("get", "--trace", str(files[0]), f"{server.url}/a?b={SECRET}")
            assert (ended.code, ended.out) == (0, b"hello")
    for file, by, direction in zip(files, ("local", "remote"), ("received", "sent"), strict=True):
        stream = streams_of(shown(file.read_bytes()))[1]
        assert [stream.text(name) for name in ("by", "method", "path", "end_how")] == [
            *(by, "GET", f"/a?b={SECRET}", "complete"),
        ]
        assert [stream.number(name) for name in ("status", direction)] == [200, 5]
        assert notes_of(file.read_bytes()) == ""
        assert SECRET in page_of(file.read_bytes())
        assert SECRET not in page_of(file.read_bytes(), redact=True)
        assert "127.0.0.1" not in page_of(file.read_bytes(), redact=True)


def test_a_browser_is_opened_if_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def remember(url: str) -> bool:
        opened.append(url)
        return len(opened) == 1

    monkeypatch.setattr(webbrowser, "open", remember)
    trace = slow_download().write(tmp_path / "slow.sqlog")
    assert main(["view", str(trace), "--open"]) == 0
    assert opened == [(tmp_path / "slow.sqlog.html").as_uri()]
    assert main(["view", str(trace), "--open"]) == 1


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no trace"),
        (b"Hello", "1E"),
        (b'{"file_schema": 1, "trace": {}}\n', "1E"),
        (b"\x1eHello\n", "qlog file"),
        (b"\x1e[]\n", "header"),
        (b'\x1e{"file_schema": "x"}\n', "header"),
        (b'\x1e{"file_schema": "x", "tra', "header"),
        (b"\x1f\x8b\x08\x00\x00", "1E"),
        (b"\x1e" + b"[" * 100_000, "header"),
    ],
)
def test_what_is_no_trace(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes, word: str) -> None:
    file = tmp_path / "x"
    file.write_bytes(content)
    assert main(["view", str(file)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert_one_line(err, str(file), "no trace", word)
    assert list(tmp_path.iterdir()) == [file]


def test_files_that_cannot_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace = slow_download().write(tmp_path / "slow.sqlog")
    for argv, code, word in (
        ([str(tmp_path / "none")], 1, "No such file"),
        ([str(tmp_path)], 1, "Is a directory"),
        ([str(trace), "-o", str(tmp_path)], 1, "Is a directory"),
        ([str(trace), "-o", str(tmp_path / "no" / "page")], 1, "No such file"),
        ([str(trace), "-o", str(trace)], 2, "replace"),
        ([str(trace), "-o", "-", "--open"], 2, "stdout"),
        ([], 2, "FILE"),
    ):
        assert main(["view", *argv]) == code
        assert_one_line(capfd.readouterr().err, word)
    assert trace.read_bytes() == slow_download().encode()


def test_a_full_disk(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace = slow_download().write(tmp_path / "slow.sqlog")
    assert main(["view", str(trace), "-o", "/dev/full"]) == 1
    assert_one_line(capfd.readouterr().err, "No space left on device")


# ---- What is made of a trace ----


def test_the_values_of_a_known_trace() -> None:
    data = shown(slow_download())
    (session,) = sessions_of(data)
    assert data.each("notes") == []
    assert (session.text("role"), session.text("version"), session.number("length")) == ("client", "HTTP/2", 2_210_000)
    assert session.text("tls") == "TLSv1.3 TLS_AES_256_GCM_SHA384"
    streams = streams_of(data)
    assert list(streams) == [1, 3, 5]
    small, download, reset = streams.values()
    assert [small.number(name) for name in ("opened", "request_end", "first_byte", "response_end", "closed")] == [
        *(10_000, 10_000, 30_000, 34_000, 34_000),
    ]
    assert [small.number(name) for name in ("status", "sent", "received")] == [200, 0, 500]
    assert small.fields("ticks").each("received") == [31_000, 31_000, 200, 1, 34_000, 34_000, 300, 1]
    assert marks_of(small) == ["interim response 103"]
    assert download.each("stalls") == [
        {"side": "receive", "limit": "stream_window", "spans": [90_000, 2_090_000, 2_000_000, 1]}
    ]
    levels = download.fields("windows").each("receive")
    assert levels[4::5] == [65536, 49152, 32768, 16384, 0, 65536]
    assert (reset.text("end_how"), reset.text("end_error_code")) == ("reset", "INTERNAL_ERROR")
    assert reset.number("first_byte") is None
    assert marks_of(reset) == ["RST_STREAM received: INTERNAL_ERROR"]
    assert marks_of(session) == [
        "SETTINGS sent: INITIAL_WINDOW_SIZE = 65536",
        "SETTINGS acknowledgement received",
        "PING sent: 0123456789abcdef",
        "our PING was answered after 1.500 ms",
        "GOAWAY received: NO_ERROR, last stream 5, going down for maintenance",
    ]


def test_http1_and_several_sessions_in_a_file() -> None:
    trace = TraceText()
    trace.add(5, "http1:session_started", "s1", role="server", peer="192.0.2.1:5", alpn=None)
    trace.add(6, "http2:session_started", "s2", role="server")
    trace.add(7, "http1:stream_opened", "s1", stream_id=1, by="remote", kind="request")
    head = fields(("host", "example.test"), ("content-length", "4"))
    trace.add(7, "http1:head_received", "s1", stream_id=1, method="POST", target="/up", headers=head)
    trace.add(8, "http1:head_sent", "s1", stream_id=1, status=100, kind="informational", headers=[])
    trace.add(9, "http1:data_received", "s1", stream_id=1, length=4)
    trace.add(9, "http1:end_received", "s1", stream_id=1, trailers=[])
    trace.add(12, "http1:head_sent", "s1", stream_id=1, status=201, kind="response", headers=fields(("etag", "x")))
    trace.add(13, "http1:data_sent", "s1", stream_id=1, length=7)
    trace.add(14, "http1:end_sent", "s1", stream_id=1, trailers=fields(("sum", "y")))
    trace.add(15, "http1:stream_closed", "s1", stream_id=1, how="cut", by="remote", bytes_sent=7, bytes_received=4)
    data = shown(trace)
    assert [session.text("version") for session in sessions_of(data)] == ["HTTP/1.1", "HTTP/2"]
    stream = streams_of(data)[1]
    assert [stream.text(name) for name in ("method", "path", "authority", "end_how")] == [
        *("POST", "/up", "example.test", "cut"),
    ]
    assert [stream.number(name) for name in ("status", "opened", "request_end", "first_byte", "response_end")] == [
        *(201, 2000, 4000, 7000, 9000),
    ]
    heads = stream.fields("heads")
    assert data.each("heads")[heads.integer("response") or 0] == [["etag", "x", ""]]
    assert data.each("heads")[heads.integer("response_trailers") or 0] == [["sum", "y", ""]]
    assert marks_of(stream) == ["interim response 100", "trailers sent"]


def test_pushed_streams() -> None:
    """The request of a pushed stream is the promise, and its response comes from the same side."""
    trace = TraceText()
    trace.h2(0, "stream_opened", stream_id=1, by="local", kind="request", path="/")
    headers = fields((":method", "GET"), (":path", "/style.css"))
    frame(trace, 1, "received", "PUSH_PROMISE", 1, "END_HEADERS", promised_stream_id=2, headers=headers)
    trace.h2(1, "stream_opened", stream_id=2, by="remote", kind="push", associated_stream_id=1)
    headers = fields((":status", "200"))
    frame(trace, 3, "received", "HEADERS", 2, "END_HEADERS", "END_STREAM", kind="response", headers=headers)
    streams = streams_of(shown(trace))
    assert (streams[2].text("path"), streams[2].flag("push"), streams[2].integer("pushed_on")) == (
        "/style.css",
        True,
        1,
    )
    assert streams[2].number("response_end") == 3000
    assert streams[2].number("request_end") is None
    assert marks_of(streams[1]) == ["PUSH_PROMISE received: stream 2"]


def test_the_side_of_the_request_on_servers() -> None:
    trace = TraceText()
    trace.h2(0, "stream_opened", stream_id=1, by="remote", kind="request")
    frame(trace, 0, "received", "HEADERS", 1, "END_HEADERS", kind="request", headers=fields((":path", "/up")))
    frame(trace, 1, "received", "DATA", 1, "END_STREAM", data_length=5)
    frame(trace, 2, "sent", "HEADERS", 1, "END_STREAM", kind="response", headers=fields((":status", "204")))
    stream = streams_of(shown(trace))[1]
    assert [stream.number(name) for name in ("request_end", "first_byte", "response_end")] == [1000, 2000, 2000]


def test_stalls_that_never_ended() -> None:
    """A stall lasts until its stream ends, or the trace; one of a write begins when the write did."""
    trace = TraceText()
    trace.h2(0, "stream_opened", stream_id=1, by="local")
    trace.h2(10, "stalled", stream_id=1, side="send", limit="stream_window")
    trace.h2(15, "stalled", stream_id=0, side="send", limit="transport", since=9)
    trace.h2(20, "resumed", stream_id=0, side="send", limit="transport", duration=11)
    trace.h2(30, "stream_closed", stream_id=1, how="reset")
    trace.h2(50, "session_ended", reason="x", clean=False)
    data = shown(trace)
    assert streams_of(data)[1].each("stalls") == [
        {"side": "send", "limit": "stream_window", "spans": [10_000, 30_000, 20_000, 1]}
    ]
    assert sessions_of(data)[0].each("stalls") == [
        {"side": "send", "limit": "transport", "spans": [9000, 20_000, 11_000, 1]}
    ]


def test_streams_whose_data_the_transport_does_not_take() -> None:
    """They stand still with it, unless they have ended, or wait for a window of their own."""
    trace = TraceText()
    for stream_id in (1, 3, 5, 7, 9):
        trace.h2(0, "stream_opened", stream_id=stream_id, by="remote")
    frame(trace, 5, "sent", "DATA", 9, data_length=1)  # in an earlier write
    for stream_id in (1, 3, 5):
        frame(trace, 10, "sent", "DATA", stream_id, data_length=16384)
    trace.h2(11, "stalled", stream_id=3, side="send", limit="stream_window")
    trace.h2(16, "stalled", stream_id=0, side="send", limit="transport", since=10.5)
    trace.h2(20, "stream_closed", stream_id=5, how="reset", by="remote")
    trace.h2(50, "resumed", stream_id=0, side="send", limit="transport", duration=39.5)
    frame(trace, 60, "sent", "DATA", 1, data_length=16384)
    trace.h2(66, "stalled", stream_id=0, side="send", limit="transport", since=60.1)
    trace.h2(90, "window_updated", stream_id=0, side="send", window=5, cause="window_update")
    data = shown(trace)
    stalls = {number: stream.each("stalls") for number, stream in streams_of(data).items()}
    held_up = {"side": "send", "limit": "transport"}
    assert stalls == {
        1: [{**held_up, "spans": [10_500, 50_000, 39_500, 1, 60_100, 90_000, 29_900, 1]}],
        3: [{"side": "send", "limit": "stream_window", "spans": [11_000, 90_000, 79_000, 1]}],
        5: [{**held_up, "spans": [10_500, 20_000, 9_500, 1]}],
        7: [],
        9: [],
    }


def test_what_the_librarys_own_pings_are_for() -> None:
    """Their payloads tell, without the rest with `--redact`."""
    assert all(ping_purpose(payload.hex()) for payload in (PROBE_PAYLOAD, KEEPALIVE_PAYLOAD, DRAIN_PAYLOAD))
    trace = TraceText()
    probe = PROBE_PAYLOAD.hex()
    frame(trace, 1, "sent", "PING", 0, payload=probe)
    trace.h2(3, "ping_acknowledged", payload=probe, by="local", round_trip=2)
    frame(trace, 4, "received", "PING", 0, payload=DRAIN_PAYLOAD.hex())
    frame(trace, 5, "sent", "PING", 0, payload="0000000000000001")
    words = "measures the path, so that windows can grow"
    marks = [
        f"PING sent: {words}",
        f"our PING was answered after 2.000 ms ({words})",
        "PING received: before the second GOAWAY: has the peer seen the first?",
    ]
    assert marks_of(sessions_of(shown(trace))[0]) == [*marks, "PING sent: 0000000000000001"]
    assert marks_of(sessions_of(shown(trace, redact=True))[0]) == [*marks, "PING sent"]


def test_header_fields_that_are_no_text() -> None:
    trace = TraceText()
    headers: list[object] = [
        {"name": "a", "value_bytes": "ff00"},
        {"name": "cookie", "redacted": 42, "never_indexed": True},
        {"name": "b", "value": "x" * 3000},
    ]
    frame(trace, 0, "sent", "HEADERS", 1, kind="request", headers=headers)
    assert shown(trace).each("heads") == [
        [
            ["a", "ff00", "not UTF-8; in hexadecimal"],
            ["cookie", None, "42 bytes removed, never indexed"],
            ["b", "x" * 2000, "1000 more characters left out"],
        ]
    ]


# ---- What is broken ----


def test_a_trace_that_was_cut() -> None:
    """A killed program leaves half a record, or less."""
    whole = slow_download().encode()
    for cut in (len(whole) - 2, len(whole) - 40):
        assert "The last record is cut" in notes_of(whole[:cut])
    assert notes_of(whole) == ""
    assert notes_of(whole + b"\x1e") == ""
    assert streams_of(shown(whole[: len(whole) // 2])).keys() == {1, 3}


def test_every_place_to_cut_a_trace() -> None:
    whole = slow_download().encode()
    for length in range(whole.index(b"\n") + 1, len(whole), 37):
        shown(whole[:length])


def test_damaged_records_are_left_out() -> None:
    records = slow_download().encode().split(b"\x1e")
    for damage in (b"{\n", b"[1]\n", b"\xff\n", b'{"time": NaN}\n', b"[" * 100_000, b"1" * 10_000, b"x" * 5_000_000):
        data = b"\x1e".join([*records[:5], damage, *records[5:]])
        assert notes_of(data) == "Left out: 1 record could not be read."
        assert streams_of(shown(data)).keys() == {1, 3, 5}
    assert notes_of(b"\x1e".join([*records[:5], b"", b"\n", *records[5:]])) == ""


def test_unknown_events_are_left_out() -> None:
    trace = slow_download()
    trace.h2(3000, "teleported", stream_id=1)
    trace.add(3000, "http3:frame_sent")
    trace.add("now", "http2:frame_sent")
    trace.add(-1, "http2:frame_sent")
    trace.add(10**400, "http2:frame_sent")
    assert notes_of(trace) == "Left out: 5 events of a kind that this program does not know."


def test_numbers_that_cannot_be() -> None:
    trace = TraceText()
    for value in (10**400, -(10**400), 1e300, True, None, "1", [1], {"a": 1}):
        trace.h2(1, "stream_opened", stream_id=value)
        frame(trace, 1, "received", "DATA", 1, data_length=value)
        trace.h2(1, "window_updated", stream_id=0, side="send", window=value)
        trace.h2(1, "stream_closed", stream_id=value, status=value, first_byte=value)
    assert sessions_of(shown(trace))[0].each("streams") == []


ODD = [
    *(None, True, 0, -1, 1.5, 1e300, 10**400, float("nan"), "", "sent", "local", "x" * 3000, "\ud800", "\x00"),
    *([], [None], [[1]], [{"name": "a"}], {}, {"a": 1}, {"name": None}),
]
JSON = st.sampled_from(ODD)
NAMES = [
    *("session_started", "session_ended", "frame_sent", "frame_received", "stream_opened", "stream_closed"),
    *(
        "window_updated",
        "stalled",
        "resumed",
        "ping_acknowledged",
        "head_received",
        "head_sent",
        "data_sent",
        "end_sent",
    ),
]
KINDS = [
    *("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE"),
    *("ALTSVC", "ORIGIN", "PRIORITY_UPDATE"),
]
VALUES = {
    "stream_id": st.integers(-1, 5) | JSON,
    "frame_type": st.sampled_from(KINDS) | JSON,
    "flags": st.lists(st.sampled_from(["END_STREAM", "ACK"])) | JSON,
    "kind": st.sampled_from(["request", "response", "informational", "trailers", "push"]) | JSON,
    "side": st.sampled_from(["send", "receive"]) | JSON,
    **dict.fromkeys(["headers", "trailers"], st.lists(st.fixed_dictionaries({"name": JSON, "value": JSON})) | JSON),
    **dict.fromkeys(["settings", "window", "limit", "by", "error_code", "debug_data", "origins", "tls", "path"], JSON),
    **dict.fromkeys(["status", "promised_stream_id", "data_length", "since", "round_trip", "first_byte"], JSON),
}
EVENTS = st.tuples(
    st.integers(0, 100) | JSON,
    st.builds(lambda version, name: f"{version}:{name}", st.sampled_from(["http1", "http2"]), st.sampled_from(NAMES)),
    st.sampled_from(["c1", "s1"]) | JSON,
    st.fixed_dictionaries({}, optional=VALUES),
)


@given(st.lists(EVENTS, max_size=12), st.booleans())
def test_whatever_a_trace_says(events: list[tuple[object, str, object, dict[str, object]]], redact: bool) -> None:
    """There is a page, whose data are JSON."""
    trace = TraceText()
    for time, name, group, data in events:
        trace.add(time, name, group, **data)
    shown(trace, redact=redact)


# ---- Nothing of a trace runs ----

ATTACKS = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "&lt;b&gt;",
    "\u2028'\"`${1}",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_markup_comes_from_a_trace(attack: str) -> None:
    trace = TraceText({**HEADER, "title": attack})
    trace.h2(0, "session_started", role=attack, label=attack, peer=attack, tls={"version": attack})
    trace.h2(0, "stream_opened", stream_id=1, method=attack, path=attack, authority=attack)
    frame(trace, 0, "sent", "HEADERS", 1, kind="request", headers=fields((attack, attack)))
    frame(trace, 0, "sent", "GOAWAY", 0, error_code=attack, debug_data=attack)
    trace.h2(0, "stream_closed", stream_id=1, how=attack, reason=attack)
    page = page_of(trace)
    clean = page_of(TraceText())
    for sign in "<>&":
        assert page.count(sign) == clean.count(sign), "there is more markup than in the page itself"
    assert data_of(page).text("title") == attack


def test_the_name_of_the_file_is_no_markup(tmp_path: Path) -> None:
    trace = slow_download().write(tmp_path / "<img src=x>&.sqlog")
    assert main(["view", str(trace)]) == 0
    page = Path(f"{trace}.html").read_text()
    assert "<img" not in page
    assert "<title>&lt;img src=x&gt;&amp;.sqlog – trio-h2 view</title>" in page


def test_a_name_that_is_no_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace = slow_download().write(tmp_path / "a\udcff\n.sqlog")
    assert main(["view", str(trace)]) == 0
    assert capfd.readouterr().out.endswith("a\\udcff\\n.sqlog.html: 1 session, 3 streams\n")
    assert "<title>a?\n.sqlog" in Path(f"{trace}.html").read_text()


def test_the_page_fetches_nothing() -> None:
    """Its policy forbids it, and there is nothing to fetch: no address, no import, no markup that loads."""
    page = page_of(TraceText({"file_schema": 1, "trace": 1}))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(
        r"https?:|//\w|\bsrc=|<link|@import|url\(|\bimport\b|\bfetch\(|XMLHttp|innerHTML|\beval\b", page
    )


# ---- --redact ----


def full_of_secrets() -> TraceText:
    """A trace with a secret wherever a peer or an application can put one."""
    s = SECRET
    trace = TraceText(
        {
            **{**HEADER, "title": f"trio-h2 get https://{s}/", "description": s},
            "trace": {
                "vantage_point": {"type": s, "name": s},
                "common_fields": {"reference_time": {"wall_clock_time": s}, "custom": s},
            },
        }
    )
    tls = {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "server_name": s}
    trace.h2(0, "session_started", role="client", label=s, peer=f"{s}:1", local=s, alpn="h2", tls=tls, custom=s)
    about = {"method": "GET", "scheme": "https", "authority": s, "path": f"/a/b;v={s}?token={s}#{s}"}
    trace.h2(1, "stream_opened", stream_id=1, by="local", kind="request", **about, custom={"x": s})
    headers: list[object] = [
        *fields(
            (":method", "GET"), (":path", f"/a/b?x={s}"), (":authority", s), ("cookie", s), ("content-length", "12")
        ),
        *fields(("content-length", s), (":status", s), (":method", f"{s} {s}"), ("x-custom", s), ("content-type", s)),
        {"name": "x-hex", "value_bytes": s.encode().hex()},
        {"name": ":path", "value": f"/{s}", "never_indexed": True},
        {"name": "both", "value": s, "value_bytes": s, "redacted": s, "custom": s},
    ]
    frame(trace, 1, "sent", "HEADERS", 1, "END_HEADERS", kind="request", headers=headers, custom=s)
    response = fields((":status", "200"), ("set-cookie", s))
    frame(trace, 2, "received", "HEADERS", 1, "END_HEADERS", kind="response", headers=response)
    frame(trace, 2, "received", "HEADERS", 1, kind="trailers", headers=fields(("grpc-message", s)))
    frame(trace, 2, "received", "HEADERS", 1, kind="response", headers_error=f"cannot decode {s}")
    frame(trace, 2, "sent", "PUSH_PROMISE", 1, promised_stream_id=2, headers=fields((":path", f"/?{s}"), ("y", s)))
    frame(trace, 3, "received", "PING", 0, payload=s)
    trace.h2(3, "ping_acknowledged", payload=s, by="remote", round_trip=1)
    frame(trace, 3, "received", "ALTSVC", 0, origin=s, value=s)
    frame(trace, 3, "received", "ORIGIN", 0, origins=[s, s])
    frame(trace, 3, "received", "PRIORITY_UPDATE", 0, prioritized_stream_id=1, priority=s)
    frame(trace, 3, "received", "SETTINGS", 0, settings=[{"name": f"{s} {s}", "value": s}, {"name": "X", "value": 7}])
    frame(trace, 4, "received", "GOAWAY", 0, last_stream_id=1, error_code="NO_ERROR", debug_data=f"see {s}")
    trace.h2(5, "stream_closed", stream_id=1, how="reset", by="remote", error_code="CANCEL", reason=f"since {s}")
    trace.h2(6, "session_ended", reason=s, by="remote", clean=False, error_code="PROTOCOL_ERROR")
    trace.add(6, "http1:session_started", s, role="server", label=s)
    for number, (method, target) in enumerate([("CONNECT", f"{s}:443"), ("GET", f"http://{s}/x?{s}"), ("GET", s)], 1):
        head = fields(("host", s), ("cookie", s))
        trace.add(7, "http1:head_received", s, stream_id=number, method=method, target=target, headers=head)
        trace.add(8, "http1:end_received", s, stream_id=number, trailers=fields(("t", s)))
    trace.h2(9, "invented_later", anything=s)
    return trace


@pytest.mark.parametrize("encoding", ["plain", "hex", "escaped"])
def test_no_secret_is_left(tmp_path: Path, encoding: str) -> None:
    """Not in the page, and not in the name of it within."""
    trace = full_of_secrets().write(tmp_path / f"{SECRET}.sqlog")
    assert main(["view", str(trace), "-o", str(tmp_path / "page.html"), "--redact"]) == 0
    page = (tmp_path / "page.html").read_bytes().lower()
    secret = {"plain": SECRET, "hex": SECRET.encode().hex(), "escaped": json.dumps(SECRET)[1:-1]}[encoding]
    assert SECRET.encode().lower() in page_of(full_of_secrets()).encode().lower()
    assert secret.encode().lower() not in page
    assert b"zq9" not in page


def test_what_redaction_leaves() -> None:
    data = shown(full_of_secrets(), redact=True)
    assert str(data.each("notes")[-1]).startswith("Redacted: ")
    stream = streams_of(data)[1]
    assert [stream.text(name) for name in ("method", "scheme", "path", "authority")] == ["GET", "https", "/a/b;…", None]
    assert [stream.text(f"end_{name}") for name in ("how", "by", "error_code", "reason")] == [
        *("reset", "remote", "CANCEL", None),
    ]
    heads = [head for head in data.each("heads") if isinstance(head, list)]
    size = len(SECRET)
    assert heads[0][:7] == [
        [":method", "GET", ""],
        [":path", "/a/b?…", ""],
        [":authority", None, f"{size} bytes removed"],
        ["cookie", None, f"{size} bytes removed"],
        ["content-length", "12", ""],
        ["content-length", None, f"{size} bytes removed"],
        [":status", None, f"{size} bytes removed"],
    ]
    assert [":path", None, f"{size + 1} bytes removed, never indexed"] in heads[0]
    assert heads[1] == [[":status", "200", ""], ["set-cookie", None, f"{size} bytes removed"]]
    session, http1 = sessions_of(data)
    assert session.text("tls") == "TLSv1.3 TLS_AES_256_GCM_SHA384"
    assert "GOAWAY received: NO_ERROR, last stream 1, (14 characters removed)" in marks_of(session)
    assert "SETTINGS received: None = None, X = 7" in marks_of(session)
    assert [Fields(one).text("path") for one in http1.each("streams")] == [None, "/x?…", None]


@pytest.mark.parametrize(
    ("path", "bare"),
    [
        *[("/", "/"), ("/a/b", "/a/b"), ("/a?", "/a?…"), ("/a?b?c", "/a?…"), ("/a#b?c", "/a#…"), ("/a;b/c", "/a;…")],
        *[("*", "*"), ("", None), ("host:443", None), ("?x", None), ("http://h/p?q", "/p?…"), ("https://u:p@h", "/")],
    ],
)
def test_bare_paths(path: str, bare: str | None) -> None:
    assert bare_path(path) == bare


# ---- Traces without end ----


def test_much_data_becomes_few_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is merged adds up to the same, and a long gap stays a gap."""
    monkeypatch.setattr(_budget, "_LARGEST_SERIES", 64)
    trace = TraceText()
    trace.h2(0, "stream_opened", stream_id=1, by="remote", kind="request")
    for number in range(2000):
        time = number / 10 if number < 1000 else 5000 + number / 10
        frame(trace, time, "sent", "DATA", 1, data_length=10)
        trace.h2(time, "window_updated", stream_id=1, side="send", window=1000 if number % 10 else 0)
    data = shown(trace)
    stream = streams_of(data)[1]
    ticks = points(stream.fields("ticks").each("sent"), 4)
    assert 16 <= len(ticks) <= 64
    assert sum(tick[2] for tick in ticks) == 20_000
    assert sum(tick[3] for tick in ticks) == 2000
    assert not any(tick[0] < 1_000_000 < tick[1] for tick in ticks), "a tick hides the gap"
    levels = points(stream.fields("windows").each("send"), 5)
    assert len(levels) <= 64
    assert (min(level[2] for level in levels), max(level[3] for level in levels), levels[-1][4]) == (0, 1000, 1000)
    assert "a tick may stand for several frames" in str(data.each("notes"))


def points(numbers: list[object], size: int) -> list[Point]:
    return [tuple(numbers[start : start + size]) for start in range(0, len(numbers), size)]  # type: ignore[misc]


def test_many_points_of_many_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Together they are no more than the budget of the page, or eight of each."""
    monkeypatch.setattr(_budget, "MAX_POINTS", 2000)
    trace = TraceText()
    for stream_id in range(1, 101):
        trace.h2(stream_id, "stream_opened", stream_id=stream_id, by="remote")
        for number in range(100):
            frame(trace, stream_id + number / 200, "sent", "DATA", stream_id, data_length=1)
    streams = streams_of(shown(trace))
    ticks = [points(stream.fields("ticks").each("sent"), 4) for stream in streams.values()]
    assert sum(map(len, ticks)) <= 2000
    assert [sum(tick[2] for tick in one) for one in ticks] == [100] * 100


def test_what_finds_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, limit in (("MAX_SESSIONS", 2), ("MAX_STREAMS", 3), ("MAX_MARKS", 4), ("MAX_HEADER_TEXT", 25)):
        monkeypatch.setattr(_budget, name, limit)
    trace = TraceText()
    for group in ("c1", "c2", "c3"):
        trace.add(0, "http2:session_started", group, role="client")
        for stream_id in (1, 3):
            trace.add(1, "http2:stream_opened", group, stream_id=stream_id, by="local")
            common = {"frame_type": "HEADERS", "stream_id": stream_id, "kind": "request"}
            headers = fields((":path", f"/{group}/{stream_id}"))
            for _ in range(2):
                trace.add(1, "http2:frame_sent", group, **common, headers=headers)
            trace.add(2, "http2:frame_sent", group, frame_type="PING", flags=[], stream_id=0)
            trace.add(2, "http2:frame_sent", group, frame_type="RST_STREAM", stream_id=stream_id, error_code="CANCEL")
            trace.add(3, "http2:stream_closed", group, stream_id=stream_id, how="reset")
    notes = notes_of(trace).splitlines()
    assert notes == [
        "Left out: 1 session found no room.",
        "Left out: 1 stream found no room: the first ones are shown.",
        "Left out: 4 marks (PING, SETTINGS, RST_STREAM …) found no room.",
        "Left out: 2 header sections found no room.",
    ]
    data = shown(trace)
    assert [len(session.each("streams")) for session in sessions_of(data)] == [2, 1]
    assert streams_of(data)[3].text("path") == "/c1/3", "what was said of it is known without its headers"


def test_a_file_without_separators_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros(BytesIO):
        """As much as one likes; keeps count of what lies unused."""

        left = 64 * 1024 * 1024

        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            taken = min(size, self.left)
            self.left -= taken
            return b"\x1e" + b"0" * (taken - 1) if self.left > 63 * 1024 * 1024 and taken else b"0" * taken

    with pytest.raises(NoTraceError):
        Records(Zeros())

"""The page of `trio-h2 view` in a browser: what it shows of a known trace, and that nothing of a trace runs."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.cli.trace_tools import TraceText, fields, frame, slow_download
from tests.interop.browser import Document, open_page
from tests.interop.screenshot import SIZE, take_picture
from trio_h2._cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.processes import PeerFinder

SMALL = ["#1", "GET /index.html?page=2", "200", "10 ms", "20 ms", "24 ms", "0 B", "500 B", "", "complete"]
DOWNLOAD = ["#3", "GET /big.iso", "200", "40 ms", "30 ms", "2.06 s", "0 B", "128 KiB", "2 s", "complete"]
RESET = ["#5", "GET /search?q=secret-query", "", "2.14 s", "", "30 ms", "0 B", "0 B", ""]
RESET += ["reset by the peer: INTERNAL_ERROR"]


class Show(Protocol):
    """Makes the page of a trace, and opens it."""

    async def __call__(self, trace: TraceText, address: str = "", *options: str, do: str = "") -> Document:
        """Returns what it shows: with an address after `#`, with options of `view`, after a script has run."""
        ...


@pytest.fixture
def show(peers: PeerFinder, tmp_path: Path) -> Show:
    chromium = peers.program("chromium")

    async def show(trace: TraceText, address: str = "", *options: str, do: str = "") -> Document:
        file = trace.write(tmp_path / "trace.sqlog")
        page = tmp_path / "page.html"
        assert main(["view", str(file), "-o", str(page), *options]) == 0
        if do:
            # The page's own policy would not let this script run, and should not.
            markup = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text())
            page.write_text(markup.replace("</html>", f"<script>{KEYS}{do}</script></html>"))
        done = await open_page(chromium, f"{page.as_uri()}#{address}", tmp_path / "profile")
        document = Document(done.text)
        assert "fault" not in document.text("notes")
        return document

    return show


KEYS = """
const press = (where, ...keys) => {
  const box = document.getElementById(where);
  for (const key of keys) box.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
};
"""


def table(document: Document) -> list[list[str]]:
    """Returns the rows of streams, without their marks."""
    return [row[:10] for row in document.rows if row]


async def test_the_values_of_a_known_trace(show: Show) -> None:
    document = await show(slow_download())
    assert table(document) == [SMALL, DOWNLOAD, RESET]
    assert [row[10] for row in document.rows if row] == [
        *("interim response 103", "", "RST_STREAM received: INTERNAL_ERROR"),
    ]
    assert document.text("title") == "trio-h2 get https://example.test/"
    assert document.text("about") == "trace.sqlog · trio_h2 0.1.0 · begun 2026-11-30T20:31:49.123Z"
    assert document.text("session") == "c1 client HTTP/2 https://example.test: 3 streams, 2.21 s"
    assert document.text("status") == "3 of 3 streams, 0 µs to 2.21 s"
    details = document.text("details")
    for words in (
        *("peer 192.0.2.7:443", "TLS TLSv1.3 TLS_AES_256_GCM_SHA384", "2.19 s: PING sent: 0123456789abcdef"),
        "2.1915 s: our PING was answered after 1.500 ms",
        "2.2 s: GOAWAY received: NO_ERROR, last stream 5, going down for maintenance",
        "end after 2.21 s, by the peer, in good order, NO_ERROR, the peer said goodbye",
    ):
        assert words in details


async def test_the_details_of_a_stream(show: Show) -> None:
    details = (await show(slow_download(), "stream=3")).text("details")
    for words in (
        *("Stream #3: GET /big.iso", "opened at 40 ms, by us", "first byte after 30 ms", "for https://example.test"),
        *("cookie session=abc", "content-length 131072", "end complete, after 2.063 s"),
        "Stalled 2 s: our window for the stream is used up: the application does not read",
    ):
        assert words in details


async def test_a_transport_that_takes_nothing(show: Show) -> None:
    """The one stream whose data waits is in trouble with its session."""
    trace = TraceText()
    trace.h2(0, "stream_opened", stream_id=1, by="remote", method="GET", path="/big")
    frame(trace, 10, "sent", "DATA", 1, data_length=16384)
    trace.h2(16, "stalled", stream_id=0, side="send", limit="transport", since=10)
    trace.h2(50, "resumed", stream_id=0, side="send", limit="transport", duration=40)
    trace.h2(50, "stream_closed", stream_id=1, how="complete")
    document = await show(trace, "trouble=1")
    assert [row[8] for row in table(document)] == ["40 ms"]
    assert document.text("status").startswith("1 of 1 stream, ")
    assert document.text("session").endswith(": 1 stream, 50 ms")
    assert "40 ms: the network takes nothing, or the peer's program, which does not read" in document.text("details")


@pytest.mark.parametrize(
    ("address", "ids", "status"),
    [
        ("search=big", ["#3"], "1 of 3 streams, 0 µs to 2.21 s"),
        ("search=SERVER%3A+nginx", ["#1"], "1 of 3 streams, 0 µs to 2.21 s"),
        ("search=%235", ["#5"], "1 of 3 streams, 0 µs to 2.21 s"),
        ("search=get+internal_error", ["#5"], "1 of 3 streams, 0 µs to 2.21 s"),
        ("search=nowhere", [], "0 of 3 streams, 0 µs to 2.21 s"),
        ("trouble=1", ["#3", "#5"], "2 of 3 streams, 0 µs to 2.21 s"),
        ("order=duration", ["#3", "#5", "#1"], "3 of 3 streams, 0 µs to 2.21 s"),
        ("order=first_byte", ["#3", "#5", "#1"], "3 of 3 streams, 0 µs to 2.21 s"),
        ("order=stalled", ["#3", "#1", "#5"], "3 of 3 streams, 0 µs to 2.21 s"),
        ("order=bytes", ["#3", "#1", "#5"], "3 of 3 streams, 0 µs to 2.21 s"),
        ("from=100&to=200", ["#1", "#3", "#5"], "3 of 3 streams, 100 ms to 200 ms"),
        ("from=-5&to=1e300", ["#1", "#3", "#5"], "3 of 3 streams, 0 µs to 2.21 s"),
        ("from=x&to=y&stream=7&order=constructor&session=9", ["#1", "#3", "#5"], "3 of 3 streams, 0 µs to 2.21 s"),
    ],
)
async def test_the_address_says_what_is_shown(show: Show, address: str, ids: list[str], status: str) -> None:
    document = await show(slow_download(), address)
    assert [row[0] for row in table(document)] == ids
    assert document.text("status") == status


@pytest.mark.parametrize(
    ("do", "status", "chosen"),
    [
        ('press("waterfall", "ArrowDown", "ArrowDown")', "0 µs to 2.21 s", "Stream #3"),
        ('press("waterfall", "End", "ArrowUp", "ArrowUp", "ArrowUp")', "0 µs to 2.21 s", "Stream #1"),
        ('press("waterfall", "ArrowDown", "Escape")', "0 µs to 2.21 s", "Session c1"),
        ('press("waterfall", "ArrowDown", "Enter")', "8.8 ms to 35.2 ms", "Stream #1"),
        ('press("graph", "+")', "368 ms to 1.84 s", "Session c1"),
        ('press("graph", "+", "ArrowRight")', "516 ms to 1.99 s", "Session c1"),
        ('press("graph", "+", "-", "+", "ArrowLeft", "ArrowLeft", "ArrowLeft")', "0 µs to 1.47 s", "Session c1"),
        ('press("graph", "+", "0")', "0 µs to 2.21 s", "Session c1"),
        ('document.getElementById("zoom-in").click()', "368 ms to 1.84 s", "Session c1"),
        ('document.querySelector("td button").click()', "0 µs to 2.21 s", "Stream #1"),
    ],
)
async def test_keys_and_buttons(show: Show, do: str, status: str, chosen: str) -> None:
    document = await show(slow_download(), do=do)
    assert document.text("status") == f"3 of 3 streams, {status}"
    assert document.text("details").startswith(chosen)


async def test_what_lies_under_the_mouse(show: Show) -> None:
    """The third row is stream 5; the last lane of the graph is the window of stream 3, which is at zero."""
    do = """
      const box = document.getElementById("graph").getBoundingClientRect();
      const move = new PointerEvent("pointermove", { clientX: box.left + box.width * 0.7, clientY: box.top + 50 });
      document.getElementById("graph").dispatchEvent(move);
    """
    document = await show(slow_download(), do=do)
    assert "#3: the peer may send 0 B stalled: our window for the stream is used up" in document.text("tip")
    do = """
      const box = document.getElementById("waterfall").getBoundingClientRect();
      const place = { clientX: box.left + 20, clientY: box.top + 22 + 22 + 2 * 22 + 10, bubbles: true };
      document.getElementById("waterfall").dispatchEvent(new PointerEvent("pointermove", place));
      document.getElementById("waterfall").dispatchEvent(new PointerEvent("pointerdown", place));
      document.getElementById("waterfall").dispatchEvent(new PointerEvent("pointerup", place));
    """
    document = await show(slow_download(), do=do)
    assert document.text("tip") == "#5 GET /search?q=secret-query reset by the peer: INTERNAL_ERROR"
    assert document.text("details").startswith("Stream #5")


async def test_a_session_of_several_is_chosen(show: Show) -> None:
    trace = slow_download()
    trace.add(2300, "http1:session_started", "s1", role="server", peer="192.0.2.9:1")
    trace.add(2300, "http1:stream_opened", "s1", stream_id=1, by="remote")
    trace.add(2300, "http1:head_received", "s1", stream_id=1, method="POST", target="/up", headers=[])
    trace.add(2305, "http1:data_received", "s1", stream_id=1, length=2048)
    document = await show(trace, "session=1")
    assert table(document) == [["#1", "POST /up", "", "0 µs", "", "5 ms", "0 B", "2 KiB", "", "open"]]
    assert document.text("details").startswith("Session s1 role server version HTTP/1.1 peer 192.0.2.9:1")


async def test_an_empty_trace(show: Show) -> None:
    document = await show(TraceText())
    assert table(document) == []
    assert document.text("status") == "0 of 0 streams, 0 µs to 1 µs"


ATTACKS = [
    "</script><script>document.title = 'attacked'</script>",
    "<img src=x onerror=\"document.title = 'attacked'\">",
    "<!--<script>",
    "' onmouseover='x' \" &lt;u&gt;",
]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_of_a_trace_runs(show: Show, attack: str) -> None:
    """Not in the least: there are as many elements as if the trace said harmless words."""
    attacked = await show(_with_everywhere(attack), "stream=1")
    harmless = await show(_with_everywhere("harmless"), "stream=1")
    assert attacked.tags == harmless.tags
    assert attack in attacked.text("title")
    assert attack in attacked.text("details")
    assert [row[1] for row in table(attacked)] == [f"{attack} {attack}"]


def _with_everywhere(text: str) -> TraceText:
    trace = TraceText({"file_schema": 1, "title": text, "trace": {"vantage_point": {"name": text}}})
    trace.add(0, "http2:session_started", text, role=text, label=text, peer=text, alpn=text, tls={"version": text})
    for name, data in (
        ("stream_opened", {"method": text, "path": text, "authority": text, "scheme": text, "by": text}),
        ("frame_sent", {"frame_type": "HEADERS", "kind": "request", "headers": fields((text, text))}),
        ("frame_received", {"frame_type": "RST_STREAM", "error_code": text}),
        ("stalled", {"side": text, "limit": text}),
        ("stream_closed", {"how": text, "by": text, "reason": text, "error_code": text}),
    ):
        trace.add(1, f"http2:{name}", text, stream_id=1, **data)
    for kind in ("GOAWAY", "PING", "ALTSVC", "SETTINGS"):
        about = {"error_code": text, "debug_data": text, "payload": text, "origin": text, "value": text}
        settings = [{"name": text, "value": 1}]
        trace.add(2, "http2:frame_received", text, frame_type=kind, stream_id=0, settings=settings, **about)
    trace.add(3, "http2:session_ended", text, by=text, reason=text, error_code=text)
    return trace


async def test_signs_that_deceive_are_shown(show: Show) -> None:
    """Control characters, and those that turn the direction of writing, appear as escapes."""
    trace = TraceText()
    trace.h2(0, "stream_opened", stream_id=1, by="local", method="GET", path="/a\u202egpj.exe\x07\ud800b")
    document = await show(trace)
    assert table(document)[0][1] == "GET /a\\u{202e}gpj.exe\\u{7}\\u{d800}b"


async def test_a_redacted_page(show: Show) -> None:
    document = await show(slow_download(), "stream=3", "--redact")
    assert [row[1] for row in table(document)] == ["GET /index.html?…", "GET /big.iso", "GET /search?…"]
    assert "Redacted: values of header fields" in document.text("notes")
    assert "cookie (11 bytes removed)" in document.text("details")


async def test_a_large_trace_stays_usable(show: Show) -> None:
    """The table holds the first streams; a search finds the others."""
    trace = TraceText()
    for number in range(3000):
        stream_id = 2 * number + 1
        trace.h2(number, "stream_opened", stream_id=stream_id, by="local", method="GET", path=f"/item/{number}")
        for part in range(10):
            frame(trace, number + part, "received", "DATA", stream_id, data_length=1000)
        trace.h2(number + 10, "stream_closed", stream_id=stream_id, how="complete", status=200)
    document = await show(trace)
    assert len(table(document)) == 500
    assert document.text("table-note") == "The first 500 of 3000; a search finds others."
    document = await show(trace, "search=item/2999")
    assert [row[0] for row in table(document)] == ["#5999"]
    document = await show(trace, do='press("waterfall", "End")')
    assert document.text("details").startswith("Stream #5999")


async def test_the_picture_of_the_page_about_traces(peers: PeerFinder, tmp_path: Path) -> None:
    """It can be taken again: a PNG of the size that it was asked for, with something on it."""
    picture = tmp_path / "picture.png"
    await take_picture(peers.program("chromium"), picture, tmp_path)
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == SIZE
    assert len(data) > 30_000, "it is empty"

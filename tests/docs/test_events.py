"""Server-sent events: docs/server-sent-events.md. What a browser makes of them is in tests/interop."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import event_client
import event_source
import pytest
import trio

from tests.docs.conftest import serving

if TYPE_CHECKING:
    from event_client import Event

    import trio_h2


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_source, "INTERVAL", 0.01)
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.001)


async def test_the_client_goes_on_where_it_was() -> None:
    """When the server sends it away, it comes back, and misses nothing."""
    seen: list[Event] = []
    enough = trio.Event()
    sessions: list[trio_h2.ServerSession] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        sessions.append(stream.session)
        await event_source.handler(stream)

    def handle(event: Event) -> None:
        seen.append(event)
        if len(seen) == 12:
            enough.set()
        if len(seen) == 5:
            sessions[-1].shutdown()
        if len(seen) == 8:
            sessions[-1].destroy()

    async with serving(handler) as server:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(event_client.listen, server.urls[0], "/ticks", handle, None))
                await enough.wait()
                nursery.cancel_scope.cancel()
    assert [event.id for event in seen[:12]] == [str(number) for number in range(1, 13)]
    assert seen[0].kind == "tick"
    assert seen[0].data == '{"number": 1}'
    assert len(sessions) == 3


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_parsed_whatever_the_chunks_are(size: int) -> None:
    text = (
        b": a comment\n\nid: 1\ndata: one\ndata: two\n\nevent: x\r\ndata:three\r\n\r\n"
        b"retry: 100\n\ndata\n\nid: 2\n\ndata: \xc3\xbc\n"
    )
    parser = event_client.EventParser()
    events = [event for start in range(0, len(text), size) for event in parser.feed(text[start : start + size])]
    assert [(event.id, event.kind, event.data) for event in events] == [
        ("1", "message", "one\ntwo"),
        ("1", "x", "three"),
        ("1", "message", ""),
    ]
    assert (parser.retry, parser.last_id, parser.data) == (0.1, "2", ["ü"])


async def test_over_http1_as_well() -> None:
    async with (
        serving(event_source.handler, allow_http1=True) as server,
        await trio.open_tcp_stream("127.0.0.1", server.port or 0) as stream,
    ):
        await stream.send_all(b"GET /ticks HTTP/1.1\r\nhost: x\r\nlast-event-id: 41\r\n\r\n")
        got = b""
        while b"id: 43\n" not in got:
            got += await stream.receive_some()
    assert b"content-type: text/event-stream\r\n" in got
    assert b'id: 42\nevent: tick\ndata: {"number": 42}\n\n' in got

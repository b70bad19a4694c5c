"""Server-sent events: docs/server-sent-events.md. What a browser makes of them is in tests/interop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import event_client
import event_news
import event_source
import pytest
import trio

import trio_h2
from tests.docs.conftest import CODE, ROOT, program, serving
from tests.interop.processes import running
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.conftest import Certificates


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_source, "INTERVAL", 0.01)
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.001)


async def test_the_client_goes_on_where_it_was() -> None:
    """When the server sends it away, it comes back, and misses nothing."""
    seen: list[trio_h2.ServerSentEvent] = []
    enough = trio.Event()
    sessions: list[trio_h2.ServerSession] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        sessions.append(stream.session)
        await event_source.handler(stream)

    def handle(event: trio_h2.ServerSentEvent) -> None:
        seen.append(event)
        if len(seen) == 12:
            enough.set()
        if len(seen) == 5:
            sessions[-1].shutdown()
        if len(seen) == 8:
            sessions[-1].destroy()

    async with serving(handler) as server, trio_h2.Client(prior_knowledge=True) as client:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(event_client.listen, client, f"{server.urls[0]}/ticks", handle)
                await enough.wait()
                nursery.cancel_scope.cancel()
    assert [event.id for event in seen[:12]] == [str(number) for number in range(1, 13)]
    assert seen[0].event == "tick"
    assert seen[0].data == '{"number": 1}'
    assert len(sessions) == 3


async def test_the_program_on_the_page(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own certificate is the authority of `openssl req -x509`; here there is another one."""
    line = "python3 event_client.py https://localhost:8443/ticks cert.pem"
    async with program(event_source.main, certificates, tmp_path, monkeypatch) as port:
        _, script, *arguments = line.replace("8443", str(port)).replace("cert.pem", str(certificates.ca)).split()
        command = [sys.executable, "-u", str(CODE / script), *arguments]
        async with running(*command, env={"PYTHONPATH": str(ROOT)}) as client:
            await client.wait_for(r"^ServerSentEvent\(event='tick', data='{\"number\": 2}', id='2'\)$")


async def test_a_proxy_whose_server_restarts_and_a_page_that_is_not_there() -> None:
    statuses = [502, 503, 504, 200, 404]

    async def handler(stream: trio_h2.ServerStream) -> None:
        status = statuses.pop(0)
        await stream.respond(status, body=b"data: x\n\n" if status == 200 else b"")

    seen: list[trio_h2.ServerSentEvent] = []
    async with serving(handler) as server, trio_h2.Client(prior_knowledge=True) as client:
        with trio.fail_after(20), pytest.raises(ValueError, match="status 404"):
            await event_client.listen(client, f"{server.url}/ticks", seen.append)
    assert (statuses, [event.data for event in seen]) == ([], ["x"])


async def test_a_stream_that_waits_ends_when_its_server_does() -> None:
    events, to_send = trio.open_memory_channel[bytes](1)

    async def handler(stream: trio_h2.ServerStream) -> None:
        await event_news.news(stream, to_send)

    async with session_pair(handler) as (session, server), session.request("GET") as stream:
        await stream.receive_response()
        await events.send(b"data: x\n\n")
        assert await stream.receive_some() == b"data: x\n\n"
        server.shutdown()
        with trio.fail_after(10):
            assert await stream.receive_some() == b""


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

"""How much a response matters to the client, as a handler reads it (RFC 9218)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.compat.clients import every_version, served
from tests.stream.harness import Exchanges, pair, scripted_client, scripted_server
from trio_h2 import Priority
from trio_h2._wire._extframes import PRIORITY_UPDATE, priority_update_payload
from trio_h2.testing import pack_frame

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer


async def update(peer: ScriptedPeer, stream_id: int, value: bytes) -> None:
    payload = priority_update_payload(stream_id, value)
    await peer.send_bytes(pack_frame(PRIORITY_UPDATE, 0, 0, payload))
    await peer.ping()


@every_version
async def test_the_field_of_the_request_tells(version: str) -> None:
    seen: list[Priority] = []

    async def handler(stream: trio_h2.ServerExchange) -> None:
        seen.append(stream.priority)
        await stream.respond()

    async with served(version, handler) as client:
        await client.fetch()
        await client.fetch(headers={"priority": "u=1, i"})
        await client.fetch(headers={"priority": "u=nine"})
    assert seen == [Priority(), Priority(1, incremental=True), Priority()]


async def test_it_follows_priority_update(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_, peer):
        await update(peer, 1, b"u=6")  # before the request: RFC 9218 §7.1 lets it be kept
        await peer.request(headers={"priority": "u=1"})
        stream = await exchanges.next()
        assert stream.priority == Priority(6)
        await update(peer, stream.id, b"u=0, i")
        assert stream.priority == Priority(0, incremental=True)
        stream.prioritize(Priority(7))  # a server's own opinion is another matter
        assert stream.priority == Priority(0, incremental=True)
        await update(peer, stream.id, b"u=5")
        assert stream.priority == Priority(5)
        stream.destroy()
        await update(peer, stream.id, b"u=2")
        assert stream.priority == Priority(5)
        exchanges.finish()


async def test_a_client_knows_what_it_has_said() -> None:
    async with scripted_server() as (session, _):
        plain = await session.open_stream()
        assert plain.priority == Priority()
        stream = await session.open_stream(priority=Priority(2, incremental=True))
        assert stream.priority == Priority(2, incremental=True)
        stream.prioritize(Priority(4), silent=True)
        assert stream.priority == Priority(2, incremental=True)
        stream.prioritize(Priority(4))
        assert stream.priority == Priority(4)


async def test_pushed_streams(autojump_clock: MockClock) -> None:
    seen: list[Priority] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        async with await stream.push({"priority": "u=6"}) as pushed:
            seen.append(pushed.priority)
            await pushed.respond()
            await trio.sleep(1)
            seen.append(pushed.priority)
            await pushed.send_eof()
        await stream.respond()

    async def take(pushed: trio_h2.PushedStream) -> None:
        seen.append(pushed.priority)
        pushed.prioritize(Priority(2))
        seen.append(pushed.priority)
        await pushed.read()

    async with pair(handler, push_handler=take) as (client, _), client.request() as stream:
        await stream.read()
    assert seen == [Priority(6), Priority(6), Priority(2), Priority(2)]


async def test_a_handler_is_told_of_changes(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Priority] = []
    ready = trio.Event()
    more = trio.Event()

    def hook(priority: Priority) -> None:
        seen.append(priority)
        more.set()
        raise ValueError("a mistake")

    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(TypeError, match="hook"):
            stream.call_when_prioritized(1)  # type: ignore[arg-type]  # is what is tested
        stream.call_when_prioritized(hook)
        ready.set()
        await more.wait()
        stream.call_when_prioritized(None)
        await stream.respond(200)
        await stream.receive_some()
        await stream.send_eof()
        stream.call_when_prioritized(hook)

    async with pair(handler) as (client, _), client.request("POST", end_stream=False) as stream:
        await ready.wait()
        stream.prioritize(Priority(1))
        await stream.receive_response()
        stream.prioritize(Priority(2))
        await stream.send_all(b"x")
        await stream.send_eof()
        assert await stream.read() == b""
    assert seen == [Priority(1)]
    assert "the hook for its priority raised" in caplog.text

"""A Node client against our server; what it does is in `node/client.js`, what must come of it here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import trio

from tests.interop.app import HELLO
from tests.interop.bodies import MIB, sha256
from tests.interop.processes import run, running
from trio_h2 import (
    ErrorCode,
    GoAwayReceived,
    LocalSettingsAcknowledged,
    PingReceived,
    RemoteSettingsReceived,
    ServerConfig,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.conftest import OurServer
    from tests.interop.processes import PeerFinder, Program

SCRIPT = Path(__file__).parent / "node" / "client.js"


class Seen(dict[str, object]):
    """What the client saw of one exchange, or of a whole scenario."""

    def __getattr__(self, name: str) -> object:
        return self[name]

    def part(self, name: str) -> Seen:
        """Returns what it saw of a part."""
        part = self[name]
        assert isinstance(part, Seen), part
        return part

    def check_whole(self, *, status: int = 200, length: int = len(HELLO)) -> None:
        """Asserts that a response came in full and its stream ended without an error."""
        assert (self["status"], self["length"]) == (status, length), self
        assert (self["ended"], self["error"], self["rstCode"]) == (True, None, 0), self


class Node:
    """The client script on one server."""

    def __init__(self, program: str, server: OurServer) -> None:
        self._program = program
        self._target = [server.url, str(server.ca)] if server.tls else [server.url]

    def command(self, scenario: str) -> list[str]:
        """Returns the command that plays a scenario."""
        return [self._program, str(SCRIPT), scenario, *self._target]

    async def __call__(self, scenario: str) -> Seen:
        return result((await run(*self.command(scenario))).text)


def result(output: str) -> Seen:
    """Returns the result that a scenario prints last."""
    seen: Seen = json.loads(output.splitlines()[-1], object_hook=Seen)
    return seen


@pytest.fixture
def node(server: OurServer, peers: PeerFinder) -> Node:
    return Node(peers.program("node"), server)


async def test_methods(node: Node, server: OurServer) -> None:
    seen = await node("basics")
    assert (seen.alpn, seen.encrypted) == (("h2", True) if server.tls else ("h2c", False))
    seen.part("get").check_whole()
    assert seen.part("get").part("headers")["content-type"] == "text/plain"
    seen.part("head").check_whole(length=0)
    assert seen.part("head").part("headers")["content-length"] == str(len(HELLO))
    seen.part("post").check_whole(length=len(b"payload"))
    seen.part("missing").check_whole(status=404, length=len(b"no such path\n"))


async def test_settings_and_window_changes(node: Node) -> None:
    seen = await node("settings")
    remote = seen.part("remote")
    defaults = ServerConfig()
    assert remote.initialWindowSize == defaults.stream_window
    assert remote.maxConcurrentStreams == defaults.max_concurrent_streams
    assert remote.maxHeaderListSize == defaults.max_header_list_size
    assert seen.part("local").initialWindowSize == 70_000
    seen.part("body").check_whole(length=4 * MIB)
    assert seen.part("body").sha256 == sha256(4 * MIB)


async def test_pings_are_answered(node: Node) -> None:
    assert (await node("ping")).answers == ["01234567", "abcdefgh"]


async def test_many_parallel_streams(node: Node, server: OurServer) -> None:
    assert await node("parallel") == {"wrong": 0, "count": 300}
    assert len(server.sessions) == 1


async def test_trailers_both_ways(node: Node) -> None:
    seen = await node("trailers")
    seen.part("down").check_whole()
    assert seen.part("down").trailers == {"x-count": "13", "x-note": "the end"}
    seen.part("up").check_whole(length=len(b"payload"))
    assert seen.part("up").trailers == {"x-sum": "12"}


async def test_large_bodies(node: Node) -> None:
    seen = await node("large")
    seen.part("down").check_whole(length=50 * MIB)
    assert seen.part("down").sha256 == sha256(50 * MIB)
    assert seen.part("down").trailers == {"x-sha256": sha256(50 * MIB)}
    seen.part("up").check_whole(length=50 * MIB)
    assert seen.part("up").sha256 == seen.sent


async def test_slow_reader_holds_up_nobody_else(node: Node) -> None:
    seen = await node("slow")
    seen.part("slow").check_whole(length=MIB)
    assert seen.beside == [200] * 20


async def test_early_response_stops_the_upload(node: Node, server: OurServer) -> None:
    seen = await node("early")
    seen.part("upload").check_whole(status=413, length=len(b"too much\n"))
    seen.part("after").check_whole()
    assert server.sessions[0].statistics().ledger.received < 50 * MIB


async def test_informational_responses(node: Node) -> None:
    seen = await node("informational")
    hints = seen.part("hints")
    hints.check_whole()
    told = hints.informational
    assert isinstance(told, list)
    assert [(fields[":status"], fields["link"]) for fields in told] == [
        (103, "</style.css>; rel=preload"),
        (103, "</script.js>; rel=preload"),
    ]
    assert seen.part("go").status == 200


@pytest.mark.parity("C4", "E1", "F2")
async def test_several_interim_responses_and_a_body_that_waits_for_one(node: Node) -> None:
    seen = await node("interim")
    many = seen.part("many")
    many.check_whole()
    assert isinstance(many.informational, list)
    assert [(fields[":status"], fields.get("link")) for fields in many.informational] == [
        (102, None),
        (103, "</first.css>; rel=preload"),
        (103, "</second.css>; rel=preload"),
    ]
    assert seen.order == ["continue", 200]
    assert seen.part("sum").length == len("held until then")
    assert seen.rejected == {"status": 417, "continued": False}


@pytest.mark.parity("C6", "D5")
async def test_trailers_without_a_body(node: Node) -> None:
    seen = await node("bare")
    seen.part("down").check_whole(length=0)
    assert seen.part("down").trailers == {"x-sum": "0"}
    assert (seen.part("up").status, seen.part("up").error) == (200, None)


@pytest.mark.parity("B6", "B15", "B16", "B18", "B22", "B23")
async def test_what_the_server_says_beside_its_streams(node: Node, server: OurServer) -> None:
    """ALTSVC, ORIGIN (which Node heeds on TLS only), SETTINGS, PING and GOAWAY with opaque data."""
    seen = await node("announced")
    told, answers = seen.part("seen"), seen.part("answers")
    for path in "/altsvc", "/origin", "/settings", "/goaway":
        answers.part(path).check_whole()
    answers.part("/ping").check_whole(length=8)
    assert told.altsvc == [
        ['h2=":8000"', "https://example.org:8443", 0],
        ['h3=":443"; ma=60', "", answers.part("/altsvc").id],
        ["clear", "http://example.com", 0],
    ]
    named = [["https://example.org", "https://example.com:444"], ["https://third.example"]]
    assert told.origin == (named if server.tls else [])
    if server.tls:
        assert isinstance(seen.originSet, list)
        assert seen.originSet[-3:] == [*named[0], *named[1]]
    assert isinstance(told.remote, list)
    assert [(new.maxHeaderListSize, new.initialWindowSize, new.maxConcurrentStreams) for new in told.remote] == [
        (20_000, 70_000, ServerConfig().max_concurrent_streams),
        (20_000, 70_000, 77),
    ]
    assert "are you?" in cast("list[str]", told.pings)
    (session,), (events,) = server.sessions, server.happenings
    assert (session.local_settings.initial_window_size, session.local_settings.max_concurrent_streams) == (70_000, 77)
    changes = [event.changed async for event in events if isinstance(event, LocalSettingsAcknowledged)]
    assert changes[-2:] == [
        Settings(max_header_list_size=20_000, initial_window_size=70_000),
        Settings(max_concurrent_streams=77),
    ]
    (goaway,) = cast("list[list[object]]", told.goaways)
    assert goaway == [0, answers.part("/goaway").id, "because of the test"]


@pytest.fixture
async def telling_client(node: Node) -> AsyncGenerator[Program, None]:
    async with running(*node.command("telling")) as program:
        yield program


@pytest.mark.parity("B5", "B7", "B8")
async def test_what_the_client_says_beside_its_streams(telling_client: Program, server: OurServer) -> None:
    """SETTINGS, PING and GOAWAY with opaque data; the stream that is open finishes."""
    await telling_client.wait_for("^open$")
    (events,) = server.happenings
    seen: list[object] = []
    async for event in events:
        seen.append(event)
        if isinstance(event, GoAwayReceived):
            break
    assert server.sessions[0].draining
    assert PingReceived(b"from-you") in seen
    changed = [event.changed for event in seen if isinstance(event, RemoteSettingsReceived)]
    assert changed[-1].max_header_list_size == server.sessions[0].remote_settings.max_header_list_size == 4711
    assert seen[-1] == GoAwayReceived(0, ErrorCode.NO_ERROR, "opaque ä".encode())
    server.app.gate.set()
    await telling_client.say("the gate is open")
    assert await telling_client.wait_ended() == 0
    result(telling_client.output).part("open").check_whole(length=2 * len(HELLO))


async def test_reset_by_the_client_cancels_the_handler(node: Node, server: OurServer) -> None:
    seen = await node("reset")
    assert server.app.cancelled.is_set()
    aborted = seen.part("aborted")
    assert (aborted.status, aborted.length, aborted.rstCode) == (200, len(HELLO), ErrorCode.CANCEL)
    seen.part("after").check_whole()


async def test_resets_in_the_middle_of_bodies(node: Node) -> None:
    seen = await node("rapid")
    assert seen.gone == 60
    seen.part("after").check_whole()


@pytest.mark.parametrize("server_config", [ServerConfig(handler_timeout=0.1)])
async def test_failures_of_handlers(node: Node, server: OurServer, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that raises, resets or runs out of time ends its own stream and nothing else."""
    seen = await node("failures")
    seen.part("/boom").check_whole(status=500, length=0)
    codes = {path: seen.part(path).rstCode for path in ("/late-boom", "/reset/7", "/reset/11", "/hang")}
    assert codes == {
        "/late-boom": ErrorCode.INTERNAL_ERROR,
        "/reset/7": ErrorCode.REFUSED_STREAM,
        "/reset/11": ErrorCode.ENHANCE_YOUR_CALM,
        "/hang": ErrorCode.CANCEL,
    }
    assert server.app.cancelled.is_set()
    seen.part("after").check_whole()
    assert len(server.sessions) == 1
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "the handler of GET /boom raised",
        "the handler of GET /late-boom raised",
        "the handler of GET /hang was cancelled after handler_timeout=0.1 s",
    ]
    caplog.clear()


async def test_oversize_header_gets_431(node: Node) -> None:
    seen = await node("oversize")
    refused = seen.part("refused")
    assert (refused.status, refused.error) == (431, None)
    seen.part("after").check_whole()


async def test_client_that_leaves_gets_its_response(node: Node) -> None:
    seen = await node("leave")
    seen.part("running").check_whole(length=4 * MIB)
    assert "failure" not in seen


@pytest.fixture
async def draining_client(node: Node) -> AsyncGenerator[Program, None]:
    async with running(*node.command("drain")) as program:
        yield program


async def test_drain_lets_requests_finish(draining_client: Program, server: OurServer) -> None:
    """RFC 9113 §6.8: GOAWAY with the highest id, then with the real one; what was begun ends well."""
    await draining_client.wait_for("^running$")
    while server.app.gated < 10:  # until all the requests have come
        await trio.lowlevel.checkpoint()
    (session,) = server.sessions
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.server.aclose)
        await session.wait_draining()
        await session.ping()  # answered after the PING between the two GOAWAYs
        await draining_client.say("the server drains")
        server.app.gate.set()
    assert await draining_client.wait_ended() == 0
    seen = result(draining_client.output)
    assert isinstance(seen.running, list)
    for finished in seen.running:
        finished.check_whole(length=2 * len(HELLO))
    last = max(finished.id for finished in seen.running)
    assert seen.goaways == [{"code": 0, "last": 2**31 - 1}, {"code": 0, "last": last}]
    assert "failure" not in seen

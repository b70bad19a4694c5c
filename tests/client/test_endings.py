"""Sessions that end or fail under a client: GOAWAY at every moment, silence, used up ids, dead addresses."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.client.network import network, ours, scripted, until_closed
from trio_h2 import Client, ClientConfig, ErrorCode, Retry, Timeouts
from trio_h2.testing import HeadersFrame, PeerClosedError, PingFrame

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

A = "http://a.example"
HIGHEST = 2**31 - 1


async def _hello(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=b"new " + stream.path.encode())


async def _post_all(client: Client, paths: list[str]) -> dict[str, str | Exception]:
    """Sends POST to all paths at once, in this order; returns what came of each."""
    results: dict[str, str | Exception] = {}

    async def post(path: str) -> None:
        try:
            results[path] = (await client.fetch("POST", A + path, body=b"x")).text
        except trio_h2.H2Error as exc:
            results[path] = exc

    async with trio.open_nursery() as nursery:
        for path in paths:
            nursery.start_soon(post, path)
            await trio.testing.wait_all_tasks_blocked()
    return results


# -- GOAWAY ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.ENHANCE_YOUR_CALM])
@pytest.mark.parametrize("last", [0, 1, 2, 3, 5, 7, HIGHEST])
async def test_goaway_between_the_requests(last: int, code: ErrorCode, autojump_clock: MockClock) -> None:
    """What is above the last id is sent again, once; the rest is answered where it is."""

    async def leaving(peer: ScriptedPeer) -> None:
        heads = [await peer.until(HeadersFrame) for _ in range(3)]
        await peer.send_goaway(last, code)
        await trio.sleep(1)
        for head in heads:
            if head.stream_id <= last:
                await peer.respond(head.stream_id, 200, body=f"old {head.get(':path')}".encode())
        await until_closed(peer)

    async with (
        network(scripted(leaving), ours(_hello)) as made,
        Client(transport=made, prior_knowledge=True) as client,
    ):
        results = await _post_all(client, ["/1", "/3", "/5"])
        assert results == {f"/{number}": f"{'old' if number <= last else 'new'} /{number}" for number in (1, 3, 5)}
        assert (await client.get(f"{A}/later")).text == "new /later"
        assert made.asked == [A, A]
        await trio.sleep(1)
        assert len(client.sessions) == 1


async def test_goaway_before_the_first_request(autojump_clock: MockClock) -> None:
    async def unwilling(peer: ScriptedPeer) -> None:
        await peer.send_goaway(0)
        await until_closed(peer)

    async with (
        network(scripted(unwilling), ours(_hello)) as made,
        Client(transport=made, prior_knowledge=True) as client,
    ):
        assert await _post_all(client, ["/1", "/3"]) == {"/1": "new /1", "/3": "new /3"}
        assert made.asked == [A, A]


async def test_goaway_on_an_idle_session(autojump_clock: MockClock) -> None:
    async def tired(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.respond(head.stream_id, 200, body=b"old")
        await trio.sleep(1)
        await peer.send_goaway(head.stream_id)
        await until_closed(peer)

    async with network(scripted(tired), ours(_hello)) as made, Client(transport=made, prior_knowledge=True) as client:
        assert (await client.get(A)).text == "old"
        await trio.sleep(2)
        assert client.statistics().connections == 0
        assert (await client.get(A)).text == "new /"
        assert made.asked == [A, A]


async def test_goaway_twice(autojump_clock: MockClock) -> None:
    """RFC 9113 §6.8: first with the highest id, then with the last that counts."""

    async def leaving(peer: ScriptedPeer) -> None:
        heads = [await peer.until(HeadersFrame) for _ in range(2)]
        await peer.send_goaway(HIGHEST)
        await trio.sleep(1)
        await peer.send_goaway(heads[0].stream_id)
        await trio.sleep(1)
        await peer.respond(heads[0].stream_id, 200, body=b"old")
        await until_closed(peer)

    async with network(scripted(leaving), ours(_hello)) as made, Client(transport=made, prior_knowledge=True) as client:
        assert await _post_all(client, ["/1", "/3"]) == {"/1": "old", "/3": "new /3"}
        assert made.asked == [A, A]


async def test_goaway_in_the_middle_of_a_body(autojump_clock: MockClock) -> None:
    async def leaving(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.respond(head.stream_id, 200, body=b"first ", end_stream=False)
        await peer.send_goaway(head.stream_id)
        await trio.sleep(1)
        await peer.send_data(head.stream_id, b"second", end_stream=True)
        await until_closed(peer)

    async with network(scripted(leaving), ours(_hello)) as made, Client(transport=made, prior_knowledge=True) as client:
        assert (await client.get(A)).text == "first second"
        assert (await client.get(A)).text == "new /"
        assert made.asked == [A, A]


@pytest.mark.parametrize("idempotent", [False, True])
async def test_goaway_with_an_error_and_the_end_of_the_connection(idempotent: bool, autojump_clock: MockClock) -> None:
    """What the server may have processed is not sent again, unless it is idempotent and that is wanted."""

    async def failing(peer: ScriptedPeer) -> None:
        heads = [await peer.until(HeadersFrame) for _ in range(2)]
        await peer.send_goaway(heads[0].stream_id, ErrorCode.INTERNAL_ERROR, b"oops")

    retry = Retry(idempotent=idempotent)
    async with (
        network(scripted(failing), ours(_hello)) as made,
        Client(transport=made, prior_knowledge=True, retry=retry) as client,
    ):
        results = await _post_all(client, ["/1", "/3"])
        assert results["/3"] == "new /3"
        assert isinstance(results["/1"], trio_h2.SessionError)
        assert made.asked == [A, A]
    async with (
        network(scripted(failing), ours(_hello)) as made,
        Client(transport=made, prior_knowledge=True, retry=retry) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(client.get, f"{A}/3") if idempotent else nursery.start_soon(_fails, client)
        await trio.testing.wait_all_tasks_blocked()
        assert (await client.get(f"{A}/5")).text == "new /5"


async def _fails(client: Client) -> None:
    with pytest.raises(trio_h2.SessionError):
        await client.get(A)


# -- a session that goes on no more ------------------------------------------------------------------------------------


async def test_used_up_ids_end_a_session(autojump_clock: MockClock) -> None:
    """RFC 9113 §5.1.1: a client "can establish a new connection for new streams". No request fails or is repeated."""
    almost = HIGHEST - 2 * 100_000
    seen: list[int] = []

    async def slow(stream: trio_h2.ServerStream) -> None:
        seen.append(stream.id)
        await trio.sleep(1)
        await stream.respond(200, body=stream.path.encode())

    async with (
        network(ours(slow)) as made,
        Client(transport=made, prior_knowledge=True, retry=Retry(attempts=0)) as client,
    ):
        await client.get(A)
        (session,) = client.sessions
        session._core.engine.highest_outbound_id = almost - 4
        paths = [f"/{number}" for number in range(6)]
        assert await _post_all(client, paths) == {path: path for path in paths}
        assert seen[1:4] == [almost - 2, almost, almost + 2]
        assert seen[4:] == [1, 3, 5]
        assert len(made.asked) == 2
        await trio.sleep(1)
        assert session.closed
        assert len(client.sessions) == 1


async def test_a_black_hole_is_noticed_and_left(autojump_clock: MockClock) -> None:
    """The server answers nothing any more, not even a PING; the request that is on its way fails, the next is fine."""

    async def hole(peer: ScriptedPeer) -> None:
        peer.auto_ack = False
        await peer.until(HeadersFrame)
        await peer.until(PingFrame)
        with contextlib.suppress(PeerClosedError):
            await trio.sleep_forever()

    config = ClientConfig(ping_interval=5, ping_timeout=3)
    async with (
        network(scripted(hole), ours(_hello)) as made,
        Client(transport=made, prior_knowledge=True, config=config) as client,
    ):
        with pytest.raises(trio_h2.KeepaliveTimeoutError):
            await client.get(A)
        assert trio.current_time() == pytest.approx(8, abs=0.5)
        assert (await client.get(A)).text == "new /"
        assert made.asked == [A, A]


async def test_a_session_that_fell_into_a_black_hole_while_it_idled(autojump_clock: MockClock) -> None:
    """No PINGs are sent while nothing is asked; the first request after that finds out, and may be sent again."""

    async def hole(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.respond(head.stream_id, 200, body=b"old")
        await trio.sleep_forever()

    config = ClientConfig(ping_interval=5, ping_timeout=3)
    async with (
        network(scripted(hole), ours(_hello)) as made,
        Client(transport=made, prior_knowledge=True, config=config, retry=Retry(idempotent=True)) as client,
    ):
        assert (await client.get(A)).text == "old"
        await trio.sleep(30)
        start = trio.current_time()
        assert (await client.get(A)).text == "new /"
        assert trio.current_time() - start == pytest.approx(8, abs=0.5)
        assert made.asked == [A, A]
        assert len(client.sessions) == 1


async def test_a_peer_that_has_closed_its_side(autojump_clock: MockClock) -> None:
    """It still reads what we send, and will never say anything again."""
    read = Counter[str]()

    async def half(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.respond(head.stream_id, 200, body=b"old")
        await peer.send_eof()
        await until_closed(peer)
        read["to the end"] += 1

    async with network(scripted(half), ours(_hello)) as made, Client(transport=made, prior_knowledge=True) as client:
        assert (await client.get(A)).text == "old"
        await trio.testing.wait_all_tasks_blocked()
        assert client.sessions == []
        assert (await client.fetch("POST", A, body=b"x")).text == "new /"
        assert made.asked == [A, A]
    assert read["to the end"] == 1


async def test_a_half_open_peer_before_the_response(autojump_clock: MockClock) -> None:
    async def half(peer: ScriptedPeer) -> None:
        await peer.until(HeadersFrame)
        await peer.send_eof()
        await until_closed(peer)

    async with network(scripted(half), ours(_hello)) as made, Client(transport=made, prior_knowledge=True) as client:
        with pytest.raises(trio_h2.TransportLostError):
            await client.fetch("POST", A, body=b"x")
        assert (await client.get(A)).text == "new /"


async def test_half_an_answer_of_http1(autojump_clock: MockClock) -> None:
    async def half(transport: trio.abc.Stream) -> None:
        await transport.receive_some()
        await transport.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        assert isinstance(transport, trio.abc.HalfCloseableStream)
        await transport.send_eof()
        await transport.receive_some()

    async with network(half, ours(_hello, http1=True)) as made, Client(transport=made) as client:
        with pytest.raises(trio_h2.SessionError, match="before its response had ended"):
            await client.get(A)
        assert (await client.get(A)).text == "new /"


async def test_a_server_that_accepts_and_says_nothing(autojump_clock: MockClock) -> None:
    """Neither SETTINGS nor an answer: the time for the response, or the handshake of the session, ends it."""

    async def mute(transport: trio.abc.Stream) -> None:
        while await transport.receive_some():
            pass

    async with (
        network(mute, ours(_hello)) as made,
        Client(transport=made, prior_knowledge=True, timeouts=Timeouts(response=500)) as client,
    ):
        with pytest.raises((trio_h2.SessionError, trio_h2.RequestTimeoutError)):
            await client.fetch("POST", A, body=b"x")
        assert trio.current_time() < 100
        assert (await client.get(A)).text == "new /"


# -- how many connections ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 3, 10])
async def test_http1_opens_no_more_than_allowed(most: int, autojump_clock: MockClock) -> None:
    order: list[str] = []
    at_once = highest = 0

    async def slow(stream: trio_h2.ServerStream) -> None:
        nonlocal at_once, highest
        order.append(stream.path)
        at_once += 1
        highest = max(highest, at_once)
        await trio.sleep(1)
        at_once -= 1
        await stream.respond(200, body=stream.path.encode())

    paths = [f"/{number}" for number in range(10)]
    async with (
        network(ours(slow, http1=True)) as made,
        Client(transport=made, max_http1_per_origin=most) as client,
    ):
        assert await _post_all(client, paths) == {path: path for path in paths}
        assert len(made.asked) == highest == most
        assert trio.current_time() == pytest.approx(-(-10 // most), abs=0.5)
    if most == 1:
        assert order == paths


async def test_further_sessions_serve_who_waits_first(autojump_clock: MockClock) -> None:
    order: list[str] = []

    async def slow(stream: trio_h2.ServerStream) -> None:
        order.append(stream.path)
        await trio.sleep(1)
        await stream.respond(200, body=stream.path.encode())

    paths = [f"/{number}" for number in range(12)]
    config = trio_h2.ServerConfig(max_concurrent_streams=1)
    async with (
        network(ours(slow, config=config)) as made,
        Client(transport=made, prior_knowledge=True, max_sessions_per_origin=3) as client,
    ):
        await client.get(f"{A}/first")
        assert await _post_all(client, paths) == {path: path for path in paths}
        assert len(made.asked) == 3
        rounds = [order[start : start + 3] for start in range(1, 13, 3)]
        assert [sorted(group, key=paths.index) for group in rounds] == [
            paths[start : start + 3] for start in range(0, 12, 3)
        ]


# -- real sockets ------------------------------------------------------------------------------------------------------


class _Names(trio.abc.HostnameResolver):
    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def getaddrinfo(  # type: ignore[override] # of what is asked for here
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[object]:
        await trio.lowlevel.checkpoint()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self._addresses]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise NotImplementedError


@pytest.fixture
async def names() -> AsyncGenerator[None, None]:
    before = trio.socket.set_custom_hostname_resolver(_Names("127.0.0.3", "127.0.0.2", "127.0.0.1"))
    yield
    trio.socket.set_custom_hostname_resolver(before)


async def test_the_first_address_is_dead(names: None) -> None:
    """One drops packets, the next one refuses; Trio tries the third a moment later (RFC 8305)."""
    async with trio_h2.open_server(_hello, host="127.0.0.1") as server:
        with contextlib.ExitStack() as stack:
            full = stack.enter_context(socket.socket())
            full.bind(("127.0.0.3", server.port))
            full.listen(0)
            for _ in range(3):  # fills its backlog, so that further ones wait for ever
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.3", server.port))
            with trio.fail_after(10):
                async with Client(prior_knowledge=True, retry=Retry(attempts=0)) as client:
                    assert (await client.get(f"http://a.example:{server.port}/x")).text == "new /x"
                    (session,) = client.sessions
                    assert session.transport.peer_address == ("127.0.0.1", server.port)


@pytest.mark.parametrize("http2", [False, True], ids=["1.1", "2"])
async def test_a_unix_socket(http2: bool, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with (
        trio_h2.open_server(_hello, path=path, allow_http1=True),
        Client(unix_path=path, prior_knowledge=http2) as client,
    ):
        for url in f"{A}/1", "http://b.example/2", f"{A}/3":
            response = await client.get(url)
            assert response.text == f"new /{url[-1]}"
            assert response.http_version == ("2" if http2 else "1.1")
        assert client.statistics().opened == 2
    with pytest.raises(OSError, match=r"No such file|refused"):
        async with Client(unix_path=path, retry=Retry(attempts=0)) as client:
            await client.get(A)

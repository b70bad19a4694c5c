"""WebSockets, tunnels and ``OPTIONS *`` that a gateway passes on, over each version of HTTP on each side."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.gateways import URL, back, four, gateway
from tests.client.network import network
from trio_h2 import Client, ErrorCode, Timeouts
from trio_h2._websocket_key import accept_key
from trio_h2.testing import sweep_cancellation
from trio_h2.tunnel import ConnectProxy
from trio_h2.websocket import WebSocket, WebSocketHandler, open_websocket

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2 import ClientExchange

TARGET = {":authority": "target.example:443"}


async def agree(stream: trio_h2.ServerStream) -> None:
    """Agrees to whatever is asked for."""
    if isinstance(stream, trio_h2.Http1Exchange) and stream.upgrade == "websocket":
        key = accept_key(stream.headers["sec-websocket-key"])
        await stream.switch_protocols(stream.upgrade, {"sec-websocket-accept": key, "x-path": stream.path})
    else:
        await stream.respond({"x-path": stream.path or stream.authority})


async def echo(stream: trio_h2.ServerStream) -> None:
    await agree(stream)
    async for piece in stream:
        await stream.send_all(piece)
    await stream.send_all(b"bye")
    await stream.send_eof()


def asking(client: Client, kind: str) -> trio_h2.ExchangeBlock:
    if kind == "tunnel":
        return client.exchange("CONNECT", URL, headers=TARGET)
    return client.exchange("GET", URL, headers={"sec-websocket-version": "13"}, protocol="websocket")


kinds = pytest.mark.parametrize("kind", ["websocket", "tunnel"])


async def exactly(exchange: ClientExchange, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += await exchange.receive_some(size - len(got))
    return got


@four
@kinds
async def test_bytes_go_both_ways_and_each_side_ends(
    kind: str, down1: bool, up1: bool, autojump_clock: MockClock
) -> None:
    async with gateway(back(echo), down1=down1, up1=up1, tunnels=True) as (client, inner):
        for _ in range(2):
            async with asking(client, kind) as exchange:
                head = await exchange.receive_response()
                assert exchange.switched
                assert head["x-path"] == ("target.example:443" if kind == "tunnel" else "/base/there?x=1")
                assert head["via"].split()[0] == ("1.1" if up1 else "2")
                assert head.status == (101 if kind == "websocket" and down1 else 200)
                await trio.sleep(1000)  # no time-out of requests counts here
                for size in (1, 70_000):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(exchange.send_all, bytes(size))
                        assert await exactly(exchange, size) == bytes(size)
                await exchange.send_eof()
                assert await exactly(exchange, 3) == b"bye"
                assert await exchange.receive_some() == b""
                assert not await exchange.receive_some()
            await trio.sleep(1)
            assert inner.statistics().requests == 0
            if up1:
                assert inner.statistics().connections == 0


@four
@kinds
async def test_the_server_ends_first(kind: str, down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    got = bytearray()

    async def end(stream: trio_h2.ServerStream) -> None:
        await agree(stream)
        await stream.send_all(b"all")
        await stream.send_eof()
        async for piece in stream:
            got.extend(piece)

    async with gateway(back(end), down1=down1, up1=up1, tunnels=True) as (client, inner):
        async with asking(client, kind) as exchange:
            assert await exactly(exchange, 3) == b"all"
            assert await exchange.receive_some() == b""
            await trio.sleep(10)
            await exchange.send_all(b"still")
            await exchange.send_eof()
        await trio.sleep(1)
        assert bytes(got) == b"still"
        assert inner.statistics().requests == 0


@four
@kinds
async def test_whoever_does_not_read_holds_up_the_other(
    kind: str, down1: bool, up1: bool, autojump_clock: MockClock
) -> None:
    sent = 0

    async def pour(stream: trio_h2.ServerStream) -> None:
        nonlocal sent
        await agree(stream)
        while True:
            await stream.send_all(bytes(16384))
            sent += 16384

    async with gateway(back(pour), down1=down1, up1=up1, tunnels=True, capacity=65536) as (client, _):
        taken = 0
        async with asking(client, kind) as exchange:
            await exchange.receive_response()
            with trio.move_on_after(100):
                while True:
                    await exchange.send_all(bytes(16384))
                    taken += 16384
    assert 0 < sent < 2 * 1024 * 1024
    assert 0 < taken < 2 * 1024 * 1024


@four
@kinds
async def test_a_server_that_declines(kind: str, down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async def refuse(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 403, "why": "so"}, body=b"not you")

    async with gateway(back(refuse), down1=down1, up1=up1, tunnels=True) as (client, inner):
        for _ in range(2):
            async with asking(client, kind) as exchange:
                head = await exchange.receive_response()
                assert (head.status, head["why"], exchange.switched) == (403, "so", False)
                with pytest.raises(trio_h2.LocalProtocolError, match="wait for its response"):
                    await exchange.send_all(b"x")
                assert await exchange.receive_some() == b"not you"
        await trio.sleep(1)
        assert inner.statistics().requests == 0
        kept = kind == "websocket" or not up1  # our server closes the connection after a CONNECT in any case
        assert inner.statistics().connections == kept


@pytest.mark.parametrize("down1", [False, True], ids=["2", "1"])
async def test_a_server_that_ignores_the_upgrade(
    down1: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def ignore(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"page")

    async with (
        gateway(back(ignore), down1=down1, up1=True) as (client, _),
        asking(client, "websocket") as exchange,
    ):
        head = await exchange.receive_response()
        assert not exchange.switched
        assert head.status == (200 if down1 else 502)
        assert not down1 or await exchange.receive_some() == b"page"
    assert ("it ignored the upgrade, and answered with 200" in caplog.text) == (not down1)


@four
@kinds
async def test_the_client_leaves(kind: str, down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    ends: list[object] = []

    async def wait(stream: trio_h2.ServerStream) -> None:
        await agree(stream)
        try:
            async for _ in stream:
                pass
            ends.append("ended")
        except BaseException as exc:
            ends.append(stream.rst_code)
            raise exc

    async with gateway(back(wait), down1=down1, up1=up1, tunnels=True) as (client, inner):
        async with asking(client, kind) as exchange:
            await exchange.receive_response()
            await exchange.send_all(b"x")
            await trio.sleep(1)
        await trio.sleep(1)
        assert inner.statistics().requests == 0
        assert len(ends) == 1
        if not up1:
            # In memory, HTTP/1.1 cannot tell a reset from an end; tests/client/test_gateway_over_tcp.py does.
            assert ends == ["ended" if down1 else ErrorCode.CANCEL]


@four
@kinds
async def test_the_server_breaks_off(
    kind: str, down1: bool, up1: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def cut(stream: trio_h2.ServerStream) -> None:
        await agree(stream)
        await stream.send_all(b"part")
        await trio.sleep(1)
        stream.reset(ErrorCode.PROTOCOL_ERROR)

    async with (
        gateway(back(cut), down1=down1, up1=up1, tunnels=True) as (client, _),
        asking(client, kind) as exchange,
    ):
        assert await exactly(exchange, 4) == b"part"
        if not down1 and not up1:
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await exchange.receive_some()
            assert caught.value.code == (ErrorCode.CONNECT_ERROR if kind == "tunnel" else ErrorCode.CANCEL)
    if not down1 and not up1:
        assert "the server broke off its response" in caplog.text


@pytest.mark.parametrize("down1", [False, True], ids=["2", "1"])
async def test_http1_takes_the_place_of_extended_connect(down1: bool, autojump_clock: MockClock) -> None:
    async with gateway(back(echo, connect=False), down1=down1, up1=False) as (client, inner):
        assert (await client.options(URL)).status == 200  # over HTTP/2
        for _ in range(2):
            async with asking(client, "websocket") as exchange:
                await exchange.receive_response()
                assert exchange.switched
                await exchange.send_all(b"hello")
                assert await exactly(exchange, 5) == b"hello"
                assert len(inner.sessions) == 1
                assert inner.statistics().connections == 2
            await trio.sleep(1)
        assert inner.statistics().connections == 1
        assert inner.statistics().requests == 0


async def test_nothing_takes_its_place(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        gateway(back(echo, connect=False), down1=False, up1=False, http1=False) as (client, _),
        asking(client, "websocket") as exchange,
    ):
        assert (await exchange.receive_response()).status == 501
    assert "the server does not offer extended CONNECT" in caplog.text


async def test_websockets_do_not_count_as_connections_of_http1(autojump_clock: MockClock) -> None:
    async with network(back(echo)) as behind, Client(transport=behind, max_http1_per_origin=1) as client:
        async with asking(client, "websocket") as first:
            await first.receive_response()
            async with asking(client, "websocket") as second:
                await second.receive_response()
                assert (await client.options(URL)).status == 200
        await trio.sleep(1)
        assert client.statistics().connections == 1


@pytest.mark.parametrize("up1", [False, True], ids=["2", "1"])
async def test_messages(up1: bool, autojump_clock: MockClock) -> None:
    closed: list[int | None] = []

    async def serve(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send_message(message)
        closed.append(ws.close_code)

    handler = WebSocketHandler(serve, subprotocols=["chat"])
    async with gateway(back(handler), down1=False, up1=up1) as (client, _):
        await client.options(URL)
        async with open_websocket(client.sessions[0], "/there", subprotocols=["chat"]) as ws:
            assert ws.subprotocol == "chat"
            await ws.send_message("text" * 50_000)
            assert await ws.receive_message() == "text" * 50_000
        await trio.sleep(1)
    assert closed == [1000]


class _Whole(trio.abc.Stream):
    """A transport that cannot end one direction, as TLS."""

    def __init__(self, below: trio.abc.Stream) -> None:
        self._below = below

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._below.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._below.aclose()


async def test_an_end_that_cannot_be_told_waits_a_moment_for_the_other_one(autojump_clock: MockClock) -> None:
    async def last_words(stream: trio_h2.ServerStream) -> None:
        await agree(stream)
        await trio.sleep(2)
        await stream.send_all(b"last")
        await trio.sleep_forever()

    async with network(back(last_words)) as behind:

        async def connect(origin: str) -> trio.abc.Stream:
            return _Whole(await behind(origin))

        async with Client(transport=connect) as client, asking(client, "websocket") as exchange:
            await exchange.receive_response()
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(exchange.send_eof)
                assert await exactly(exchange, 4) == b"last"
            assert await exchange.receive_some() == b""
            assert trio.current_time() - began == pytest.approx(5, abs=0.1)


async def test_silent_tunnels_end(autojump_clock: MockClock) -> None:
    async with (
        gateway(back(echo), down1=False, up1=False, tunnel_idle_timeout=60) as (client, inner),
        asking(client, "websocket") as exchange,
    ):
        await exchange.receive_response()
        await trio.sleep(50)
        await exchange.send_all(b"x")
        assert await exchange.receive_some() == b"x"
        began = trio.current_time()
        with pytest.raises(trio_h2.StreamResetError):
            await exchange.receive_some()
        assert trio.current_time() - began == pytest.approx(60, abs=0.1)
        assert inner.statistics().requests == 0


@four
async def test_failures_before_the_response(down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async def wait(stream: trio_h2.ServerStream) -> None:
        await trio.sleep_forever()

    async with (
        gateway(back(wait), down1=down1, up1=up1, timeouts=Timeouts(response=5)) as (client, inner),
        asking(client, "websocket") as exchange,
    ):
        assert (await exchange.receive_response()).status == 504
        await trio.sleep(1)
        assert inner.statistics().requests == 0


async def test_a_wrong_answer_to_the_key(autojump_clock: MockClock) -> None:
    async def serve(transport: trio.abc.Stream) -> None:
        await transport.receive_some()
        await transport.send_all(
            b"HTTP/1.1 101 Fine\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n"
        )
        await trio.sleep_forever()

    async with gateway(serve, down1=False, up1=True) as (client, _), asking(client, "websocket") as exchange:
        assert (await exchange.receive_response()).status == 502


@pytest.mark.parametrize("up1", [False, True], ids=["2", "1"])
async def test_what_is_not_passed_on(up1: bool) -> None:
    async with gateway(back(echo), down1=False, up1=up1) as (client, _):
        async with asking(client, "tunnel") as exchange:
            assert (await exchange.receive_response()).status == 501
        async with client.exchange("GET", URL, protocol="connect-udp") as exchange:
            assert (await exchange.receive_response()).status == 501
    async with gateway(back(echo), down1=True, up1=up1) as (client, _):
        async with client.exchange("CONNECT", URL, headers=TARGET) as exchange:
            assert (await exchange.receive_response()).status == 501
        async with client.exchange("GET", URL, protocol="other") as exchange:  # which may be ignored
            assert (await exchange.receive_response()).status == 200
            assert not exchange.switched


@four
async def test_what_the_whole_server_can_do(down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async def options(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"allow": "GET", "asked": f"{stream.method} {stream.path}"})

    async with (
        gateway(back(options), down1=down1, up1=up1) as (client, _),
        client.exchange("OPTIONS", URL, whole_server=True, end_stream=True) as exchange,
    ):
        assert (await exchange.receive_response())["asked"] == "OPTIONS *"


async def test_a_tunnel_through_two_proxies(autojump_clock: MockClock) -> None:
    """The gateway is in front of a proxy, which is told the credentials, and the target whatever *keep_host* says."""
    seen: list[trio_h2.Headers] = []

    async def proxy(stream: trio_h2.ServerStream) -> None:
        seen.append(stream.headers)
        await ConnectProxy(["other.example:443"])(stream)

    async with (
        gateway(back(proxy), down1=True, up1=False, tunnels=True, keep_host=False, x_forwarded=True) as (client, _),
        client.exchange("CONNECT", URL, headers={**TARGET, "proxy-authorization": "Basic eA=="}) as exchange,
    ):
        assert (await exchange.receive_response()).status == 403
    assert seen[0]["proxy-authorization"] == "Basic eA=="
    assert seen[0][":authority"] == "target.example:443"
    assert seen[0]["forwarded"] == 'for=unknown;host="target.example:443"'
    assert "x-forwarded-proto" not in seen[0]


@four
async def test_many_at_random(down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    """Whatever either side does, and whenever it leaves, nothing is left behind."""
    chance = random.Random(f"{down1} {up1}")
    whole = 0

    async def behave(stream: trio_h2.ServerStream) -> None:
        kind = chance.choice(["echo", "echo", "echo", "cut", "end", "refuse"])
        await trio.sleep(chance.random())
        if kind == "refuse":
            await stream.respond(503, body=b"no")
            return
        if kind == "echo":
            await echo(stream)
            return
        await agree(stream)
        await stream.send_all(bytes(chance.randrange(100_000)))
        if kind == "cut":
            await trio.sleep(chance.random())
            stream.reset(ErrorCode.CANCEL)

    async def use(client: Client) -> None:
        try:
            with trio.move_on_after(chance.choice([0.3, 1, 5, 50])):
                await talk(client)
        except* trio_h2.H2Error:
            pass

    async def talk(client: Client) -> None:
        nonlocal whole
        async with asking(client, chance.choice(["websocket", "tunnel"])) as exchange:
            await exchange.receive_response()
            if not exchange.switched:
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(exchange.send_all, bytes(chance.randrange(1, 100_000)))
                while chance.random() < 0.9 and await exchange.receive_some():
                    pass
            await exchange.send_eof()
            while await exchange.receive_some():
                pass
            whole += 1

    async with (
        gateway(back(behave), down1=down1, up1=up1, tunnels=True) as (client, inner),
        trio.open_nursery() as nursery,
    ):
        for _ in range(50):
            nursery.start_soon(use, client)
            await trio.sleep(chance.random() / 10)
        while client.statistics().requests or client.statistics().waiting:  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(1)
        await trio.sleep(10)
        assert (inner.statistics().requests, inner.statistics().waiting) == (0, 0)
        for session in [*client.sessions, *inner.sessions]:
            ledger = session.statistics().ledger
            assert ledger.received == ledger.taken + ledger.discarded + ledger.held
            assert ledger.held == 0
        assert whole


async def test_rewriting(autojump_clock: MockClock) -> None:
    """Tunnels and ``OPTIONS *`` have no path that could be rewritten, but headers."""
    seen: list[tuple[str, str, str]] = []

    async def tell(stream: trio_h2.ServerStream) -> None:
        seen.append((stream.method, stream.path or stream.authority, stream.headers["added"]))
        await stream.respond(200)

    def rewrite(headers: trio_h2.Headers) -> trio_h2.Headers:
        path = headers.get(":path")
        return headers.forwarded(add={"added": "x"} if path is None else {":path": f"/new{path}", "added": "x"})

    async with network(back(tell)) as behind, Client(transport=behind, prior_knowledge=True) as inner:
        up = trio_h2.Upstream(inner, "http://back.example", tunnels=True, rewrite=rewrite)

        async def handler(stream: trio_h2.ServerStream) -> None:
            await trio_h2.relay(stream, up)

        async with network(back(handler)) as front, Client(transport=front, prior_knowledge=True) as client:
            for block in (
                asking(client, "tunnel"),
                asking(client, "websocket"),
                client.exchange("OPTIONS", URL, whole_server=True, end_stream=True),
            ):
                async with block as exchange:
                    assert (await exchange.receive_response()).status == 200
    assert seen == [
        ("CONNECT", "target.example:443", "x"),
        ("CONNECT", "/new/there?x=1", "x"),
        ("OPTIONS", "*", "x"),
    ]


def test_arguments() -> None:
    client = Client()
    with pytest.raises(ValueError, match="no body before"):
        client.exchange("GET", URL, protocol="websocket", end_stream=True)
    with pytest.raises(ValueError, match="with GET, not with POST"):
        client.exchange("POST", URL, protocol="websocket")
    with pytest.raises(ValueError, match="a name like"):
        client.exchange("GET", URL, protocol="two words")
    with pytest.raises(TypeError, match="protocol"):
        client.exchange("GET", URL, protocol=1)  # type: ignore[arg-type]  # is what is tested
    with pytest.raises(ValueError, match="OPTIONS"):
        client.exchange("GET", URL, whole_server=True)
    with pytest.raises(ValueError, match="tunnel_idle_timeout"):
        trio_h2.Upstream(client, "http://a.example", tunnel_idle_timeout=-1)


@four
@kinds
async def test_cancelled_at_every_checkpoint(kind: str, down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async with gateway(back(echo), down1=down1, up1=up1, tunnels=True) as (client, inner):

        async def scenario() -> None:
            async with asking(client, kind) as exchange:
                await exchange.receive_response()
                await exchange.send_all(b"one")
                assert await exactly(exchange, 3) == b"one"
                await exchange.send_eof()
                assert await exactly(exchange, 3) == b"bye"
                assert await exchange.receive_some() == b""

        async def after() -> None:
            await trio.sleep(2)
            assert (inner.statistics().requests, inner.statistics().waiting) == (0, 0)
            assert (await client.options(URL)).status == 200
            for session in [*client.sessions, *inner.sessions]:
                ledger = session.statistics().ledger
                assert ledger.received == ledger.taken + ledger.discarded + ledger.held

        await after()
        assert await sweep_cancellation(scenario, after=after, seeds=[0]) > 5

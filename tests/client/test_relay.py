"""Requests that a gateway passes on, over each version of HTTP on each side."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.gateways import URL, back, four, gateway
from tests.client.network import failing, network, ours
from trio_h2 import Client, ClientConfig, ErrorCode, Priority, Retry, ServerConfig, Timeouts, Upstream, relay
from trio_h2.testing import ChaosStream, TrickleStream, memory_transports, sweep_cancellation

if TYPE_CHECKING:
    from trio.testing import MockClock


async def _echo(stream: trio_h2.ServerStream) -> None:
    await stream.send_informational(103, {"link": "</style.css>"})
    seen = [f"{name.decode()}={value.decode()}" for name, value in stream.headers.raw]
    await stream.respond([("seen", one) for one in seen])
    async for piece in stream:
        await stream.send_all(piece)
    trailers = stream.trailers
    await stream.send_trailers({"sum": "-" if trailers is None else trailers["sum"], "connection-no": "x"})


@four
async def test_both_bodies_at_the_same_time(down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async with gateway(back(_echo), down1=down1, up1=up1) as (client, inner):
        for _ in range(2):
            async with client.exchange("POST", URL, headers={"te": "trailers"}) as exchange:
                hint = await exchange.receive_informational()
                assert hint is not None
                assert (hint.status, hint["link"]) == (103, "</style.css>")
                head = await exchange.receive_response()
                for piece in (b"one", b"two"):
                    await exchange.send_all(piece)
                    assert await exchange.receive_some() == piece
                await exchange.send_trailers({"sum": "2"})
                assert await exchange.receive_some() == b""
                assert exchange.trailers is not None
                assert exchange.trailers["sum"] == "2"
            seen = dict(one.split("=", 1) for one in head.get_all("seen"))
            assert seen[":path"] == "/base/there?x=1"
            assert seen[":authority"] == "front.example"
            assert seen["via"].split()[0] == ("1.1" if down1 else "2")
            assert head["via"].split()[0] == ("1.1" if up1 else "2")
            assert seen["forwarded"] == "for=unknown;proto=http;host=front.example"
            assert not {"user-agent", "accept", "accept-encoding", "x-forwarded-for"} & set(seen)
        await trio.sleep(1)
        assert inner.statistics().requests == 0
        assert inner.statistics().connections == 1


@four
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 204, 304, 404])
async def test_responses(method: str, status: int, down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": status, "etag": '"1"'}, body=b"" if status in (204, 304) else b"content")

    async with gateway(back(answer), down1=down1, up1=up1) as (client, inner):
        for _ in range(2):
            response = await client.fetch(method, URL)
            assert (response.status, response.headers["etag"]) == (status, '"1"')
            assert response.content == (b"content" if method == "GET" and status in (200, 404) else b"")
            if status in (200, 404):
                assert response.headers["content-length"] == "7"
            assert len(response.headers.get_all("date")) == 1
        await trio.sleep(1)
        assert (inner.statistics().requests, inner.statistics().connections) == (0, 1)


@four
async def test_slow_clients_hold_up_the_server_and_slow_servers_the_client(
    down1: bool, up1: bool, autojump_clock: MockClock
) -> None:
    sent = 0

    async def pour(stream: trio_h2.ServerStream) -> None:
        nonlocal sent
        if stream.method == "GET":
            await stream.respond(200)
            while True:
                await stream.send_all(bytes(16384))
                sent += 16384
        await trio.sleep_forever()

    async with gateway(back(pour), down1=down1, up1=up1, capacity=65536) as (client, _):
        async with client.exchange("GET", URL, end_stream=True) as exchange:
            await exchange.receive_response()
            await trio.sleep(100)
            assert 0 < sent < 2 * 1024 * 1024
        taken = 0
        async with client.exchange("POST", URL) as exchange:
            with trio.move_on_after(100):
                while True:
                    await exchange.send_all(bytes(16384))
                    taken += 16384
            assert 0 < taken < 2 * 1024 * 1024


@four
async def test_early_response_stops_the_upload(down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async def refuse(stream: trio_h2.ServerStream) -> None:
        await stream.receive_some(1)
        await stream.respond(413, body=b"too much")

    async with gateway(back(refuse), down1=down1, up1=up1) as (client, inner):
        async with client.exchange("POST", URL, body=b"first") as exchange:
            assert (await exchange.receive_response()).status == 413
            assert await exchange.receive_some() == b"too much"
        await trio.sleep(1)
        assert inner.statistics().requests == 0


@four
@pytest.mark.parametrize("kind", ["continue", "refuse", "silent"])
async def test_expectations(kind: str, down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        assert stream.expects_continue
        if kind == "refuse":
            await stream.respond(417, body=b"")
        elif kind == "continue":
            await trio.sleep(0.5)
            await stream.respond(200, body=await stream.read())
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, 2)
            await stream.respond(200, body=await stream.read())

    async with gateway(back(answer), down1=down1, up1=up1) as (client, _):
        began = trio.current_time()
        headers = {"expect": "100-continue", "content-length": "4"}
        async with client.exchange("POST", URL, headers=headers) as exchange:
            interim = await exchange.receive_informational()
            if kind == "refuse":
                assert interim is None
                assert (await exchange.receive_response()).status == 417
            else:
                assert interim is not None
                assert interim.status == 100
                assert trio.current_time() - began == pytest.approx(0.5 if kind == "continue" else 1.0, abs=0.1)
                await exchange.send_all(b"body")
                await exchange.send_eof()
                assert await exchange.receive_some() == b"body"


@four
async def test_client_that_leaves(
    down1: bool, up1: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    codes: list[int | None] = []

    async def endless(stream: trio_h2.ServerStream) -> None:
        stream.call_when_closed(lambda: codes.append(stream.rst_code))
        await stream.respond(200)
        await trio.sleep_forever()

    caplog.set_level(logging.INFO, "trio_h2.relay")
    async with gateway(back(endless), down1=down1, up1=up1) as (client, inner):
        async with client.exchange("POST", URL, body=b"x") as exchange:
            await exchange.receive_response()
        await trio.sleep(1)
        assert inner.statistics().requests == 0
        assert len(codes) == 1
        if not up1:
            assert codes == [ErrorCode.CANCEL]
    assert "the client has left" in caplog.text


@four
@pytest.mark.parametrize("body", [b"", b"body"])
@pytest.mark.parametrize(
    ("kind", "status"), [("lost", 502), ("reset", 502), ("slow", 504), ("closed", 502), ("refused", 503)]
)
async def test_failures_before_the_response(
    kind: str,
    status: int,
    body: bytes,
    down1: bool,
    up1: bool,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(stream: trio_h2.ServerStream) -> None:
        if kind == "slow":
            await trio.sleep_forever()
        stream.reset(ErrorCode.REFUSED_STREAM if kind == "refused" else ErrorCode.INTERNAL_ERROR)

    if up1 and kind == "refused":
        status = 502
    server = failing if kind in ("lost", "closed") else back(fail)
    async with gateway(server, down1=down1, up1=up1, timeouts=Timeouts(response=5)) as (client, inner):
        response = await client.fetch("POST", URL, body=body)
        assert response.status == status
        await trio.sleep(1)
        assert inner.statistics().requests == 0
    assert f"the server has failed, answered with {status}" in caplog.text


@four
async def test_failures_after_the_head(
    down1: bool, up1: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def cut(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"content-length": "100"})
        await stream.send_all(b"half")
        await trio.sleep(1)
        stream.reset(ErrorCode.ENHANCE_YOUR_CALM)

    async with (
        gateway(back(cut), down1=down1, up1=up1) as (client, _),
        client.exchange("GET", URL, end_stream=True) as exchange,
    ):
        assert await exchange.receive_some() == b"half"
        with pytest.raises((trio_h2.StreamResetError, trio_h2.SessionError)) as caught:
            await exchange.receive_some()
        if not down1 and not up1:
            assert isinstance(caught.value, trio_h2.StreamResetError)
            assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM
    assert "the server broke off its response" in caplog.text


async def test_what_is_told_of_the_client(autojump_clock: MockClock) -> None:
    async with gateway(back(_echo), down1=False, up1=True, x_forwarded=True, keep_host=False) as (client, _):
        lies = {
            "forwarded": "for=192.0.2.1",
            "x-forwarded-for": "192.0.2.1",
            "proxy-authorization": "Basic x",
            "via": "1.1 other",
        }
        response = await client.get(URL, headers=[*lies.items(), ("cookie", "a=1"), ("cookie", "b=2")])
        seen = [one.split("=", 1) for one in response.headers.get_all("seen")]
        assert ["forwarded", "for=unknown;proto=http;host=front.example"] in seen
        assert ["x-forwarded-for", "unknown"] in seen
        assert ["x-forwarded-host", "front.example"] in seen
        assert [":authority", "back.example"] in seen
        assert ["cookie", "a=1; b=2"] in seen
        names = [name for name, _ in seen]
        assert names.count("forwarded") == names.count("x-forwarded-for") == 1
        assert names.count("via") == 2
        assert "proxy-authorization" not in names


async def test_a_response_that_nobody_may_send_becomes_502(autojump_clock: MockClock) -> None:
    async def serve(transport: trio.abc.Stream) -> None:
        while await transport.receive_some():
            await transport.send_all(b"HTTP/1.1 204 Fine\r\ncontent-length: 5\r\n\r\n")

    async with gateway(serve, down1=False, up1=True) as (client, _):
        assert (await client.get(URL)).status == 502


async def test_circles_and_what_is_not_passed_on() -> None:
    async with network(back(_echo)) as behind, Client(transport=behind, prior_knowledge=True) as inner:
        up = Upstream(inner, "http://back.example", via="me")

        async def handler(stream: trio_h2.ServerStream) -> None:
            await relay(stream, up)

        async with network(ours(handler)) as front, Client(transport=front, prior_knowledge=True) as client:
            assert (await client.get(URL, headers={"via": "1.1 other, 2 me"})).status == 508
            assert (await client.get(URL, headers={"via": "1.1 me-too"})).status == 200
            async with client.exchange("CONNECT", URL, headers={":authority": "a:1"}) as exchange:
                assert (await exchange.receive_response()).status == 501


async def test_priority_changes(autojump_clock: MockClock) -> None:
    seen: list[int] = []

    async def tell(stream: trio_h2.ServerStream) -> None:
        seen.append(stream.priority.urgency)
        await stream.respond(200)
        for _ in range(5):
            await stream.send_all(b"x")
            await trio.sleep(1)
        seen.append(stream.priority.urgency)

    async with (
        gateway(back(tell), down1=False, up1=False) as (client, _),
        client.exchange("GET", URL, end_stream=True, priority=Priority(urgency=5)) as exchange,
    ):
        await exchange.receive_some()
        exchange.prioritize(Priority(urgency=1))
        async for _piece in exchange:
            pass
        assert seen == [5, 1]


async def test_priority_changes_while_the_response_is_silent(autojump_clock: MockClock) -> None:
    seen: list[tuple[float, int]] = []

    async def tell(stream: trio_h2.ServerStream) -> None:
        stream.call_when_prioritized(lambda priority: seen.append((trio.current_time() - began, priority.urgency)))
        if stream.path.endswith("late"):
            await stream.respond(200)
        await trio.sleep(10)
        await (stream.send_eof() if stream.headers_sent else stream.respond(200, body=b""))

    async with gateway(back(tell), down1=False, up1=False) as (client, _):
        for url in (URL, f"{URL}late"):
            async with client.exchange("GET", url, end_stream=True) as exchange:
                began = trio.current_time()
                for urgency in (0, 7):
                    await trio.sleep(1)
                    exchange.prioritize(Priority(urgency=urgency))
                assert await exchange.receive_some() == b""
    assert [(round(when), urgency) for when, urgency in seen] == [(1, 0), (2, 7)] * 2


def test_arguments() -> None:
    client = Client()
    with pytest.raises(TypeError, match="client"):
        Upstream("http://a.example", "http://a.example")  # type: ignore[arg-type]  # is what is tested
    with pytest.raises(ValueError, match="query"):
        Upstream(client, "http://a.example/?x")
    with pytest.raises(ValueError, match="via"):
        Upstream(client, "http://a.example", via="two words")
    with pytest.raises(TypeError, match="keep_host"):
        Upstream(client, "http://a.example", keep_host=1)  # type: ignore[arg-type]  # is what is tested
    assert repr(Upstream(client, "http://a.example/")) == "<Upstream http://a.example>"


@four
@pytest.mark.parametrize("kind", ["crumbs", "chaos"])
async def test_bad_transports(kind: str, down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    def break_transport(transport: trio.abc.Stream) -> trio.abc.Stream:
        return TrickleStream(transport) if kind == "crumbs" else ChaosStream(transport, seed=1)

    async with gateway(back(_echo), down1=down1, up1=up1, break_transport=break_transport) as (client, inner):
        for _ in range(2):
            async with client.exchange("POST", URL, headers={"te": "trailers"}) as exchange:
                hint = await exchange.receive_informational()
                assert hint is not None
                await exchange.send_all(bytes(200))
                await exchange.send_trailers({"sum": "2"})
                got = b"".join([piece async for piece in exchange])
                assert got == bytes(200)
                assert exchange.trailers is not None
                assert exchange.trailers["sum"] == "2"
        await trio.sleep(1)
        assert inner.statistics().requests == 0


@four
async def test_a_server_that_stops_reading(down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async def stall(stream: trio_h2.ServerStream) -> None:
        await stream.receive_some(1)
        await trio.sleep_forever()

    timeouts = Timeouts(send=5)
    async with gateway(back(stall), down1=down1, up1=up1, timeouts=timeouts, capacity=65536) as (client, inner):
        async with client.exchange("POST", URL) as exchange:
            with trio.move_on_after(10):
                for _ in range(50):
                    await exchange.send_all(bytes(65536))
            assert (await exchange.receive_response()).status == 504
        await trio.sleep(1)
        assert inner.statistics().requests == 0


@pytest.mark.parametrize("up1", [False, True], ids=["2", "1"])
async def test_clients_of_http10(up1: bool, autojump_clock: MockClock) -> None:
    async with network(back(_echo)) as behind, Client(transport=behind, prior_knowledge=not up1) as inner:
        up = Upstream(inner, "http://back.example")

        async def handler(stream: trio_h2.ServerStream) -> None:
            await relay(stream, up)

        ours_, theirs = memory_transports()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours(handler, http1=True), theirs)
            await ours_.send_all(b"POST /old HTTP/1.0\r\ncontent-length: 4\r\n\r\nbody")
            received = b""
            while data := await ours_.receive_some():
                received += data
            head, _, body = received.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert b"seen: via=1.0 " in head
            assert b"seen: :authority=back.example" in head
            assert b"transfer-encoding" not in head.lower()
            assert body == b"body"
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("down1", [False, True], ids=["2", "1"])
@pytest.mark.parametrize("body", [0, 100, 60_000])
async def test_what_the_server_has_not_processed_is_sent_again(
    body: int, down1: bool, autojump_clock: MockClock
) -> None:
    asked = 0

    async def second(stream: trio_h2.ServerStream) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            stream.reset(ErrorCode.REFUSED_STREAM)
            return
        await stream.respond(200, body=await stream.read())

    async with gateway(back(second), down1=down1, up1=False) as (client, inner):
        assert (await client.fetch("POST", URL, body=bytes(body))).content == bytes(body)
        assert asked == 2
        await trio.sleep(1)
        assert inner.statistics().requests == 0


@pytest.mark.parametrize("down1", [False, True], ids=["2", "1"])
async def test_servers_that_leave_after_each_request(down1: bool, autojump_clock: MockClock) -> None:
    async def leave(stream: trio_h2.ServerStream) -> None:
        await stream.session.goaway()
        await stream.respond(200, body=await stream.read())

    async with gateway(back(leave), down1=down1, up1=False) as (client, inner):
        for _ in range(20):
            assert (await client.fetch("POST", URL, body=b"x" * 1000)).content == b"x" * 1000
        assert inner.statistics().opened == 20


async def test_header_sections_that_are_too_large(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"x": "a" * int(stream.path.rpartition("=")[2])}, body=b"")

    small = ours(answer, config=ServerConfig(max_header_list_size=700))
    config = ClientConfig(max_header_list_size=700)
    async with gateway(small, down1=False, up1=False, client_config=config) as (client, _):
        await client.get(URL)  # the server's SETTINGS have come
        assert (await client.get(URL, headers={"x": "a" * 700})).status == 431
        assert (await client.get(f"{URL}00")).status == 200
        assert (await client.get(f"{URL}000")).status == 502
    assert "it cannot be passed on, answered with 431" in caplog.text
    assert "the response cannot be passed on" in caplog.text


@pytest.mark.parametrize(("down1", "up1"), [(False, True), (True, False)], ids=["2-1", "1-2"])
async def test_cancelled_at_every_checkpoint(down1: bool, up1: bool, autojump_clock: MockClock) -> None:
    async with gateway(back(_echo), down1=down1, up1=up1) as (client, inner):

        async def scenario() -> None:
            async with client.exchange("POST", URL, body=b"one") as exchange:
                await exchange.receive_response()
                await exchange.send_trailers({"sum": "2"})
                assert [piece async for piece in exchange] == [b"one"]

        async def after() -> None:
            await trio.sleep(2)
            assert (inner.statistics().requests, inner.statistics().waiting) == (0, 0)
            assert (await client.fetch("POST", URL, body=b"again")).content == b"again"
            for session in [*client.sessions, *inner.sessions]:
                ledger = session.statistics().ledger
                assert ledger.received == ledger.taken + ledger.discarded + ledger.held

        await after()
        assert await sweep_cancellation(scenario, after=after, seeds=[0]) > 5


@pytest.mark.parametrize("down1", [False, True])
@pytest.mark.parametrize("kind", ["unreachable", "refused", "lost"])
async def test_another_server_is_asked_if_nothing_was_processed(
    kind: str, down1: bool, autojump_clock: MockClock
) -> None:
    async def refuse(stream: trio_h2.ServerStream) -> None:
        stream.reset(ErrorCode.REFUSED_STREAM if kind == "refused" else ErrorCode.INTERNAL_ERROR)

    async def unreachable(_origin: str) -> trio.abc.Stream:
        raise ConnectionRefusedError

    errors: list[Exception | None] = []
    asked: list[Exception] = []
    async with (
        network(ours(refuse)) as first,
        network(back(_echo)) as second,
        Client(transport=unreachable if kind == "unreachable" else first, prior_knowledge=True, retry=Retry(0)) as bad,
        Client(transport=second) as good,
    ):
        up, other = Upstream(bad, "http://first.example"), Upstream(good, "http://second.example")

        async def instead(error: Exception) -> Upstream | None:
            asked.append(error)
            return other if len(asked) == 1 else None

        async def handler(stream: trio_h2.ServerStream) -> None:
            errors.append(await relay(stream, up, instead=instead))

        async with (
            network(ours(handler, http1=True)) as front,
            Client(transport=front, prior_knowledge=not down1) as client,
        ):
            response = await client.post(URL, body=b"whole")
            assert response.status == (502 if kind == "lost" else 200)
            assert len(asked) == (kind != "lost")
            if kind != "lost":
                assert response.content == b"whole"
                assert errors == [None]
                response = await client.post(URL, body=b"none is left")
                assert response.status == (502 if kind == "unreachable" else 503)
            assert isinstance(errors[-1], OSError if kind == "unreachable" else trio_h2.StreamError)
        statistics = bad.statistics()
        assert (statistics.requests, good.statistics().requests) == (0, 0)


async def test_no_other_server_is_asked_when_more_of_the_body_was_taken(autojump_clock: MockClock) -> None:
    async def refuse(stream: trio_h2.ServerStream) -> None:
        for _ in range(2):
            await stream.receive_some()
        stream.reset(ErrorCode.REFUSED_STREAM)

    async def instead(_error: Exception) -> Upstream | None:
        raise AssertionError("what was taken of the body is not here any more")

    async with (
        network(ours(refuse)) as behind,
        Client(transport=behind, prior_knowledge=True, retry=Retry(0)) as inner,
    ):
        up = Upstream(inner, "http://back.example")

        async def handler(stream: trio_h2.ServerStream) -> None:
            assert isinstance(await relay(stream, up, instead=instead), trio_h2.StreamRefusedError)

        async with (
            network(ours(handler)) as front,
            Client(transport=front, prior_knowledge=True) as client,
            client.exchange("POST", URL, body=b"one") as exchange,
        ):
            await trio.sleep(1)
            await exchange.send_all(b"two")
            assert (await exchange.receive_response()).status == 503


async def test_headers_and_path_are_rewritten(autojump_clock: MockClock) -> None:
    bad: list[object] = [{}, {":path": "relative"}, {":path": "/", "bad name": ""}]

    def rewrite(headers: trio_h2.Headers) -> trio_h2.HeadersInput:
        path = headers[":path"]
        assert headers[":authority"] == "front.example"
        if path == "/bad":
            return bad.pop()  # type: ignore[return-value]  # of no right type, for once
        return headers.forwarded(drop=["x-secret"], add={":path": f"/new{path}", ":authority": "other.example"})

    async with network(back(_echo)) as behind, Client(transport=behind) as inner:
        up = Upstream(inner, "http://back.example/base", rewrite=rewrite)

        async def handler(stream: trio_h2.ServerStream) -> None:
            if stream.path == "/bad":
                with pytest.raises(RuntimeError, match="rewrite must return headers "):
                    await relay(stream, up)
                await stream.respond(500, body=b"")
            else:
                await relay(stream, up)

        async with network(ours(handler)) as front, Client(transport=front, prior_knowledge=True) as client:
            response = await client.get(URL, headers={"x-secret": "1", "x-open": "2"})
            seen = dict(one.split("=", 1) for one in response.headers.get_all("seen"))
            assert (seen[":path"], seen[":authority"]) == ("/base/new/there?x=1", "other.example")
            assert seen["x-open"] == "2"
            assert "x-secret" not in seen
            while bad:
                assert (await client.get("http://front.example/bad")).status == 500


async def test_rewrite_must_be_a_function(autojump_clock: MockClock) -> None:
    async with Client() as client:
        with pytest.raises(TypeError, match="rewrite must be a function or None, not 3"):
            Upstream(client, "http://back.example", rewrite=3)  # type: ignore[arg-type]

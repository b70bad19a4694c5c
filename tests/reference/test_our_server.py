"""Our server serves h2's client: whole exchanges, one after the other and many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.reference.ends import METHODS, SIZES, our_server, pattern, ping_each_other, read

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import ReferenceClient, ReferenceExchange


async def echo(stream: trio_h2.ServerStream) -> None:
    """Answers with what came, as it comes, and says in trailers how it was asked."""
    await stream.respond({":status": 200, "x-method": stream.method, "x-path": stream.path})
    if stream.method == "HEAD":
        return
    async for data in stream:
        await stream.send_all(data)
    trailers = await stream.receive_trailers()
    if trailers is None:
        await stream.send_eof()
    else:
        await stream.send_trailers(trailers)


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_is_answered(autojump_clock: MockClock, method: str) -> None:
    async with our_server(echo) as (client, _):
        exchange = await client.request(method, "/a?b=c")
        assert exchange.status == 200
        assert (exchange.headers["x-method"], exchange.headers["x-path"]) == (method, "/a?b=c")
        assert exchange.body == b""
        assert exchange.trailers is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("capacity", [None, 1000])
async def test_bodies_of_all_sizes_go_both_ways(autojump_clock: MockClock, size: int, capacity: int | None) -> None:
    body = pattern(size)
    async with our_server(echo, capacity=capacity) as (client, session):
        exchange = await client.request("POST", body=body, headers={"content-length": size})
        assert exchange.body == body
        assert session.statistics().ledger.received == size


async def test_a_body_in_many_frames(autojump_clock: MockClock) -> None:
    async with our_server(echo) as (client, _):
        stream = await client.open_stream("POST")
        for number in range(300):
            await stream.send_all(b"%d," % number)
        await stream.send_eof()
        exchange = await stream.response()
        assert exchange.body == b"".join(b"%d," % number for number in range(300))


async def test_padding_counts_and_is_credited(autojump_clock: MockClock) -> None:
    async with our_server(echo) as (client, session):
        stream = await client.open_stream("POST")
        for number in range(600):  # more padding than the window of the session
            await stream.send_padded(b"x", 255, end_stream=number == 599)
        assert (await stream.response()).body == b"x" * 600
        assert session.statistics().ledger.received == 600 * 257


@pytest.mark.parametrize("body", [b"", b"content"])
async def test_trailers_go_both_ways(autojump_clock: MockClock, body: bytes) -> None:
    trailers = trio_h2.Headers([("x-sum", "abc"), ("x-twice", "1"), ("x-twice", "2")], sensitive=["x-sum"])
    async with our_server(echo) as (client, _):
        exchange = await client.request("POST", body=body, trailers=trailers)
        assert exchange.body == body
        assert exchange.trailers is not None
        assert exchange.trailers.raw == trailers.raw
        assert exchange.trailers.sensitive == {"x-sum"}


async def test_interim_responses_come_before_the_final_one(autojump_clock: MockClock) -> None:
    async def hints(stream: trio_h2.ServerStream) -> None:
        await stream.send_informational(103, {"link": "</a.css>"})
        await stream.send_informational(102)
        await stream.respond({":status": 200}, body=b"page")

    async with our_server(hints) as (client, _):
        exchange = await client.request("GET")
        assert [headers.status for headers in exchange.informational] == [103, 102]
        assert exchange.informational[0]["link"] == "</a.css>"
        assert exchange.body == b"page"


async def test_100_lets_the_body_come(autojump_clock: MockClock) -> None:
    async with our_server(echo) as (client, _):
        exchange = await client.request("POST", headers={"expect": "100-continue"}, body=b"content")
        assert exchange.body == b"content"

    async def reads_first(stream: trio_h2.ServerStream) -> None:
        body = await read(stream)
        await stream.respond({":status": 200}, body=body)

    async with our_server(reads_first) as (client, _):
        exchange = await client.request("POST", headers={"expect": "100-continue"}, body=b"content")
        assert [headers.status for headers in exchange.informational] == [100]
        assert exchange.body == b"content"


async def test_a_refusal_keeps_the_body_back(autojump_clock: MockClock) -> None:
    async def refuses(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 417}, body=b"no")

    async with our_server(refuses) as (client, session):
        exchange = await client.request("POST", headers={"expect": "100-continue"}, body=b"content")
        assert (exchange.status, exchange.body, exchange.informational) == (417, b"no", [])
        assert session.statistics().ledger.received == 0


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_statuses_without_content(autojump_clock: MockClock, method: str, status: int) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": status, "etag": '"a"'})

    async with our_server(handler) as (client, _):
        exchange = await client.request(method)
        assert (exchange.status, exchange.body) == (status, b"")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("HEAD", 304)])
async def test_a_length_without_the_content(autojump_clock: MockClock, method: str, status: int) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": status, "content-length": "5"})

    async with our_server(handler) as (client, _):
        exchange = await client.request(method)
        assert (exchange.status, exchange.headers["content-length"], exchange.body) == (status, "5", b"")


async def test_a_body_is_not_sent_in_answer_to_head(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 200}, body=b"hello")

    async with our_server(handler) as (client, _):
        exchange = await client.request("HEAD")
        assert (exchange.headers["content-length"], exchange.body) == ("5", b"")


async def test_fields_arrive_as_they_were_sent(autojump_clock: MockClock) -> None:
    sent: list[tuple[str | bytes, str | bytes]] = [
        ("x-plain", "text"),
        ("x-empty", ""),
        ("x-latin", "é" * 4000),
        ("x-long", "a" * 20_000),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-bytes", bytes(range(0x80, 0x100))),
    ]
    received: list[trio_h2.Headers] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        received.append(stream.headers)
        await stream.respond([(":status", 200), *sent], send_date=False, body=b"")

    want = trio_h2.Headers(sent).raw
    async with our_server(handler) as (client, _):
        for _time in range(3):  # from the second time on out of the tables
            exchange = await client.request("GET", headers=sent)
            assert [field for field in exchange.headers.raw if field[0] in dict(want)] == want
            assert [field for field in received.pop().raw if field[0] in dict(want)] == want


async def test_cookies_may_come_in_pieces(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 200, "x-cookie": str(stream.headers["cookie"])}, body=b"")

    async with our_server(handler) as (client, _):
        exchange = await client.request("GET", headers=[("cookie", "a=1"), ("cookie", "b=2")])
        assert exchange.headers["x-cookie"] == "a=1; b=2"


async def test_many_streams_at_once(autojump_clock: MockClock) -> None:
    async def one(client: ReferenceClient, number: int, results: dict[int, ReferenceExchange]) -> None:
        trailers = {"x-number": number} if number % 3 == 0 else None
        results[number] = await client.request("POST", f"/{number}", body=pattern(number * 500), trailers=trailers)

    results: dict[int, ReferenceExchange] = {}
    config = trio_h2.ServerConfig(max_concurrent_streams=20)
    async with our_server(echo, config=config) as (client, session):
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(one, client, number, results)
        assert session.statistics().ledger.received == sum(number * 500 for number in range(100))
    for number, exchange in results.items():
        assert exchange.headers["x-path"] == f"/{number}"
        assert exchange.body == pattern(number * 500)
        assert (exchange.trailers is not None) == (number % 3 == 0)
    assert len(results) == 100


async def test_pings_of_both_sides_are_answered(autojump_clock: MockClock) -> None:
    async with our_server(echo) as (client, session):
        await ping_each_other(session, client)


# ---- Push ----


async def test_pushed_responses(autojump_clock: MockClock) -> None:
    async def page(stream: trio_h2.ServerStream) -> None:
        for name, size in (("a", 0), ("b", 100_000)):
            push = await stream.push({":path": f"/{name}", "accept": "text/css"})
            await push.respond({":status": 200, "x-name": name}, body=pattern(size))
        await stream.respond({":status": 200}, body=b"page")

    async with our_server(page) as (client, _):
        exchange = await client.request("GET")
        assert exchange.body == b"page"
        first, second = exchange.pushes
        assert (first.request[":path"], first.request["accept"], first.body) == ("/a", "text/css", b"")
        assert first.stream.parent_id == exchange.stream.stream_id
        assert (second.headers["x-name"], second.body) == ("b", pattern(100_000))


async def test_a_push_is_refused_by_the_client(autojump_clock: MockClock) -> None:
    caught: list[trio_h2.StreamError] = []

    async def page(stream: trio_h2.ServerStream) -> None:
        push = await stream.push({":path": "/a"})
        await stream.respond({":status": 200})
        try:
            await push.respond({":status": 200})
            await push.send_all(bytes(10_000_000))
        except trio_h2.StreamError as exc:
            caught.append(exc)
        await stream.send_all(b"page")

    async with our_server(page) as (client, _):
        stream = await client.open_stream("GET", end_stream=True)
        await stream.receive_response()
        (push,) = stream.pushes
        push.reset(trio_h2.ErrorCode.REFUSED_STREAM)
        await push.aclose()  # what came of it before takes room in the session's window
        assert (await stream.response()).body == b"page"
    assert [error.code for error in caught] == [trio_h2.ErrorCode.REFUSED_STREAM]


async def test_no_push_where_the_client_wants_none(autojump_clock: MockClock) -> None:
    async def page(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(trio_h2.LocalProtocolError):
            await stream.push({":path": "/a"})
        await stream.respond({":status": 200}, body=b"%d" % stream.push_allowed)

    async with our_server(page, settings=trio_h2.Settings(enable_push=False)) as (client, _):
        exchange = await client.request("GET")
        assert (exchange.body, exchange.pushes) == (b"0", [])


async def test_pushes_wait_for_the_limit_of_the_client(autojump_clock: MockClock) -> None:
    async def page(stream: trio_h2.ServerStream) -> None:
        pushes = [await stream.push({":path": f"/{number}"}) for number in range(5)]
        await stream.respond({":status": 200}, body=b"page")
        for number, push in enumerate(pushes):
            await push.respond({":status": 200}, body=b"%d" % number)

    async with our_server(page, settings=trio_h2.Settings(max_concurrent_streams=1)) as (client, _):
        exchange = await client.request("GET")
        assert [push.body for push in exchange.pushes] == [b"0", b"1", b"2", b"3", b"4"]


# ---- CONNECT ----


async def test_a_tunnel(autojump_clock: MockClock) -> None:
    targets: list[str] = []

    async def proxy(stream: trio_h2.ServerStream) -> None:
        targets.append(stream.authority)
        assert (stream.method, stream.path, stream.scheme) == ("CONNECT", "", "")
        await stream.respond({":status": 200})
        async for data in stream:
            await stream.send_all(data.upper())
        await stream.send_eof()

    async with our_server(proxy) as (client, _):
        tunnel = await client.open_stream("CONNECT", headers={":authority": "example.org:443"})
        assert (await tunnel.receive_response()).status == 200
        for word in (b"one", b"two"):
            await tunnel.send_all(word)
            assert await tunnel.receive_some() == word.upper()
        await tunnel.send_eof()
        assert await tunnel.read() == b""
    assert targets == ["example.org:443"]


async def test_a_tunnel_is_refused(autojump_clock: MockClock) -> None:
    async def refuses(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 403}, body=b"no")

    async with our_server(refuses) as (client, _):
        tunnel = await client.open_stream("CONNECT", headers={":authority": "example.org:443"})
        exchange = await tunnel.response()
        assert (exchange.status, exchange.body) == (403, b"no")
        await tunnel.aclose()


async def test_extended_connect(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 200, "x-protocol": str(stream.protocol), "x-path": stream.path})
        await stream.send_all(await read(stream))

    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with our_server(handler, config=config) as (client, _):
        assert client.remote_settings.enable_connect_protocol
        stream = await client.open_stream("CONNECT", "/chat", protocol="websocket")
        headers = await stream.receive_response()
        assert (headers["x-protocol"], headers["x-path"]) == ("websocket", "/chat")
        await stream.send_all(b"hello")
        await stream.send_eof()
        assert await stream.read() == b"hello"

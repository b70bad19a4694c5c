"""Our client asks h2's server: whole exchanges, one after the other and many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.reference.ends import METHODS, SIZES, our_client, pattern, ping_each_other, read

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import ReferenceServerStream


async def echo(stream: ReferenceServerStream) -> None:
    """Answers with what came, as it comes, and says in trailers how it was asked."""
    head = stream.method == "HEAD"
    await stream.respond(200, {"x-method": stream.method, "x-path": stream.path}, end_stream=head)
    if head:
        return
    async for data in stream:
        await stream.send_all(data)
    trailers = await stream.receive_trailers()
    if trailers is None:
        await stream.send_eof()
    else:
        await stream.send_trailers(trailers)


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_is_asked(autojump_clock: MockClock, method: str) -> None:
    async with our_client(echo) as (session, _), session.request(method, "/a?b=c") as stream:
        headers = await stream.receive_response()
        assert (headers.status, headers["x-method"], headers["x-path"]) == (200, method, "/a?b=c")
        assert await read(stream) == b""
        assert await stream.receive_trailers() is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("capacity", [None, 1000])
async def test_bodies_of_all_sizes_go_both_ways(autojump_clock: MockClock, size: int, capacity: int | None) -> None:
    body = pattern(size)
    async with our_client(echo, capacity=capacity) as (session, _):
        async with session.request("POST", body=body) as stream:
            assert await read(stream) == body
        assert session.statistics().ledger.received == size


async def test_a_body_in_many_frames(autojump_clock: MockClock) -> None:
    async with our_client(echo) as (session, _), session.request("POST", end_stream=False) as stream:
        for number in range(300):
            await stream.send_all(b"%d," % number)
        await stream.send_eof()
        assert await read(stream) == b"".join(b"%d," % number for number in range(300))


async def test_padding_counts_and_is_credited(autojump_clock: MockClock) -> None:
    async def padded(stream: ReferenceServerStream) -> None:
        await stream.respond(200, end_stream=False)
        for number in range(600):
            await stream.send_padded(b"x", 255, end_stream=number == 599)

    async with our_client(padded) as (session, _):
        async with session.request("GET") as stream:
            assert await read(stream) == b"x" * 600
        assert session.statistics().ledger.received == 600 * 257


@pytest.mark.parametrize("body", [b"", b"content"])
async def test_trailers_go_both_ways(autojump_clock: MockClock, body: bytes) -> None:
    trailers = trio_h2.Headers([("x-sum", "abc"), ("x-twice", "1"), ("x-twice", "2")], sensitive=["x-sum"])
    async with our_client(echo) as (session, _), session.request("POST", body=body, end_stream=False) as stream:
        await stream.send_trailers(trailers)
        assert await read(stream) == body
        received = await stream.receive_trailers()
        assert received is not None
        assert received.raw == trailers.raw
        assert received.sensitive == {"x-sum"}


async def test_interim_responses_come_before_the_final_one(autojump_clock: MockClock) -> None:
    async def hints(stream: ReferenceServerStream) -> None:
        await stream.send_informational(103, {"link": "</a.css>"})
        await stream.send_informational(102)
        await stream.respond(200, body=b"page")

    async with our_client(hints) as (session, _), session.request("GET") as stream:
        first = await stream.receive_informational()
        assert first is not None
        assert (first.status, first["link"]) == (103, "</a.css>")
        assert await read(stream) == b"page"
        assert [headers.status for headers in stream.informational] == [103, 102]


async def test_100_lets_the_body_come(autojump_clock: MockClock) -> None:
    async def wants_it(stream: ReferenceServerStream) -> None:
        assert stream.headers["expect"] == "100-continue"
        with trio.move_on_after(0.1) as scope:
            await stream.receive_some()
        assert scope.cancelled_caught  # nothing comes before 100
        await stream.send_informational(100)
        await stream.respond(200, body=await stream.read())

    async with (
        our_client(wants_it) as (session, _),
        session.request("POST", body=b"content", expect_continue=True) as stream,
    ):
        assert await read(stream) == b"content"


async def test_a_refusal_keeps_the_body_back(autojump_clock: MockClock) -> None:
    seen: list[ReferenceServerStream] = []

    async def refuses(stream: ReferenceServerStream) -> None:
        seen.append(stream)
        await stream.respond(417, body=b"no")
        with pytest.raises(trio_h2.StreamResetError):
            await stream.read()

    async with (
        our_client(refuses) as (session, _),
        session.request("POST", body=b"content", expect_continue=True) as stream,
    ):
        assert (await stream.receive_response()).status == 417
        assert await read(stream) == b"no"
    assert seen[0].reset_code is not None


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("with_headers", [True, False])
async def test_statuses_without_content(
    autojump_clock: MockClock, method: str, status: int, with_headers: bool
) -> None:
    async def handler(stream: ReferenceServerStream) -> None:
        await stream.respond(status, {"etag": '"a"'}, end_stream=with_headers)
        await stream.send_eof()

    async with our_client(handler) as (session, _), session.request(method) as stream:
        assert (await stream.receive_response()).status == status
        assert await read(stream) == b""


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("HEAD", 304)])
@pytest.mark.parametrize("with_headers", [True, False])
async def test_a_length_without_the_content(
    autojump_clock: MockClock, method: str, status: int, with_headers: bool
) -> None:
    async def handler(stream: ReferenceServerStream) -> None:
        await stream.respond(status, {"content-length": "5"}, end_stream=with_headers)
        await stream.send_eof()

    async with our_client(handler) as (session, _), session.request(method) as stream:
        headers = await stream.receive_response()
        assert (headers.status, headers["content-length"]) == (status, "5")
        assert await read(stream) == b""


async def test_fields_arrive_as_they_were_sent(autojump_clock: MockClock) -> None:
    sent: list[tuple[str | bytes, str | bytes]] = [
        ("x-plain", "text"),
        ("x-empty", ""),
        ("x-latin", "é" * 4000),
        ("x-long", "a" * 20_000),
        ("x-bytes", bytes(range(0x80, 0x100))),
    ]
    want = trio_h2.Headers(sent).raw

    async def handler(stream: ReferenceServerStream) -> None:
        assert [field for field in stream.headers.raw if field[0] in dict(want)] == want
        await stream.respond(200, sent)

    async with our_client(handler) as (session, _):
        for _time in range(3):  # from the second time on out of the tables
            async with session.request("GET", headers=sent) as stream:
                headers = await stream.receive_response()
                assert [field for field in headers.raw if field[0] in dict(want)] == want


async def test_many_streams_at_once(autojump_clock: MockClock) -> None:
    async def one(session: trio_h2.ClientSession, number: int) -> None:
        async with session.request("POST", f"/{number}", body=pattern(number * 500), end_stream=False) as stream:
            if number % 3:
                await stream.send_eof()
            else:
                await stream.send_trailers({"x-number": number})
            assert (await stream.receive_response())["x-path"] == f"/{number}"
            assert await read(stream) == pattern(number * 500)
            assert (await stream.receive_trailers() is None) == bool(number % 3)

    settings = trio_h2.Settings(max_concurrent_streams=20)
    async with our_client(echo, settings=settings) as (session, _):
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(one, session, number)
        assert session.statistics().ledger.received == sum(number * 500 for number in range(100))


async def test_pings_of_both_sides_are_answered(autojump_clock: MockClock) -> None:
    async with our_client(echo) as (session, server):
        await ping_each_other(session, server)


# ---- Push ----


async def test_pushed_responses(autojump_clock: MockClock) -> None:
    pushed: dict[str, bytes] = {}

    async def on_push(stream: trio_h2.PushedStream) -> None:
        assert (await stream.receive_response()).status == 200
        pushed[stream.path] = await read(stream)

    async def page(stream: ReferenceServerStream) -> None:
        for name, size in (("a", 0), ("b", 100_000)):
            push = await stream.push(f"/{name}", {"accept": "text/css"})
            await push.respond(200, body=pattern(size))
        await stream.respond(200, body=b"page")

    async with our_client(page, push_handler=on_push) as (session, _):
        async with session.request("GET") as stream:
            assert await read(stream) == b"page"
        await trio.testing.wait_all_tasks_blocked()
    assert pushed == {"/a": b"", "/b": pattern(100_000)}


async def test_a_push_is_refused_by_the_client(autojump_clock: MockClock) -> None:
    codes: list[int] = []

    async def on_push(stream: trio_h2.PushedStream) -> None:
        stream.reset(trio_h2.ErrorCode.REFUSED_STREAM)

    async def page(stream: ReferenceServerStream) -> None:
        push = await stream.push("/a")
        codes.append(await push.wait_reset())
        await stream.respond(200, body=b"page")

    async with our_client(page, push_handler=on_push) as (session, _), session.request("GET") as stream:
        assert await read(stream) == b"page"
    assert codes == [trio_h2.ErrorCode.REFUSED_STREAM]


async def test_no_push_where_the_client_wants_none(autojump_clock: MockClock) -> None:
    async def page(stream: ReferenceServerStream) -> None:
        with pytest.raises(trio_h2.LocalProtocolError):
            await stream.push("/a")
        await stream.respond(200, body=b"page")

    async with our_client(page) as (session, server), session.request("GET") as stream:
        assert not server.remote_settings.enable_push
        assert await read(stream) == b"page"


# ---- CONNECT ----


async def test_a_tunnel(autojump_clock: MockClock) -> None:
    async def proxy(stream: ReferenceServerStream) -> None:
        assert (stream.method, stream.path, stream.scheme) == ("CONNECT", "", "")
        assert stream.authority == "example.org:443"
        await stream.respond(200, end_stream=False)
        async for data in stream:
            await stream.send_all(data.upper())
        await stream.send_eof()

    async with (
        our_client(proxy) as (session, _),
        session.request("CONNECT", headers={":authority": "example.org:443"}, end_stream=False) as tunnel,
    ):
        assert (await tunnel.receive_response()).status == 200
        for word in (b"one", b"two"):
            await tunnel.send_all(word)
            assert await tunnel.receive_some() == word.upper()
        await tunnel.send_eof()
        assert await read(tunnel) == b""


async def test_extended_connect(autojump_clock: MockClock) -> None:
    async def handler(stream: ReferenceServerStream) -> None:
        assert (stream.protocol, stream.path) == ("websocket", "/chat")
        await stream.respond(200, end_stream=False)
        await stream.send_all(await stream.read())
        await stream.send_eof()

    settings = trio_h2.Settings(enable_connect_protocol=True)
    async with (
        our_client(handler, settings=settings) as (session, _),
        session.request("CONNECT", "/chat", protocol="websocket", end_stream=False) as stream,
    ):
        assert (await stream.receive_response()).status == 200
        await stream.send_all(b"hello")
        await stream.send_eof()
        assert await read(stream) == b"hello"


async def test_extended_connect_is_not_offered(autojump_clock: MockClock) -> None:
    async with our_client(echo) as (session, _):
        with pytest.raises(trio_h2.ExtendedConnectError):
            await session.open_stream("CONNECT", "/chat", protocol="websocket", end_stream=False)

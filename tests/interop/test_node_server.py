"""Our client against a Node server, see `node/server.js`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.bodies import MIB, body, sha256
from tests.interop.fetching import checked_session, echo_sum, fetch, receive_sum
from tests.interop.processes import running
from trio_h2 import ErrorCode, Initiator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder, Program

SCRIPT = Path(__file__).parent / "node" / "server.js"
HELLO = b"from node\n"
MAX_STREAMS = 20


@pytest.fixture(params=["h2c", "tls"])
async def node(request: pytest.FixtureRequest, peers: PeerFinder, tls_files: TlsFiles) -> AsyncGenerator[Program, None]:
    files = [tls_files.certificate, tls_files.key] if request.param == "tls" else []
    async with running(peers.program("node"), SCRIPT, *files) as program:
        yield program


@pytest.fixture
async def url(request: pytest.FixtureRequest, node: Program) -> str:
    port = (await node.wait_for(r"^listening (\d+)$"))[1]
    return f"{'https' if 'tls' in request.node.callspec.id else 'http'}://127.0.0.1:{port}"


@pytest.fixture
async def session(url: str, tls_files: TlsFiles) -> AsyncGenerator[trio_h2.ClientSession, None]:
    async with checked_session(url, tls_files) as session:
        yield session


@pytest.mark.parametrize("wanted", [True, False])
async def test_weights(wanted: bool, url: str, tls_files: TlsFiles) -> None:
    """Node ignores the priorities of RFC 7540 if a client says that it does not use them."""
    config = trio_h2.ClientConfig(rfc7540_priorities=wanted)
    async with checked_session(url, tls_files, config=config) as session:
        if not wanted:
            assert (await fetch(session, "/weight")).body == b"16"
            return
        for weight in 1, 42, 256:
            async with session.request("GET", "/weight", weight=weight) as stream:
                assert (await stream.receive_response()).status == 200
                assert await stream.receive_some() == b"%d" % weight


async def test_methods(session: trio_h2.ClientSession) -> None:
    response = await fetch(session, "/hello")
    assert (response.status, response.body, response.rst_code) == (200, HELLO, ErrorCode.NO_ERROR)
    assert response.headers["content-type"] == "text/plain"
    head = await fetch(session, "/hello", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert (await fetch(session, "/nothing")).status == 404
    assert (await fetch(session, "/hello", method="DELETE")).status == 200


async def test_request_header_fields_arrive(session: trio_h2.ClientSession, url: str) -> None:
    response = await fetch(session, "/headers", headers=[("x-note", "several words"), ("cookie", "a=1; b=2")])
    told = json.loads(response.body)
    assert (told[":method"], told[":path"], told[":scheme"]) == ("GET", "/headers", url.partition(":")[0])
    assert told[":authority"] == url.partition("://")[2]
    assert (told["x-note"], told["cookie"]) == ("several words", "a=1; b=2")


async def test_upload_with_trailers_is_echoed(session: trio_h2.ClientSession) -> None:
    async with session.request("POST", "/echo", end_stream=False) as stream:
        await stream.send_all(b"payload")
        await stream.send_trailers({"x-sum": "12"})
        assert b"".join([chunk async for chunk in stream]) == b"payload"
        trailers = await stream.receive_trailers()
    assert trailers is not None
    assert dict(trailers) == {"x-echo": "12"}


async def test_large_upload_is_echoed(session: trio_h2.ClientSession) -> None:
    assert await echo_sum(session, "/echo", 20 * MIB) == (20 * MIB, sha256(20 * MIB))


async def test_large_download(session: trio_h2.ClientSession) -> None:
    async with session.request("GET", f"/bytes/{50 * MIB}") as stream:
        length, digest = await receive_sum(stream)
        trailers = await stream.receive_trailers()
    assert length == 50 * MIB
    assert trailers is not None
    assert dict(trailers) == {"x-sha256": digest}


async def test_full_duplex(session: trio_h2.ClientSession) -> None:
    """Question and answer by turns on one stream."""
    async with session.request("POST", "/echo", end_stream=False) as stream:
        assert (await stream.receive_response()).status == 200
        for n in range(50):
            await stream.send_all(b"message %d" % n)
            assert await stream.receive_some() == b"message %d" % n
        await stream.send_eof()
        assert await stream.receive_some() == b""


async def test_more_requests_than_the_server_takes_at_a_time(session: trio_h2.ClientSession) -> None:
    received: dict[int, str] = {}

    async def get(n: int) -> None:
        async with session.request("GET", f"/bytes/{n}") as stream:
            _, digest = await receive_sum(stream)
            trailers = await stream.receive_trailers()
            assert trailers is not None
            assert trailers["x-sha256"] == digest
            received[n] = digest

    await session.ping()  # the server's limit has come
    async with trio.open_nursery() as nursery:
        for n in range(300):
            nursery.start_soon(get, n * 99)
        await trio.testing.wait_all_tasks_blocked()
        assert session.statistics().open_streams <= MAX_STREAMS
    assert len(received) == 300


async def test_slow_server_reads(session: trio_h2.ClientSession) -> None:
    """The server sips an upload; other requests pass by."""
    responses: list[bytes] = []

    async def upload() -> None:
        responses.append((await fetch(session, "/sip", method="POST", body=body(2 * MIB))).body)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(upload)
        for _ in range(20):
            assert (await fetch(session, "/hello")).body == HELLO
    assert responses == [b"%d" % (2 * MIB)]


async def test_slow_server_writes(session: trio_h2.ClientSession) -> None:
    assert (await fetch(session, "/drip/50")).body == b"drop\n" * 50


async def test_slow_client_reads(session: trio_h2.ClientSession) -> None:
    """A body waits unread, in its window, while 100 others go by; then it is read to the end."""
    async with session.request("GET", f"/bytes/{4 * MIB}") as slow:
        await slow.receive_response()
        for _ in range(100):
            await fetch(session, "/hello")
        statistics = session.statistics()
        assert 0 < statistics.ledger.held <= session.config.stream_window
        length, digest = await receive_sum(slow)
        trailers = await slow.receive_trailers()
    assert length == 4 * MIB
    assert trailers is not None
    assert trailers["x-sha256"] == digest


async def test_informational_responses(session: trio_h2.ClientSession) -> None:
    response = await fetch(session, "/informational")
    assert [interim.status for interim in response.informational] == [100, 103]
    assert response.informational[1]["link"] == "</style.css>; rel=preload"
    assert (response.status, response.body) == (200, HELLO)


@pytest.mark.parity("C4")
async def test_a_body_waits_for_100_behind_other_interim_responses(session: trio_h2.ClientSession) -> None:
    async with session.request("POST", "/expect", body=b"held until then", expect_continue=True) as stream:
        interim = []
        while (early := await stream.receive_informational()) is not None:
            interim.append((early.status, early.get("link")))
        assert interim == [
            (102, None),
            (103, "</first.css>; rel=preload"),
            (103, "</second.css>; rel=preload"),
            (100, None),
        ]
        response = await stream.receive_response()
        assert (response.status, response["x-early"], response["x-expect"]) == (200, "0", "100-continue")
        assert b"".join([chunk async for chunk in stream]) == b"held until then"


@pytest.mark.parity("C4")
async def test_a_body_that_the_server_does_not_want_is_never_sent(
    session: trio_h2.ClientSession, node: Program
) -> None:
    async with session.request("POST", "/reject", body=b"unwanted", expect_continue=True) as stream:
        assert (await stream.receive_response()).status == 417
        assert await stream.receive_some() == b"no\n"
        assert await stream.receive_some() == b""
    await node.wait_for(r'"rejected":0')
    assert (await fetch(session, "/hello")).body == HELLO


@pytest.mark.parity("C6", "D5")
async def test_trailers_without_a_body(session: trio_h2.ClientSession) -> None:
    async with session.request("POST", "/bare", end_stream=False) as stream:
        await stream.send_trailers({"x-sum": "0"})
        assert (await stream.receive_response()).status == 200
        assert await stream.receive_some() == b""
        trailers = await stream.receive_trailers()
    assert trailers is not None
    assert dict(trailers) == {"x-echo": "0"}


async def told(events: trio_h2.Subscription, kind: type[trio_h2.SessionHappening]) -> trio_h2.SessionHappening:
    """Returns the next happening of a kind."""
    while True:
        event = await anext(events)
        if isinstance(event, kind):
            return event


@pytest.mark.parity("B22")
async def test_alternative_services(session: trio_h2.ClientSession) -> None:
    with session.subscribe() as events:
        async with session.request("GET", "/altsvc") as stream:
            assert (await stream.receive_response()).status == 200
            assert [await told(events, trio_h2.AltSvcReceived) for _ in range(3)] == [
                trio_h2.AltSvcReceived('h2=":8000"', "https://example.org:8443", 0),
                trio_h2.AltSvcReceived('h3=":443"; ma=60', "", stream.id),
                trio_h2.AltSvcReceived("clear", "http://example.com", 0),
            ]


@pytest.mark.parity("B17", "B23")
async def test_origins(session: trio_h2.ClientSession, url: str) -> None:
    """On TLS only."""
    named = [["https://example.org", "https://example.com:444"], ["https://third.example"]]
    with session.subscribe() as events:
        await fetch(session, "/origin")
        await session.ping()
        if url.startswith("http:"):
            assert session.origin_set is None
        else:
            announced = [await told(events, trio_h2.OriginReceived) for _ in named]
            assert announced == [trio_h2.OriginReceived(origins) for origins in named]
            assert session.origin_set == [url, *named[0], *named[1]]


@pytest.mark.parity("B6", "B16")
async def test_our_new_settings_reach_the_server(session: trio_h2.ClientSession, node: Program) -> None:
    """Each update returns on its own acknowledgement, also while a body is under way in the window that changes."""
    async with session.request("GET", f"/bytes/{MIB}") as stream, trio.open_nursery() as nursery:
        for size in 30_000, 40_000:
            await session.update_settings(trio_h2.Settings(initial_window_size=size, max_header_list_size=size))
            assert session.local_settings.initial_window_size == size
            assert not session.pending_settings_ack
            await node.wait_for(rf'"remote":.*"initialWindowSize":{size},.*"maxHeaderListSize":{size}')
        nursery.start_soon(session.update_settings, trio_h2.Settings(custom={0xF0F0: 1}))
        length, digest = await receive_sum(stream)
        trailers = await stream.receive_trailers()
    assert length == MIB
    assert trailers is not None
    assert trailers["x-sha256"] == digest


@pytest.mark.parity("B8", "B18")
async def test_pings_are_told_on_both_sides(session: trio_h2.ClientSession, node: Program) -> None:
    with session.subscribe() as events:
        assert (await fetch(session, "/ping")).body == b"01234567"
        assert await told(events, trio_h2.PingReceived) == trio_h2.PingReceived(b"01234567")
    result = await session.ping(b"from-you")
    assert result.payload == b"from-you"
    assert result.round_trip > 0
    await node.wait_for(r'"pinged":"from-you"')


@pytest.mark.parity("B15")
async def test_our_goaway_reaches_the_server(session: trio_h2.ClientSession, node: Program) -> None:
    """With its opaque data; what is open finishes."""
    async with session.request("GET", "/gate") as stream:
        assert await stream.receive_some() == HELLO
        async with session.request("GET", "/open") as other:
            await session.goaway(debug_data=b"because of the test")
            await node.wait_for(r'"opaque":"because of the test","last":0')
            assert b"".join([chunk async for chunk in other]) == HELLO
        assert b"".join([chunk async for chunk in stream]) == HELLO


async def test_early_response_stops_the_upload(session: trio_h2.ClientSession) -> None:
    """RFC 9113 §8.1: "Clients MUST NOT discard responses" because of RST_STREAM(NO_ERROR), which is no error."""
    async with session.request("POST", "/early", end_stream=False) as stream:
        while stream.rst_code is None:
            await stream.send_all(bytes(50_000))
        assert (await stream.receive_response()).status == 413
        assert b"".join([chunk async for chunk in stream]) == b"too much\n"
        assert stream.rst_code == ErrorCode.NO_ERROR
    assert (await fetch(session, "/hello")).body == HELLO


async def test_server_may_not_push(session: trio_h2.ClientSession) -> None:
    told = json.loads((await fetch(session, "/push")).body)
    assert told == {"pushAllowed": False, "refused": "ERR_HTTP2_PUSH_DISABLED"}


@pytest.mark.parametrize("code", [0, 2, 7, 8, 11, 0xABCD])
async def test_reset_by_the_server(session: trio_h2.ClientSession, code: int) -> None:
    with pytest.raises(trio_h2.StreamError) as caught:
        await fetch(session, f"/reset/{code}")
    assert (caught.value.code, caught.value.initiator) == (code, Initiator.REMOTE)
    refused = code == ErrorCode.REFUSED_STREAM
    assert caught.value.retryable is refused
    assert isinstance(caught.value, trio_h2.StreamRefusedError) is refused
    assert (await fetch(session, "/hello")).body == HELLO


async def test_reset_in_the_middle(session: trio_h2.ClientSession) -> None:
    async with session.request("GET", "/fail") as stream:
        assert await stream.receive_some() == HELLO
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await stream.receive_some()
    assert (caught.value.code, caught.value.initiator) == (ErrorCode.INTERNAL_ERROR, Initiator.REMOTE)
    assert stream.rst_code == ErrorCode.INTERNAL_ERROR
    assert (await fetch(session, "/hello")).body == HELLO


async def test_our_reset_reaches_the_server(session: trio_h2.ClientSession, node: Program) -> None:
    async with session.request("GET", "/gate") as stream:
        await stream.receive_some()
        stream.reset(ErrorCode.ENHANCE_YOUR_CALM)
    async with session.request("GET", "/gate") as stream:
        await stream.receive_some()  # and leaves the block
    await node.wait_for(r'"closed":"/gate","rstCode":11')
    await node.wait_for(r'"closed":"/gate","rstCode":8')
    assert (await fetch(session, "/hello")).body == HELLO


async def test_new_settings_hold_at_once(session: trio_h2.ClientSession) -> None:
    """The server lowers its limits on streams and windows while an upload is under way, then raises them."""
    async with session.request("POST", "/echo", end_stream=False) as stream:
        await stream.receive_response()
        for streams, window in ((2, 1000), (5, 0), (30, 200_000)):
            await fetch(session, f"/settings/{streams}/{window}")
            assert session.peer_settings.max_concurrent_streams == streams
            assert session.peer_settings.initial_window_size == window
        sent = body(500_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, sent)
            received = b""
            while len(received) < len(sent):
                received += await stream.receive_some()
        assert received == sent


async def test_pings_both_ways(session: trio_h2.ClientSession) -> None:
    assert (await fetch(session, "/ping")).body == b"01234567"
    assert (await session.ping()).round_trip > 0


async def test_goaway_spares_what_the_server_has_taken(session: trio_h2.ClientSession) -> None:
    """RFC 9113 §6.8: streams up to the last id go on; those above it, and new ones, are safe to retry."""
    async with (
        session.request("GET", "/gate") as first,
        session.request("GET", "/gate") as second,
        session.request("GET", "/gate") as third,
    ):
        assert await first.receive_some() == await second.receive_some() == await third.receive_some() == HELLO
        async with session.request("GET", f"/open/{second.id}") as waiting:
            assert waiting.id > third.id
            async with session.request("GET", f"/goaway/0/{waiting.id}") as above:
                with pytest.raises(trio_h2.StreamRefusedError) as caught:
                    await above.receive_response()
                assert caught.value.retryable
            with pytest.raises(trio_h2.GoAwayError) as refused:
                await fetch(session, "/hello")
            assert refused.value.retryable
            assert (refused.value.code, refused.value.debug_data) == (ErrorCode.NO_ERROR, b"because of the test")
            for stream in (first, second, third):
                assert b"".join([chunk async for chunk in stream]) == HELLO
            assert b"".join([chunk async for chunk in waiting]) == HELLO


async def test_session_that_the_server_closes(session: trio_h2.ClientSession) -> None:
    """Node's `session.close()`: GOAWAY, what runs finishes, then the end."""
    async with session.request("GET", f"/bytes/{2 * MIB}") as stream:
        await stream.receive_response()
        await fetch(session, "/close")
        await session.wait_draining()
        with pytest.raises(trio_h2.GoAwayError) as refused:
            await fetch(session, "/hello")
        assert refused.value.retryable
        length, _ = await receive_sum(stream)
    assert length == 2 * MIB
    with trio.fail_after(10):
        await session.wait_closed()


async def test_session_that_the_server_destroys(session: trio_h2.ClientSession) -> None:
    async with session.request("GET", "/gate") as stream:
        assert await stream.receive_some() == HELLO
        with pytest.raises(trio_h2.H2Error):
            await fetch(session, "/destroy")
        with pytest.raises(trio_h2.H2Error):
            await stream.receive_some()
    with pytest.raises(trio_h2.SessionError):
        await session.wait_closed()


async def test_client_leaves_with_goaway(url: str, tls_files: TlsFiles, node: Program) -> None:
    async with checked_session(url, tls_files) as session:
        await fetch(session, "/hello")
    await node.wait_for(r'^\{"goaway":0\}$')
    await node.wait_for(r'^\{"sessionClosed":true\}$')
    assert "rror" not in node.output

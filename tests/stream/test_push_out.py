"""What a server pushes: the promise, the response to it, and what is refused before anything is sent."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, scripted_client
from trio_h2 import ErrorCode, LocalProtocolError, Priority, SettingCode, StreamResetError
from trio_h2.testing import HeadersFrame, PushPromiseFrame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

_NO_DATE = trio_h2.ServerConfig(send_date=False)


class _Served:
    """A request that has come, and the scripted client behind it."""

    def __init__(self, session: trio_h2.ServerSession, peer: ScriptedPeer, stream: trio_h2.ServerStream) -> None:
        self.session = session
        self.peer = peer
        self.stream = stream


@asynccontextmanager
async def _get() -> AsyncIterator[_Served]:
    """A GET of /, whose handler stays as long as the block."""
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, config=_NO_DATE) as (session, peer):
        await peer.request("GET", "/")
        yield _Served(session, peer, await exchanges.next())
        exchanges.finish()


# -- the promise -------------------------------------------------------------------------------------------------------


@pytest.mark.parity("E3")
async def test_without_headers_it_is_get_of_the_root_of_the_same_origin(autojump_clock: MockClock) -> None:
    async with _get() as served:
        pushed = await served.stream.push()
        promise = await served.peer.expect(PushPromiseFrame, stream_id=1, promised_stream_id=2)
        assert promise.fields == (
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", b"/"),
        )
        assert pushed.headers.raw == list(promise.fields)
        assert (pushed.method, pushed.scheme, pushed.authority, pushed.path) == ("GET", "https", "localhost", "/")


@pytest.mark.parity("E3")
async def test_the_headers_say_what_is_promised(autojump_clock: MockClock) -> None:
    async with _get() as served:
        pushed = await served.stream.push(
            {":method": "HEAD", ":path": "/a?b", ":authority": "example.org", "accept": "*/*"}
        )
        promise = await served.peer.expect(PushPromiseFrame, stream_id=1, promised_stream_id=2)
        assert promise.fields == (
            (b":method", b"HEAD"),
            (b":scheme", b"https"),
            (b":authority", b"example.org"),
            (b":path", b"/a?b"),
            (b"accept", b"*/*"),
        )
        assert isinstance(pushed, trio_h2.ServerStream)
        assert (pushed.id, pushed.method, pushed.headers["accept"]) == (2, "HEAD", "*/*")


async def test_pairs_from_an_iterator_will_do(autojump_clock: MockClock) -> None:
    async with _get() as served:
        pushed = await served.stream.push(iter([(":path", "/style.css"), (":method", "HEAD")]))
        assert (pushed.method, pushed.path) == ("HEAD", "/style.css")
        await served.peer.expect(PushPromiseFrame)


async def test_promises_come_before_what_is_sent_after_them(autojump_clock: MockClock) -> None:
    """RFC 9113 §8.4.1: "The server SHOULD send PUSH_PROMISE (Section 6.6) frames prior to sending any frames that
    reference the promised responses."
    """
    async with _get() as served:
        stream, peer = served.stream, served.peer
        await stream.respond()
        await stream.push({":path": "/1"})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, b"/1")
            await peer.expect_headers(1)
            await peer.expect(PushPromiseFrame, promised_stream_id=2)
            await peer.expect_data(1, b"/1")
        second = await stream.push({":path": "/2"})
        await second.respond(body=b"two")
        await peer.expect(PushPromiseFrame, promised_stream_id=4)
        await peer.expect_headers(4)
        await peer.expect_data(4, b"two", end_stream=True)


async def test_a_promise_can_come_before_the_request_has_ended(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, config=_NO_DATE) as (_session, peer):
        await peer.request("POST", "/", end_stream=False)
        stream = await exchanges.next()
        await (await stream.push()).respond(204)
        await peer.expect(PushPromiseFrame, stream_id=1)
        await peer.expect_headers(2, status=204, end_stream=True)
        exchanges.finish()


# -- the response ------------------------------------------------------------------------------------------------------


@pytest.mark.parity("E3", "D11")
async def test_a_push_is_answered_like_a_request(autojump_clock: MockClock) -> None:
    async with _get() as served:
        peer, pushed = served.peer, await served.stream.push({":path": "/style.css"})
        assert pushed.state.name == "reserved (local)"
        assert not pushed.headers_sent
        await pushed.respond({"content-type": "text/css"})
        assert pushed.state.name == "half-closed (remote)"
        await pushed.send_all(b"body { }")
        await pushed.send_trailers({"x-sum": "8"})
        await peer.expect(PushPromiseFrame, promised_stream_id=2)
        await peer.expect_headers(2, status=200, fields={"content-type": "text/css"})
        await peer.expect_data(2, b"body { }")
        await peer.expect_headers(2, end_stream=True, fields={"x-sum": "8"})
        assert pushed.state.name == "closed"
        assert pushed.closed
        assert pushed.rst_code == 0
        assert served.stream.state.name == "half-closed (remote)"


@pytest.mark.parity("E3")
async def test_its_request_is_complete(autojump_clock: MockClock) -> None:
    async with _get() as served:
        pushed = await served.stream.push()
        assert await pushed.receive_some() == b""
        assert await pushed.receive_trailers() is None
        assert pushed.end_after_headers
        assert not pushed.expects_continue
        await served.peer.expect(PushPromiseFrame)


async def test_it_can_be_reset(autojump_clock: MockClock) -> None:
    async with _get() as served:
        pushed = await served.stream.push()
        pushed.reset(ErrorCode.INTERNAL_ERROR)
        await served.peer.expect(PushPromiseFrame)
        await served.peer.expect_rst(2, ErrorCode.INTERNAL_ERROR)
        with pytest.raises(StreamResetError):
            await pushed.respond()
        await served.peer.expect_nothing()


async def test_closed_without_a_response_it_is_cancelled(autojump_clock: MockClock) -> None:
    async with _get() as served:
        async with await served.stream.push():
            pass
        await served.peer.expect(PushPromiseFrame)
        await served.peer.expect_rst(2, ErrorCode.CANCEL)


@pytest.mark.parity("D9")
async def test_its_weight_can_be_set_in_silence(autojump_clock: MockClock) -> None:
    async with _get() as served:
        pushed = await served.stream.push()
        pushed.prioritize(weight=200, silent=True)
        assert pushed.state.weight == 200
        await served.peer.expect(PushPromiseFrame)
        await served.peer.expect_nothing()


@pytest.mark.parity("D9")
@pytest.mark.parametrize("how", ["header", "call"])
async def test_its_priority_orders_what_is_sent(how: str, autojump_clock: MockClock) -> None:
    async with _get() as served:
        peer, stream = served.peer, served.stream
        await stream.respond()
        fields = {"priority": "u=7"} if how == "header" else {}
        late, early = await stream.push({":path": "/late", **fields}), await stream.push({":path": "/early"})
        if how == "call":
            early.prioritize(Priority(urgency=0))
        await late.respond()
        await early.respond()
        await trio.testing.wait_all_tasks_blocked()  # the writer is, too: it takes both bodies at once
        async with trio.open_nursery() as nursery:
            nursery.start_soon(late.send_all, bytes(30_000))
            nursery.start_soon(early.send_all, bytes(30_000))
            await peer.until(trio_h2.testing.DataFrame, stream_id=4)
        bodies = [frame.stream_id for frame in peer.frames if isinstance(frame, trio_h2.testing.DataFrame)]
        assert bodies[0] == 4
        assert bodies == sorted(bodies, reverse=True)


# -- what the client does ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [ErrorCode.CANCEL, ErrorCode.REFUSED_STREAM])
async def test_a_refused_promise(code: ErrorCode, autojump_clock: MockClock) -> None:
    """RFC 9113 §8.4.2: the client refuses "using either the CANCEL or REFUSED_STREAM code"."""
    async with _get() as served:
        peer, pushed = served.peer, await served.stream.push()
        await peer.expect(PushPromiseFrame)
        await peer.send_rst(2, code)
        await peer.ping()
        with pytest.raises(StreamResetError) as caught:
            await pushed.respond(body=b"unwanted")
        assert (caught.value.code, caught.value.stream_id) == (code, 2)
        assert (pushed.closed, pushed.rst_code) == (True, code)
        await served.stream.respond(body=b"page")  # nothing happened to the request
        await peer.expect_headers(1)
        await peer.expect_data(1, b"page", end_stream=True)


async def test_a_promise_that_is_refused_without_an_error(autojump_clock: MockClock) -> None:
    async with _get() as served:
        peer, pushed = served.peer, await served.stream.push()
        await peer.expect(PushPromiseFrame)
        await peer.send_rst(2, ErrorCode.NO_ERROR)
        await peer.ping()
        await pushed.respond(body=b"unwanted")
        await peer.expect_nothing()


async def test_a_push_that_is_cut_off(autojump_clock: MockClock) -> None:
    async with _get() as served:
        peer, pushed = served.peer, await served.stream.push()
        await pushed.respond()
        await peer.expect(PushPromiseFrame)
        await peer.expect_headers(2)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                with pytest.raises(StreamResetError):
                    await pushed.send_all(bytes(1_000_000))

            await peer.send_rst(2)
        assert served.stream.push_allowed
        await peer.ping()


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parity("K1")
@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({":method": "POST"}, "only GET and HEAD can be pushed"),
        ({":method": "CONNECT"}, "only GET and HEAD can be pushed"),
        ({"content-length": "5"}, "has no content, but content-length is 5"),
        ({":path": "style.css"}, "':path' must begin with '/'"),
        ({":authority": ""}, "':authority' is missing"),
        ({":status": "200"}, "':status' is not allowed"),
        ({"connection": "close"}, "'connection' is not allowed"),
        ({"x-bad": "a\nb"}, "control characters are not allowed"),
    ],
)
async def test_bad_headers(headers: dict[str, str], message: str, autojump_clock: MockClock) -> None:
    async with _get() as served:
        with pytest.raises(ValueError, match=message):
            await served.stream.push(headers)
        await _nothing_happened(served)


async def test_headers_of_a_wrong_type(autojump_clock: MockClock) -> None:
    async with _get() as served:
        with pytest.raises(TypeError):
            await served.stream.push(5)  # type: ignore[arg-type]
        await _nothing_happened(served)


@pytest.mark.parity("E3", "K2")
async def test_a_pushed_stream_cannot_push(autojump_clock: MockClock) -> None:
    async with _get() as served:
        pushed = await served.stream.push()
        await served.peer.expect(PushPromiseFrame)
        assert not pushed.push_allowed
        with pytest.raises(LocalProtocolError, match="a pushed stream cannot push"):
            await pushed.push({":path": "/more"})
        await _nothing_happened(served, next_id=4)


@pytest.mark.parity("E2", "E3", "K2")
async def test_the_client_forbids_it(autojump_clock: MockClock) -> None:
    async with _get() as served:
        peer, stream = served.peer, served.stream
        allowed = [stream.push_allowed]
        await peer.send_settings({SettingCode.ENABLE_PUSH: 0})
        await peer.ping()
        allowed.append(stream.push_allowed)
        await _goes_nowhere(await stream.push())
        await peer.expect_nothing()
        await peer.send_settings({SettingCode.ENABLE_PUSH: 1})
        await peer.ping()
        allowed.append(stream.push_allowed)
        assert allowed == [True, False, True]
        await _nothing_happened(served)


@pytest.mark.parity("E2")
async def test_after_a_reset(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, cancel_handler_on_reset=False) as (_session, peer):
        await peer.request("GET", "/")
        stream = await exchanges.next()
        await peer.send_rst(1)
        await peer.ping()
        assert not stream.push_allowed
        with pytest.raises(StreamResetError):
            await stream.push()
        exchanges.finish()


@pytest.mark.parity("E2")
async def test_after_our_own_close(autojump_clock: MockClock) -> None:
    async with _get() as served:
        await served.stream.aclose()
        assert not served.stream.push_allowed
        with pytest.raises(trio.ClosedResourceError):
            await served.stream.push()


@pytest.mark.parity("E2", "K2")
async def test_when_this_side_leaves(autojump_clock: MockClock) -> None:
    async with _get() as served:
        served.session.shutdown()
        assert not served.stream.push_allowed
        await _goes_nowhere(await served.stream.push())
        await served.stream.respond(body=b"bye")


@pytest.mark.parity("B15", "E2")
async def test_after_a_goaway_that_goes_on(autojump_clock: MockClock) -> None:
    async with _get() as served:
        await served.session.goaway()
        await served.peer.expect_goaway()
        assert served.stream.push_allowed
        assert (await served.stream.push()).id == 2
        await served.peer.expect(PushPromiseFrame, promised_stream_id=2)
        await served.stream.respond(body=b"page")


@pytest.mark.parity("E2", "K2")
async def test_when_the_client_leaves(autojump_clock: MockClock) -> None:
    async with _get() as served:
        await served.peer.send_goaway(0)
        await served.peer.ping()
        assert not served.stream.push_allowed
        await _goes_nowhere(await served.stream.push())
        await served.stream.respond(body=b"bye")
        await served.peer.expect_headers(1)
        await served.peer.expect_data(1, b"bye", end_stream=True)


@pytest.mark.parity("K2")
async def test_when_the_stream_ids_are_used_up(autojump_clock: MockClock) -> None:
    async with _get() as served:
        served.session._core.engine.highest_outbound_id = 2**31 - 4
        assert (await served.stream.push()).id == 2**31 - 2
        await served.peer.expect(PushPromiseFrame, promised_stream_id=2**31 - 2)
        assert not served.stream.push_allowed
        await _goes_nowhere(await served.stream.push())
        await served.stream.respond(body=b"page")
        await served.peer.expect_headers(1)


async def test_a_tunnel_cannot_push(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        await peer.send_headers(1, {":method": "CONNECT", ":authority": "example.org:443"})
        stream = await exchanges.next()
        assert not stream.push_allowed
        with pytest.raises(LocalProtocolError, match="a tunnel"):
            await stream.push({":scheme": "https", ":authority": "example.org"})
        exchanges.finish()


@pytest.mark.parametrize("limit", ["theirs", "ours"])
async def test_headers_too_large(limit: str, autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    config = trio_h2.ServerConfig(max_send_header_block_length=300 if limit == "ours" else None)
    settings = {SettingCode.MAX_HEADER_LIST_SIZE: 400} if limit == "theirs" else {}
    async with scripted_client(exchanges.handle, config=config, settings=settings) as (session, peer):
        await peer.request("GET", "/")
        stream = await exchanges.next()
        with pytest.raises(LocalProtocolError, match=r"at most 400|max_send_header_block_length is 300"):
            await stream.push({"x-large": "x" * 600})
        await _nothing_happened(_Served(session, peer, stream))
        exchanges.finish()


async def _goes_nowhere(pushed: trio_h2.ServerStream) -> None:
    """Asserts that a push which nobody could know to be too late is no error, and answered like any other."""
    assert (pushed.id, pushed.parent_id, pushed.closed, pushed.aborted) == (0, 1, True, True)
    assert (pushed.method, pushed.path, pushed.push_allowed) == ("GET", "/", False)
    assert pushed.state.name == "closed"
    with pytest.raises(LocalProtocolError, match="a pushed stream cannot push"):
        await pushed.push()
    await pushed.send_informational(103)
    await pushed.respond({":status": 200, "content-length": "3"})
    assert pushed.sent_status == 200
    await pushed.send_all(bytes(1_000_000))
    await pushed.send_eof()
    assert await pushed.receive_some() == b""
    pushed.prioritize(Priority(urgency=1))
    pushed.idle_timeout = 1
    pushed.reset()
    await pushed.aclose()


@pytest.mark.parametrize("why", ["drain", "goaway", "settings"])
async def test_a_push_that_comes_too_late_leaves_the_page_alone(why: str, autojump_clock: MockClock) -> None:
    """`push_allowed` said yes, and then a drain began, or the client changed its mind: the page is what matters."""

    async def page(stream: trio_h2.ServerStream) -> None:
        assert stream.push_allowed
        await trio.sleep(1)
        style = await stream.push({":path": "/style.css"})
        await style.respond({"content-type": "text/css"}, body=b"style")
        async with await stream.push({":path": "/script.js"}) as script:
            await script.respond()
            await script.send_all(b"script")
        await stream.respond(body=b"page")

    async with scripted_client(page, config=_NO_DATE) as (session, peer):
        await peer.request("GET", "/")
        await trio.sleep(0.5)
        if why == "drain":
            session.shutdown()
        elif why == "goaway":
            await peer.send_goaway()
        else:
            await peer.send_settings({SettingCode.ENABLE_PUSH: 0})
        await peer.until(HeadersFrame, stream_id=1)
        assert await peer.collect_body(1) == b"page"


async def test_a_client_that_never_allowed_pushes(autojump_clock: MockClock) -> None:
    """Here `push_allowed` would have told."""
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, settings={SettingCode.ENABLE_PUSH: 0}) as (_session, peer):
        await peer.request("GET", "/")
        stream = await exchanges.next()
        assert not stream.push_allowed
        with pytest.raises(LocalProtocolError, match="the client allows no pushes"):
            await stream.push()
        exchanges.finish()
        await peer.expect_headers(1)


async def _nothing_happened(served: _Served, *, next_id: int = 2) -> None:
    """Asserts that nothing was sent, and that stream and session are healthy."""
    await served.peer.expect_nothing()
    assert (await served.stream.push({":path": "/after"})).id == next_id
    await served.peer.expect(PushPromiseFrame, promised_stream_id=next_id)


# -- cancellation ------------------------------------------------------------------------------------------------------


async def test_cancelled_it_sends_nothing(autojump_clock: MockClock) -> None:
    async with _get() as served:
        with trio.CancelScope() as scope:
            scope.cancel()
            await served.stream.push()
        assert scope.cancelled_caught
        await _nothing_happened(served)

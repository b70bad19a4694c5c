"""Every wrong use of a session or stream: what it raises, that nothing is sent, and that all goes on.

Bad values are `TypeError` or `ValueError`, bad moments `LocalProtocolError`, or `trio.ClosedResourceError`
after one's own close; all of it at the call. Whoever adds an operation adds its wrong uses to a table here.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import connected, served
from trio_h2 import ClientSession, ClientStream, LocalProtocolError, Role, ServerStream, Session, Settings, Stream
from trio_h2.testing import DataFrame, HeadersFrame, PingFrame, RstStreamFrame, ScriptedPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Step: TypeAlias = Callable[[ServerStream], Awaitable[object]]


class Wrong(NamedTuple):
    """One wrong use."""

    name: str
    before: Callable[[ServerStream], Awaitable[object]]
    use: Callable[[ServerStream], object]
    error: type[Exception]
    text: str
    method: str = "GET"


async def nothing(stream: Stream) -> None:
    """Has done nothing so far."""
    await trio.lowlevel.checkpoint()


async def ended(stream: ServerStream) -> None:
    await stream.respond(body=b"all")


async def with_trailers(stream: ServerStream) -> None:
    await stream.respond()
    await stream.send_trailers({"x-first": "1"})


async def sent_eof(stream: Stream) -> None:
    await stream.send_eof()


async def responded_and_sent_eof(stream: ServerStream) -> None:
    await stream.respond()
    await stream.send_eof()


async def three_of_five(stream: ServerStream) -> None:
    await stream.respond({"content-length": 5})
    await stream.send_all(b"123")


async def late_length(stream: ServerStream) -> None:
    await stream.send_trailers({"content-length": "0"})


def responded(status: int = 200) -> Step:
    """Has sent response headers."""

    async def respond(stream: ServerStream) -> None:
        await stream.respond(status)

    return respond


def with_body(status: int) -> Step:
    """Sends a response with content."""

    async def respond(stream: ServerStream) -> None:
        await stream.respond(status, body=b"x")

    return respond


LOCAL, VALUE, TYPE = LocalProtocolError, ValueError, TypeError
CLOSED = trio.ClosedResourceError

ON_A_SERVER = [
    # -- the order of things --
    Wrong("respond twice", responded(202), lambda s: s.respond(500), LOCAL, "status 202, have been sent already"),
    Wrong("respond after the end", ended, lambda s: s.respond(), LOCAL, "status 200, have been sent already"),
    Wrong("1xx after the response", responded(), lambda s: s.send_informational(103), LOCAL, "status 200, have been"),
    Wrong("body before headers", nothing, lambda s: s.send_all(b"x"), LOCAL, r"respond\(\) must come before"),
    Wrong("end before headers", nothing, lambda s: s.send_eof(), LOCAL, r"respond\(\) must come before"),
    Wrong("trailers before headers", nothing, lambda s: s.send_trailers({"a": "b"}), LOCAL, r"respond\(\) must come"),
    Wrong("trailers twice", with_trailers, lambda s: s.send_trailers({"a": "b"}), LOCAL, "send side .* has ended"),
    Wrong("body after trailers", with_trailers, lambda s: s.send_all(b"x"), LOCAL, "send side .* has ended"),
    Wrong("trailers after the end", ended, lambda s: s.send_trailers({"a": "b"}), LOCAL, "send side .* has ended"),
    Wrong("body after the end", ended, lambda s: s.send_all(b"x"), LOCAL, "send side .* has ended"),
    Wrong("body after send_eof", responded_and_sent_eof, lambda s: s.send_all(b"x"), CLOSED, "closed"),
    # -- what a response may have --
    *(
        wrong
        for status in (204, 205, 304)
        for wrong in (
            Wrong(f"body after {status}", responded(status), lambda s: s.send_all(b"x"), LOCAL, f"{status} has no c"),
            Wrong(f"{status} with a body", nothing, with_body(status), LOCAL, f"status {status} has no content"),
        )
    ),
    *(
        Wrong(f"late length after {method}", responded(), late_length, VALUE, "'content-length' is", method)
        for method in ("GET", "HEAD")
    ),
    Wrong("status 101", nothing, lambda s: s.send_informational(101), VALUE, "status 101 does not exist in HTTP/2"),
    Wrong("status 99", nothing, lambda s: s.send_informational(99), VALUE, "from 100 to 199, not 99"),
    Wrong("status 200 as 1xx", nothing, lambda s: s.send_informational(200), VALUE, "from 100 to 199, not 200"),
    Wrong("status '103'", nothing, lambda s: s.send_informational(cast("int", "103")), TYPE, "int, not str"),
    Wrong("final 101", nothing, lambda s: s.respond(101), VALUE, r"from 200 to 999, not '101'; send_informational\(\)"),
    Wrong("final 1000", nothing, lambda s: s.respond(1000), VALUE, "from 200 to 999, not '1000'"),
    Wrong("status True", nothing, lambda s: s.respond(True), TYPE, "bool"),
    Wrong("1xx with a length", nothing, lambda s: s.send_informational(103, {"content-length": 0}), VALUE, "-length"),
    # -- fields --
    Wrong("request field", nothing, lambda s: s.respond({":path": "/"}), VALUE, "':path' is not allowed in a response"),
    Wrong("status in trailers", responded(), lambda s: s.send_trailers({":status": "200"}), VALUE, "':status' is not"),
    Wrong("path in trailers", responded(), lambda s: s.send_trailers({":path": "/"}), VALUE, "':path' is not allowed"),
    Wrong("connection", nothing, lambda s: s.respond({"connection": "close"}), VALUE, "'connection' is not allowed"),
    Wrong("late upgrade", responded(), lambda s: s.send_trailers({"upgrade": "x"}), VALUE, "'upgrade' is not allowed"),
    Wrong("bad name", nothing, lambda s: s.respond({"a b": "c"}), VALUE, "'a b'"),
    Wrong("bad value", nothing, lambda s: s.respond({"a": "b\r\nc: d"}), VALUE, "'a'"),
    # -- content-length --
    Wrong("length", nothing, lambda s: s.respond({"content-length": 4}, body=b"12345"), VALUE, "is 4, .* has 5 bytes"),
    Wrong("length 0", nothing, lambda s: s.respond({"content-length": 4}, end_stream=True), VALUE, "is 4, .* 0 bytes"),
    Wrong("too long", three_of_five, lambda s: s.send_all(b"456"), LOCAL, "is 5, .* would have 6 bytes"),
    Wrong("too short", three_of_five, lambda s: s.send_eof(), LOCAL, "is 5, but the body has 3 bytes"),
    Wrong("short trailers", three_of_five, lambda s: s.send_trailers({}), LOCAL, "is 5, but the body has 3 bytes"),
    Wrong("length of 204", nothing, lambda s: s.respond({":status": 204, "content-length": 0}), VALUE, "in a 204"),
    Wrong("no number", nothing, lambda s: s.respond({"content-length": "four"}), VALUE, "must be a number of bytes"),
    # -- plain arguments --
    Wrong("reset -1", nothing, lambda s: s.reset(-1), VALUE, r"code must be in 0\.\.4294967295, not -1"),
    Wrong("reset 2**32", nothing, lambda s: s.reset(2**32), VALUE, r"code must be in 0\.\.4294967295, not 4294967296"),
    Wrong("reset None", nothing, lambda s: s.reset(cast("int", None)), TYPE, "code must be an int, not None"),
    Wrong("weight 0", nothing, lambda s: s.prioritize(weight=0), VALUE, r"weight must be in 1\.\.256, not 0"),
    Wrong("own parent", nothing, lambda s: s.prioritize(depends_on=s.id), VALUE, "stream 1 cannot depend on itself"),
    Wrong("destroy", nothing, lambda s: s.destroy(cast("Exception", "why")), TYPE, "exception or None, not 'why'"),
    Wrong("receive 0", nothing, lambda s: s.receive_some(0), VALUE, "max_bytes must be at least 1, not 0"),
    Wrong("idle", nothing, lambda s: setattr(s, "idle_timeout", -1), VALUE, "idle_timeout must be .*-1"),
    Wrong("idle hook", nothing, lambda s: setattr(s, "on_idle", "why"), TYPE, "on_idle must be a function or None"),
]


@pytest.mark.parity("K1", "K2")
@pytest.mark.parametrize("wrong", ON_A_SERVER, ids=lambda wrong: wrong.name.replace(" ", "-"))
async def test_on_a_server(wrong: Wrong, autojump_clock: object) -> None:
    reached, go, raised, end = trio.Event(), trio.Event(), trio.Event(), trio.Event()

    async def handler(stream: ServerStream) -> None:
        if stream.id != 1:
            await stream.respond(body=b"healthy")
            return
        await wrong.before(stream)
        reached.set()
        await go.wait()
        with pytest.raises(wrong.error, match=wrong.text) as caught:
            await outcome(wrong.use(stream))
        assert type(caught.value) is wrong.error
        raised.set()
        await end.wait()
        await finish(stream)

    async with served(handler) as (peer, _):
        await peer.request(wrong.method)
        await reached.wait()
        async with silence(peer):
            go.set()
            await raised.wait()
        end.set()
        await peer.request()
        await peer.pick(HeadersFrame, stream_id=3)
        assert await peer.collect_body(3) == b"healthy"
        first = [frame for frame in peer.frames if frame.stream_id == 1]
        assert not [frame for frame in first if isinstance(frame, RstStreamFrame)]
        assert isinstance(first[-1], (HeadersFrame, DataFrame))
        assert first[-1].end_stream


async def finish(stream: ServerStream) -> None:
    """The stream is as it was: what is missing can still be sent."""
    if stream.sent_headers is None:
        await stream.respond(body=b"fine")
    elif not stream.state.local_closed:
        await stream.send_all(b"45")


async def outcome(result: object) -> None:
    """Waits for what has to be waited for."""
    if result is not None:
        await cast("Awaitable[object]", result)


@asynccontextmanager
async def silence(peer: ScriptedPeer) -> AsyncIterator[None]:
    """A block in which the peer must not hear anything."""
    await peer.ping()
    before = len(peer.frames)
    yield
    await peer.ping()
    assert [type(frame) for frame in peer.frames[before:]] == [PingFrame]


# -- a client's stream -------------------------------------------------------------------------------------------------


class WrongOnAClient(NamedTuple):
    """One wrong use of a client's stream, which was opened with these options."""

    name: str
    options: dict[str, object]
    before: Callable[[ClientStream], Awaitable[object]]
    use: Callable[[ClientStream], object]
    error: type[Exception]
    text: str


OPEN: dict[str, object] = {"end_stream": False}
FIVE: dict[str, object] = {"end_stream": False, "headers": {"content-length": "5"}}


async def trailed(stream: ClientStream) -> None:
    await stream.send_trailers({"x-first": "1"})


async def three(stream: ClientStream) -> None:
    await stream.send_all(b"123")


ON_A_CLIENT = [
    WrongOnAClient("body after the end", {}, nothing, lambda s: s.send_all(b"x"), LOCAL, "send side .* has ended"),
    WrongOnAClient(
        "trailers after the end", {}, nothing, lambda s: s.send_trailers({}), LOCAL, "send side .* has ended"
    ),
    WrongOnAClient("trailers twice", OPEN, trailed, lambda s: s.send_trailers({"a": "b"}), LOCAL, "side .* has ended"),
    WrongOnAClient("body after trailers", OPEN, trailed, lambda s: s.send_all(b"x"), LOCAL, "send side .* has ended"),
    WrongOnAClient("body after send_eof", OPEN, sent_eof, lambda s: s.send_all(b"x"), CLOSED, "closed"),
    WrongOnAClient(
        "path in trailers", OPEN, nothing, lambda s: s.send_trailers({":path": "/"}), VALUE, "':path' is not"
    ),
    WrongOnAClient(
        "status in trailers", OPEN, three, lambda s: s.send_trailers({":status": "1"}), VALUE, "':status' is"
    ),
    WrongOnAClient("host in trailers", OPEN, nothing, lambda s: s.send_trailers({"host": "a"}), VALUE, "'host' is not"),
    WrongOnAClient("too long", FIVE, three, lambda s: s.send_all(b"456"), LOCAL, "is 5, .* would have 6 bytes"),
    WrongOnAClient("too short", FIVE, three, lambda s: s.send_eof(), LOCAL, "is 5, but the body has 3 bytes"),
    WrongOnAClient("short trailers", FIVE, three, lambda s: s.send_trailers({}), LOCAL, "is 5, but the body has 3 byt"),
    WrongOnAClient("reset", OPEN, nothing, lambda s: s.reset(2**32), VALUE, r"in 0\.\.4294967295, not 4294967296"),
    WrongOnAClient("weight 257", OPEN, nothing, lambda s: s.prioritize(weight=257), VALUE, r"in 1\.\.256, not 257"),
    WrongOnAClient(
        "text", OPEN, nothing, lambda s: s.send_all(cast("bytes", "x")), TYPE, "data must be bytes-like, not str"
    ),
]


@pytest.mark.parity("K1", "K2")
@pytest.mark.parametrize("wrong", ON_A_CLIENT, ids=lambda wrong: wrong.name.replace(" ", "-"))
async def test_on_a_client(wrong: WrongOnAClient, autojump_clock: object) -> None:
    async with connected() as (session, peer):
        stream = await session.open_stream("POST", **wrong.options)  # type: ignore[arg-type]  # the table's fit
        await wrong.before(stream)
        async with silence(peer):
            with pytest.raises(wrong.error, match=wrong.text) as caught:
                await outcome(wrong.use(stream))
            assert type(caught.value) is wrong.error
        if not stream.state.local_closed:
            await stream.send_all(b"45")
            await stream.send_eof()
        await peer.respond(stream.id, body=b"fine")
        assert await stream.receive_some() == b"fine"
        await stream.wait_closed()
        assert stream.rst_code == 0
        await healthy(session, peer)


async def healthy(session: ClientSession, peer: ScriptedPeer) -> None:
    """One more exchange succeeds."""
    async with session.request("GET", "/healthy") as stream:
        await peer.pick(HeadersFrame, stream_id=stream.id)
        await peer.respond(stream.id, body=b"healthy")
        assert await stream.receive_some() == b"healthy"


# -- requests ----------------------------------------------------------------------------------------------------------

REQUESTS: list[tuple[str, str, dict[str, object], type[Exception], str]] = [
    ("GE T", "/", {}, VALUE, "method 'GE T' is not allowed"),
    ("", "/", {}, VALUE, "method '' is not allowed"),
    ("GET", "nowhere", {}, VALUE, "':path' must begin with '/'"),
    ("GET", "/a b", {}, VALUE, "':path' must"),
    ("GET", "/", {"headers": {":status": "200"}}, VALUE, "':status' is not allowed in a request"),
    ("GET", "/", {"headers": {":method": "PUT"}}, VALUE, "':method' in the headers contradicts"),
    ("GET", "/", {"headers": {"te": "gzip"}}, VALUE, "'te' may only be 'trailers'"),
    ("GET", "/", {"headers": {"transfer-encoding": "chunked"}}, VALUE, "'transfer-encoding' is not allowed"),
    ("GET", "/", {"headers": {"a": None}}, TYPE, "'a'"),
    ("POST", "/", {"headers": {"content-length": "4"}, "body": b"12345"}, VALUE, "is 4, the body has 5 bytes"),
    ("POST", "/", {"headers": {"content-length": "4"}}, VALUE, "is 4, the body has 0 bytes"),
    ("POST", "/", {"headers": {"content-length": "4"}, "body": b"12345", "end_stream": False}, VALUE, "5 bytes"),
    ("POST", "/", {"headers": {"content-length": "-1"}}, VALUE, "must be a number"),
    ("POST", "/", {"body": "text"}, TYPE, "body must be bytes-like, not str"),
    ("POST", "/", {"body": 5}, TYPE, "body must be bytes-like, not int"),
    ("GET", "/", {"expect_continue": True}, VALUE, "no body that could wait"),
    ("GET", "/", {"priority": 3}, TYPE, "must be a Priority, not 3"),
    ("GET", "/", {"weight": 257}, VALUE, r"weight must be in 1\.\.256, not 257"),
    ("CONNECT", "/x", {"headers": {":authority": "a:1"}}, VALUE, "no ':scheme' and no ':path'"),
    ("CONNECT", "/", {}, VALUE, "needs the ':authority'"),
    ("GET", "/", {"headers": {":protocol": "websocket"}}, VALUE, "':protocol' is for the method CONNECT only"),
]


@pytest.mark.parity("C1", "K1")
@pytest.mark.parametrize(("method", "path", "options", "error", "text"), REQUESTS)
async def test_requests(
    method: str, path: str, options: dict[str, object], error: type[Exception], text: str, autojump_clock: object
) -> None:
    async with connected() as (session, peer):
        async with silence(peer):
            with pytest.raises(error, match=text) as caught:
                session.request(method, path, **options)  # type: ignore[arg-type]  # that is what is tested
            assert type(caught.value) is error
            with pytest.raises(error, match=text):
                await session.open_stream(method, path, **options)  # type: ignore[arg-type]
        await healthy(session, peer)


# -- sessions ----------------------------------------------------------------------------------------------------------

SESSIONS: list[tuple[str, Callable[[Session], object], type[Exception], str]] = [
    ("ping-type", lambda s: s.ping(cast("bytes", "12345678")), TYPE, "bytes-like, not '12345678'"),
    ("ping-length", lambda s: s.ping(b"123456789"), VALUE, "8 bytes, not 9"),
    ("settings", lambda s: s.update_settings(cast("Settings", {"max_frame_size": 1})), TYPE, "must be Settings, not {"),
    ("window-type", lambda s: s.set_local_window_size(cast("int", 1e6)), TYPE, "size must be an int, not 1000000.0"),
    ("window", lambda s: s.set_local_window_size(2**31), VALUE, r"size must be in 0\.\.2147483647, not 2147483648"),
    ("window-small", lambda s: s.set_local_window_size(1), VALUE, "a receive window of 1 bytes is too small"),
    ("goaway-code", lambda s: s.goaway(2**32), VALUE, r"code must be in 0\.\.4294967295, not 4294967296"),
    ("goaway-id", lambda s: s.goaway(0, -1), VALUE, r"last_stream_id must be in 0\.\.2147483647, not -1"),
    ("goaway-data", lambda s: s.goaway(debug_data=cast("bytes", "x")), TYPE, "debug_data must be bytes-like, not 'x'"),
    (
        "goaway-long",
        lambda s: s.goaway(debug_data=bytes(16_377)),
        VALUE,
        "16377 bytes, the peer accepts at most 16376",
    ),
    ("destroy-error", lambda s: s.destroy(cast("Exception", "why")), TYPE, "error must be an exception, not 'why'"),
    ("destroy-code", lambda s: s.destroy(code=-1), VALUE, r"code must be in 0\.\.4294967295, not -1"),
    ("grace", lambda s: s.aclose(-1), VALUE, "grace must be 0 seconds or more, not -1"),
    ("grace-nan", lambda s: s.aclose(math.nan), VALUE, "grace must be 0 seconds or more, not nan"),
    ("grace-type", lambda s: s.aclose(cast("float", "soon")), TYPE, "grace must be seconds .* not 'soon'"),
    ("subscribe", lambda s: s.subscribe(capacity=0), VALUE, "capacity must be at least 1, not 0"),
    ("idle", lambda s: setattr(s, "idle_timeout", -1), VALUE, "idle_timeout must be .*-1"),
]


@pytest.mark.parity("K1")
@pytest.mark.parametrize(("use", "error", "text"), [pytest.param(*rest, id=name) for name, *rest in SESSIONS])
@both_roles
async def test_sessions(
    role: Role, use: Callable[[Session], object], error: type[Exception], text: str, autojump_clock: object
) -> None:
    async with session_of(role) as (session, peer):
        async with silence(peer):
            with pytest.raises(error, match=text) as caught:
                await outcome(use(session))
            assert type(caught.value) is error
        assert not session.closed
        if isinstance(session, ClientSession):
            await healthy(session, peer)
        else:
            await peer.request()
            await peer.expect_headers(1, status=200)
            assert await peer.collect_body(1) == b"hello"

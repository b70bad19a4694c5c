"""The reference peer itself: its life, its errors, and what it does to those who misuse it."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import h2.exceptions
import pytest
import trio
import trio.testing

import trio_h2
import trio_h2.testing
from trio_h2 import ErrorCode
from trio_h2.testing import (
    FrameFlag,
    FrameType,
    GoAwayFrame,
    HeadersFrame,
    MemoryTransport,
    ReferenceClient,
    ReferencePeer,
    ReferenceServer,
    ReferenceServerStream,
    ReferenceStream,
    RstStreamFrame,
    ScriptedPeer,
    memory_transports,
    pack_frame,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio.testing import MockClock

ROOT = Path(__file__).parents[2]


async def echo(stream: ReferenceServerStream) -> None:
    """Answers with the request's body."""
    await stream.respond(body=await stream.read())


@contextlib.asynccontextmanager
async def pair(
    handler: Callable[[ReferenceServerStream], Awaitable[object]] | None = echo,
    *,
    settings: trio_h2.Settings | None = None,
) -> AsyncIterator[tuple[ReferenceClient, ReferenceServer]]:
    """A reference client and a reference server."""
    client_end, server_end = memory_transports()
    async with ReferenceServer(server_end, handler, settings=settings) as server, ReferenceClient(client_end) as client:
        yield client, server


# ---- The examples ----


def examples() -> list[str]:
    """Returns what the documentation shows, as programs that define one test each."""
    found = []
    for cls in (ReferenceClient, ReferenceServer):
        doc = inspect.getdoc(cls)
        assert doc is not None
        section = re.search(r"Example:\n.*?::\n\n(.*?)\n\n(?=\S|    \S)(?!        )", doc, re.DOTALL)
        assert section is not None
        found.append(textwrap.dedent(section[1].split("\nArgs:")[0]))
    return found


@pytest.mark.parametrize("number", range(2))
async def test_the_documented_examples_run(autojump_clock: MockClock, number: int) -> None:
    async def hello(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 200}, body=b"hello, " + stream.path.encode())

    names: dict[str, object] = {"trio": trio, "trio_h2": trio_h2, "hello": hello, **vars(trio_h2.testing)}
    exec("from __future__ import annotations\n" + examples()[number], names)
    (test,) = [
        value for name, value in names.items() if name.startswith("test_") and inspect.iscoroutinefunction(value)
    ]
    with trio.fail_after(10):
        await test()


# ---- The life of a peer ----


async def test_two_reference_peers_understand_each_other(autojump_clock: MockClock) -> None:
    async with pair() as (client, server):
        exchange = await client.request("POST", "/x", headers={"x-a": "b"}, body=b"body" * 100_000)
        assert (exchange.status, exchange.body, exchange.trailers) == (200, b"body" * 100_000, None)
        assert exchange.request[":path"] == "/x"
        assert repr(client) == "<ReferenceClient open>"
        assert repr(exchange.stream) == "<ReferenceClientStream 1>"
        assert server.error is None
    assert isinstance(client.error, trio.ClosedResourceError)
    assert repr(server) == "<ReferenceServer over>"


async def test_it_runs_in_a_nursery_of_the_caller(autojump_clock: MockClock) -> None:
    client_end, server_end = memory_transports()
    async with trio.open_nursery() as nursery:
        server: ReferenceServer = await nursery.start(ReferenceServer(server_end, echo).run)
        client: ReferenceClient = await nursery.start(ReferenceClient(client_end).run)
        assert (await client.request("GET")).status == 200
        await client.aclose()
        await client.aclose()
        await server.wait_closed()
        assert isinstance(server.error, trio_h2.GoAwayError)
        await server.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await client.ping()


async def test_it_is_used_only_once(autojump_clock: MockClock) -> None:
    async with pair() as (client, server):
        with pytest.raises(RuntimeError, match="used only once"):
            await client.run()
        with pytest.raises(RuntimeError, match="used only once"):
            await server.__aenter__()


async def test_its_own_settings_are_those_that_were_acknowledged(autojump_clock: MockClock) -> None:
    async with pair() as (client, server):
        before = client.local_settings.initial_window_size
        await client.update_settings(trio_h2.Settings(initial_window_size=1234))
        assert before != 1234
        assert client.local_settings.initial_window_size == server.remote_settings.initial_window_size == 1234


async def test_closing_one_that_never_ran(autojump_clock: MockClock) -> None:
    client_end, server_end = memory_transports()
    await ReferenceClient(client_end).aclose()
    assert await server_end.receive_some() == b""


@pytest.mark.parametrize("arguments", [{"settings": {}}, {"transport": None}])
def test_wrong_arguments_are_refused(arguments: dict[str, object]) -> None:
    client_end, _ = memory_transports()
    with pytest.raises(TypeError):
        ReferenceClient(**{"transport": client_end, **arguments})  # type: ignore[arg-type]  # that is the test


def test_numbers_out_of_range_are_refused() -> None:
    client_end, _ = memory_transports()
    with pytest.raises(ValueError, match="grace"):
        ReferenceClient(client_end, grace=-1)
    with pytest.raises(ValueError, match="above 255"):
        ReferenceClient(client_end, settings=trio_h2.Settings(custom={0x1234: 1}))


async def test_an_error_of_the_body_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        async with pair():
            raise ZeroDivisionError
    assert caught.value.__context__ is None
    own = ExceptionGroup("mine", [ZeroDivisionError(), KeyError()])
    with pytest.RaisesGroup(ZeroDivisionError, KeyError) as group:
        async with pair():
            raise own
    assert group.value is own


async def test_an_error_of_a_handler_comes_out_in_a_group(autojump_clock: MockClock) -> None:
    async def wrong(stream: ReferenceServerStream) -> None:
        assert stream.path == "/right"

    with pytest.RaisesGroup(AssertionError, flatten_subgroups=True):
        async with pair(wrong) as (client, _server):
            with pytest.raises(trio_h2.TransportLostError):
                await client.request("GET", "/wrong")


async def test_leaving_waits_for_handlers_only_so_long(autojump_clock: MockClock) -> None:
    over: list[str] = []

    async def handler(stream: ReferenceServerStream) -> None:
        await stream.respond()
        await trio.sleep(0.5 if stream.path == "/short" else 1000)
        over.append(stream.path)

    began = trio.current_time()
    async with pair(handler) as (client, _server):
        await client.request("GET", "/short")
        await client.request("GET", "/long")
    assert over == ["/short"]
    assert trio.current_time() - began == pytest.approx(1)


async def test_a_session_that_ends_does_not_leave_handlers_behind(autojump_clock: MockClock) -> None:
    client_end, server_end = memory_transports()

    async def handler(stream: ReferenceServerStream) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ReferenceServer(server_end, handler).run)
        async with ReferenceClient(client_end) as client:
            await client.open_stream("GET")


async def test_what_a_handler_leaves_open_is_reset(autojump_clock: MockClock) -> None:
    async def handler(stream: ReferenceServerStream) -> None:
        if stream.path == "/half":
            await stream.respond(end_stream=False)
        if stream.path == "/push":
            await stream.push("/pushed")
            await stream.respond()

    async with pair(handler) as (client, _server):
        for path in ("/nothing", "/half"):
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await client.request("GET", path)
            assert caught.value.code == ErrorCode.INTERNAL_ERROR
        exchange = await client.request("GET", "/push")
        assert exchange.pushes == []
        assert [push.reset_code for push in exchange.stream.pushes] == [ErrorCode.INTERNAL_ERROR]


async def test_requests_one_by_one(autojump_clock: MockClock) -> None:
    async with pair(None) as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.request, "GET", "/a")
        stream = await server.accept()
        assert (stream.method, stream.path, stream.scheme, stream.authority) == ("GET", "/a", "http", "localhost")
        assert stream.protocol is None
        await stream.respond()
    async with pair() as (_client, server):
        with pytest.raises(RuntimeError):
            await server.accept()


async def test_interim_responses_and_pushes_one_by_one(autojump_clock: MockClock) -> None:
    """Each is sent at once, and not with what comes after it."""

    async def handler(stream: ReferenceServerStream) -> None:
        for link in ("a", "b"):
            await stream.send_informational(103, {"link": link})
            await trio.sleep(1)
        push = await stream.push("/pushed")
        await trio.sleep(1)
        await push.respond(201)
        with pytest.raises(trio_h2.LocalProtocolError) as refused:
            await push.push("/again")
        assert refused.value.stream_id == push.stream_id
        await stream.respond()

    async with pair(handler) as (client, _server):
        began = trio.current_time()
        stream = await client.open_stream("GET", end_stream=True)
        for number, link in enumerate(("a", "b")):
            interim = await stream.receive_informational()
            assert interim is not None
            assert (interim.status, interim["link"]) == (103, link)
            assert trio.current_time() == began + number
        before = stream.headers
        assert before is None
        push = await stream.receive_push()
        assert push is not None
        assert (push.parent_id, push.request[":path"], trio.current_time()) == (stream.stream_id, "/pushed", began + 2)
        assert (await push.receive_response()).status == 201
        assert await stream.receive_informational() is None
        assert await stream.receive_push() is None
        assert (await stream.receive_response()) is stream.headers
        assert [interim["link"] for interim in stream.informational] == ["a", "b"]
        assert stream.reset_code is None


async def test_an_interim_response_of_a_push_is_refused(autojump_clock: MockClock) -> None:
    async def handler(stream: ReferenceServerStream) -> None:
        push = await stream.push("/pushed")
        with pytest.raises(trio_h2.LocalProtocolError, match="no 1xx") as caught:
            await push.send_informational(103)
        assert caught.value.stream_id == push.stream_id
        await push.respond()
        await stream.respond()
        with pytest.raises(trio_h2.LocalProtocolError, match="before") as caught:
            await stream.respond()
        assert caught.value.stream_id == stream.stream_id

    async with pair(handler) as (client, _server):
        exchange = await client.request("POST", body=b"x")
        assert [push.status for push in exchange.pushes] == [200]


async def test_an_answer_without_reading_asks_for_no_more(autojump_clock: MockClock) -> None:
    """RFC 9113 §8.1: RST_STREAM with NO_ERROR after the whole response; other resets say what they are."""

    async def handler(stream: ReferenceServerStream) -> None:
        if stream.path == "/early":
            await stream.respond(body=b"enough")

    async with pair(handler) as (client, _server):
        stream = await client.open_stream("POST", "/early")
        assert await stream.read() == b"enough"
        await client.ping()
        assert stream.reset_code == ErrorCode.NO_ERROR
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await client.request("GET")
        assert caught.value.stream_id == 3
        assert caught.value.debug_data == b""


async def test_goaway_tells_its_debug_data(autojump_clock: MockClock) -> None:
    async with pair() as (client, server):
        await server.goaway(debug_data=b"tired")
        await client.ping()
        with pytest.raises(trio_h2.GoAwayError) as caught:
            await client.request("GET")
        assert caught.value.debug_data == b"tired"
    async with pair(None) as (client, server):
        stream = await client.open_stream("GET")
        await server.accept()
        await server.goaway(last_stream_id=0, debug_data=b"tired")
        with pytest.raises(trio_h2.StreamRefusedError) as refused:
            await stream.receive_response()
        assert (refused.value.stream_id, refused.value.debug_data) == (1, b"tired")


async def test_fields_override_what_the_client_adds(autojump_clock: MockClock) -> None:
    settings = trio_h2.Settings(enable_connect_protocol=True)
    async with pair(None, settings=settings) as (client, server):
        await client.ping()
        await client.open_stream("CONNECT", protocol="websocket", headers={":authority": "other", "x": "y"})
        stream = await server.accept()
        assert (stream.protocol, stream.authority, stream.scheme) == ("websocket", "other", "http")
        assert stream.headers["x"] == "y"


@pytest.mark.parametrize(("status", "sent"), [(100, b"body"), (200, b"body"), (399, b"body"), (400, b""), (403, b"")])
async def test_a_body_waits_to_be_wanted(autojump_clock: MockClock, status: int, sent: bytes) -> None:
    """The response decides whether it is: 100, or a final one that is no error; 103 says nothing."""
    got: list[bytes] = []

    async def handler(stream: ReferenceServerStream) -> None:
        await stream.send_informational(103)
        with trio.move_on_after(1):
            await stream.receive_some()
            got.append(b"too early")
        if status == 100:
            await stream.send_informational(100)
        else:
            await stream.respond(status)
        with contextlib.suppress(trio_h2.StreamResetError):
            got.append(await stream.read())
            assert stream.trailers == trio_h2.Headers({"x": "y"})
        if status == 100:
            await stream.respond()

    async with pair(handler) as (client, _server):
        fields = {"expect": "100-continue"}
        exchange = await client.request("POST", headers=fields, body=b"body", trailers={"x": "y"})
        assert exchange.status == (200 if status == 100 else status)
        await client.ping()
    assert got == ([sent] if sent else [])


async def test_no_time_passes_where_nobody_is_busy(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    async with pair() as (client, _server):
        await client.request("GET")
    assert trio.current_time() == began


async def test_cancelled_it_closes_the_transport(autojump_clock: MockClock) -> None:
    client_end, server_end = memory_transports(1)
    with trio.move_on_after(1):
        async with ReferenceClient(client_end):
            pytest.fail("there is no server")  # pragma: no cover
    with trio.fail_after(1):
        while await server_end.receive_some():
            pass


async def test_a_transport_that_is_full_holds_up_the_end_only_for_the_grace(autojump_clock: MockClock) -> None:
    client_end, server_end = memory_transports(1000)
    async with trio.open_nursery() as nursery, ScriptedPeer(server_end, client=False) as peer:
        nursery.start_soon(peer.handshake)
        async with ReferenceClient(client_end, grace=2) as client:
            stream = await client.open_stream("POST")
            with trio.move_on_after(1):
                await stream.send_all(bytes(60_000))
            began = trio.current_time()
        assert trio.current_time() - began == pytest.approx(2)


# ---- Errors ----


async def test_the_other_side_says_no_word(autojump_clock: MockClock) -> None:
    client_end, server_end = memory_transports()
    await server_end.aclose()
    with pytest.raises(trio_h2.TransportLostError):
        async with ReferenceClient(client_end):
            pytest.fail("there is no server")  # pragma: no cover
    client_end, server_end = memory_transports()
    await server_end.aclose()
    with pytest.raises(trio_h2.TransportLostError):
        await ReferenceClient(client_end).run()


@contextlib.asynccontextmanager
async def scripted(grace: float = 1.0) -> AsyncIterator[tuple[ReferenceClient, ScriptedPeer]]:
    """A reference client and a scripted server, after the handshake."""
    client_end, server_end = memory_transports()
    async with ScriptedPeer(server_end, client=False) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.handshake)
        async with ReferenceClient(client_end, grace=grace) as client:
            await trio.testing.wait_all_tasks_blocked()
            yield client, peer


async def test_a_mistake_of_the_other_side_cannot_be_missed(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(trio_h2.RemoteProtocolError, allow_unwrapped=True, flatten_subgroups=True):
        async with scripted() as (_, peer):
            await peer.send_data(1, b"nobody has asked")
            await trio.testing.wait_all_tasks_blocked()


async def test_closing_raises_a_mistake_that_nobody_was_told(autojump_clock: MockClock) -> None:
    client_end, server_end = memory_transports()
    async with trio.open_nursery() as nursery, ScriptedPeer(server_end, client=False) as peer:
        nursery.start_soon(peer.handshake)
        client: ReferenceClient = await nursery.start(ReferenceClient(client_end).run)
        await peer.send_data(1, b"nobody has asked")
        await client.wait_closed()
        with pytest.raises(trio_h2.RemoteProtocolError):
            await client.aclose()


async def test_a_mistake_that_was_raised_is_not_raised_again(autojump_clock: MockClock) -> None:
    async with scripted() as (client, peer):
        await peer.send_data(1, b"nobody has asked")
        with pytest.raises(trio_h2.RemoteProtocolError) as caught:
            await client.ping()
        assert (caught.value.code, caught.value.initiator) == (ErrorCode.PROTOCOL_ERROR, trio_h2.Initiator.LIBRARY)
        assert isinstance(caught.value.__cause__, h2.exceptions.ProtocolError)
        goaway = await peer.pick(GoAwayFrame)
        assert goaway.code == ErrorCode.PROTOCOL_ERROR


async def test_an_error_that_the_other_side_tells_cannot_be_missed(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(trio_h2.GoAwayError, allow_unwrapped=True, flatten_subgroups=True):
        async with scripted() as (client, peer):
            await peer.send_goaway(0, ErrorCode.FLOW_CONTROL_ERROR, b"your fault")
            await peer.transport.aclose()
            await client.wait_closed()


@pytest.mark.parametrize(
    "frame",
    [
        pack_frame(FrameType.GOAWAY, 0, 0, bytes(7)),
        pack_frame(FrameType.GOAWAY, 0, 1, bytes(8)),
        pack_frame(FrameType.DATA, 0, 1, length=20_000),
        pack_frame(FrameType.HEADERS, 0, 1) + pack_frame(FrameType.GOAWAY, 0, 0, bytes(8)),
        pack_frame(FrameType.HEADERS, FrameFlag.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        pack_frame(FrameType.SETTINGS, 0, 0, bytes(5)),
        pack_frame(FrameType.DATA, FrameFlag.PADDED, 1, b"\xff"),
        pack_frame(FrameType.WINDOW_UPDATE, 0, 0, bytes(4)),
        pack_frame(FrameType.CONTINUATION, 0, 1),
    ],
)
@pytest.mark.parametrize("slowly", [False, True])
async def test_frames_that_are_wrong_raise_only_our_errors(
    autojump_clock: MockClock, frame: bytes, slowly: bool
) -> None:
    async with scripted() as (client, peer):
        stream = await client.open_stream("POST")
        pieces = [frame[at : at + 1] for at in range(len(frame))] if slowly else [frame]
        for piece in pieces:
            await peer.send_bytes(piece)
        with pytest.raises(trio_h2.RemoteProtocolError):
            await stream.response()


async def test_wrong_calls_are_refused_and_harmless(autojump_clock: MockClock) -> None:
    async def handler(stream: ReferenceServerStream) -> None:
        with pytest.raises(trio_h2.LocalProtocolError):
            await stream.send_all(b"before the headers")
        with pytest.raises(ValueError, match="101"):
            await stream.send_informational(101)
        with pytest.raises(ValueError, match="199"):
            await stream.respond(199)
        with pytest.raises(ValueError, match="trailers"):
            await stream.respond(trailers={"a": "b"}, end_stream=False)
        await stream.respond(end_stream=False)
        for again in (stream.respond, functools.partial(stream.send_informational, 103)):
            with pytest.raises(trio_h2.LocalProtocolError):
                await again()
        with pytest.raises(ValueError, match="at least one"):
            await stream.send_trailers({})
        with pytest.raises(ValueError, match="do not fit"):
            await stream.send_padded(bytes(16_384), 0)
        with pytest.raises(ValueError, match="code"):
            stream.reset(2**32)
        with pytest.raises(ValueError, match="enlarged"):
            stream.enlarge_window(0)
        push = await stream.push("/pushed")
        with pytest.raises(trio_h2.LocalProtocolError):
            await push.push("/again")
        await push.respond()
        await stream.send_eof()
        await stream.send_eof()
        for late in (functools.partial(stream.send_all, b"x"), functools.partial(stream.send_trailers, {"a": "b"})):
            with pytest.raises(trio.ClosedResourceError):
                await late()
        with pytest.raises(trio.ClosedResourceError):
            await stream.push("/late")
        await stream.read()
        with pytest.raises(trio_h2.LocalProtocolError):
            stream.enlarge_window(1)

    async with pair(handler) as (client, _):
        assert (await client.request("POST", body=b"body")).status == 200
        with pytest.raises(ValueError, match="enlarged"):
            client.enlarge_window(2**31 - 1)
        with pytest.raises(ValueError, match="line breaks"):
            await client.request("GET", headers={"x": "a\nb"})
        await client.goaway(last_stream_id=0)
        with pytest.raises(trio_h2.LocalProtocolError):
            await client.goaway(last_stream_id=2)
        await client.ping()


async def test_what_h2_refuses_ends_the_session_with_an_error_of_ours(autojump_clock: MockClock) -> None:
    async with pair() as (client, _server):
        with pytest.raises(trio_h2.LocalProtocolError) as caught:
            await client.request("GET", headers={"te": "gzip"})
        assert isinstance(caught.value.__cause__, h2.exceptions.ProtocolError)
        with pytest.raises(trio.ClosedResourceError):
            await client.ping()


async def test_a_stream_that_was_closed(autojump_clock: MockClock) -> None:
    async with pair() as (client, _server):
        stream = await client.open_stream("POST")
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await stream.receive_some()

            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()
        await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_eof()


async def test_two_tasks_in_one_direction(autojump_clock: MockClock) -> None:
    async with pair() as (client, _server):
        stream = await client.open_stream("POST")
        with pytest.raises(trio.BusyResourceError):
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stream.receive_some)
                    nursery.start_soon(stream.receive_some)
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None


# ---- Trio's rules ----


async def test_streams_are_half_closeable_streams(autojump_clock: MockClock) -> None:
    """What Trio promises of every such stream, here of the two ends of a tunnel."""
    async with contextlib.AsyncExitStack() as stack:
        settings = trio_h2.Settings(max_concurrent_streams=1000)
        client, server = await stack.enter_async_context(pair(None, settings=settings))

        async def make() -> tuple[ReferenceStream, ReferenceStream]:
            ours = await client.open_stream("CONNECT", headers={":authority": "a:1"})
            theirs = await server.accept()
            await theirs.respond(end_stream=False)
            await ours.receive_response()
            return ours, theirs

        await trio.testing.check_half_closeable_stream(make, None)


async def test_everything_public_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with pair(None) as (client, server):
        calls: list[Callable[[], Awaitable[object]]] = [
            client.ping,
            client.wait_started,
            client.wait_settings_acknowledged,
            functools.partial(client.update_settings, trio_h2.Settings(max_frame_size=20_000)),
        ]
        with trio.testing.assert_checkpoints():
            stream = await client.open_stream("POST")
        await stream.send_all(b"first")
        with trio.testing.assert_checkpoints():
            request = await server.accept()
        await request.send_informational(103)
        push = await request.push("/pushed")
        await push.respond()
        await request.respond(end_stream=False)
        await request.send_all(b"body")
        await trio.testing.wait_all_tasks_blocked()
        calls += [
            functools.partial(stream.send_all, b""),
            functools.partial(stream.send_all, b"x"),
            functools.partial(stream.send_padded, b"x", 1),
            stream.wait_send_all_might_not_block,
            stream.receive_informational,
            stream.receive_push,
            stream.receive_response,
            functools.partial(stream.receive_some, 1),
            functools.partial(stream.send_trailers, {"a": "b"}),
            stream.send_eof,
            request.receive_trailers,
            request.wait_ended,
            request.receive_some,
            request.send_eof,
            stream.response,
            stream.aclose,
            client.goaway,
            server.wait_goaway,
            client.aclose,
            client.wait_closed,
        ]
        for call in calls:
            with trio.testing.assert_checkpoints():
                await call()


@pytest.mark.parametrize("name", ["send_informational", "respond", "send_all", "send_eof", "send_trailers", "push"])
async def test_what_was_cancelled_before_it_began_has_sent_nothing(autojump_clock: MockClock, name: str) -> None:
    async def handler(stream: ReferenceServerStream) -> None:
        begun = name in ("send_all", "send_eof", "send_trailers")
        if begun:
            await stream.respond(headers={"x-mine": "1"}, end_stream=False)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "send_informational": lambda: stream.send_informational(103),
            "respond": lambda: stream.respond(headers={"x-mine": "2"}),
            "send_all": lambda: stream.send_all(b"cancelled"),
            "send_eof": stream.send_eof,
            "send_trailers": lambda: stream.send_trailers({"cancelled": "1"}),
            "push": lambda: stream.push("/pushed"),
        }
        with trio.CancelScope() as scope:
            scope.cancel()
            await calls[name]()
        assert scope.cancelled_caught
        if begun:
            await stream.send_all(b"whole")
            await stream.send_trailers({"x-end": "1"})
        else:
            await stream.respond(headers={"x-mine": "1"}, body=b"whole", trailers={"x-end": "1"})

    async with pair(handler) as (client, _server):
        stream = await client.open_stream("GET", end_stream=True)
        head = await stream.receive_response()
        assert (head["x-mine"], await stream.read()) == ("1", b"whole")
        assert stream.trailers == trio_h2.Headers({"x-end": "1"})
        assert stream.informational == []
        assert await stream.receive_push() is None


async def test_an_interim_response_waits_until_the_transport_takes_it(autojump_clock: MockClock) -> None:
    sent: list[float] = []

    async def handler(stream: ReferenceServerStream) -> None:
        for number in range(20):
            await stream.send_informational(103, {"link": f"{number}" + "~" * 1000})
            sent.append(trio.current_time())
            if number == 19:
                await stream.respond()

    server_end, client_end = memory_transports(5000)
    async with trio.open_nursery() as nursery, ScriptedPeer(client_end, client=True) as peer:
        async with ReferenceServer(server_end, handler):
            await peer.handshake()
            await peer.request(end_stream=True)
            await trio.sleep(1)
            assert 0 < len(sent) < 10
            nursery.start_soon(functools.partial(peer.until, HeadersFrame, end_stream=True))
            await trio.sleep(1)
            assert len(sent) == 20
        nursery.cancel_scope.cancel()


async def test_a_request_that_is_cancelled_while_the_transport_is_full_is_reset(autojump_clock: MockClock) -> None:
    client_end, server_end = memory_transports(1000)
    async with trio.open_nursery() as nursery, ScriptedPeer(server_end, client=False) as peer:
        nursery.start_soon(peer.handshake)
        async with ReferenceClient(client_end) as client:
            with trio.move_on_after(1) as scope:
                await client.open_stream("GET", headers={"x": "~" * 9000}, end_stream=True)
            assert scope.cancelled_caught
            await peer.until(RstStreamFrame, code=ErrorCode.CANCEL)


@pytest.mark.parametrize("role", ["client", "server"])
async def test_a_request_may_be_cancelled_at_any_moment(autojump_clock: MockClock, role: str) -> None:
    """Of the session, afterwards, everything still works."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.send_informational(103)
        await stream.respond({":status": 200})
        async for data in stream:
            await stream.send_all(data)
        await stream.send_trailers({"a": "b"})

    async def reference_handler(stream: ReferenceServerStream) -> None:
        await stream.send_informational(103)
        await stream.respond(end_stream=False)
        async for data in stream:
            await stream.send_all(data)
        await stream.send_trailers({"a": "b"})

    client_end, server_end = memory_transports()
    body = bytes(40_000)
    async with contextlib.AsyncExitStack() as stack:
        if role == "client":
            nursery = await stack.enter_async_context(trio.open_nursery())
            nursery.start_soon(trio_h2.serve_stream, handler, server_end)
            peer = await stack.enter_async_context(ReferenceClient(client_end))

            async def scenario() -> None:
                exchange = await peer.request("POST", body=body)
                assert (exchange.body, exchange.trailers) == (body, trio_h2.Headers({"a": "b"}))
        else:
            await stack.enter_async_context(ReferenceServer(server_end, reference_handler))
            session = await stack.enter_async_context(trio_h2.connect("http://localhost", transport=client_end))

            async def scenario() -> None:
                async with session.request("POST", body=body) as stream:
                    received = b"".join([data async for data in stream])
                    assert (received, stream.trailers) == (body, trio_h2.Headers({"a": "b"}))

        points = await trio_h2.testing.sweep_cancellation(scenario, after=scenario, seeds=(0,))
        assert points > 20


async def test_the_block_may_be_cancelled_at_any_moment(autojump_clock: MockClock) -> None:
    entered: list[MemoryTransport] = []

    async def scenario() -> None:
        client_end, server_end = memory_transports()
        async with ReferenceServer(server_end, echo):
            entered.append(server_end)
            async with ReferenceClient(client_end) as client:
                entered.append(client_end)
                await client.request("POST", body=b"body")

    async def after() -> None:
        for end in entered:
            with pytest.raises(trio.ClosedResourceError):
                await end.receive_some()
        entered.clear()

    assert await trio_h2.testing.sweep_cancellation(scenario, after=after, seeds=(0,)) > 20


def test_the_public_classes_are_of_one_family() -> None:
    assert issubclass(ReferenceClient, ReferencePeer)
    assert issubclass(ReferenceServer, ReferencePeer)
    assert issubclass(ReferenceServerStream, ReferenceStream)

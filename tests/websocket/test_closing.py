"""How a WebSocket ends: the closing handshake, its races and deadlines, broken streams, broken rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair
from tests.websocket.frames import (
    BINARY,
    CLOSE,
    CONT,
    OFFERING,
    PING,
    TEXT,
    both_roles,
    close_payload,
    ends,
    pack,
)
from trio_h2.websocket import (
    WebSocketBrokenError,
    WebSocketClosedError,
    WebSocketClosedHereError,
    WebSocketConfig,
    WebSocketHandler,
    accept_websocket,
    open_websocket,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from trio_h2.websocket import WebSocket

pytestmark = pytest.mark.parity("L3")


@both_roles
async def test_closed_by_this_side(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:
        ws, wire = both.ws, both.wire
        await wire.send(TEXT, "never taken")
        await trio.testing.wait_all_tasks_blocked()
        assert (ws.closed, ws.close_code, ws.close_reason) == (False, None, None)
        nursery.start_soon(ws.aclose, 4321, "genug")
        await wire.expect_close(4321, "genug")
        assert ws.closed
        for operation in (ws.receive_message, ws.ping):
            with pytest.raises(WebSocketClosedHereError, match=r"4321 \(genug\)") as info:
                await operation()
            assert isinstance(info.value, trio.ClosedResourceError)
            assert (info.value.close_code, info.value.close_reason) == (4321, "genug")
            assert info.value.initiator is trio_h2.Initiator.LOCAL
        with pytest.raises(WebSocketClosedHereError):
            await ws.send_message("x")
        await wire.send(TEXT, "ignored")
        await wire.send(PING, "ignored")
        await wire.close(4321)
        await wire.expect_end()
        await wire.send_eof()
        await ws.aclose()  # idempotent
        assert (ws.close_code, ws.close_reason) == (4321, "genug")
        assert [message async for message in ws] == []


@both_roles
async def test_closed_by_the_peer(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        ws, wire = both.ws, both.wire
        await wire.send(TEXT, "last words")
        await wire.close(4001, "bye")
        await wire.expect_close(4001)
        await wire.expect_end()
        await wire.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        assert (ws.close_code, ws.close_reason) == (4001, "bye")
        with pytest.raises(WebSocketBrokenError):
            await ws.send_message("too late")
        assert await ws.receive_message() == "last words"
        with pytest.raises(WebSocketBrokenError, match=r"the peer closed the WebSocket with 4001 \(bye\)") as info:
            await ws.receive_message()
        assert isinstance(info.value, trio.BrokenResourceError)
        assert info.value.initiator is trio_h2.Initiator.REMOTE
        with pytest.raises(WebSocketBrokenError):
            await anext(ws)
        await ws.aclose()
        await ws.wait_closed()
        assert ws.close_code == 4001


@both_roles
@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_normal_end_ends_the_iteration(role: str, code: int, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        await both.wire.send(TEXT, "a")
        await both.wire.close(code)
        assert [message async for message in both.ws] == ["a"]
        await both.wire.expect_close(code)
        await both.wire.expect_end()
        await both.wire.send_eof()


@both_roles
@pytest.mark.parametrize("code", [1000, 1003, 1007, 1012, 1013, 1014, 3000, 4999])
async def test_codes_of_the_peer(role: str, code: int, autojump_clock: MockClock) -> None:
    """All that may be in a Close frame, as plain numbers; what one may send, the other one understands."""
    async with ends(role) as both:
        await both.wire.close(code, "why")
        await both.wire.expect_close(code)
        await both.wire.expect_end()
        await both.wire.send_eof()
        await both.ws.wait_closed()
        assert (both.ws.close_code, both.ws.close_reason) == (code, "why")
        assert type(both.ws.close_code) is int
    async with ends(role) as both, trio.open_nursery() as nursery:
        nursery.start_soon(both.ws.aclose, code, "why")
        await both.wire.expect_closed(code)


@both_roles
async def test_both_close_at_once(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:
        nursery.start_soon(both.ws.aclose, 4000)
        nursery.start_soon(both.ws.aclose, 4002)  # the second one only waits
        nursery.start_soon(both.wire.close, 4001)
        code = (await both.wire.receive()).code
        await both.wire.expect_end()
        await both.wire.send_eof()
    assert both.ws.close_code == code
    assert code in (4000, 4001, 4002)  # whoever ran first


@both_roles
async def test_a_peer_that_does_not_answer_the_close(role: str, autojump_clock: MockClock) -> None:
    async with ends(role, config=WebSocketConfig(close_timeout=3)) as both:
        before = trio.current_time()
        await both.ws.aclose()
        assert trio.current_time() - before == pytest.approx(3)
        assert both.ws.close_code == 1006
        with pytest.raises(WebSocketClosedHereError, match=r"1000, but the closing handshake took more than.*=3 s"):
            await both.ws.receive_message()
        await both.wire.expect_close(1000)
        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
            await both.wire.receive()


@both_roles
async def test_a_peer_that_does_not_read_when_it_should_close(role: str, autojump_clock: MockClock) -> None:
    """A sender stuck in the middle of a frame keeps the Close frame from being sent."""
    async with ends(role) as both, trio.open_nursery() as nursery:
        stuck = trio.Event()

        async def send() -> None:
            with pytest.raises(WebSocketClosedHereError):
                await both.ws.send_message(bytes(10_000_000))
            stuck.set()

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        before = trio.current_time()
        await both.ws.aclose()
        assert trio.current_time() - before == pytest.approx(5)
        await stuck.wait()
        assert both.ws.close_code == 1006


@both_roles
async def test_a_peer_that_closes_and_does_not_read(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(WebSocketBrokenError) as info:
                await both.ws.send_message(bytes(10_000_000))
            assert info.value.close_code == 4001

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        await both.wire.close(4001)


@both_roles
async def test_a_close_between_the_fragments_of_a_message(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        with pytest.raises(WebSocketBrokenError):
            async with both.ws.open_message() as message:
                await message.send("a")
                await both.wire.close(1001)
                await both.wire.expect(TEXT, "a", fin=False)
                await both.wire.expect_closed(1001, ours=None)
                await message.send("b")


@both_roles
async def test_the_stream_ends_without_a_close(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        await both.wire.send(TEXT, "a")
        await both.wire.send_eof()
        assert await both.ws.receive_message() == "a"
        with pytest.raises(WebSocketBrokenError, match="ended the stream without closing") as info:
            await both.ws.receive_message()
        assert info.value.close_code == both.ws.close_code == 1006
        assert isinstance(info.value.__cause__, EOFError)
        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
            await both.wire.receive()


async def test_the_server_resets_the_stream(autojump_clock: MockClock) -> None:
    async with ends("client") as both, trio.open_nursery() as nursery:

        async def ping() -> None:
            with pytest.raises(WebSocketBrokenError):
                await both.ws.ping()

        nursery.start_soon(ping)
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(both.wire.stream, trio_h2.Stream)
        both.wire.stream.reset(trio_h2.ErrorCode.ENHANCE_YOUR_CALM)
        with pytest.raises(WebSocketBrokenError, match="stream broke") as info:
            await both.ws.receive_message()
        assert isinstance(info.value.__cause__, trio_h2.StreamResetError)
        assert info.value.__cause__.code == trio_h2.ErrorCode.ENHANCE_YOUR_CALM
        with pytest.raises(WebSocketBrokenError):
            await both.ws.send_message("x")


async def test_the_client_resets_the_stream(autojump_clock: MockClock) -> None:
    """The handler is cancelled, as that of any other stream."""
    ended = trio.Event()

    async def handler(ws: WebSocket) -> None:
        try:
            await ws.receive_message()
        except trio.Cancelled:
            assert ws.stream.rst_code == trio_h2.ErrorCode.CANCEL
            ended.set()
            raise

    async with pair(WebSocketHandler(handler), server_config=OFFERING) as (client, _):
        with pytest.raises(KeyError):
            async with open_websocket(client):
                raise KeyError
        await ended.wait()


async def test_a_lost_session_is_not_one_that_drains(autojump_clock: MockClock) -> None:
    """Two tasks learn of it at the same time, in either order."""
    for _ in range(20):
        async with ends("server") as both:
            both.client.destroy()
            await both.server.wait_closed()
            await trio.testing.wait_all_tasks_blocked()
            assert both.ws.close_code == 1006


@both_roles
async def test_the_session_is_lost(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        (both.client if role == "server" else both.server).destroy()
        if role == "client":
            with pytest.raises(WebSocketBrokenError) as info:
                await both.ws.receive_message()
            assert isinstance(info.value.__cause__, (trio_h2.StreamError, trio_h2.SessionError))
        else:
            await both.server.wait_closed()
            await trio.testing.wait_all_tasks_blocked()
            assert both.ws.close_code == 1006


BAD = {
    "unknown opcode": ((3, b"", True, 0), 1002),
    "reserved bit": ((TEXT, b"", True, 1), 1002),
    "compressed, which was not agreed on": ((TEXT, b"", True, 4), 1002),
    "fragmented ping": ((PING, b"", False, 0), 1002),
    "ping of 126 bytes": ((PING, bytes(126), True, 0), 1002),
    "continuation of nothing": ((CONT, b"", True, 0), 1002),
    "close with one byte": ((CLOSE, b"x", True, 0), 1002),
    "close with 1005": ((CLOSE, close_payload(1005), True, 0), 1002),
    "close with 999": ((CLOSE, close_payload(999), True, 0), 1002),
    "close with 2999": ((CLOSE, close_payload(2999), True, 0), 1002),
    "close whose reason is no UTF-8": ((CLOSE, close_payload(1000) + b"\xff", True, 0), 1007),
    "text that is no UTF-8": ((TEXT, b"a\xff", True, 0), 1007),
    "text that ends within a character": ((TEXT, "€".encode()[:2], True, 0), 1007),
    "a surrogate": ((TEXT, b"\xed\xa0\x80", True, 0), 1007),
}


@both_roles
@pytest.mark.parametrize("what", list(BAD))
async def test_broken_rules(role: str, what: str, autojump_clock: MockClock) -> None:
    (opcode, payload, fin, rsv), code = BAD[what]
    async with ends(role) as both:
        await both.wire.send(BINARY, b"good")
        await both.wire.send(opcode, payload, fin=fin, rsv=rsv)
        await both.wire.send(TEXT, b"not looked at")
        await both.wire.expect_close(code)
        await both.wire.expect_end()
        await both.wire.send_eof()
        assert await both.ws.receive_message() == b"good"
        with pytest.raises(WebSocketBrokenError, match="the peer was cut off") as info:
            await both.ws.receive_message()
        assert info.value.close_code == both.ws.close_code == code
        assert info.value.initiator is trio_h2.Initiator.LIBRARY


@both_roles
@pytest.mark.parametrize(
    ("size", "length"), [(5, b"\x00\x05"), (125, b"\x00" * 7 + b"\x7d"), (0, b"\x80" + bytes(7)), (10, bytes(8))]
)
async def test_lengths_that_are_not_the_shortest(
    role: str, size: int, length: bytes, autojump_clock: MockClock
) -> None:
    async with ends(role) as both:
        await both.wire.stream.send_all(pack(BINARY, bytes(size), masked=role == "server", length=length))
        await both.wire.expect_closed(1002, ours=None)


@both_roles
async def test_masked_the_wrong_way(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        await both.wire.stream.send_all(pack(TEXT, b"abc", masked=role == "client"))
        await both.wire.expect_closed(1002, ours=None)


@both_roles
async def test_a_new_message_within_another(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        await both.wire.send(TEXT, "a", fin=False)
        await both.wire.send(TEXT, "b")
        await both.wire.expect_closed(1002, ours=None)


@both_roles
async def test_text_that_is_no_utf8_is_found_before_its_end(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        await both.wire.send(TEXT, "€".encode()[:2], fin=False)
        await both.wire.send(CONT, b"a", fin=False)
        await both.wire.expect_closed(1007, ours=None)


@both_roles
async def test_a_peer_that_is_cut_off_and_goes_on(role: str, autojump_clock: MockClock) -> None:
    """What it sends is thrown away, for no longer than a closing handshake may take."""
    async with ends(role) as both, trio.open_nursery() as nursery:
        await both.wire.send(3)

        async def flood() -> None:
            with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
                while True:
                    await both.wire.send(BINARY, bytes(10_000))
                    await trio.sleep(0.1)

        before = trio.current_time()
        nursery.start_soon(flood)
        await both.wire.expect_close(1002)
        await both.ws.aclose()
        assert trio.current_time() - before == pytest.approx(5)


@both_roles
@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (999, "", ValueError),
        (1004, "", ValueError),
        (1005, "", ValueError),
        (1006, "", ValueError),
        (1015, "", ValueError),
        (2999, "", ValueError),
        (5000, "", ValueError),
        (True, "", TypeError),
        ("1000", "", TypeError),
        (1000, b"", TypeError),
        (1000, "ü" * 62, ValueError),
    ],
)
async def test_codes_that_cannot_be_sent(
    role: str, code: int, reason: str, kind: type[Exception], autojump_clock: MockClock
) -> None:
    async with ends(role) as both:
        with pytest.raises(kind):
            await both.ws.aclose(code, reason)
        assert not both.ws.closed
        await both.finish()


@pytest.mark.parametrize("how", ["returns", "raises", "closes", "raises in a group", "peer closed"])
async def test_the_end_of_a_server_handler(
    how: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.receive_message()
        if how == "raises":
            raise KeyError("planted")
        if how == "raises in a group":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ws.receive_message)
                nursery.start_soon(ws.ping)
        if how == "closes":
            await ws.aclose(4000)
        if how == "peer closed":
            await ws.receive_message()

    codes = {"returns": 1000, "raises": 1011, "closes": 4000}
    async with pair(WebSocketHandler(handler), server_config=OFFERING, raise_handler_errors=False) as (client, server):
        async with open_websocket(client) as ws:
            await ws.send_message("go")
            if how in codes:
                with pytest.raises(WebSocketBrokenError) as info:
                    await ws.receive_message()
                assert info.value.close_code == codes[how]
            else:
                await trio.sleep(1)
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().running_handlers == 0
        assert ws.stream.rst_code == trio_h2.ErrorCode.NO_ERROR  # both sides have ended it
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == (how == "raises")


@pytest.mark.parametrize("how", ["returns", "raises", "cancelled"])
async def test_the_end_of_a_client_block(how: str, autojump_clock: MockClock) -> None:
    codes: list[int] = []

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(WebSocketClosedError) as info:
            await ws.receive_message()
        codes.append(info.value.close_code)

    async with pair(WebSocketHandler(handler), server_config=OFFERING, cancel_handler_on_reset=False) as (client, _):
        if how == "returns":
            async with open_websocket(client) as ws:
                pass
        elif how == "raises":
            with pytest.raises(KeyError):
                async with open_websocket(client) as ws:
                    raise KeyError
        else:
            with trio.move_on_after(1):
                async with open_websocket(client) as ws:
                    await ws.receive_message()
        await trio.testing.wait_all_tasks_blocked()
    assert codes == [1000 if how == "returns" else 1006]
    assert ws.closed


async def test_a_draining_server_says_that_it_goes_away(autojump_clock: MockClock) -> None:
    got: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            got.append(message)
            await trio.sleep(1)

    ours = WebSocketHandler(handler)
    async with pair(ours, server_config=OFFERING) as (client, server), open_websocket(client) as ws:
        await ws.send_message("one")
        await ws.send_message("two")
        await trio.testing.wait_all_tasks_blocked()
        server.shutdown()
        with pytest.raises(WebSocketBrokenError) as info:
            await ws.receive_message()
        assert info.value.close_code == 1001
        with trio.fail_after(10):
            await client.wait_closed()
    assert got == ["one", "two"]


async def test_a_handler_may_see_to_the_drain_itself(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        assert isinstance(ws.stream, trio_h2.ServerStream)
        await ws.stream.session.wait_draining()
        await ws.send_message("bye")
        await ws.aclose(4000)

    handle = WebSocketHandler(handler, config=WebSocketConfig(close_on_drain=False))
    async with pair(handle, server_config=OFFERING) as (client, server), open_websocket(client) as ws:
        server.shutdown()
        assert await ws.receive_message() == "bye"
        with pytest.raises(WebSocketBrokenError) as info:
            await ws.receive_message()
        assert info.value.close_code == 4000


@both_roles
@pytest.mark.parametrize("operation", ["receive", "send", "ping", "aclose", "part"])
async def test_cancelled_operations(role: str, operation: str, autojump_clock: MockClock) -> None:
    """What is cancelled before a byte of it was sent has done nothing."""
    async with ends(role) as both:
        ws = both.ws
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "receive": ws.receive_message,
            "send": lambda: ws.send_message("x"),
            "ping": ws.ping,
        }
        with trio.CancelScope() as scope:
            scope.cancel()
            if operation in calls:
                await calls[operation]()
            elif operation == "part":
                async with ws.open_message() as message:
                    await message.send("x")
            else:
                await ws.aclose()
        if operation == "aclose":
            assert ws.close_code == 1006
            return
        assert not ws.closed
        await ws.send_message("fine")
        await both.wire.expect(TEXT, "fine")
        await both.finish()


@both_roles
async def test_a_send_cancelled_between_two_fragments_resets(role: str, autojump_clock: MockClock) -> None:
    """The window has room for the first fragment, with its header, and for nothing else."""
    client = trio_h2.ClientConfig(stream_window=65_536 + 10)
    server = OFFERING.evolve(stream_window=65_536 + 14, max_concurrent_streams=4)
    async with ends(role, client=client, server=server) as both:
        with trio.move_on_after(1) as scope:
            await both.ws.send_message(bytes(100_000))
        assert scope.cancelled_caught
        assert both.ws.closed
        await both.wire.expect(BINARY, fin=False)
        with pytest.raises(trio.BrokenResourceError):
            await both.wire.receive()


@both_roles
async def test_a_send_cancelled_in_the_middle_resets(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        with trio.move_on_after(1) as scope:
            await both.ws.send_message(bytes(10_000_000))
        assert scope.cancelled_caught
        with pytest.raises(WebSocketClosedHereError, match="left the WebSocket without closing"):
            await both.ws.send_message("x")
        await both.ws.aclose()
        assert both.ws.close_code == 1006


@both_roles
async def test_a_bug_of_ours_is_not_hidden(
    role: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def buggy(framing: object) -> None:
        raise RuntimeError("planted")

    async def scenario() -> None:
        async with ends(role) as both:
            monkeypatch.setattr("trio_h2.websocket._framing.Framing.next", buggy)
            await both.wire.send(TEXT, "x")
            await both.ws.receive_message()

    with trio.fail_after(100), pytest.raises((BaseExceptionGroup, WebSocketClosedHereError)) as info:
        await scenario()
    if role == "client":
        assert isinstance(info.value, BaseExceptionGroup)
        assert info.group_contains(RuntimeError, match="planted")
    else:
        assert [record for record in caplog.records if record.exc_info and "planted" in repr(record.exc_info[1])]


@both_roles
async def test_closed_while_a_message_waits_for_its_turn(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:

        async def wait_for_turn() -> None:
            with pytest.raises(WebSocketBrokenError):
                await both.ws.open_message().__aenter__()

        async def send() -> None:
            with pytest.raises(WebSocketBrokenError):
                await both.ws.send_message("x")

        with pytest.raises(WebSocketBrokenError):
            async with both.ws.open_message() as message:
                await message.send("a")
                nursery.start_soon(wait_for_turn)
                nursery.start_soon(send)
                await trio.testing.wait_all_tasks_blocked()
                await both.wire.close(1001)
                await both.wire.expect(TEXT, "a", fin=False)
                await both.wire.expect_close(1001)
                await both.wire.send_eof()


async def test_the_end_of_another_websocket_is_an_error_of_the_handler(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the end of its own is what a handler may leave unhandled."""
    other: list[WebSocket] = []

    async def handler(ws: WebSocket) -> None:
        other.append(ws)
        if ws.path == "/first":
            await ws.wait_closed()
            return
        await other[0].aclose()
        await other[0].send_message("x")

    async with pair(WebSocketHandler(handler), server_config=OFFERING) as (client, _), trio.open_nursery() as nursery:

        async def first() -> None:
            async with open_websocket(client, "/first") as ws:
                with pytest.raises(WebSocketBrokenError):
                    await ws.receive_message()

        nursery.start_soon(first)
        await trio.testing.wait_all_tasks_blocked()
        async with open_websocket(client, "/second") as ws:
            with pytest.raises(WebSocketBrokenError) as info:
                await ws.receive_message()
        assert info.value.close_code == 1011
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], WebSocketClosedHereError)


async def test_an_error_is_kept_though_the_client_is_gone(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that raises has a second to say 1011; a peer that does not answer must not hold it longer."""

    async def handler(ws: WebSocket) -> None:
        raise KeyError("planted")

    async with pair(WebSocketHandler(handler), server_config=OFFERING, raise_handler_errors=False) as (client, server):
        headers = {"sec-websocket-version": "13"}
        stream = await client.open_stream("CONNECT", "/", headers=headers, protocol="websocket", end_stream=False)
        async with stream:
            assert (await stream.receive_response()).status == 200
            await trio.sleep(0.9)
            assert server.statistics().running_handlers == 1
            await trio.sleep(0.2)
            assert server.statistics().running_handlers == 0
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert "KeyError" in repr(record.exc_info)


async def test_an_error_of_a_client_is_kept_though_it_is_cancelled(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()

    async with pair(WebSocketHandler(handler), server_config=OFFERING) as (client, _):
        with pytest.raises(KeyError), trio.CancelScope() as scope:
            async with open_websocket(client):
                scope.cancel()
                raise KeyError
        assert client.statistics().open_streams == 0


async def test_who_is_cancelled_finds_the_websocket_as_it_was(autojump_clock: MockClock) -> None:
    """Its tasks do not end before the block does."""
    done = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        with trio.CancelScope() as scope:
            async with accept_websocket(stream) as ws:
                scope.cancel()
                for _ in range(5):
                    await trio.lowlevel.cancel_shielded_checkpoint()
                closed = ws.closed
                await ws.send_message("never sent")
        assert not closed
        assert scope.cancelled_caught
        assert ws.close_code == 1006
        done.set()

    async with pair(handler, server_config=OFFERING) as (client, _), open_websocket(client) as ws:
        with pytest.raises(WebSocketBrokenError):
            await ws.receive_message()
        await done.wait()

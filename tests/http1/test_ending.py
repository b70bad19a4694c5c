"""What ends an exchange or a connection over HTTP/1.1, and what the handler and the client see of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio
import trio.lowlevel
import trio.testing

import trio_h2
from tests.http1.client import HOST, echo, hello, serving
from trio_h2 import ServerConfig
from trio_h2.testing import CuttingStream, StallableStream

if TYPE_CHECKING:
    from trio.testing import MockClock

Log = pytest.LogCaptureFixture


def elapsed(start: float) -> object:
    return pytest.approx(trio.current_time() - start, abs=0.1)


class Ending:
    """A handler that waits, and says how it ended."""

    def __init__(self, *, respond: bool = False) -> None:
        self.respond = respond
        self.how = "not at all"

    async def handle(self, stream: trio_h2.ServerStream) -> None:
        if self.respond:
            await stream.respond()
            await stream.send_all(b"begun")
        try:
            await trio.sleep(1000)
            self.how = "returned"
        except trio.Cancelled:
            self.how = "cancelled"
            raise


# -- handlers ------------------------------------------------------------------------------------------------------


async def test_a_handler_that_does_not_respond(caplog: Log) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/bug":
            raise ZeroDivisionError

    async with serving(handler) as served:
        for path in ("/", "/bug", "/"):
            await served.client.request(f"GET {path}")
            answer = await served.client.answer()
            assert (answer.status, answer.body) == (500, b"")
    levels = [record.levelno for record in caplog.records if record.name == "trio_h2.server"]
    assert levels == [logging.ERROR] * 3


async def test_a_handler_that_fails_in_the_middle(caplog: Log) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond()
        await stream.send_all(b"some")
        raise ZeroDivisionError

    async with serving(handler) as served:
        await served.client.request("GET /")
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await served.client.answer()
    assert "ZeroDivisionError" in caplog.text


async def test_a_handler_that_fails_in_a_nursery(caplog: Log) -> None:
    """A group of errors is an error; one that only tells of the exchange's own end is no news."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, stream)

    async def fail(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/bug":
            raise ZeroDivisionError
        stream.reset()
        await stream.send_all(b"x")

    async with serving(handler) as served:
        await served.client.request("GET /bug")
        assert (await served.client.answer()).status == 500
        assert "ZeroDivisionError" in caplog.text
        caplog.clear()
        await served.client.request("GET /reset")
        await served.client.expect_end()
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


async def test_a_handler_that_is_cancelled_with_a_bug(autojump_clock: MockClock, caplog: Log) -> None:
    """The cancellation goes on, the bug is logged."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ZeroDivisionError

    with trio.move_on_after(3):
        async with serving(handler) as served:
            await served.client.request("GET /")
            await trio.sleep_forever()
    assert "ZeroDivisionError" in caplog.text


async def test_handler_timeout(autojump_clock: MockClock, caplog: Log) -> None:
    ending = Ending(respond=True)
    async with serving(ending.handle, config=ServerConfig(handler_timeout=5)) as served:
        start = trio.current_time()
        await served.client.request("GET /")
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await served.client.answer()
        assert elapsed(start) == 5
    assert ending.how == "cancelled"
    assert "handler_timeout=5" in caplog.text


@pytest.mark.parametrize("how", ["reset", "destroy", "aclose"])
async def test_ending_it_early(how: str) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"content-length": 10})
        await stream.send_all(b"some")
        if how == "reset":
            stream.reset()
            error: type[Exception] = trio_h2.StreamResetError
        elif how == "destroy":
            stream.destroy(ValueError("enough"))
            error = trio.ClosedResourceError
        else:
            await stream.aclose()
            error = trio.ClosedResourceError
        with pytest.raises(error):
            await stream.send_all(b"x")
        await stream.wait_closed() if how == "reset" else None
        assert stream.closed
        await trio.lowlevel.checkpoint()

    async with serving(handler) as served:
        await served.client.request("GET /")
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await served.client.answer()


async def test_a_reset_closes_at_once(autojump_clock: MockClock) -> None:
    """Not only when the handler returns."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        stream.reset()
        await trio.sleep(50)

    async with serving(handler) as served:
        await served.client.request("GET /")
        start = trio.current_time()
        await served.client.expect_end()
        assert elapsed(start) == 0


async def test_aclose_of_a_whole_response() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond()
        await stream.send_all(b"all")
        await stream.aclose()
        await stream.aclose()

    async with serving(handler) as served:
        for _ in range(2):
            await served.client.request("POST /", "content-length: 3", body="abc")
            assert (await served.client.answer()).body == b"all"


async def test_a_cancelled_send_is_torn(autojump_clock: MockClock) -> None:
    """Chunks are whole on the wire, and the response never looks whole."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond()
        with trio.move_on_after(1) as scope:
            await stream.send_all(bytes(1_000_000))
        assert scope.cancelled_caught
        with pytest.raises(trio_h2.LocalProtocolError, match="incomplete"):
            await stream.send_all(b"x")

    async with serving(handler, capacity=1000) as served:
        await served.client.request("GET /")
        await trio.sleep(2)
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await served.client.answer()


async def test_a_send_cancelled_in_time_did_not_happen(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond()
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.send_all(b"never")
        await stream.send_all(b"hello")

    async with serving(handler) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"hello"


# -- requests that nobody read -------------------------------------------------------------------------------------


async def test_a_little_that_is_unread_is_thrown_away(autojump_clock: MockClock) -> None:
    async with serving(hello) as served:
        for size in (0, 10, 100_000):
            head = f"POST / HTTP/1.1\r\n{HOST}content-length: {size}\r\n\r\n"
            await served.client.send(head.encode() + bytes(size))
            assert (await served.client.answer()).body == b"hello"


async def test_a_lot_that_is_unread_ends_the_connection(autojump_clock: MockClock) -> None:
    """The client gets the response, though it is still sending; not a reset."""
    async with serving(hello, capacity=1000) as served:

        async def send() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await served.client.send(f"POST / HTTP/1.1\r\n{HOST}content-length: 100000000\r\n\r\n")
                while True:
                    await served.client.send(bytes(10_000))
                    await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            assert (await served.client.answer()).body == b"hello"
            await served.client.expect_end()


async def test_a_client_that_never_ends_its_request(autojump_clock: MockClock) -> None:
    async with serving(hello, config=ServerConfig(linger_timeout=3)) as served:
        await served.client.request("POST /", "content-length: 10")
        assert (await served.client.answer()).body == b"hello"
        start = trio.current_time()
        await served.client.expect_end()
        assert elapsed(start) == 3
        await served.connection.wait_closed()
        assert elapsed(start) == 6


# -- clients that go -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancel", [True, False])
@pytest.mark.parametrize("respond", [True, False])
async def test_a_client_that_ends_its_side_has_left(respond: bool, cancel: bool, autojump_clock: MockClock) -> None:
    """As over TLS, and as with a reset: a proxy in front, or curl, says no more when its own client goes away."""
    ending = Ending(respond=respond)
    async with serving(ending.handle, cancel_handler_on_reset=cancel) as served:
        await served.client.request("GET /")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        await served.client.send_eof()
        with pytest.raises(trio_h2.TransportLostError, match="the client closed the connection"):
            await served.connection.wait_closed()
        assert elapsed(start) == (0 if cancel else 1000)
    assert ending.how == ("cancelled" if cancel else "returned")


async def test_a_client_that_ends_its_side_has_left_its_next_requests_as_well(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/1":
            await stream.respond(body=bytes(1_000_000))
        else:
            await trio.sleep(1000)

    async with serving(handler, capacity=1000) as served:
        await served.client.request("GET /1")
        await served.client.request("GET /2")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        await served.client.send_eof()
        assert len((await served.client.answer()).body) == 1_000_000  # it was whole before
        await served.client.expect_end()
        assert elapsed(start) == 0


@pytest.mark.parametrize("whole", [True, False])
async def test_a_response_that_is_whole_goes_to_whoever_takes_it(whole: bool, autojump_clock: MockClock) -> None:
    """Though the client has ended its side: it may have said all it has to say."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        if whole:
            await stream.respond(body=bytes(1_000_000))
        else:
            await stream.respond({"content-length": 1_000_000})
            await stream.send_all(bytes(1_000_000))

    async with serving(handler, capacity=1000) as served:
        await served.client.request("GET /")
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send_eof()
        if whole:
            assert len((await served.client.answer()).body) == 1_000_000
            await served.client.expect_end()
        else:
            with pytest.raises((EOFError, trio.BrokenResourceError)):
                await served.client.answer()


async def test_a_client_that_may_end_its_side_gets_its_response() -> None:
    async with serving(echo, config=ServerConfig(allow_half_open=True)) as served:
        await served.client.request("POST /1", "content-length: 3", body="abc")
        await served.client.request("GET /2")
        await served.client.send_eof()
        assert (await served.client.answer()).body == b"abc"
        assert (await served.client.answer()).trailers["path"] == "/2"
        await served.client.expect_end()


@pytest.mark.parametrize("cancel", [True, False])
async def test_a_client_that_ends_in_the_middle_of_its_request(cancel: bool) -> None:
    errors: list[Exception] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        assert await stream.receive_some() == b"some"
        try:
            await stream.receive_some()
        except trio_h2.TransportLostError as exc:
            errors.append(exc)
            raise

    async with serving(handler, cancel_handler_on_reset=cancel) as served:
        await served.client.request("POST /", "content-length: 10", body="some")
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send_eof()
        await served.client.expect_end()
        with pytest.raises(trio_h2.TransportLostError, match="in the middle of a request"):
            await served.connection.wait_closed()
        assert served.exchanges[0].aborted
    assert len(errors) == 1


async def test_a_broken_connection_cancels_the_handler(autojump_clock: MockClock) -> None:
    ending = Ending()
    wires: list[CuttingStream] = []

    def wrap(transport: trio.abc.Stream) -> trio.abc.Stream:
        wires.append(CuttingStream(transport, error=True))
        return wires[0]

    async with serving(ending.handle, wrap=wrap) as served:
        await served.client.request("GET /")
        await trio.testing.wait_all_tasks_blocked()
        await wires[0].cut()
        with pytest.raises(trio_h2.TransportLostError):
            await served.connection.wait_closed()
    assert ending.how == "cancelled"


async def test_a_broken_connection_and_a_handler_that_goes_on(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(10)
        assert stream.closed
        with pytest.raises(trio_h2.TransportLostError):
            await stream.respond(body=b"x")
        with pytest.raises(trio_h2.TransportLostError):
            await stream.wait_closed()

    wires: list[CuttingStream] = []

    def wrap(transport: trio.abc.Stream) -> trio.abc.Stream:
        wires.append(CuttingStream(transport, error=True))
        return wires[0]

    async with serving(handler, wrap=wrap, cancel_handler_on_reset=False) as served:
        await served.client.request("GET /")
        await trio.testing.wait_all_tasks_blocked()
        await wires[0].cut()
        await trio.sleep(20)


async def test_a_client_that_goes_between_requests() -> None:
    async with serving(hello) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"hello"
        await served.client.transport.aclose()
        await served.connection.wait_closed()


# -- slow ones -----------------------------------------------------------------------------------------------------


async def test_a_slow_head(autojump_clock: MockClock) -> None:
    """Whose bytes come one by one: it is the head that has a time, not the byte."""
    async with serving(hello, config=ServerConfig(handshake_timeout=10)) as served:
        start = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                await served.client.send_slowly(f"GET / HTTP/1.1\r\n{HOST}", pause=1)

            nursery.start_soon(send)
            answer = await served.client.answer()
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            nursery.cancel_scope.cancel()
        assert elapsed(start) == 10
        await served.client.expect_end()


async def test_a_silent_connection(autojump_clock: MockClock) -> None:
    async with serving(hello, config=ServerConfig(handshake_timeout=10)) as served:
        start = trio.current_time()
        await served.client.expect_end()
        assert elapsed(start) == 10


async def test_idle_timeout(autojump_clock: MockClock) -> None:
    """Between requests; it ends without a word."""
    async with serving(hello, config=ServerConfig(idle_timeout=30)) as served:
        for pause in (0, 25, 29):
            await trio.sleep(pause)
            await served.client.request("GET /")
            assert (await served.client.answer()).status == 200
        start = trio.current_time()
        await served.client.expect_end()
        assert elapsed(start) == 30


async def test_a_body_that_stops(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.receive_trailers()

    async with serving(handler, config=ServerConfig(body_timeout=30)) as served:
        await served.client.request("POST /", "content-length: 10", body="some")
        await trio.sleep(20)
        await served.client.send("more")
        start = trio.current_time()
        assert (await served.client.answer()).status == 408
        assert elapsed(start) == 30


async def test_a_blocked_loop_reads_a_request_before_it_calls_a_connection_idle(autojump_clock: MockClock) -> None:
    async with serving(hello, config=ServerConfig(idle_timeout=30, handshake_timeout=10)) as served:
        for blocked in (11, 31, 60) * 3:
            await trio.testing.wait_all_tasks_blocked()
            await served.client.request("GET /")
            autojump_clock.jump(blocked)
            assert (await served.client.answer()).status == 200


async def test_a_blocked_loop_reads_the_rest_of_a_head_before_it_is_late(autojump_clock: MockClock) -> None:
    async with serving(hello, config=ServerConfig(idle_timeout=30, handshake_timeout=10)) as served:
        for blocked in (11, 60) * 4:
            await served.client.send("GET / HTT")
            await trio.testing.wait_all_tasks_blocked()
            await served.client.send(f"P/1.1\r\n{HOST}\r\n")
            autojump_clock.jump(blocked)
            assert (await served.client.answer()).status == 200
        start = trio.current_time()
        await trio.sleep(29)
        await served.client.send("G")
        autojump_clock.jump(2)  # a head that has begun has its own time
        assert (await served.client.answer()).status == 408
        assert trio.current_time() - start >= 40


async def test_a_blocked_loop_reads_before_it_calls_an_exchange_idle(autojump_clock: MockClock) -> None:
    async with serving(echo, config=ServerConfig(stream_idle_timeout=7, idle_timeout=100)) as served:
        await served.client.request("POST /", "content-length: 8")
        for octet in b"and more":
            await trio.testing.wait_all_tasks_blocked()
            await served.client.send(bytes([octet]))
            autojump_clock.jump(10)
        assert (await served.client.answer()).body == b"and more"


async def test_a_client_that_waits_for_100_may_wait(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(100)
        await stream.respond(body=await stream.receive_some())

    async with serving(handler, config=ServerConfig(body_timeout=30)) as served:
        await served.client.request("POST /", "content-length: 10", "expect: 100-continue")
        assert (await served.client.answer()).status == 100
        start = trio.current_time()
        assert (await served.client.answer()).status == 408  # but now it must send
        assert elapsed(start) == 30


async def test_a_slow_handler_is_not_the_clients_fault(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(1000)
        await stream.respond(body=b"at last")

    async with serving(handler, config=ServerConfig(idle_timeout=30, handshake_timeout=10)) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"at last"


async def test_a_client_that_stops_reading(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond()
        try:
            await stream.send_all(bytes(1_000_000))
        finally:
            ended.append(trio.current_time())

    async with serving(handler, capacity=1000, config=ServerConfig(idle_timeout=30)) as served:
        start = trio.current_time()
        await served.client.request("GET /")
        await trio.sleep(100)
        assert ended == [pytest.approx(start + 30)]
        with pytest.raises(trio_h2.TransportLostError, match="stopped reading"):
            await served.connection.wait_closed()


async def test_a_transport_that_stalls(autojump_clock: MockClock) -> None:
    wires: list[StallableStream] = []

    def wrap(transport: trio.abc.Stream) -> trio.abc.Stream:
        wires.append(StallableStream(transport))
        return wires[0]

    async with serving(hello, wrap=wrap, config=ServerConfig(idle_timeout=30)) as served:
        wires[0].stall_send(after=3)
        await served.client.request("GET /")
        await trio.sleep(5)
        wires[0].resume()
        assert (await served.client.answer()).body == b"hello"


async def test_idle_timeout_of_an_exchange(autojump_clock: MockClock) -> None:
    ending = Ending()
    async with serving(ending.handle, config=ServerConfig(stream_idle_timeout=7)) as served:
        start = trio.current_time()
        await served.client.request("GET /")
        await served.client.expect_end()
        assert elapsed(start) == 7
    assert ending.how == "cancelled"


async def test_every_octet_is_activity(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        start = trio.current_time()
        stream.idle_timeout = 7
        try:
            await stream.respond()
            await trio.sleep(5)
            await stream.send_all(b"sent")
            assert await stream.receive_some() == b"came"
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time() - start)

    async with serving(handler) as served:
        await served.client.request("POST /", "content-length: 100")
        await trio.sleep(10)
        await served.client.send("came")
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await served.client.answer()
    assert ended == [pytest.approx(17)]


async def test_a_hook_for_idle_exchanges(autojump_clock: MockClock) -> None:
    times: list[float] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        stream.set_idle_timeout(3, lambda: times.append(trio.current_time()))
        await trio.sleep(10)
        await stream.respond(body=b"hello")

    async with serving(handler) as served:
        start = trio.current_time()
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"hello"
        await trio.sleep(20)
    assert times == [pytest.approx(start + seconds) for seconds in (3, 6, 9)]


# -- this side -----------------------------------------------------------------------------------------------------


async def test_shutdown_between_requests() -> None:
    async with serving(hello) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"hello"
        assert not served.connection.draining
        served.connection.shutdown()
        served.connection.shutdown()
        await served.connection.wait_draining()
        await served.client.expect_end()


async def test_shutdown_in_a_request(autojump_clock: MockClock) -> None:
    go = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.session.wait_draining()
        go.set()
        await stream.respond(body=b"last words")

    async with serving(handler) as served:
        await served.client.request("GET /1")
        await served.client.request("GET /2")
        await trio.testing.wait_all_tasks_blocked()
        assert not go.is_set()
        served.connection.shutdown()
        answer = await served.client.answer()
        assert (answer.body, answer.headers.get("connection")) == (b"last words", None)
        answer = await served.client.answer()  # to the request that had arrived
        assert (answer.body, answer.headers["connection"]) == (b"last words", "close")
        await served.client.expect_end()
        assert len(served.exchanges) == 2


async def test_shutdown_in_a_handler_and_in_half_a_head(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        stream.session.shutdown()
        await stream.respond(body=b"hello")

    async with serving(handler) as served:
        await served.client.send("GET / HT")
        await trio.testing.wait_all_tasks_blocked()
        served.connection.shutdown()  # it has said something: it gets an answer
        await served.client.send(f"TP/1.1\r\n{HOST}\r\n")
        answer = await served.client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")


@pytest.mark.parametrize("error", [None, ValueError("enough")])
async def test_destroy(error: Exception | None, autojump_clock: MockClock) -> None:
    causes: list[BaseException | None] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        stream.session.destroy(error)
        stream.session.destroy()
        with pytest.raises(trio.ClosedResourceError) as caught:
            await stream.respond()
        causes.append(caught.value.__cause__)
        await trio.sleep_forever()

    async with serving(handler) as served:
        await served.client.request("GET /")
        await served.client.expect_end()
        with pytest.raises(TypeError):
            served.connection.destroy("why")  # type: ignore[arg-type]  # that is the point
    assert causes == [error]


async def test_cancelling_the_server_is_prompt(autojump_clock: MockClock) -> None:
    ending = Ending(respond=True)
    start = trio.current_time()
    with trio.move_on_after(3):
        async with serving(ending.handle) as served:
            await served.client.request("GET /")
            await trio.sleep_forever()
    assert elapsed(start) == 3
    assert ending.how == "cancelled"


async def test_context_variables_do_not_leak_from_one_request_to_the_next() -> None:
    import contextvars

    variable = contextvars.ContextVar("variable", default="untouched")

    async def handler(stream: trio_h2.ServerStream) -> None:
        value = variable.get()
        variable.set("touched")
        await stream.respond(body=value.encode())

    async with serving(handler) as served:
        for _ in range(2):
            await served.client.request("GET /")
            assert (await served.client.answer()).body == b"untouched"

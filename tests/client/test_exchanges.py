"""Exchanges whose request the application sends itself, while the response comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.client.network import network, ours, scripted, until_closed
from trio_h2 import (
    Client,
    ErrorCode,
    LocalProtocolError,
    Priority,
    RequestTimeoutError,
    Retry,
    ServerConfig,
    StreamRefusedError,
    StreamResetError,
    Timeouts,
)
from trio_h2.testing import HeadersFrame, sweep_cancellation

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.client.network import Network
    from trio_h2.testing import ScriptedPeer

URL = "http://a.example/there?x=1"
both = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])


def _client(made: Network, *, http1: bool = False, **options: object) -> Client:
    return Client(transport=made, prior_knowledge=not http1, **options)  # type: ignore[arg-type]  # names are the test's


async def _echo(stream: trio_h2.ServerStream) -> None:
    await stream.send_informational(103, {"link": "</style.css>"})
    await stream.respond({"method": stream.method, "path": stream.path, "agent": stream.headers.get("user-agent", "-")})
    async for piece in stream:
        await stream.send_all(piece)
    trailers = stream.trailers
    await stream.send_trailers({"sum": "-" if trailers is None else trailers["sum"]})


@both
async def test_both_bodies_at_the_same_time(http1: bool, autojump_clock: MockClock) -> None:
    async with (
        network(ours(_echo, http1=True)) as made,
        _client(made, http1=http1) as client,
    ):
        for _ in range(2):
            async with client.exchange("POST", URL, headers={"te": "trailers"}, body=b"one") as exchange:
                assert exchange.http_version == ("1.1" if http1 else "2")
                hint = await exchange.receive_informational()
                assert hint is not None
                assert (hint.status, hint["link"]) == (103, "</style.css>")
                assert await exchange.receive_informational() is None
                assert exchange.informational == [hint]
                head = await exchange.receive_response()
                assert (head.status, head["method"], head["path"]) == (200, "POST", "/there?x=1")
                assert head["agent"].startswith("trio-h2/")
                assert await exchange.receive_response() is head
                assert await exchange.receive_some() == b"one"
                for piece in (b"two", b"three"):
                    await exchange.send_all(piece)
                    assert await exchange.receive_some() == piece
                assert not exchange.body_ended
                await exchange.send_trailers({"sum": "3"})
                assert await exchange.receive_some() == b""
                assert exchange.trailers is not None
                assert exchange.trailers["sum"] == "3"
                await exchange.send_eof()
        assert made.asked == ["http://a.example"]
        assert client.statistics().requests == 0


@both
async def test_nothing_is_added_if_that_is_asked(http1: bool) -> None:
    async with (
        network(ours(_echo, http1=True)) as made,
        _client(made, http1=http1, headers={"x": "y"}) as client,
        client.exchange("GET", URL, end_stream=True, own_headers=False) as exchange,
    ):
        assert (await exchange.receive_response())["agent"] == "-"
        assert [piece async for piece in exchange] == []
        with pytest.raises(trio.ClosedResourceError, match="ended already"):
            await exchange.send_all(b"more")
        await exchange.send_eof()


@both
async def test_a_server_that_does_not_read_holds_the_sender_up(http1: bool, autojump_clock: MockClock) -> None:
    async def idle(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(1000)

    sent = 0
    async with (
        network(ours(idle, http1=True), capacity=65536) as made,
        _client(made, http1=http1, timeouts=Timeouts(send=10)) as client,
        client.exchange("POST", URL) as exchange,
    ):
        began = trio.current_time()
        with pytest.raises(RequestTimeoutError, match="send=10") as caught:
            while True:
                await exchange.send_all(bytes(16 * 1024))
                sent += 16 * 1024
        assert caught.value.phase == "send"
        assert trio.current_time() == began + 10
        assert sent < 1024 * 1024


@both
async def test_two_tasks_may_not_send_at_once(http1: bool, autojump_clock: MockClock) -> None:
    async def idle(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(1000)

    async with (
        network(ours(idle, http1=True), capacity=65536) as made,
        _client(made, http1=http1) as client,
        client.exchange("POST", URL) as exchange,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(exchange.send_all, bytes(4 * 1024 * 1024))
        await trio.sleep(1)
        with pytest.raises(trio.BusyResourceError):
            await exchange.send_all(b"more")
        nursery.cancel_scope.cancel()


@both
async def test_an_early_response_arrives(http1: bool, autojump_clock: MockClock) -> None:
    async def refuse(stream: trio_h2.ServerStream) -> None:
        if stream.method == "POST":
            await stream.receive_some(1)
            await stream.respond(413, body=b"too much")
        else:
            await stream.respond(200, body=b"fine")

    async with network(ours(refuse, http1=True)) as made, _client(made, http1=http1) as client:
        async with client.exchange("POST", URL, body=b"first") as exchange:
            assert (await exchange.receive_response()).status == 413
            assert await exchange.receive_some() == b"too much"
            await exchange.send_all(b"nobody wants this")
            assert await exchange.receive_some() == b""
            assert exchange.send_unwanted
        assert (await client.get(URL)).content == b"fine"
        assert client.statistics().requests == 0


@both
async def test_response_timeout_begins_anew_with_each_interim_response(http1: bool, autojump_clock: MockClock) -> None:
    async def slow(stream: trio_h2.ServerStream) -> None:
        for _ in range(3):
            await trio.sleep(3)
            await stream.send_informational(102)
        await trio.sleep(1000)

    async with (
        network(ours(slow, http1=True)) as made,
        _client(made, http1=http1, timeouts=Timeouts(response=4)) as client,
        client.exchange("GET", URL, end_stream=True) as exchange,
    ):
        for _ in range(3):
            assert await exchange.receive_informational() is not None
        with pytest.raises(RequestTimeoutError, match="response=4"):
            await exchange.receive_informational()
        assert trio.current_time() == pytest.approx(13, abs=0.1)
        with pytest.raises(RequestTimeoutError, match="response=4"):
            await exchange.receive_response()


class Refusing:
    """Refuses the first requests, and echoes the others.

    Args:
        count: how many it refuses.
        after: bytes of the body that it reads before.
    """

    def __init__(self, count: int, after: int) -> None:
        self.left = count
        self.after = after
        self.answered = 0

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        if self.left:
            self.left -= 1
            taken = 0
            while taken < self.after:
                taken += len(await stream.receive_some())
            stream.reset(ErrorCode.REFUSED_STREAM)
            return
        self.answered += 1
        await _echo(stream)


@pytest.mark.parametrize("trailers", [False, True])
@pytest.mark.parametrize("count", [1, 3])
async def test_what_was_not_processed_is_sent_again(count: int, trailers: bool, autojump_clock: MockClock) -> None:
    server = Refusing(count, 10)
    async with (
        network(ours(server)) as made,
        _client(made) as client,
        client.exchange("POST", URL, body=b"a" * 5) as exchange,
    ):
        await exchange.send_all(b"b" * 5)
        await trio.sleep(1)
        if trailers:
            await exchange.send_trailers({"sum": "10"})
        else:
            await exchange.send_all(b"c" * 5)
            await exchange.send_eof()
        assert (await exchange.receive_response()).status == 200
        assert b"".join([piece async for piece in exchange]) == b"aaaaabbbbb" + (b"" if trailers else b"ccccc")
        assert exchange.trailers is not None
        assert exchange.trailers["sum"] == ("10" if trailers else "-")
        assert (server.left, server.answered) == (0, 1)


async def test_both_tasks_go_on_with_the_next_attempt(autojump_clock: MockClock) -> None:
    server = Refusing(2, 1)
    async with network(ours(server)) as made, _client(made) as client, client.exchange("POST", URL) as exchange:
        received: list[bytes] = []

        async def receive() -> None:
            async for piece in exchange:
                received.append(piece)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            for _ in range(20):
                await exchange.send_all(b"x" * 1000)
                await trio.sleep(0.05)
            await exchange.send_eof()
        assert b"".join(received) == b"x" * 20_000


async def test_more_than_is_kept_is_not_sent_again(autojump_clock: MockClock) -> None:
    server = Refusing(1, 64 * 1024 + 1)
    async with (
        network(ours(server)) as made,
        _client(made) as client,
        client.exchange("POST", URL, body=bytes(64 * 1024)) as exchange,
    ):
        await exchange.send_all(b"x")
        with pytest.raises(StreamRefusedError):
            await exchange.receive_response()
        with pytest.raises(StreamRefusedError):
            await exchange.send_all(b"y")
    assert server.answered == 0


async def test_no_more_attempts_than_retry_allows(autojump_clock: MockClock) -> None:
    server = Refusing(100, 0)
    async with (
        network(ours(server)) as made,
        _client(made, retry=Retry(attempts=2)) as client,
        client.exchange("GET", URL, end_stream=True) as exchange,
    ):
        for _ in range(2):
            with pytest.raises(StreamRefusedError):
                await exchange.receive_response()
        assert server.left == 97


async def test_statuses_that_are_to_be_repeated(autojump_clock: MockClock) -> None:
    statuses = [503, 503, 200]

    async def busy(stream: trio_h2.ServerStream) -> None:
        await stream.respond(statuses.pop(0), body=await stream.read())

    async with (
        network(ours(busy)) as made,
        _client(made, retry=Retry(statuses={503})) as client,
        client.exchange("PUT", URL, body=b"all", end_stream=True) as exchange,
    ):
        assert (await exchange.receive_response()).status == 200
        assert await exchange.receive_some() == b"all"


async def test_after_a_pause_that_was_cancelled_the_next_call_goes_on(autojump_clock: MockClock) -> None:
    server = Refusing(2, 1)
    async with (
        network(ours(server)) as made,
        _client(made, retry=Retry(backoff=10)) as client,
        client.exchange("POST", URL, body=b"body", end_stream=True) as exchange,
    ):
        with trio.move_on_after(1) as scope:
            await exchange.receive_response()
        assert scope.cancelled_caught
        assert await exchange.receive_informational() is not None
        assert [piece async for piece in exchange] == [b"body"]
        assert server.answered == 1


async def test_a_session_that_ends_is_followed_by_another(autojump_clock: MockClock) -> None:
    async def leave(peer: ScriptedPeer) -> None:
        await peer.until(HeadersFrame)
        await peer.send_goaway(0)
        await until_closed(peer)

    async with (
        network(scripted(leave), ours(_echo)) as made,
        _client(made) as client,
        client.exchange("POST", URL, body=b"one") as exchange,
    ):
        assert (await exchange.receive_response()).status == 200
        await exchange.send_all(b"two")
        await exchange.send_eof()
        assert b"".join([piece async for piece in exchange]) == b"onetwo"
        assert len(made.asked) == 2


async def test_leaving_resets_with_cancel(autojump_clock: MockClock) -> None:
    seen: list[int | None] = []

    async def wait(stream: trio_h2.ServerStream) -> None:
        stream.call_when_closed(lambda: seen.append(stream.rst_code))
        await stream.respond(200)
        await trio.sleep_forever()

    async with network(ours(wait)) as made, _client(made) as client:
        async with client.exchange("POST", URL) as exchange:
            await exchange.receive_response()
        await trio.sleep(1)
        assert seen == [ErrorCode.CANCEL]
        with pytest.raises(trio.ClosedResourceError):
            await exchange.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            await exchange.send_all(b"late")


@both
async def test_a_response_that_breaks_off(http1: bool, autojump_clock: MockClock) -> None:
    async def cut(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"content-length": "100"})
        await stream.send_all(b"half")
        await trio.sleep(1)
        stream.reset(ErrorCode.INTERNAL_ERROR)

    async with (
        network(ours(cut, http1=True)) as made,
        _client(made, http1=http1) as client,
        client.exchange("GET", URL, end_stream=True) as exchange,
    ):
        assert await exchange.receive_some() == b"half"
        with pytest.raises((StreamResetError, trio_h2.SessionError)):
            await exchange.receive_some()


async def test_priority_changes(autojump_clock: MockClock) -> None:
    async def tell(stream: trio_h2.ServerStream) -> None:
        first = stream.priority
        await trio.sleep(1)
        await stream.respond(200, body=f"{first.urgency} {stream.priority.urgency}".encode())

    async with (
        network(ours(tell)) as made,
        _client(made) as client,
        client.exchange("GET", URL, end_stream=True, priority=Priority(urgency=5)) as exchange,
    ):
        await trio.sleep(0.5)
        exchange.prioritize(Priority(urgency=1))
        assert await exchange.receive_some() == b"5 1"


@both
async def test_content_length_is_kept(http1: bool) -> None:
    async with (
        network(ours(_echo, http1=True)) as made,
        _client(made, http1=http1) as client,
        client.exchange("POST", URL, headers={"content-length": "3"}) as exchange,
    ):
        await exchange.send_all(b"123")
        with pytest.raises(LocalProtocolError):
            await exchange.send_all(b"4")


async def test_arguments() -> None:
    client = Client()
    with pytest.raises(ValueError, match="CONNECT"):
        client.exchange("CONNECT", URL)
    with pytest.raises(TypeError, match="body"):
        client.exchange("POST", URL, body="text")  # type: ignore[arg-type]  # is what is tested
    with pytest.raises(TypeError, match="end_stream"):
        client.exchange("POST", URL, end_stream=1)  # type: ignore[arg-type]  # is what is tested
    with pytest.raises(TypeError, match="own_headers"):
        client.exchange("POST", URL, own_headers=None)  # type: ignore[arg-type]  # is what is tested
    async with network(ours(_echo)) as made, _client(made) as client:
        block = client.exchange("GET", URL, end_stream=True)
        async with block as exchange:
            with pytest.raises(ValueError, match="max_bytes"):
                await exchange.receive_some(0)
        with pytest.raises(RuntimeError, match="once"):
            await block.__aenter__()


@both
@pytest.mark.parametrize("refused", [0, 1])
async def test_cancelled_at_every_checkpoint(refused: int, http1: bool, autojump_clock: MockClock) -> None:
    servers: list[Refusing] = []

    async def answer(stream: trio_h2.ServerStream) -> None:
        await servers[-1](stream)

    config = ServerConfig()
    async with network(ours(answer, config=config, http1=True)) as made, _client(made, http1=http1) as client:

        async def scenario() -> None:
            servers.append(Refusing(0 if http1 else refused, 1))
            async with client.exchange("POST", URL, body=b"one") as exchange:
                await exchange.send_all(b"two")
                await exchange.receive_informational()
                await exchange.receive_response()
                await exchange.send_trailers({"sum": "2"})
                assert b"".join([piece async for piece in exchange]) == b"onetwo"

        async def after() -> None:
            await trio.sleep(1)
            servers.append(Refusing(0, 0))
            assert (client.statistics().requests, client.statistics().waiting) == (0, 0)
            assert (await client.fetch("POST", URL, body=b"again")).content == b"again"
            for session in client.sessions:
                ledger = session.statistics().ledger
                assert ledger.received == ledger.taken + ledger.discarded + ledger.held

        await after()
        assert await sweep_cancellation(scenario, after=after) > 8

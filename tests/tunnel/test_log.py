"""What the log says of the end of a tunnel: that a client has left is no reset."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.tunnel.targets import HERE, PATIENCE, proxied, reset, target, until
from tests.tunnel.test_http1 import connect, through_proxy
from trio_h2 import ErrorCode
from trio_h2.tunnel import ConnectProxy, Traffic, join, open_tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio.testing import MockClock

pytestmark = pytest.mark.parity("L1")


@pytest.fixture(autouse=True)
def _no_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO, "trio_h2.proxy")
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno > logging.INFO] == []


def end_of(caplog: pytest.LogCaptureFixture) -> str:
    """Returns why the only tunnel has ended, as the log has it."""
    (line,) = (record.getMessage() for record in caplog.records if record.name == "trio_h2.proxy")
    return line.rpartition(" s: ")[2]


async def silent(stream: trio.SocketStream) -> None:
    """Reads, and says nothing, not even at the end."""
    while await stream.receive_some():
        pass
    await trio.sleep_forever()


async def talkative(stream: trio.SocketStream) -> None:
    """Goes on talking when the client has ended, as TLS does with its closure alert."""
    while await stream.receive_some():
        pass
    while True:
        await stream.send_all(b"bye")
        await trio.sleep(0.001)


async def brief(stream: trio.SocketStream) -> None:
    """Answers and ends."""
    await stream.receive_some()
    await stream.send_all(b"x" * 100)


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (ErrorCode.CANCEL, "the client closed it"),
        (ErrorCode.NO_ERROR, "the client closed it"),
        (ErrorCode.INTERNAL_ERROR, "the client reset it with INTERNAL_ERROR"),
        (ErrorCode.CONNECT_ERROR, "the client reset it with CONNECT_ERROR"),
    ],
)
async def test_a_client_of_http2_resets_the_tunnel(code: ErrorCode, end: str, caplog: pytest.LogCaptureFixture) -> None:
    """RFC 9113 §7: CANCEL says that the stream is not needed any more."""
    proxy = ConnectProxy(HERE)
    async with target(silent) as place, proxied(proxy) as session, open_tunnel(session, place.authority) as stream:
        await stream.send_all(b"hi")
        await until(lambda: proxy.statistics().bytes_up == 2)
        stream.reset(code)
        await until(lambda: proxy.statistics().open == 0)
    assert end_of(caplog) == end


@pytest.mark.parametrize("code", [ErrorCode.CANCEL, ErrorCode.INTERNAL_ERROR])
async def test_handlers_that_are_not_cancelled_say_the_same(code: ErrorCode, caplog: pytest.LogCaptureFixture) -> None:
    proxy = ConnectProxy(HERE)
    async with (
        target(silent) as place,
        proxied(proxy, cancel_handler_on_reset=False) as session,
        open_tunnel(session, place.authority) as stream,
    ):
        stream.reset(code)
        await until(lambda: proxy.statistics().open == 0)
    if code == ErrorCode.CANCEL:
        assert end_of(caplog) == "the client closed it"
    else:
        assert end_of(caplog).startswith("the client's side broke: the peer reset the stream with INTERNAL_ERROR")


async def test_a_client_of_http2_does_not_wait_for_the_last_words(caplog: pytest.LogCaptureFixture) -> None:
    proxy = ConnectProxy(HERE)
    async with (
        target(talkative) as place,
        proxied(proxy) as session,
        open_tunnel(session, place.authority) as stream,
    ):
        await stream.send_eof()
        await stream.receive_some()
        stream.reset(ErrorCode.STREAM_CLOSED)
        await until(lambda: proxy.statistics().open == 0)
    assert end_of(caplog) == "the client closed it"


async def test_the_session_of_the_client_ends(caplog: pytest.LogCaptureFixture) -> None:
    proxy = ConnectProxy(HERE)
    with trio.fail_after(PATIENCE):
        async with target(silent) as place, trio.open_nursery() as nursery:
            server: trio_h2.Server = await nursery.start(
                lambda task_status: trio_h2.serve_tcp(proxy, 0, host="127.0.0.1", task_status=task_status)
            )
            tcp = await trio.open_tcp_stream("127.0.0.1", server.port)
            async with (
                trio_h2.connect(server.urls[0], transport=tcp) as session,
                open_tunnel(session, place.authority),
            ):
                reset(tcp)
                await until(lambda: proxy.statistics().open == 0)
            nursery.cancel_scope.cancel()
    assert end_of(caplog) == "its session has ended"


async def test_a_client_of_http1_does_not_wait_for_the_last_words(caplog: pytest.LogCaptureFixture) -> None:
    """It has closed its socket, from which the target's last words come back with a TCP reset."""
    proxy = ConnectProxy(HERE)
    async with through_proxy(proxy, talkative) as (client, authority):
        await client.send(connect(authority))
        await client._until(b"\r\n\r\n")
        await client.transport.aclose()
        await until(lambda: proxy.statistics().open == 0)
    assert end_of(caplog) == "the client closed it"


async def test_a_client_of_http1_leaves_bytes_unread(caplog: pytest.LogCaptureFixture) -> None:
    proxy = ConnectProxy(HERE)
    async with through_proxy(proxy, brief) as (client, authority):
        await client.send(connect(authority))
        await client._until(b"\r\n\r\n")
        await client.send("hi")
        await until(lambda: proxy.statistics().bytes_down == 100)
        await trio.sleep(0.1)  # for the end of the target, of which nobody tells
        assert isinstance(client.transport, trio.SocketStream)
        reset(client.transport)
        await until(lambda: proxy.statistics().open == 0)
    assert end_of(caplog) == "the client closed it"


async def test_a_client_of_http1_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    proxy = ConnectProxy(HERE)
    async with through_proxy(proxy, silent) as (client, authority):
        await client.send(connect(authority))
        await client._until(b"\r\n\r\n")
        assert isinstance(client.transport, trio.SocketStream)
        reset(client.transport)
        await until(lambda: proxy.statistics().open == 0)
    assert end_of(caplog) == "its connection has ended"


async def test_join_tells_which_sides_have_ended(autojump_clock: MockClock) -> None:
    here, left = trio.testing.memory_stream_pair()
    there, right = trio.testing.memory_stream_pair()
    traffic = Traffic()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: join(left, right, traffic=traffic))
        await here.send_all(b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert (traffic.left_ended, traffic.right_ended) == (False, False)
        await there.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        assert (traffic.left_ended, traffic.right_ended) == (False, True)
        await here.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        assert (traffic.left_ended, traffic.right_ended) == (True, True)

"""Tunnels through our proxy to real TCP servers: bytes, ends and breaks, as they come out on the other side."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.tunnel.targets import (
    HERE,
    MANY,
    MANY_CLIENT,
    echo,
    jane,
    open_files,
    proxied,
    read_all,
    reset,
    target,
    until,
)
from trio_h2 import ErrorCode
from trio_h2.tunnel import ConnectProxy, TunnelRefusedError, open_tunnel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.mark.parity("L1")
async def test_hello_jane() -> None:
    """The client half-closes, and the target answers after that."""
    proxy = ConnectProxy(HERE)
    async with target(jane) as place, proxied(proxy) as session:
        async with open_tunnel(session, place.authority) as stream:
            assert isinstance(stream, trio.abc.HalfCloseableStream)
            await stream.send_all(b"Jane")
            await stream.send_eof()
            assert await read_all(stream) == b"hello Jane"
        assert (await stream.receive_response()).status == 200
    numbers = proxy.statistics()
    assert (numbers.open, numbers.opened, numbers.refused) == (0, 1, 0)
    assert (numbers.bytes_up, numbers.bytes_down) == (4, 10)


@pytest.mark.parity("L1")
async def test_the_target_may_speak_first_and_end_first() -> None:
    got: list[bytes] = []

    async def greets(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 ready")
        await stream.send_eof()
        got.append(await read_all(stream))

    async with target(greets) as place, proxied(ConnectProxy(HERE)) as session:
        async with open_tunnel(session, place.authority) as stream:
            assert await read_all(stream) == b"220 ready"
            await stream.send_all(b"still ")
            await stream.send_all(b"here")
            await stream.send_eof()
            await stream.wait_closed()
        await until(lambda: bool(got))
    assert got == [b"still here"]


@pytest.mark.parity("L1")
async def test_what_is_sent_before_the_answer_is_carried() -> None:
    async with target(echo) as place, proxied(ConnectProxy(HERE)) as session:
        headers = {":authority": place.authority}
        async with session.request("CONNECT", headers=headers, body=b"early") as stream:
            assert (await stream.receive_response()).status == 200
            assert await read_all(stream) == b"early"


@pytest.mark.parity("L1")
async def test_much_both_ways_at_once() -> None:
    block = bytes(range(256)) * 4096
    proxy = ConnectProxy(HERE)
    async with target(echo) as place, proxied(proxy) as session, open_tunnel(session, place.authority) as stream:

        async def send() -> None:
            for _ in range(8):
                await stream.send_all(block)
            await stream.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            assert await read_all(stream) == block * 8
    assert proxy.statistics().bytes_up == proxy.statistics().bytes_down == 8 * len(block)


@pytest.mark.parity("L1")
@pytest.mark.parametrize("when", ["at once", "in between", "after its end"])
async def test_a_target_that_resets_is_a_connect_error(when: str) -> None:
    """RFC 9113 §8.5: "a stream error of type CONNECT_ERROR"."""

    async def rude(stream: trio.SocketStream) -> None:
        if when != "at once":
            assert await stream.receive_some() == b"x"
            await stream.send_all(b"y")
        if when == "after its end":
            await stream.send_eof()
            assert await stream.receive_some() == b"z"
        reset(stream)

    async with target(rude) as place, proxied(ConnectProxy(HERE)) as session:
        async with open_tunnel(session, place.authority) as stream:
            if when != "at once":
                await stream.send_all(b"x")
                assert await stream.receive_some() == b"y"
            if when == "after its end":
                assert await stream.receive_some() == b""
                with suppress(trio_h2.StreamResetError):
                    while True:  # where nothing more is read, a reset shows when something is written
                        await stream.send_all(b"z")
                        await session.ping()
            with pytest.raises(trio_h2.StreamResetError) as info:
                await stream.wait_closed()
            assert info.value.code == stream.rst_code == ErrorCode.CONNECT_ERROR
            if when != "after its end":
                with pytest.raises(trio_h2.StreamResetError):
                    await stream.receive_some()
        await session.ping()  # the session goes on


@pytest.mark.parity("L1")
async def test_an_early_answer_to_a_long_upload_arrives() -> None:
    """The target says no and hangs up while the client sends on: the no is passed on before the break."""

    async def refuses(stream: trio.SocketStream) -> None:
        await stream.receive_some(1)
        await stream.send_all(b"413 too large")
        await stream.aclose()  # with unread bytes, so with a reset

    async with target(refuses) as place, proxied(ConnectProxy(HERE)) as session:
        async with open_tunnel(session, place.authority) as stream, trio.open_nursery() as nursery:

            async def upload() -> None:
                with pytest.raises(trio_h2.StreamResetError):
                    while True:
                        await stream.send_all(bytes(1000))

            nursery.start_soon(upload)
            assert await stream.receive_some() == b"413 too large"
            with pytest.raises(trio_h2.StreamResetError):
                await stream.wait_closed()
        assert stream.rst_code == ErrorCode.CONNECT_ERROR


async def _resets(stream: trio_h2.ClientStream) -> None:
    stream.reset(ErrorCode.CANCEL)


async def _closes_in_between(stream: trio_h2.ClientStream) -> None:
    stream.destroy()


async def _loses_the_session(stream: trio_h2.ClientStream) -> None:
    stream.session.destroy()


@pytest.mark.parity("L1")
@pytest.mark.parametrize("cancel", [True, False], ids=["handler-cancelled", "handler-goes-on"])
@pytest.mark.parametrize("breaks", [_resets, _closes_in_between, _loses_the_session])
async def test_a_client_that_breaks_off_resets_the_target(
    breaks: Callable[[trio_h2.ClientStream], Awaitable[None]], cancel: bool
) -> None:
    """RFC 9113 §8.5: "a proxy MUST send a TCP segment with the RST bit set"; a FIN would look like an end."""
    ends: list[str] = []

    async def watches(stream: trio.SocketStream) -> None:
        try:
            ends.append(f"{await read_all(stream)!r} and its end")
        except trio.BrokenResourceError as exc:
            ends.append(type(exc.__cause__).__name__)

    async with target(watches) as place, proxied(ConnectProxy(HERE), cancel_handler_on_reset=cancel) as session:
        stream = await open_tunnel(session, place.authority).__aenter__()
        await stream.send_all(b"half a sen")
        await session.ping()
        await breaks(stream)
        await until(lambda: bool(ends))
    assert ends == ["ConnectionResetError"]


@pytest.mark.parity("L1")
async def test_the_end_of_the_server_resets_the_target() -> None:
    ends: list[str] = []

    async def watches(stream: trio.SocketStream) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await read_all(stream)
        ends.append("reset")

    async with target(watches) as place:
        async with trio.open_nursery() as nursery:
            server: trio_h2.Server = await nursery.start(serve_here, ConnectProxy(HERE))
            async with trio_h2.connect(server.urls[0]) as session:
                stream = await open_tunnel(session, place.authority).__aenter__()
                nursery.cancel_scope.cancel()
                with pytest.raises(trio.Cancelled):
                    await stream.receive_some()
        await until(lambda: bool(ends))


async def serve_here(proxy: ConnectProxy, *, task_status: trio.TaskStatus[trio_h2.Server]) -> None:
    await trio_h2.serve_tcp(proxy, 0, host="127.0.0.1", task_status=task_status)


@pytest.mark.parity("L1")
async def test_five_hundred_tunnels_in_one_session() -> None:
    before = open_files()
    proxy = ConnectProxy(HERE, max_tunnels=500)
    async with (
        target(echo) as place,
        proxied(proxy, config=MANY, client_config=MANY_CLIENT) as session,
        trio.open_nursery() as nursery,
    ):
        up = 0
        everybody_is_there = trio.Event()

        async def talk(number: int) -> None:
            nonlocal up
            words = b"%d" % number * 100
            async with open_tunnel(session, place.authority) as stream:
                up += 1
                if up == 500:
                    everybody_is_there.set()
                await everybody_is_there.wait()
                assert session.statistics().open_streams >= 1
                await stream.send_all(words)
                await stream.send_eof()
                assert await read_all(stream) == words

        for number in range(500):
            nursery.start_soon(talk, number)
        await everybody_is_there.wait()
        assert proxy.statistics().open == session.statistics().open_streams == 500
        with pytest.raises(TunnelRefusedError) as info:
            async with open_tunnel(session, place.authority):
                pass
        assert info.value.status == 503
    assert proxy.statistics().open == 0
    assert open_files() <= before


@pytest.mark.parity("L1")
async def test_each_tunnel_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trio_h2.proxy")

    async def rude(stream: trio.SocketStream) -> None:
        reset(stream)

    async with target(jane) as place, target(rude) as other, proxied(ConnectProxy(HERE)) as session:
        async with open_tunnel(session, place.authority) as stream:
            await stream.send_all(b"Jane")
            await stream.send_eof()
            await read_all(stream)
        async with open_tunnel(session, other.authority) as stream:
            with pytest.raises(trio_h2.StreamResetError):
                await stream.wait_closed()
        async with open_tunnel(session, place.authority) as stream:
            stream.reset(ErrorCode.INTERNAL_ERROR)
            await session.ping()
        with pytest.raises(TunnelRefusedError):
            async with open_tunnel(session, "192.0.2.1:25"):
                pass
        client = session.transport.local_address
        assert isinstance(client, tuple)
    records = [record for record in caplog.records if record.name == "trio_h2.proxy"]
    lines = [re.sub(r"\d+\.\d{3} s", "TIME", record.getMessage()) for record in records]
    start = f"127.0.0.1:{client[1]} CONNECT"
    up = f"{place.authority} ({place.authority})"
    assert lines == [
        f"{start} {up}: 4 bytes up, 10 down, TIME: both sides have ended",
        f"{start} {other.authority} ({other.authority}): 0 bytes up, 0 down, TIME: the target's connection broke: "
        "[Errno 104] Connection reset by peer",
        f"{start} {up}: 0 bytes up, 0 down, TIME: the client reset it with INTERNAL_ERROR",
        f"{start} 192.0.2.1:25: 0 bytes up, 0 down, TIME: refused with 403: 192.0.2.1:25 is not allowed",
    ]
    assert {record.levelno for record in records} == {logging.INFO}

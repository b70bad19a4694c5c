"""Peers of a tunnel that vanish without a word: who asks after them, and how long nothing may happen."""

from __future__ import annotations

import logging
import math
import socket
from typing import TYPE_CHECKING

import pytest
import trio

from tests.http1.client import serving
from tests.stream.harness import pair
from tests.tunnel.fakenet import FakeNet
from trio_h2 import ServerConfig
from trio_h2.tunnel import ConnectProxy, open_tunnel

if TYPE_CHECKING:
    from trio.testing import MockClock

PLACE = "93.184.215.14"
TCP, SOCKET = socket.IPPROTO_TCP, socket.SOL_SOCKET

pytestmark = pytest.mark.parity("L1")


@pytest.fixture
def net() -> FakeNet:
    return FakeNet()


async def options_of_a_target(net: FakeNet, version: str, config: ServerConfig) -> dict[tuple[int, int], object]:
    """Opens a tunnel, and returns what the system was told about its connection to the target."""
    net.install()
    proxy = ConnectProxy(["*:443"])
    if version == "2":
        async with pair(proxy, server_config=config) as (client, _), open_tunnel(client, f"{PLACE}:443") as stream:
            (sock,) = net.sockets
            found = dict(sock.options)
            await sock.far.send_eof()
            await stream.send_eof()
            assert await stream.receive_some() == b""
        return found
    async with serving(proxy, config=config) as served:
        await served.client.send(f"CONNECT {PLACE}:443 HTTP/1.1\r\nhost: {PLACE}:443\r\n\r\n")
        assert (await served.client._until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        (sock,) = net.sockets
        return dict(sock.options)


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_the_system_watches_the_target(net: FakeNet, version: str, autojump_clock: MockClock) -> None:
    """As it does the client: after 45 s, then every 15 s, three times. One that takes nothing may live."""
    options = await options_of_a_target(net, version, ServerConfig())
    assert options.pop((TCP, socket.TCP_NODELAY)) == 1  # by Trio, as is TCP_NOTSENT_LOWAT
    assert options.pop((TCP, socket.TCP_NOTSENT_LOWAT))
    assert options == {
        (SOCKET, socket.SO_KEEPALIVE): 1,
        (TCP, socket.TCP_KEEPIDLE): 45,
        (TCP, socket.TCP_KEEPINTVL): 15,
        (TCP, socket.TCP_KEEPCNT): 3,
    }


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_how_the_target_is_watched_is_the_servers_to_say(
    net: FakeNet, version: str, autojump_clock: MockClock
) -> None:
    config = ServerConfig(tcp_keepalive_idle=7.5, tcp_keepalive_interval=2, tcp_keepalive_count=9)
    options = await options_of_a_target(net, version, config)
    assert options[SOCKET, socket.SO_KEEPALIVE] == 1
    numbers = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    assert [options[TCP, number] for number in numbers] == [8, 2, 9]


async def test_nobody_watches_if_that_is_off(net: FakeNet, autojump_clock: MockClock) -> None:
    options = await options_of_a_target(net, "2", ServerConfig(tcp_keepalive_idle=math.inf))
    assert (SOCKET, socket.SO_KEEPALIVE) not in options


async def test_a_tunnel_over_http1_in_which_nothing_happens_is_cut(
    net: FakeNet, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After five minutes by default; over HTTP/1.1, no PING finds out that the client has vanished."""
    caplog.set_level(logging.INFO, "trio_h2.proxy")
    net.install()
    proxy = ConnectProxy(["*:443"])
    async with serving(proxy) as served:
        await served.client.send(f"CONNECT {PLACE}:443 HTTP/1.1\r\nhost: {PLACE}:443\r\n\r\n")
        await served.client._until(b"\r\n\r\n")
        (sock,) = net.sockets
        await trio.sleep(200)
        await sock.far.send_all(b"x")
        assert await served.client._exactly(1) == b"x"
        began = trio.current_time()
        await served.connection.wait_closed()
        assert trio.current_time() - began == pytest.approx(300, abs=2)
        assert sock.was_reset
        assert proxy.statistics().open == 0
    assert caplog.messages[-1].endswith("1 down, 500.000 s: nothing was sent for 300 s")

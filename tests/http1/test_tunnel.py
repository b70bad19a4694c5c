"""CONNECT over HTTP/1.1, where the client leaves before the tunnel stands (RFC 9110 §9.3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import echo, serving

if TYPE_CHECKING:
    from trio.testing import MockClock

_CONNECT = "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"


@pytest.mark.parametrize("half_open", [True, False])
@pytest.mark.parametrize("early", ["", "bytes of the tunnel"])
@pytest.mark.parametrize("first", [True, False])
async def test_who_waits_for_a_tunnel_before_it_stands(
    first: bool, early: str, half_open: bool, autojump_clock: MockClock
) -> None:
    """Nothing can come any more when the client has left: the handler must not wait for ever, nor its connection."""
    ended: list[BaseException] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        try:
            if first:
                await trio.sleep(1)
            await stream.receive_some()
        except BaseException as exc:
            ended.append(exc)
            raise

    async with serving(handler, config=trio_h2.ServerConfig(allow_half_open=half_open)) as served:
        await served.client.send(_CONNECT + early)
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send_eof()
        await trio.sleep(2)
        assert len(ended) == 1
        assert isinstance(ended[0], trio.Cancelled | trio_h2.TransportLostError)
        with pytest.raises(trio_h2.TransportLostError):
            await served.connection.wait_closed()


@pytest.mark.parametrize("half_open", [True, False])
async def test_who_leaves_while_the_target_is_dialled(half_open: bool, autojump_clock: MockClock) -> None:
    """Unless clients may end their side, and then wait: that ends the tunnel in one direction, once it stands."""
    ended: list[str] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        try:
            await trio.sleep(10)
            await echo(stream)
        except trio_h2.LocalProtocolError:  # echo ends with trailers
            ended.append("returned")
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    async with serving(handler, config=trio_h2.ServerConfig(allow_half_open=half_open)) as served:
        await served.client.send(_CONNECT + "early")
        await served.client.send_eof()
        start = trio.current_time()
        rest = await served.client.rest()
        assert trio.current_time() - start == pytest.approx(10 if half_open else 0)
        assert rest.endswith(b"early") is half_open
    assert ended == (["returned"] if half_open else ["cancelled"])


async def test_a_tunnel_that_stands_is_not_ended_by_who_waits_for_it(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with trio.move_on_after(1):
            await stream.receive_some()
        await echo(stream)

    async with serving(handler) as served:
        await served.client.send(_CONNECT + "early")
        await served.client._until(b"\r\n\r\n")
        await served.client.send("late")
        await served.client.send_eof()
        assert await served.client.rest() == b"earlylate"

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


@pytest.mark.parametrize("early", ["", "octets of the tunnel"])
@pytest.mark.parametrize("first", [True, False])
async def test_who_waits_for_a_tunnel_before_it_stands(first: bool, early: str, autojump_clock: MockClock) -> None:
    """Nothing can come any more when the client has left: the handler must not wait for ever, nor its connection."""
    ended: list[BaseException] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        if first:
            await trio.sleep(1)
        try:
            await stream.receive_some()
        except BaseException as exc:
            ended.append(exc)
            raise

    async with serving(handler) as served:
        await served.client.send(_CONNECT + early)
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send_eof()
        await trio.sleep(2)
        assert len(ended) == 1
        assert isinstance(ended[0], trio.Cancelled | trio_h2.TransportLostError)
        with pytest.raises(trio_h2.TransportLostError):
            await served.connection.wait_closed()


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

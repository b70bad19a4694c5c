"""Tests as users write them for an application of their own, with pytest and `trio_h2.testing`."""

from __future__ import annotations

import pytest
import trio

import trio_h2
from trio_h2.testing import ChaosStream, HeadersFrame, ScriptedPeer, memory_transports, session_pair


async def shout(stream: trio_h2.ServerStream) -> None:
    """The application."""
    text = await stream.text(max_size=100)
    if not text:
        await stream.respond(400, body=b"nothing to shout")
        return
    await stream.respond(body=text.upper().encode())


async def ask(session: trio_h2.ClientSession, body: bytes) -> tuple[int, bytes]:
    async with session.request("POST", body=body) as stream:
        response = await stream.receive_response()
        return response.status, await stream.read()


@pytest.mark.parametrize(("body", "status"), [(b"hello", 200), (b"", 400), (b"x" * 101, 413)])
async def test_statuses(body: bytes, status: int) -> None:
    async with session_pair(shout) as (client, server):
        found, _ = await ask(client, body)
        assert found == status
        assert server.role is trio_h2.Role.SERVER


async def test_over_a_bad_network(autojump_clock: trio.abc.Clock) -> None:
    def chaos(transport: trio.abc.HalfCloseableStream) -> trio.abc.Stream:
        return ChaosStream(transport, seed=1)

    async with session_pair(shout, wrap_client=chaos) as (client, _):
        assert await ask(client, b"hello") == (200, b"HELLO")


async def test_a_server_that_refuses(autojump_clock: trio.abc.Clock) -> None:
    ours, theirs = memory_transports()
    async with (
        ScriptedPeer(theirs, client=False) as peer,
        trio.open_nursery() as nursery,
        trio_h2.connect("http://localhost", transport=ours) as session,
    ):

        async def refuse() -> None:
            await peer.handshake()
            request: HeadersFrame = await peer.expect_headers()
            await peer.send_rst(request.stream_id, trio_h2.ErrorCode.REFUSED_STREAM)

        nursery.start_soon(refuse)
        with pytest.raises(trio_h2.StreamRefusedError) as caught:
            await ask(session, b"hello")
        assert caught.value.retryable

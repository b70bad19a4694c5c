"""Settings that change in the middle of things: our own window gets smaller, the peer's header table comes and goes."""

from __future__ import annotations

import pytest
import trio
from hpack import Decoder

from tests.session.ends import both_roles, session_of
from tests.session.scripted import connected, served, settle
from trio_h2 import (
    ClientConfig,
    ClientSession,
    Role,
    ServerConfig,
    ServerStream,
    Session,
    SettingCode,
    Settings,
    Stream,
)
from trio_h2.testing import HeadersFrame, ScriptedPeer, SettingsFrame, session_pair

# -- our own initial window --------------------------------------------------------------------------------------------


async def _read(stream: Stream, size: int) -> None:
    while size:
        size -= len(await stream.receive_some(size))


@pytest.mark.parity("B24")
@pytest.mark.parametrize("window", [20_000, 1000, 59_999])
@both_roles
async def test_a_smaller_window_does_not_starve_a_body_that_was_read(
    role: Role, window: int, autojump_clock: object
) -> None:
    """RFC 9113 §6.9.2: a change "can cause the available space in a flow-control window to become negative": the bytes
    that we have read and owe the peer must then be credited, for nothing else will ever wake us.
    """
    got: list[int] = []
    resume = trio.Event()

    async def use(stream: Stream) -> None:
        await _read(stream, 60_000)
        resume.set()
        await _read(stream, 40_000)
        got.append(100_000)
        assert await stream.receive_some() == b""

    async def handler(stream: ServerStream) -> None:
        await use(stream)
        await stream.respond(204)

    async def finish(peer: ScriptedPeer, stream_id: int) -> None:
        with trio.fail_after(5):
            await peer.send_body(stream_id, bytes(40_000))

    smaller = Settings(initial_window_size=window)
    if role is Role.CLIENT:
        async with connected() as (client, peer), trio.open_nursery() as nursery:
            opened = await client.open_stream("GET")
            await peer.respond(opened.id, end_stream=False)
            await peer.send_body(opened.id, bytes(60_000), end_stream=False)
            nursery.start_soon(use, opened)
            await resume.wait()
            await settle()
            nursery.start_soon(client.update_settings, smaller)
            await peer.until(SettingsFrame, ack=False)
            await finish(peer, opened.id)
    else:
        async with served(handler) as (peer, server), trio.open_nursery() as nursery:
            stream_id = await peer.request("POST", end_stream=False)
            await peer.send_body(stream_id, bytes(60_000), end_stream=False)
            await resume.wait()
            await settle()
            nursery.start_soon(server.update_settings, smaller)
            await peer.until(SettingsFrame, ack=False)
            await finish(peer, stream_id)
            await peer.expect_headers(stream_id, status=204)
    assert got == [100_000]


@pytest.mark.parity("B24")
@both_roles
async def test_a_smaller_window_with_bytes_unread_gives_credit_when_they_are_read(
    role: Role, autojump_clock: object
) -> None:
    """Both ends are ours, and the body is larger than either window."""
    size = 300_000
    sides: list[Stream] = []
    done = trio.Event()

    async def handler(stream: ServerStream) -> None:
        sides.append(stream)
        if role is Role.CLIENT:
            await stream.respond(body=bytes(size))
        else:
            await done.wait()
            await stream.respond(204)

    configs = ClientConfig(stream_window=100_000), ServerConfig(stream_window=100_000)
    async with session_pair(handler, client_config=configs[0], server_config=configs[1]) as (client, server):
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                stream = await client.open_stream("POST", end_stream=role is Role.CLIENT)
                if role is Role.SERVER:
                    nursery.start_soon(stream.send_all, bytes(size))
                await settle()
                reader = stream if role is Role.CLIENT else sides[0]
                await _read(reader, 40_000)
                session = client if role is Role.CLIENT else server
                await session.update_settings(Settings(initial_window_size=1000))
                await _read(reader, 20_000)
                await session.update_settings(Settings(initial_window_size=50_000))
                await _read(reader, size - 60_000)
            done.set()
            await stream.receive_response()
            if role is Role.SERVER:
                await stream.send_eof()


# -- the peer's header table -------------------------------------------------------------------------------------------


async def _block(session: Session, peer: ScriptedPeer) -> bytes:
    """Makes a session send a field block."""
    if isinstance(session, ClientSession):
        await session.open_stream("GET", headers={"x-table": "entry" * 5})
    else:
        await peer.request()
    return (await peer.until(HeadersFrame)).fragment


@both_roles
async def test_a_strict_decoder_follows_every_change_of_its_table(role: Role, autojump_clock: object) -> None:
    """A decoder whose table has become smaller refuses any larger one from the acknowledgement on."""
    async with session_of(role) as (session, peer):
        decoder = Decoder()
        for sizes in ([], [100, 0], [4096], [0, 4096, 200], [50, 4096], [0], []):
            for size in sizes:
                await peer.send_settings({SettingCode.HEADER_TABLE_SIZE: size})
            await peer.ping()
            if sizes:
                decoder.max_allowed_table_size = sizes[-1]
            for _ in range(3):
                name, _ = next(iter(decoder.decode(await _block(session, peer), raw=True)))
                assert name == (b":method" if role is Role.CLIENT else b":status")
        assert not session.closed

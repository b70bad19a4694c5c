"""What an update of our settings does to a session; defaults and ranges are tested in `tests/wire/test_settings.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import connected, hello, served
from trio_h2 import ErrorCode, Settings
from trio_h2.testing import SettingsFrame

if TYPE_CHECKING:
    from trio_h2 import ServerSession
    from trio_h2.testing import ScriptedPeer

U32 = 2**32 - 1


async def update(session: ServerSession, peer: ScriptedPeer, settings: Settings) -> dict[int, int]:
    """Updates the settings of a session; returns what went over the wire."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.update_settings, settings)
        frame = await peer.expect(SettingsFrame, ack=False)
    return frame.settings


@pytest.mark.parity("I1", "I3", "I4", "I5", "I6")
@pytest.mark.parametrize(
    ("name", "code", "value"),
    [
        ("header_table_size", 0x1, 100),
        ("initial_window_size", 0x4, 100),
        ("max_frame_size", 0x5, 16_385),
        ("max_concurrent_streams", 0x3, 100),
        ("max_header_list_size", 0x6, 100),
    ],
)
async def test_numbers(name: str, code: int, value: int, autojump_clock: object) -> None:
    """Sent, and in force from the acknowledgement on. What they may be is tested in `tests/wire/test_settings.py`."""
    async with served(hello) as (peer, session):
        assert await update(session, peer, Settings().from_dict({code: value})) == {code: value}
        await peer.ping()
        assert getattr(session.local_settings, name) == value


@pytest.mark.parity("I7")
async def test_extended_connect_is_not_withdrawn(autojump_clock: object) -> None:
    """RFC 8441 §3, both ways."""
    async with served(hello) as (peer, session):
        assert await update(session, peer, Settings(enable_connect_protocol=True)) == {0x8: 1}
        with pytest.raises(ValueError, match="cannot be withdrawn"):
            await session.update_settings(Settings(enable_connect_protocol=False))
        await peer.expect_nothing()
    async with connected(settings={0x8: 1}) as (_, peer):
        await peer.send_settings({0x8: 0})
        await peer.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parity("I8")
async def test_custom_settings(autojump_clock: object) -> None:
    custom = {0xF000: 0, 0x100: U32}
    async with served(hello, settings=custom) as (peer, session):
        assert dict(session.peer_settings.custom) == custom
        assert await update(session, peer, Settings(custom=custom)) == custom


@pytest.mark.parity("I6")
async def test_header_lists_that_are_too_large(autojump_clock: object) -> None:
    async with served(hello) as (peer, session):
        await update(session, peer, Settings(max_header_list_size=1000))
        await peer.ping()
        for size, status in (1000, 431), (500, 200):
            stream_id = await peer.request(headers={"x-large": "~" * size})
            assert (await peer.expect_headers(stream_id=stream_id)).status == status
            if status == 200:
                await peer.collect_body(stream_id)

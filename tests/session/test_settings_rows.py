"""Every setting: its default, its range, and what it does to a session."""

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

U32, U31 = 2**32 - 1, 2**31 - 1

ROWS = [
    pytest.param("header_table_size", 0x1, 0, U32, 4096, id="header_table_size"),
    pytest.param("initial_window_size", 0x4, 0, U31, 65_535, id="initial_window_size"),
    pytest.param("max_frame_size", 0x5, 16_384, 2**24 - 1, 16_384, id="max_frame_size"),
    pytest.param("max_concurrent_streams", 0x3, 0, U32, U32, id="max_concurrent_streams"),
    pytest.param("max_header_list_size", 0x6, 0, U32, 65_535, id="max_header_list_size"),
]
SWITCHES = [
    pytest.param("enable_push", 0x2, True, id="enable_push"),
    pytest.param("enable_connect_protocol", 0x8, False, id="enable_connect_protocol"),
]


def one(**value: object) -> Settings:
    return Settings(**value)  # type: ignore[arg-type]  # wrong values are the point of some tests


async def update(session: ServerSession, peer: ScriptedPeer, settings: Settings) -> dict[int, int]:
    """Updates the settings of a session; returns what went over the wire."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.update_settings, settings)
        frame = await peer.expect(SettingsFrame, ack=False)
    return frame.settings


@pytest.mark.parity("I1", "I3", "I4", "I5", "I6")
@pytest.mark.parametrize(("name", "code", "low", "high", "default"), ROWS)
async def test_numbers(name: str, code: int, low: int, high: int, default: int, autojump_clock: object) -> None:
    assert getattr(Settings.defaults(), name) == default
    assert getattr(Settings(), name) is None
    for value in low, high:
        assert Settings.unpack(one(**{name: value}).pack()) == one(**{name: value})
    for value in low - 1, high + 1:
        with pytest.raises(ValueError, match=rf"{name} .*{low}.*{high}"):
            one(**{name: value})
    for wrong in 1.0, "1", True:
        with pytest.raises(TypeError, match=name):
            one(**{name: wrong})
    async with served(hello) as (peer, session):  # sent, and in force from the acknowledgement on
        assert await update(session, peer, one(**{name: max(low, 100)})) == {code: max(low, 100)}
        await peer.ping()
        assert getattr(session.local_settings, name) == max(low, 100)


@pytest.mark.parity("I2", "I7")
@pytest.mark.parametrize(("name", "code", "default"), SWITCHES)
async def test_switches(name: str, code: int, default: bool, autojump_clock: object) -> None:
    assert getattr(Settings.defaults(), name) is default
    for value in True, False:
        assert one(**{name: value}).pack() == code.to_bytes(2, "big") + int(value).to_bytes(4, "big")
    for wrong in 0, 1, "yes":
        with pytest.raises(TypeError, match=name):
            one(**{name: wrong})
    async with connected(settings={code: int(name != "enable_push")}) as (session, _):
        assert getattr(session.peer_settings, name) is (name != "enable_push")


@pytest.mark.parity("I2")
async def test_a_client_says_that_it_wants_no_push(autojump_clock: object) -> None:
    async with connected(handshake=False) as (_, peer):
        assert (await peer.handshake()).settings[0x2] == 0


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
    assert dict(Settings.unpack(Settings(custom=custom).pack()).custom) == custom
    for wrong in {0x1_0000: 0}, {-1: 0}, {0xF000: 2**32}, {0xF000: -1}, {0x4: 1}:
        with pytest.raises(ValueError, match="setting"):
            Settings(custom=wrong)
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

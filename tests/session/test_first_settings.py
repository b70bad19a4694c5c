"""`settings=`: what the first SETTINGS frame says beside or instead of the configuration, on both sides."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.session.ends import both_roles
from tests.session.scripted import forever, hello
from trio_h2 import ClientConfig, Role, ServerConfig, Settings, connect, open_server, serve_stream
from trio_h2.testing import ScriptedPeer, memory_transports, session_pair
from trio_h2.websocket import connect_websocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

SERVERS = {0x1: 4096, 0x3: 128, 0x4: 131_072, 0x5: 16_384, 0x6: 65_535, 0x9: 1}
"""What servers say by default."""
CLIENTS = {0x1: 4096, 0x2: 0, 0x4: 524_288, 0x5: 16_384, 0x6: 65_535, 0x9: 1}


async def take(stream: trio_h2.PushedStream) -> None:
    await stream.receive_response()


async def said_by_server(settings: Settings | None, config: ServerConfig | None = None) -> Mapping[int, int]:
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_stream, hello, ours, config=config, settings=settings))
        async with ScriptedPeer(theirs, client=True) as peer:
            return (await peer.handshake()).settings
    raise AssertionError("not reached")


async def said_by_client(
    settings: Settings | None,
    config: ClientConfig | None = None,
    push_handler: Callable[[trio_h2.PushedStream], Awaitable[object]] | None = None,
) -> Mapping[int, int]:
    ours, theirs = memory_transports()
    block = connect("http://a", transport=ours, config=config, settings=settings, push_handler=push_handler)
    async with block, ScriptedPeer(theirs, client=False) as peer:
        return (await peer.handshake()).settings


@pytest.mark.parity("H10")
@pytest.mark.parametrize(
    ("settings", "config", "changes"),
    [
        (None, None, {}),
        (Settings(), None, {}),
        (Settings(initial_window_size=70_000), None, {0x4: 70_000}),
        (Settings(initial_window_size=70_000), ServerConfig(stream_window=80_000), {0x4: 70_000}),
        (Settings(header_table_size=0, max_frame_size=20_000), None, {0x1: 0, 0x5: 20_000}),
        (Settings(max_header_list_size=9000, max_concurrent_streams=7), None, {0x3: 7, 0x6: 9000}),
        (Settings(enable_connect_protocol=True), None, {0x8: 1}),
        (Settings(enable_connect_protocol=False), ServerConfig(enable_connect_protocol=True), {0x8: 0}),
        (Settings(enable_push=False), None, {0x2: 0}),
        (Settings(custom={0xF000: 5}), None, {0xF000: 5}),
        (Settings(custom={0x9: 0}), None, {0x9: 0}),
    ],
)
async def test_what_a_server_says(
    settings: Settings | None, config: ServerConfig | None, changes: dict[int, int], autojump_clock: object
) -> None:
    assert await said_by_server(settings, config) == SERVERS | changes


@pytest.mark.parity("H10")
@pytest.mark.parametrize(
    ("settings", "config", "changes"),
    [
        (None, None, {}),
        (Settings(initial_window_size=70_000), ClientConfig(stream_window=80_000), {0x4: 70_000}),
        (Settings(max_concurrent_streams=7), None, {0x3: 7}),
        (Settings(enable_connect_protocol=True), None, {0x8: 1}),
        (Settings(custom={0xF000: 5, 0x9: 0}), None, {0xF000: 5, 0x9: 0}),
    ],
)
async def test_what_a_client_says(
    settings: Settings | None, config: ClientConfig | None, changes: dict[int, int], autojump_clock: object
) -> None:
    assert await said_by_client(settings, config) == CLIENTS | changes


async def test_what_a_client_says_that_takes_pushes(autojump_clock: object) -> None:
    without = {code: value for code, value in CLIENTS.items() if code != 0x2}
    assert await said_by_client(Settings(max_concurrent_streams=3), None, take) == without | {0x3: 3}
    assert await said_by_client(Settings(enable_push=True), None, take) == without | {0x3: 16, 0x2: 1}
    assert await said_by_client(Settings(enable_push=False), None, take) == without | {0x3: 16, 0x2: 0}


@both_roles
async def test_the_session_goes_by_them(role: Role, autojump_clock: object) -> None:
    """The configuration of the session says the same, and the other side knows custom settings."""
    settings = Settings(initial_window_size=70_000, max_concurrent_streams=5, custom={0xF000: 1})
    mine: dict[str, Settings] = {f"{role.name.lower()}_settings": settings}
    async with session_pair(hello, **mine) as (client, server):  # type: ignore[arg-type]  # no name twice
        await client.ping()
        ours: trio_h2.Session = client if role is Role.CLIENT else server
        theirs: trio_h2.Session = server if role is Role.CLIENT else client
        assert ours.config.stream_window == 70_000
        if isinstance(ours.config, ServerConfig):
            assert ours.config.max_concurrent_streams == 5
        else:
            assert isinstance(ours.config, ClientConfig)
            assert ours.config.max_concurrent_pushes == 5
        for seen in (ours.local_settings, theirs.remote_settings):
            assert (seen.initial_window_size, seen.max_concurrent_streams) == (70_000, 5)
            assert seen.custom[0xF000] == 1


async def test_windows_are_enforced(autojump_clock: object) -> None:
    """A client may send so much before anybody reads, and no more."""
    async with (
        session_pair(forever, server_settings=Settings(initial_window_size=1000)) as pair,
        pair[0].request("POST", end_stream=False) as stream,
    ):
        await pair[0].ping()
        with trio.move_on_after(1) as scope:
            await stream.send_all(bytes(1001))
        assert scope.cancelled_caught
        assert pair[1].statistics().ledger.received == 1000


async def test_priorities_of_rfc_7540(autojump_clock: object) -> None:
    settings = Settings(custom={0x9: 0})
    async with (
        session_pair(hello, client_settings=settings, server_settings=settings) as (client, _),
        client.request("GET", weight=7) as stream,
    ):
        assert (await stream.receive_response()).status == 200


async def test_a_server_with_settings() -> None:
    settings = Settings(max_concurrent_streams=7)
    async with open_server(hello, settings=settings) as server, connect(server.url) as session:
        await session.ping()
        assert session.remote_settings.max_concurrent_streams == 7


async def test_unix_sockets_and_listeners(tmp_path: Path) -> None:
    settings = Settings(max_concurrent_streams=7)
    path = tmp_path / "socket"
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio_h2.serve_unix, hello, path, settings=settings))
        server = await nursery.start(partial(trio_h2.serve_listeners, hello, listeners, settings=settings))
        other = await nursery.start(partial(trio_h2.serve_tcp, hello, 0, settings=settings))
        for block in (connect("http://a", unix_path=path), connect(server.url), connect(other.url)):
            async with block as session:
                await session.ping()
                assert session.remote_settings.max_concurrent_streams == 7
        nursery.cancel_scope.cancel()


BAD: list[tuple[object, type[Exception], str]] = [
    ({"max_concurrent_streams": 1}, TypeError, "settings must be Settings, not {'max_concurrent_streams': 1}"),
    (Settings(enable_push=True), ValueError, "enable_push=True"),
    (Settings(initial_window_size=2**31 - 1, max_concurrent_streams=100), ValueError, "receive_budget"),
    (Settings(custom={code: 0 for code in range(0x1000, 0x1000 + 2723)}), ValueError, "2723 settings.* for 2722"),
]


@pytest.mark.parametrize(("settings", "error", "message"), BAD)
async def test_bad_settings_raise_at_the_call(
    settings: object, error: type[Exception], message: str, tmp_path: Path
) -> None:
    given = {"settings": settings}
    with pytest.raises(error, match=message):
        open_server(hello, **given)  # type: ignore[arg-type]  # as in a program without type checks
    with pytest.raises(error, match=message):
        await serve_stream(hello, memory_transports()[0], **given)  # type: ignore[arg-type]
    with pytest.raises(error, match=message):
        await trio_h2.serve_unix(hello, tmp_path / "socket", **given)  # type: ignore[arg-type]
    if not isinstance(settings, Settings) or settings.max_concurrent_streams is None:
        with pytest.raises(error, match=message):
            connect("http://a", **given)  # type: ignore[arg-type]
        with pytest.raises(error, match=message):
            connect_websocket("ws://a", session_settings=settings)  # type: ignore[arg-type]


def test_windows_of_pushes_must_fit() -> None:
    settings = Settings(max_concurrent_streams=100, initial_window_size=10**6)
    config = ClientConfig(receive_budget=64 * 1024 * 1024)
    connect("http://a", config=config, settings=settings)
    with pytest.raises(ValueError, match="max_concurrent_pushes 100"):
        connect("http://a", config=config, settings=settings, push_handler=take)

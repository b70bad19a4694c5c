"""Extended CONNECT (RFC 8441): the setting that offers it, the client that waits for it, and what the server sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest
import trio

import trio_h2
from tests.session.scripted import connected, forbidden, served, settle
from tests.stream.harness import pair
from trio_h2 import ErrorCode, ServerConfig, SettingCode
from trio_h2.testing import HeadersFrame, sweep_cancellation

if TYPE_CHECKING:
    from trio.testing import MockClock

Pairs: TypeAlias = list[tuple[str, str]]
OFFER: dict[int, int] = {SettingCode.ENABLE_CONNECT_PROTOCOL: 1}
OFFERING = ServerConfig(enable_connect_protocol=True)
CHAT: Pairs = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":authority", "localhost"),
    (":path", "/chat"),
]

pytestmark = pytest.mark.parity("L2")


@pytest.mark.parametrize("protocol", ["websocket", "connect-udp", "x!"])
async def test_any_protocol_goes_both_ways(protocol: str, autojump_clock: MockClock) -> None:
    seen: list[tuple[str | None, str, str, str]] = []

    async def echo(stream: trio_h2.ServerStream) -> None:
        seen.append((stream.protocol, stream.scheme, stream.authority, stream.path))
        await stream.respond({":status": 200})
        async for chunk in stream:
            await stream.send_all(chunk)

    async with pair(echo, server_config=OFFERING) as (client, _):
        stream = await client.open_stream("CONNECT", "/chat?room=1", protocol=protocol, end_stream=False)
        async with stream:
            assert (await stream.receive_response()).status == 200
            for word in (b"one", b"two"):
                await stream.send_all(word)
                assert await stream.receive_some() == word
            await stream.send_eof()
            assert await stream.receive_some() == b""
    assert seen == [(protocol, "http", "localhost", "/chat?room=1")]


async def test_other_requests_have_no_protocol(autojump_clock: MockClock) -> None:
    seen: list[str | None] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        seen.append(stream.protocol)
        await stream.respond(200)

    async with pair(handler, server_config=OFFERING) as (client, _):
        for method, headers in (("GET", {}), ("CONNECT", {":authority": "a:1"})):
            async with client.request(method, headers=headers) as stream:
                await stream.receive_response()
    assert seen == [None, None]


@pytest.mark.parametrize("way", ["argument", "header"])
async def test_the_client_waits_for_the_setting(way: str, autojump_clock: MockClock) -> None:
    async with connected(handshake=False) as (session, peer), trio.open_nursery() as nursery:

        async def chat() -> None:
            headers = {"x": "y"} if way == "argument" else {":protocol": "websocket", "x": "y"}
            protocol = "websocket" if way == "argument" else None
            async with session.request("CONNECT", "/chat", headers=headers, protocol=protocol, end_stream=False):
                pass

        await peer.receive_preface()
        nursery.start_soon(chat)
        await settle()
        stream = await session.open_stream("GET", "/before")  # what does not need the setting does not wait
        await settle()
        assert (stream.id, session.statistics().open_streams) == (1, 1)
        await peer.send_settings(OFFER)
        assert (await peer.until(HeadersFrame)).stream_id == 1
        head = await peer.until(HeadersFrame)
        assert head.fields == (
            *[(b":method", b"CONNECT"), (b":scheme", b"http"), (b":authority", b"localhost"), (b":path", b"/chat")],
            *[(b":protocol", b"websocket"), (b"x", b"y")],
        )


async def test_a_server_that_does_not_offer_it(autojump_clock: MockClock) -> None:
    without: list[dict[int, int]] = [{}, {SettingCode.ENABLE_CONNECT_PROTOCOL: 0}]
    for settings in without:
        async with connected(settings=settings) as (session, peer):
            with pytest.raises(trio_h2.ExtendedConnectError, match="does not offer extended CONNECT") as info:
                await session.open_stream("CONNECT", "/chat", protocol="websocket", end_stream=False)
            assert isinstance(info.value, trio_h2.LocalProtocolError)
            await peer.expect_nothing()
            await peer.send_settings(OFFER)  # it may come to offer it
            await peer.ping()
            stream = await session.open_stream("CONNECT", "/chat", protocol="websocket", end_stream=False)
            assert (await peer.expect_headers()).stream_id == stream.id == 1
            stream.reset()


@pytest.mark.parametrize("how", ["lost", "closed here"])
async def test_the_session_ends_before_the_setting_comes(how: str, autojump_clock: MockClock) -> None:
    kind: type[Exception] = trio_h2.HandshakeError if how == "lost" else trio.ClosedResourceError
    async with connected(handshake=False) as (session, peer), trio.open_nursery() as nursery:

        async def chat() -> None:
            with pytest.raises(kind):
                await session.open_stream("CONNECT", "/chat", protocol="websocket")

        nursery.start_soon(chat)
        await settle()
        if how == "lost":
            await peer.aclose()
        else:
            session.shutdown()


async def test_cancelled_anywhere_nothing_is_left(autojump_clock: MockClock) -> None:
    async def accept(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 200})
        async for chunk in stream:
            await stream.send_all(chunk)

    async with pair(accept, server_config=OFFERING) as (client, server):

        async def chat() -> None:
            async with client.request("CONNECT", "/", protocol="websocket", end_stream=False) as stream:
                await stream.send_all(b"x")
                assert await stream.receive_some() == b"x"

        await sweep_cancellation(chat)
        await settle()
        assert client.statistics().open_streams == server.statistics().open_streams == 0


async def test_a_server_that_did_not_enable_it_calls_it_a_stream_error(autojump_clock: MockClock) -> None:
    """RFC 8441 §4: without the setting, `:protocol` is a pseudo-header that does not belong there (RFC 9113 §8.3)."""
    async with served(forbidden) as (peer, _):
        await peer.send_headers(1, CHAT, end_stream=False)
        await peer.expect_rst(1, ErrorCode.PROTOCOL_ERROR)
        await peer.ping()


async def test_the_setting_is_sent_and_enforced_from_the_start(autojump_clock: MockClock) -> None:
    seen: list[str | None] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        seen.append(stream.protocol)
        await stream.respond(501, end_stream=True)

    async with served(handler, config=OFFERING, handshake=False) as (peer, session):
        settings = await peer.handshake()
        assert settings.settings[SettingCode.ENABLE_CONNECT_PROTOCOL] == 1
        assert session.local_settings.enable_connect_protocol is True
        await peer.send_headers(1, CHAT, end_stream=False)
        assert (b":status", b"501") in (await peer.expect_headers()).fields
        for stream_id, missing in enumerate((":scheme", ":authority", ":path"), 1):
            await peer.send_headers(1 + 2 * stream_id, [field for field in CHAT if field[0] != missing])
            await peer.pick(trio_h2.testing.RstStreamFrame, stream_id=1 + 2 * stream_id, code=ErrorCode.PROTOCOL_ERROR)
        with pytest.raises(ValueError, match="cannot be withdrawn"):
            await session.update_settings(trio_h2.Settings(enable_connect_protocol=False))
    assert seen == ["websocket"]


async def test_it_is_off_by_default(autojump_clock: MockClock) -> None:
    async with served(forbidden, handshake=False) as (peer, _):
        assert SettingCode.ENABLE_CONNECT_PROTOCOL not in (await peer.handshake()).settings


async def test_wrong_arguments_are_refused_at_the_call(autojump_clock: MockClock) -> None:
    async with connected(settings=OFFER) as (session, peer):
        for method, headers, protocol, word in (
            ("GET", {}, "websocket", "CONNECT only"),
            ("CONNECT", {}, "", "word like websocket"),
            ("CONNECT", {}, "a b", "word like websocket"),
            ("CONNECT", {":protocol": "x"}, "y", "exclude each other"),
            ("CONNECT", {":scheme": ""}, "x", ":scheme"),
        ):
            with pytest.raises(ValueError, match=word):
                session.request(method, headers=headers, protocol=protocol)
        with pytest.raises(TypeError, match="protocol must be a str"):
            session.request("CONNECT", protocol=b"websocket")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="only ':authority'"):
            session.request("CONNECT", "/path", headers={":authority": "a:1"})  # a plain one, which has no path
        await peer.expect_nothing()
    with pytest.raises(TypeError, match="enable_connect_protocol must be True or False"):
        ServerConfig(enable_connect_protocol=1)  # type: ignore[arg-type]


async def test_secrets_stay_secret_beside_the_protocol(autojump_clock: MockClock) -> None:
    async with connected(settings=OFFER) as (session, peer):
        headers = trio_h2.Headers({"x-token": "abc"}, sensitive=["x-token"])
        stream = await session.open_stream("CONNECT", protocol="websocket", headers=headers, end_stream=False)
        assert stream.sent_headers.sensitive == {"x-token"}
        await peer.expect_headers()
        stream.reset()

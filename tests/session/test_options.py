"""Options of a session that bound what a peer can cost: enforced, with defaults, readable at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import connected, forever, hello, served, settle
from trio_h2 import ClientConfig, ErrorCode, Role, ServerConfig
from trio_h2.testing import RstStreamFrame

if TYPE_CHECKING:
    from trio_h2 import ServerStream


@pytest.mark.parity("H1")
@pytest.mark.parametrize("bound", [0, 100, 4096])
async def test_the_encoder_table_is_bounded(bound: int, autojump_clock: object) -> None:
    """Whatever larger table the peer allows; what does not fit is said in full again."""
    config = ClientConfig(max_encoder_table_size=bound)
    async with connected(config=config, settings={0x1: 65_536}) as (session, peer):
        assert session.config.max_encoder_table_size == bound
        sizes = []
        for number in *range(200), 0:
            async with session.request("GET", headers={f"x-field-{number}": "~" * 40}) as stream:
                frame = await peer.expect_headers(stream_id=stream.id)
                sizes.append(len(frame.fragment))
                assert frame.get(f"x-field-{number}") == "~" * 40
            await peer.expect_rst(stream.id)
            assert session.statistics().memory <= 2 * 4096
        assert sizes[-1] > 50  # forgotten: the table has room for 45 of such fields at most
        async with session.request("GET", headers={"x-field-0": "~" * 40}) as stream:
            known = len((await peer.expect_headers(stream_id=stream.id)).fragment) < 20
        assert known is (bound == 4096)


@pytest.mark.parity("H2")
async def test_new_streams_are_refused_when_the_memory_is_used_up(autojump_clock: object) -> None:
    """ENHANCE_YOUR_CALM for the new stream; those that are open go on, and room that comes back is used."""
    go_on = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await go_on.wait()
        body = b""
        async for chunk in stream:
            body += chunk
        await stream.respond(body=b"%d" % len(body))

    async with served(handler, config=ServerConfig(max_session_memory=50_000)) as (peer, session):
        first = await peer.request("POST", end_stream=False)
        await peer.send_data(first, bytes(16_000))
        await peer.send_data(first, bytes(16_000))
        await peer.send_data(first, bytes(16_000))
        await peer.send_data(first, bytes(16_000))
        await peer.ping()
        assert session.statistics().memory > 50_000
        refused = await peer.request()
        await peer.expect_rst(refused, ErrorCode.ENHANCE_YOUR_CALM)
        await peer.send_data(first, bytes(1000), end_stream=True)
        go_on.set()
        assert (await peer.expect_headers(stream_id=first)).status == 200
        assert await peer.collect_body(first) == b"65000"
        assert (await peer.expect_headers(stream_id=await peer.request())).status == 200


@pytest.mark.parity("H3")
async def test_too_many_fields(autojump_clock: object) -> None:
    """431 from a server, pseudo-headers counted; a client resets the stream. The session goes on."""
    async with served(hello, config=ServerConfig(max_header_fields=10)) as (peer, _):
        for count, status in (7, 431), (6, 200):
            stream_id = await peer.request(headers={f"x-{number}": "" for number in range(count)})
            assert (await peer.expect_headers(stream_id=stream_id)).status == status
            await peer.collect_body(stream_id) if status == 200 else None
    async with connected(config=ClientConfig(max_header_fields=10)) as (session, peer):
        for count in 10, 9:
            async with session.request("GET") as stream:
                await peer.expect_headers()
                fields = {":status": "200", **{f"x-{number}": "" for number in range(count)}}
                await peer.send_headers(stream.id, fields, end_stream=True)
                if count == 10:
                    await peer.expect_rst(stream.id, ErrorCode.ENHANCE_YOUR_CALM)
                else:
                    assert (await stream.receive_response()).status == 200


@pytest.mark.parity("H7")
@pytest.mark.parity("C2")
async def test_the_number_of_streams_before_the_settings_of_the_server(autojump_clock: object) -> None:
    """It counts until the server names another one."""
    config = ClientConfig(peer_max_concurrent_streams=2)
    async with connected(config=config, handshake=False) as (session, peer), trio.open_nursery() as nursery:

        async def fetch() -> None:
            async with session.request("GET") as stream:
                await stream.receive_response()

        for _ in range(5):
            nursery.start_soon(fetch)
        await settle()
        assert session.statistics().open_streams == 2
        assert session.statistics().waiting_for_slot == 3
        await peer.handshake({0x3: 4})
        await settle()
        assert session.statistics().open_streams == 4
        nursery.cancel_scope.cancel()


# -- the first SETTINGS ------------------------------------------------------------------------------------------------


@pytest.mark.parity("H10")
@both_roles
async def test_the_first_settings_are_those_of_the_configuration(role: Role, autojump_clock: object) -> None:
    """This side counts with them at once; the peer tells when it does."""
    config: dict[str, object] = {"stream_window": 50_000, "header_table_size": 1000}
    config |= {"max_frame_size": 20_000, "max_header_list_size": 9000}
    if role is Role.SERVER:
        config["max_concurrent_streams"] = 7
    async with session_of(role, handshake=False, **config) as (session, peer):  # type: ignore[arg-type]  # no name twice
        assert (session.config.stream_window, session.config.header_table_size) == (50_000, 1000)
        pending = [session.pending_settings_ack]
        sent = (await peer.handshake()).settings
        common = {0x1: 1000, 0x4: 50_000, 0x5: 20_000, 0x6: 9000, 0x9: 1}
        assert sent == {**common, **({0x3: 7} if role is Role.SERVER else {0x2: 0})}
        await peer.ping()
        pending.append(session.pending_settings_ack)
        assert pending == [True, False]
        assert session.local_settings.as_dict() == sent


# -- what ends a session -----------------------------------------------------------------------------------------------


@pytest.mark.parity("H8")
async def test_rejected_streams_end_the_session(autojump_clock: object) -> None:
    config = ServerConfig(max_concurrent_streams=1, max_session_rejected_streams=3)
    async with served(forever, config=config) as (peer, session):
        assert isinstance(session.config, ServerConfig)
        assert session.config.max_session_rejected_streams == 3
        await peer.request()
        for _ in range(3):
            await peer.expect_rst(await peer.request(), ErrorCode.REFUSED_STREAM)
        await peer.ping()
        await peer.request()
        goaway = await peer.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)
        assert b"max_session_rejected_streams=3" in goaway.debug


@pytest.mark.parity("H8")
async def test_streams_for_which_there_is_no_memory_end_the_session(autojump_clock: object) -> None:
    config = ServerConfig(max_session_memory=1, max_session_rejected_streams=3)
    async with served(forever, config=config) as (peer, _):
        for _ in range(3):  # the header table alone is more than that
            await peer.expect_rst(await peer.request(), ErrorCode.ENHANCE_YOUR_CALM)
        await peer.request()
        await peer.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)


@pytest.mark.parity("H8")
async def test_a_client_that_does_not_know_the_limit_yet(autojump_clock: object) -> None:
    """Streams that it opens before it has acknowledged our SETTINGS are refused, and do not count."""
    config = ServerConfig(max_concurrent_streams=1, max_session_rejected_streams=3)
    async with served(forever, config=config, handshake=False) as (peer, _):
        peer.auto_ack = False
        await peer.send_preface()
        await peer.send_settings()
        for _ in range(20):
            await peer.request()
        await peer.send_settings(ack=True)
        for _ in range(3):
            await peer.request()
        for stream_id in range(3, 47, 2):
            await peer.pick(RstStreamFrame, stream_id=stream_id)
        await peer.request()
        await peer.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)


@pytest.mark.parity("H8")
async def test_invalid_frames_end_the_session(autojump_clock: object) -> None:
    config = ServerConfig(max_session_invalid_frames=5)
    async with served(forever, config=config) as (peer, _):
        for number in range(5):
            stream_id = await peer.request()
            if number % 2:
                await peer.send_raw_frame(0x8, 0, stream_id, bytes(4))  # WINDOW_UPDATE of 0
            else:
                await peer.send_raw_frame(0x2, 0, stream_id, bytes(4))  # PRIORITY with 4 bytes
            await peer.expect_rst(stream_id)
        await peer.ping()
        await peer.request(headers={"Upper": "case"})
        goaway = await peer.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)
        assert b"max_session_invalid_frames=5" in goaway.debug

"""Limits count what costs something, and no more; and what no honest peer does ends the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.session.ends import both_roles
from tests.session.scripted import connected, forbidden, forever, hello, served, settle
from trio_h2 import ClientConfig, Role, ServerConfig, ServerStream
from trio_h2.testing import HeadersFrame, ScriptedPeer

if TYPE_CHECKING:
    from trio_h2 import Session

MIB = 1024 * 1024


# -- HEADERS on a closed stream ----------------------------------------------------------------------------------------


# -- the number of fields ----------------------------------------------------------------------------------------------


async def test_crumbs_of_a_cookie_are_one_field(autojump_clock: object) -> None:
    """RFC 9113 §8.2.3: "the Cookie header field MAY be split into separate header fields"."""
    seen: list[str] = []

    async def handler(stream: ServerStream) -> None:
        seen.append(stream.headers["cookie"])
        await stream.respond(204)

    crumbs = [f"crumb{number}=value" for number in range(180)]
    async with served(handler) as (peer, _):
        stream_id = await peer.request(headers=[("cookie", crumb) for crumb in crumbs])
        await peer.expect_headers(stream_id, status=204)
    assert seen == ["; ".join(crumbs)]


async def test_crumbs_beside_as_many_other_fields_as_allowed(autojump_clock: object) -> None:
    crumbs = [("cookie", f"c{number}=v") for number in range(50)]
    async with served(hello, config=ServerConfig(max_header_fields=10)) as (peer, _):
        fitting = await peer.request(headers=[*crumbs, *((f"x-{number}", "y") for number in range(5)), *crumbs])
        await peer.expect_headers(fitting, status=200)
        assert await peer.collect_body(fitting) == b"hello"
        too_many = await peer.request(headers=[*crumbs, *((f"x-{number}", "y") for number in range(6))])
        await peer.pick(HeadersFrame, stream_id=too_many, status=431)


async def test_the_size_of_crumbs_counts(autojump_clock: object) -> None:
    async with served(forbidden, config=ServerConfig(max_header_list_size=5000)) as (peer, _):
        stream_id = await peer.request(headers=[("cookie", f"crumb{number}=value") for number in range(180)])
        await peer.expect_headers(stream_id, status=431)


# -- the memory of a session -------------------------------------------------------------------------------------------


async def test_bodies_that_the_application_holds_are_not_memory_of_the_session(autojump_clock: object) -> None:
    """A hundred answers of 16 MiB, all the same object, wait for a client without a window: that costs 16 MiB."""
    large = bytes(16 * MIB)

    async def handler(stream: ServerStream) -> None:
        await stream.respond(body=large if stream.path == "/large" else b"small")

    async with served(handler, settings={4: 0}) as (peer, session):
        for _ in range(100):
            await peer.expect_headers(await peer.request(path="/large"), status=200)
        assert session.statistics().memory < 2 * MIB
        for _ in range(10):
            small = await peer.request()
            await peer.expect_headers(small, status=200)
            await peer.send_window_update(small, 5)
            await peer.expect_data(small, b"small", end_stream=True)
        await peer.aclose()


async def test_uploads_that_the_application_holds_are_not_memory_of_the_session(autojump_clock: object) -> None:
    large = bytes(16 * MIB)
    async with connected(settings={4: 0}) as (session, peer):
        for _ in range(20):
            await session.open_stream("POST", body=large)
            await peer.expect_headers()
        assert session.statistics().memory < 2 * MIB


@both_roles
async def test_bodies_that_the_session_has_copied_are_its_memory(role: Role, autojump_clock: object) -> None:
    """What the application may change afterwards is copied, until it is framed or the stream ends."""
    buffer = bytearray(b"x" * MIB)

    async def handler(stream: ServerStream) -> None:
        await stream.respond(body=buffer)

    if role is Role.CLIENT:
        async with connected(settings={4: 0}) as (session, peer):
            await session.open_stream("POST", body=buffer)
            await session.open_stream("POST", body=memoryview(buffer))
            await peer.expect_headers(1)
            await peer.expect_headers(3)
            await _check_copies(session, peer)
    else:
        async with served(handler, settings={4: 0}) as (peer, ours):
            for _ in range(2):
                await peer.expect_headers(await peer.request(), status=200)
            await _check_copies(ours, peer)
            await peer.aclose()


async def _check_copies(session: Session, peer: ScriptedPeer) -> None:
    """Streams 1 and 3 have a copy each of 1 MiB, for which there is no window."""
    assert 2 * MIB <= session.statistics().memory < 3 * MIB
    await peer.send_window_update(1, 10_000)
    await peer.expect_data(1, b"x" * 10_000, end_stream=False)
    assert 2 * MIB - 10_000 <= session.statistics().memory < 3 * MIB - 10_000
    await peer.send_rst(3)
    await settle()
    assert session.statistics().memory < MIB + MIB // 2
    await peer.send_rst(1)
    await settle()
    assert session.statistics().memory < MIB // 2


# -- the budget --------------------------------------------------------------------------------------------------------


async def test_the_budget_of_a_server_follows_from_its_streams(autojump_clock: object) -> None:
    config = ServerConfig(max_concurrent_streams=1000)
    async with served(forever, config=config) as (peer, session):
        assert session.statistics().receive_budget >= 1000 * config.stream_window
        for _ in range(1000):
            await peer.request("POST", end_stream=False)
        await peer.ping()
        assert session.statistics().open_streams == 1000
        await peer.aclose()


async def test_the_budget_follows_changes_of_a_copied_configuration(autojump_clock: object) -> None:
    config = ServerConfig().evolve(max_concurrent_streams=1000, stream_window=MIB).evolve(ping_timeout=5)
    async with served(hello, config=config) as (peer, session):
        assert session.statistics().receive_budget >= 1000 * MIB
        await peer.aclose()


def test_no_budget_is_larger_than_a_window_can_be() -> None:
    """RFC 9113 §6.9.1: "A sender MUST NOT allow a flow-control window to exceed 2^31-1 octets." """
    with pytest.raises(ValueError, match="stream_window"):
        ServerConfig(max_concurrent_streams=3000, stream_window=MIB)


async def test_the_budget_of_a_client_follows_from_its_streams(autojump_clock: object) -> None:
    config = ClientConfig(peer_max_concurrent_streams=500, stream_window=MIB)
    async with connected(config=config, settings={3: 500}) as (session, peer):
        assert session.statistics().receive_budget >= 500 * MIB
        for _ in range(500):
            await session.open_stream("GET")
        await peer.ping()
        assert session.statistics().open_streams == 500


async def test_one_large_window_of_a_client_just_works(autojump_clock: object) -> None:
    async with connected(config=ClientConfig(stream_window=128 * MIB)) as (session, _):
        assert session.statistics().receive_budget >= 128 * MIB
        await session.open_stream("GET")


async def test_the_budget_of_a_client_has_room_for_its_pushes(autojump_clock: object) -> None:
    async def push_handler(stream: object) -> None:
        pass

    config = ClientConfig(max_concurrent_pushes=500)
    async with connected(config=config, push_handler=push_handler) as (session, _):
        assert session.statistics().receive_budget >= 501 * config.stream_window


# -- the size of what we send ------------------------------------------------------------------------------------------

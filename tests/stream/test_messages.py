"""Messages that are large, contradict themselves, or have content where there must be none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.stream.harness import Exchanges, scripted_client, scripted_server
from trio_h2 import ErrorCode

if TYPE_CHECKING:
    from trio.testing import MockClock


_TOO_LARGE = [
    [("x", "y")] * 20,
    [("x-large", "y" * 2000)],
]


@pytest.mark.parity("H3", "I6")
@pytest.mark.parametrize("fields", _TOO_LARGE)
async def test_a_request_with_too_large_headers_gets_431(
    fields: list[tuple[str, str]], autojump_clock: MockClock
) -> None:
    config = trio_h2.ServerConfig(max_header_fields=20, max_header_list_size=2000)
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, config=config) as (session, peer):
        await peer.request(headers=fields)
        assert (await peer.expect_headers(1, end_stream=True)).status == 431
        await peer.request()
        stream = await exchanges.next()
        assert stream.id == 3
        await stream.respond(204)
        assert (await peer.expect_headers(3)).status == 204
        assert not session.closed
        exchanges.finish()


@pytest.mark.parity("H3", "I6")
@pytest.mark.parametrize("fields", _TOO_LARGE)
async def test_a_response_with_too_large_headers_is_reset(
    fields: list[tuple[str, str]], autojump_clock: MockClock
) -> None:
    config = trio_h2.ClientConfig(max_header_fields=20, max_header_list_size=2000)
    async with scripted_server(config=config) as (session, peer):
        async with session.request("GET") as stream:
            await peer.expect_headers(1)
            await peer.send_headers(1, [(":status", "200"), *fields])
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await stream.receive_response()
            assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM
            await peer.expect_rst(1, ErrorCode.ENHANCE_YOUR_CALM)
        async with session.request("GET") as stream:
            await peer.expect_headers(3)
            await peer.respond(3)
            assert (await stream.receive_response()).status == 200

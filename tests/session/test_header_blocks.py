"""Header blocks that we do not want to send, and fields that must not be indexed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hpack import Decoder, NeverIndexedHeaderTuple

from tests.session.scripted import connected, served
from trio_h2 import ClientConfig, Headers, LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio_h2 import ServerStream
    from trio_h2.testing import HeadersFrame

LARGE = {"x-large": "~" * 400}


# -- max_send_header_block_length --------------------------------------------------------------------------------------


@pytest.mark.parity("H5")
async def test_it_is_the_compressed_size_that_counts(autojump_clock: object) -> None:
    """What is in the table by now costs a byte."""
    async with connected(config=ClientConfig(max_send_header_block_length=100)) as (session, peer):
        fields = {f"x-field-{number}": "~" * 20 for number in range(6)}
        for count in 1, 2, 3, 4, 5, 6, 6:
            some = dict(list(fields.items())[:count])
            async with session.request("GET", headers=some) as stream:
                frame = await peer.expect_headers(stream_id=stream.id)
                assert len(frame.fragment) <= 100
            await peer.expect_rst(stream.id)
    async with connected(config=ClientConfig(max_send_header_block_length=100)) as (session, peer):
        with pytest.raises(LocalProtocolError, match="max_send_header_block_length"):
            await session.open_stream("GET", headers=fields)
    async with connected() as (session, peer):  # the default: no limit
        await session.open_stream("GET", headers={"x-large": "~" * 20_000})
        await peer.expect_headers()


@pytest.mark.parity("H5")
async def test_a_block_of_just_the_limit(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request("GET", headers=LARGE):
        size = len((await peer.expect_headers()).fragment)
    for limit in size, size - 1:
        async with connected(config=ClientConfig(max_send_header_block_length=limit)) as (session, peer):
            if limit == size:
                await session.open_stream("GET", headers=LARGE)
                assert len((await peer.expect_headers()).fragment) == limit
            else:
                with pytest.raises(LocalProtocolError, match=f"has {size} bytes"):
                    await session.open_stream("GET", headers=LARGE)


# -- sensitive fields --------------------------------------------------------------------------------------------------


def never_indexed(frame: HeadersFrame) -> set[bytes]:
    return {bytes(field[0]) for field in frame.fields if isinstance(field, NeverIndexedHeaderTuple)}


def check_octets(block: bytes, secrets: Mapping[bytes, bytes]) -> None:
    """Asserts that a first block has each of these fields as a literal that is never indexed (RFC 7541 §6.2.3)."""
    decoder = Decoder()
    decoder.decode(block, raw=True)
    entries = dict(decoder.header_table.dynamic_entries)
    for name in secrets:
        assert name not in entries
    assert entries[b"x-plain"] == b"value"


@pytest.mark.parity("J6")
async def test_secrets_of_a_request_are_never_indexed(autojump_clock: object) -> None:
    headers = Headers(
        {"authorization": "Basic c2VjcmV0", "cookie": "a=1", "x-token": "of mine", "x-plain": "value"},
        sensitive=["x-token"],
    )
    secrets = {b"authorization": b"Basic c2VjcmV0", b"cookie": b"a=1", b"x-token": b"of mine"}
    async with connected() as (session, peer):
        blocks = []
        for _ in range(2):
            async with session.request("GET", headers=headers) as stream:
                frame = await peer.expect_headers()
                assert never_indexed(frame) == set(secrets)
                blocks.append(frame.fragment)
            await peer.expect_rst(stream.id)
        check_octets(blocks[0], secrets)
        # The other field is an index by now, the secrets are literals again: name in the static table (authorization
        # 23, cookie 32) or in full, and the pattern 0001 before it.
        assert b"\x1f\x08" in blocks[1]  # 0001 1111, 23 - 15
        assert b"\x1f\x11" in blocks[1]  # 0001 1111, 32 - 15
        assert b"\x10" in blocks[1]
        assert len(blocks[1]) < len(blocks[0])


@pytest.mark.parity("J6")
async def test_secrets_of_a_response_are_never_indexed(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        fields = {":status": "200", "set-cookie": "a=1", "x-plain": "value", "x-token": "of mine"}
        await stream.respond(Headers(fields, sensitive=["x-token"]))
        await stream.send_trailers(Headers({"x-secret": "too"}, sensitive=["x-secret"]))

    async with served(handler) as (peer, _):
        for number in range(2):
            await peer.request()
            frame = await peer.expect_headers()
            assert never_indexed(frame) == {b"set-cookie", b"x-token"}
            if not number:
                check_octets(frame.fragment, {b"set-cookie": b"a=1", b"x-token": b"of mine"})
            assert never_indexed(await peer.expect_headers(end_stream=True)) == {b"x-secret"}

"""Content codings of responses: what is asked for, and undone in bounded memory (RFC 9110 §8.4)."""

from __future__ import annotations

import gzip
import importlib
import random
import sys
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.network import network, ours
from trio_h2 import Client
from trio_h2._client import _decoders
from trio_h2.testing import sweep_cancellation

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

brotli = importlib.import_module("brotli")
zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

URL = "http://a.example"
both = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])
PLAIN = random.Random(5).randbytes(300_000) + bytes(700_000) + "grün".encode()


def _raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
ALL = {**CODINGS, "raw deflate": _raw_deflate, "x-gzip": gzip.compress, "GZIP": gzip.compress}


class Encoded:
    """Answers with a given body in a given coding, in pieces of a given size."""

    def __init__(self, coding: str, body: bytes, *, piece: int = 50_000, status: int = 200) -> None:
        self.coding = coding
        self.body = body
        self.piece = piece
        self.status = status
        self.asked: list[str | None] = []

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        self.asked.append(stream.headers.get("accept-encoding"))
        headers = {":status": str(self.status), "content-encoding": self.coding.rpartition(" ")[2]}
        if stream.method == "HEAD" or not self.body:
            await stream.respond({**headers, "content-length": str(len(self.body))} if self.body else headers)
            return
        await stream.respond(headers, end_stream=False)
        for start in range(0, len(self.body), self.piece):
            await stream.send_all(self.body[start : start + self.piece])


@both
@pytest.mark.parametrize("coding", ALL)
async def test_whole_and_piece_by_piece(coding: str, http1: bool, autojump_clock: MockClock) -> None:
    site = Encoded(coding, ALL[coding](PLAIN))
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        response = await client.get(URL)
        assert response.content == PLAIN
        assert response.headers["content-encoding"] == coding.rpartition(" ")[2]
        async with client.request("GET", URL) as streamed:
            assert await streamed.receive_some(10) == PLAIN[:10]
            rest = [piece async for piece in streamed]
            assert b"".join(rest) == PLAIN[10:]
            assert max(map(len, rest)) <= 64 * 1024
            assert await streamed.receive_some() == b""
        with pytest.raises(trio_h2.BodyTooLargeError):
            await client.get(URL, max_size=len(PLAIN) - 1)
        raw = await client.get(URL, decode=False)
        assert raw.content == site.body
        assert site.asked == ["gzip, deflate, br, zstd"] * 3 + [None]


@both
@pytest.mark.parametrize("coding", CODINGS)
async def test_byte_by_byte(coding: str, http1: bool, autojump_clock: MockClock) -> None:
    site = Encoded(coding, CODINGS[coding](b"some words, some words"), piece=1)
    async with network(ours(site, http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:
        async with client.request("GET", URL) as response:
            assert [await response.receive_some(1) for _ in range(22)] == [
                bytes([x]) for x in b"some words, some words"
            ]
            assert await response.receive_some(1) == b""
        assert client.statistics().opened == 1


@both
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("wrong", ["cut", "broken", "longer"])
async def test_wrong_data(coding: str, wrong: str, http1: bool, autojump_clock: MockClock) -> None:
    body = CODINGS[coding](PLAIN)
    body = {"cut": body[:-5], "broken": b"\x00\xff" * 50, "longer": body + b"garbage!"}[wrong]
    async with (
        network(ours(Encoded(coding, body), http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        with pytest.raises(trio_h2.BodyDecodeError, match="content-encoding"):
            await client.get(URL)
        async with client.request("GET", URL) as response:
            for _ in range(2):
                with pytest.raises(trio_h2.BodyDecodeError, match="content-encoding"):
                    while await response.receive_some():
                        pass
        await trio.sleep(1)
        assert client.statistics().requests == 0


@both
async def test_members_and_frames_in_a_row(http1: bool, autojump_clock: MockClock) -> None:
    for coding in "gzip", "zstd":
        make = CODINGS[coding]
        site = Encoded(coding, make(b"one ") + make(b"") + make(b"two"))
        async with network(ours(site, http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:
            assert (await client.get(URL)).content == b"one two"


@both
async def test_codings_in_a_row(http1: bool, autojump_clock: MockClock) -> None:
    body = PLAIN
    for coding in "gzip", "br", "zstd":
        body = CODINGS[coding](body)
    site = Encoded("gzip,identity,br,zstd", body)
    async with network(ours(site, http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:
        assert (await client.get(URL)).content == PLAIN
        site.coding = "gzip," * 4 + "gzip"
        with pytest.raises(trio_h2.BodyDecodeError, match="5 content codings, more than 4"):
            await client.get(URL)
        for site.coding in "gzip,pack", "identity", "none":  # what nobody knows is as received
            assert (await client.get(URL)).content == site.body


@both
async def test_no_body_to_decode(http1: bool, autojump_clock: MockClock) -> None:
    site = Encoded("gzip", gzip.compress(b"x"))
    async with network(ours(site, http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:
        assert (await client.head(URL)).content == b""
        part = await client.get(URL, headers={"Range": "bytes=0-30"})
        assert (part.content, site.asked[-1]) == (b"x", None)
        site.status = 206
        assert (await client.get(URL, headers=[("range", "bytes=0-30")])).content == site.body
        site.body = b""
        for site.status in 200, 204, 304:
            assert (await client.get(URL)).content == b""
        assert client.statistics().opened == 1


@both
async def test_who_asks_for_what(http1: bool, autojump_clock: MockClock) -> None:
    site = Encoded("gzip", gzip.compress(b"x"))
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, decode=False) as off,
        Client(transport=made, prior_knowledge=not http1, headers={"accept-encoding": "br"}) as own,
    ):
        assert (await off.get(URL)).content == site.body
        assert (await off.get(URL, decode=True)).content == b"x"
        assert (await own.get(URL)).content == b"x"
        assert (await own.get(URL, headers={"accept-encoding": "gzip"})).content == b"x"
        assert site.asked == [None, "gzip, deflate, br, zstd", "br", "gzip"]


@both
async def test_libraries_that_are_not_there(
    http1: bool, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    found = _decoders.Codings()
    monkeypatch.undo()
    monkeypatch.setattr("trio_h2._client._decoded.codings", lambda: found)
    monkeypatch.setattr("trio_h2._client._client.codings", lambda: found)
    site = Encoded("br", brotli.compress(b"x"))
    async with network(ours(site, http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:
        with pytest.raises(trio_h2.BodyDecodeError, match=r"br, which was not asked for .* 'trio-h2\[client\]'"):
            await client.get(URL)
        assert site.asked == ["gzip, deflate"]


@both
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip,gzip", "br,br", "zstd,zstd"])
async def test_a_bomb_takes_no_memory(coding: str, http1: bool, autojump_clock: MockClock) -> None:
    """1 GiB of zeros by zstd, 128 MiB by the others, which are slower."""
    size = 1024 if coding == "zstd" else 128
    body = _zeros(coding.partition(",")[0], size)
    if "," in coding:
        body = CODINGS[coding.partition(",")[0]](body)
    site = Encoded(coding, body)
    async with network(ours(site, http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:
        tracemalloc.start()
        try:
            with pytest.raises(trio_h2.BodyTooLargeError):
                await client.get(URL)
            total = 0
            async with client.request("GET", URL) as response:
                async for piece in response:
                    total += len(piece)
            assert total == size * 1024 * 1024
            assert tracemalloc.get_traced_memory()[1] < 12 * 1024 * 1024
        finally:
            tracemalloc.stop()


def _zeros(coding: str, mebibytes: int) -> bytes:
    block = bytes(1024 * 1024)
    if coding == "br":
        maker = brotli.Compressor(quality=1)
        parts: list[bytes] = [maker.process(block) for _ in range(mebibytes)]
        return b"".join([*parts, maker.finish()])
    if coding == "zstd":
        maker = zstd.ZstdCompressor(level=1)
    else:
        maker = zlib.compressobj(1, wbits=31 if coding == "gzip" else 15)
    parts = [maker.compress(block) for _ in range(mebibytes)]
    return b"".join([*parts, maker.flush()])


async def test_layers_of_nothing_let_others_run(autojump_clock: MockClock) -> None:
    """Empty blocks that decode to nothing, millions of them, do not keep other tasks from running."""
    made_of_nothing = zlib.compressobj(wbits=-15)
    empty = b"\x00\x00\x00\xff\xff"  # a stored block of no bytes (RFC 1951 §3.2.4)
    body = gzip.compress(empty * 4_000_000 + made_of_nothing.flush(), 1)
    body = gzip.compress(body)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with (
        network(ours(Encoded("deflate,gzip,gzip", body))) as made,
        Client(transport=made, prior_knowledge=True) as client,
        trio.open_nursery() as nursery,
    ):
        async with client.request("GET", URL) as response:
            nursery.start_soon(other)
            before = turns
            assert await response.receive_some() == b""
            assert turns - before > 15
        nursery.cancel_scope.cancel()


@both
async def test_cancelled_at_every_checkpoint(http1: bool, autojump_clock: MockClock) -> None:
    site = Encoded("gzip", gzip.compress(PLAIN))
    async with network(ours(site, http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:

        async def scenario() -> None:
            assert (await client.get(URL)).content == PLAIN

        async def after() -> None:
            await trio.sleep(0.1)
            assert (client.statistics().requests, client.statistics().waiting) == (0, 0)

        await scenario()
        assert await sweep_cancellation(scenario, after=after) > 20


@both
async def test_nothing_is_lost_when_receiving_is_cancelled(http1: bool, autojump_clock: MockClock) -> None:
    site = Encoded("zstd", zstd.compress(PLAIN), piece=1000)
    got = b""
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
        client.request("GET", URL) as response,
    ):
        ended = False
        while not ended:
            with trio.CancelScope() as scope:
                scope.cancel()
                await response.receive_some(3000)
                raise AssertionError("it was cancelled")
            data = await response.receive_some(3000)
            assert len(data) <= 3000
            got += data
            ended = not data
    assert got == PLAIN

"""httpx, on Trio like ourselves, against our server: in cleartext with prior knowledge, and over TLS."""

from __future__ import annotations

import hashlib
import importlib.util
from typing import TYPE_CHECKING

import pytest
import trio

from tests.interop.app import HELLO
from tests.interop.bodies import MIB, body, pieces, sha256

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    import httpx

    from tests.interop.conftest import OurServer, TlsFiles
    from tests.interop.processes import PeerFinder


@pytest.fixture
async def client(server: OurServer, tls_files: TlsFiles, peers: PeerFinder) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client that speaks HTTP/2 only; the context's ALPN is its own business."""
    for library in ("httpx", "h2"):
        if importlib.util.find_spec(library) is None:
            peers.missing(f"the library {library} is not installed")
    import httpx

    context = tls_files.authority.client_context(alpn=())
    async with httpx.AsyncClient(
        http1=False, http2=True, verify=context, base_url=server.url, timeout=60, trust_env=False
    ) as client:
        yield client


async def test_get(client: httpx.AsyncClient) -> None:
    response = await client.get("/hello")
    assert (response.http_version, response.status_code, response.content) == ("HTTP/2", 200, HELLO)
    assert response.headers["content-type"] == "text/plain"


async def test_head(client: httpx.AsyncClient) -> None:
    response = await client.head("/hello")
    assert (response.headers["content-length"], response.content) == (str(len(HELLO)), b"")


async def test_post_is_echoed(client: httpx.AsyncClient) -> None:
    sent = body(3_000_000)
    assert (await client.post("/echo", content=sent)).content == sent


@pytest.mark.parametrize("size", [1000, 100_000, 250_000])
async def test_upload_that_nobody_reads(client: httpx.AsyncClient, size: int) -> None:
    """httpx sends all of it before it looks at the response, and takes RST_STREAM for an error."""
    for _ in range(5):
        response = await client.post("/early", content=bytes(size))
        assert (response.status_code, response.content) == (413, b"too much\n")


async def test_large_bodies(client: httpx.AsyncClient) -> None:
    async def upload() -> AsyncIterator[bytes]:
        for piece in pieces(20 * MIB):
            yield piece

    told = (await client.post("/sum", content=upload())).json()
    assert (told["length"], told["sha256"]) == (20 * MIB, sha256(20 * MIB))

    digest = hashlib.sha256()
    async with client.stream("GET", f"/bytes/{20 * MIB}") as response:
        async for chunk in response.aiter_bytes():
            digest.update(chunk)
    assert digest.hexdigest() == sha256(20 * MIB)


async def test_many_parallel_requests(client: httpx.AsyncClient, server: OurServer) -> None:
    received: dict[int, bytes] = {}

    async def get(length: int) -> None:
        received[length] = (await client.get(f"/bytes/{length}")).content

    await get(0)  # httpx opens a connection for every request until it knows that HTTP/2 is spoken
    async with trio.open_nursery() as nursery:
        for n in range(1, 200):
            nursery.start_soon(get, n * 100)
    assert received == {n * 100: body(n * 100) for n in range(200)}
    assert len(server.sessions) == 1

"""httpx and httpx2 on our transport against nginx, which leaves after so many requests; and how they do without it."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.bodies import MIB, body
from tests.interop.nginx import nginx_command
from tests.interop.processes import free_port, running
from trio_h2.httpx import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    import httpx

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

_HTTP = """
    server {{
        listen 127.0.0.1:{port} ssl{http2};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {folder}/files;
        keepalive_requests 10;
        client_max_body_size 100m;
        location /uploads/ {{ dav_methods PUT; }}
    }}
"""


@pytest.fixture(params=[" http2", ""], ids=["2", "1.1"])
def http2(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def url(peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path, http2: str) -> AsyncGenerator[str, None]:
    """An nginx whose connections take ten requests each."""
    (tmp_path / "files" / "uploads").mkdir(parents=True)
    (tmp_path / "files" / "small").write_bytes(b"from nginx\n")
    (tmp_path / "files" / "large").write_bytes(body(20 * MIB))
    port = free_port()
    http = _HTTP.format(folder=tmp_path, port=port, certificate=tls_files.certificate, key=tls_files.key, http2=http2)
    async with running(*nginx_command(peers, tmp_path, http)) as program:
        await program.wait_for_port(port)
        yield f"https://127.0.0.1:{port}"


@pytest.fixture(params=["httpx", "httpx2"])
async def client(request: pytest.FixtureRequest, tls_files: TlsFiles) -> AsyncGenerator[httpx.AsyncClient, None]:
    context = trio_h2.client_ssl_context(tls_files.ca, allow_http1=True)
    library = importlib.import_module(request.param)
    client: httpx.AsyncClient
    async with library.AsyncClient(transport=Transport(ssl_context=context), timeout=30) as client:
        yield client


async def ask(client: httpx.AsyncClient, url: str, requests: int, at_once: int) -> Counter[str]:
    """Sends so many requests; returns how often which came of them."""
    results = Counter[str]()
    left = requests

    async def worker() -> None:
        nonlocal left
        while left:
            left -= 1
            try:
                response = await client.get(f"{url}/small")
            except Exception as exc:
                results[type(exc).__name__] += 1
            else:
                results[f"{response.status_code} {response.http_version} {response.text.strip()}"] += 1

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(worker)
    return results


@pytest.mark.timeout(300)  # a hundred TLS handshakes, one after the other
async def test_a_server_that_leaves_after_ten_requests(url: str, http2: str, client: httpx.AsyncClient) -> None:
    results = await ask(client, url, 1000, 100)
    assert results == {f"200 HTTP/{'2' if http2 else '1.1'} from nginx": 1000}


@pytest.mark.parametrize("http2", [" http2"], ids=["2"], indirect=True)
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_the_libraries_alone_fail(url: str, library: str, tls_files: TlsFiles) -> None:
    """The reason for the transport. When this fails because they do not any more, the pages are to say so."""
    context = tls_files.authority.client_context(alpn=())
    client: httpx.AsyncClient
    module = importlib.import_module(library)
    async with module.AsyncClient(http1=False, http2=True, verify=context, timeout=30, trust_env=False) as client:
        results = await ask(client, url, 1000, 100)
    assert results.total() == 1000
    assert results["200 HTTP/2 from nginx"] < 1000


async def test_large_bodies(url: str, client: httpx.AsyncClient, tmp_path: Path) -> None:
    assert (await client.get(f"{url}/large")).content == body(20 * MIB)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield bytes(100_000)

    assert (await client.put(f"{url}/uploads/a", content=pieces())).status_code == 201
    assert (tmp_path / "files" / "uploads" / "a").stat().st_size == 5_000_000
    assert (await client.put(f"{url}/uploads/b", content=body(20 * MIB))).status_code == 201
    assert (tmp_path / "files" / "uploads" / "b").read_bytes() == body(20 * MIB)

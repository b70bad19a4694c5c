"""A client behind proxies: docs/proxies.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import client_proxies

import trio_h2
from tests.docs.conftest import Certificates, serving
from trio_h2.testing import ThrowawayAuthority
from trio_h2.tunnel import ConnectProxy

if TYPE_CHECKING:
    import pytest


async def target(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=f"hello, {stream.path}".encode())


async def forward(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=f"forwarded to {stream.headers[':authority']}".encode())


async def test_many_targets_through_a_proxy_with_tls(certificates: Certificates) -> None:
    for_proxy = ThrowawayAuthority()
    handler = ConnectProxy(["127.0.0.1:*"], authenticate={"jane": "s3cret"})
    authority = certificates.authority
    async with (
        trio_h2.open_server(target, host="127.0.0.1", ssl_context=authority.server_context()) as one,
        trio_h2.open_server(target, host="127.0.0.1", ssl_context=authority.server_context()) as two,
        trio_h2.open_server(handler, host="127.0.0.1", ssl_context=for_proxy.server_context()) as proxy,
    ):
        url = f"https://jane:s3cret@127.0.0.1:{proxy.port}"
        urls = [one.url, two.url, one.url]
        contexts = authority.client_context(), for_proxy.client_context(["h2", "http/1.1"])
        assert await client_proxies.fetch_many(url, urls, *contexts) == [200] * 3
    assert handler.statistics().opened == 2


async def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(forward, allow_http1=True) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        said = await client_proxies.fetch_as_the_environment_says("http://somewhere.example/")
    assert said == "forwarded to somewhere.example"


async def test_errors_are_explained() -> None:
    handler = ConnectProxy(["127.0.0.1:*"], authenticate={"jane": "s3cret"})
    async with serving(handler, allow_http1=True) as proxy:
        url = proxy.url.rstrip("/")
        wrong = url.replace("://", "://jane:guess@")
        right = url.replace("://", "://jane:s3cret@")
        assert await client_proxies.explain(wrong, "https://127.0.0.1") == f"wrong user or password for {url}"
        assert await client_proxies.explain(right, "https://192.0.2.1") == f"{url} said 403 Forbidden"
    said = await client_proxies.explain(right, "https://127.0.0.1")
    assert said.startswith(f"{url} cannot be reached: OSError(")

"""Our HTTP client through foreign proxies (tinyproxy, Squid, nghttpx), and through ours."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.processes import free_port, running
from trio_h2 import Client, Proxy, ProxyError, Retry
from trio_h2.tunnel import ConnectProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

    Running = Callable[[PeerFinder, Path, TlsFiles], AbstractAsyncContextManager[str]]

_TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 50
LogLevel Info
BasicAuth jane s3cret
"""
_SQUID = """
http_port 127.0.0.1:{port}
auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/passwords
acl known proxy_auth REQUIRED
acl forbidden dst 192.0.2.0/24
http_access deny forbidden
http_access deny !known
http_access allow all
cache deny all
access_log none
cache_log {folder}/cache.log
pid_filename {folder}/squid.pid
coredump_dir {folder}
pinger_enable off
shutdown_lifetime 0 seconds
"""
# What `openssl passwd -apr1 -salt abcdefgh s3cret` says.
_PASSWORDS = "jane:$apr1$abcdefgh$M2T3erDstkD7SsE2QQnfH0\n"


@asynccontextmanager
async def tinyproxy(peers: PeerFinder, folder: Path, _files: TlsFiles) -> AsyncGenerator[str, None]:
    port = free_port()
    (folder / "tinyproxy.conf").write_text(_TINYPROXY.format(port=port))
    async with running(peers.program("tinyproxy"), "-d", "-c", folder / "tinyproxy.conf") as program:
        await program.wait_for_port(port)
        yield f"http://jane:s3cret@127.0.0.1:{port}"


def _write_squid_files(folder: Path, port: int) -> None:
    folder.chmod(0o777)  # started as root, it becomes another user
    for above in folder.parent, folder.parent.parent:
        above.chmod(0o755)
    (folder / "passwords").write_text(_PASSWORDS)
    (folder / "squid.conf").write_text(_SQUID.format(port=port, folder=folder))


@asynccontextmanager
async def squid(peers: PeerFinder, folder: Path, _files: TlsFiles) -> AsyncGenerator[str, None]:
    port = free_port()
    _write_squid_files(folder, port)
    async with running(peers.program("squid"), "-N", "-n", f"s{port}", "-f", folder / "squid.conf") as program:
        await program.wait_for_port(port)
        yield f"http://jane:s3cret@127.0.0.1:{port}"


@asynccontextmanager
async def our_proxy() -> AsyncGenerator[str, None]:
    handler = ConnectProxy(["127.0.0.1:*"], authenticate={"jane": "s3cret"})
    async with trio_h2.open_server(handler, host="127.0.0.1", allow_http1=True) as server:
        yield f"http://jane:s3cret@127.0.0.1:{server.port}"


async def _hello(stream: trio_h2.ServerStream) -> None:
    proxy_fields = [name for name in stream.headers if name in ("proxy-authorization", "proxy-connection")]
    await stream.respond(200, body=f"{stream.method} {stream.path} {proxy_fields}".encode())


@asynccontextmanager
async def targets(tls_files: TlsFiles) -> AsyncGenerator[tuple[str, str], None]:
    """Gives the URLs of two servers: one with TLS, one without that speaks both versions."""
    context = trio_h2.server_ssl_context(tls_files.certificate, tls_files.key)
    async with (
        trio_h2.open_server(_hello, host="127.0.0.1", ssl_context=context) as secure,
        trio_h2.open_server(_hello, host="127.0.0.1", allow_http1=True) as plain,
    ):
        yield secure.url.rstrip("/"), plain.url.rstrip("/")


def _without(url: str) -> str:
    return f"http://{url.partition('@')[2]}"


@pytest.mark.parametrize("start", [tinyproxy, squid], ids=["tinyproxy", "squid"])
async def test_foreign_proxies_of_http1(start: Running, peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles) -> None:
    context = trio_h2.client_ssl_context(tls_files.ca)
    async with targets(tls_files) as (secure, plain), start(peers, tmp_path, tls_files) as url:
        async with Client(proxy=url, ssl_context=context) as client:
            for number in range(3):
                response = await client.get(f"{secure}/{number}")
                assert (response.text, response.http_version) == (f"GET /{number} []", "2")
                response = await client.fetch("POST", f"{plain}/{number}?q", body=b"x" * 100_000)
                assert (response.status, response.http_version) == (200, "1.1")
                assert response.text.startswith(f"POST /{number}?q ")
                assert "proxy-authorization" not in response.text
            assert len(client.sessions) == 1
        async with Client(proxy=_without(url), ssl_context=context) as client:
            for target in secure, plain:
                with pytest.raises(ProxyError, match="407") as caught:
                    await client.get(target)
                assert caught.value.status == 407
        async with Client(proxy=Proxy(url, http2=False), prior_knowledge=True) as client:
            assert (await client.get(plain)).http_version == "2"


@pytest.mark.parametrize("start", [tinyproxy, squid], ids=["tinyproxy", "squid"])
async def test_a_target_that_does_not_listen(
    start: Running, peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles
) -> None:
    async with (
        start(peers, tmp_path, tls_files) as url,
        Client(proxy=url, retry=Retry(attempts=1, backoff=0.01)) as client,
    ):
        with pytest.raises(ProxyError) as caught:
            await client.get(f"https://127.0.0.1:{free_port()}")
        assert caught.value.status in (500, 502, 503)
        assert caught.value.proxy == _without(url)


async def test_squid_forbids_a_target(peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles) -> None:
    async with squid(peers, tmp_path, tls_files) as url, Client(proxy=url) as client:
        with pytest.raises(ProxyError, match=r"refused a tunnel to 192\.0\.2\.1:443 with status 403") as caught:
            await client.get("https://192.0.2.1")
        assert b"Squid" in caught.value.body or b"squid" in caught.value.body


@pytest.mark.parametrize("secure_proxy", [False, True], ids=["h2c", "tls"])
async def test_through_nghttpx(secure_proxy: bool, peers: PeerFinder, tls_files: TlsFiles) -> None:
    """It hands each CONNECT on to a proxy of ours, and speaks HTTP/2 on both sides."""
    context = trio_h2.client_ssl_context(tls_files.ca)
    port = free_port()
    behind = ConnectProxy(["127.0.0.1:*"], authenticate={"jane": "s3cret"})
    async with targets(tls_files) as (secure, plain), trio_h2.open_server(behind, host="127.0.0.1") as ours:
        command: list[str | Path] = [
            *(peers.program("nghttpx"), "--conf=/dev/null", "--http2-proxy", "--workers=1"),
            f"--frontend=127.0.0.1,{port}{'' if secure_proxy else ';no-tls'}",
            f"--backend=127.0.0.1,{ours.port};;proto=h2",
            *([tls_files.key, tls_files.certificate] if secure_proxy else []),
        ]
        async with running(*command) as program:
            await program.wait_for_port(port)
            if secure_proxy:
                proxy = Proxy(f"https://jane:s3cret@127.0.0.1:{port}", ssl_context=context)
            else:
                proxy = Proxy(f"http://jane:s3cret@127.0.0.1:{port}", http2=True)
            async with Client(proxy=proxy, ssl_context=context) as client:
                for number in range(3):
                    for target, version in (secure, "2"), (plain, "1.1"):
                        response = await client.get(f"{target}/{number}")
                        assert (response.text, response.http_version) == (f"GET /{number} []", version)
                with pytest.raises(ProxyError, match="status 403"):
                    await client.get("https://192.0.2.1")
    assert behind.statistics().opened == 2


@pytest.mark.parametrize("http2", [False, True], ids=["1.1", "2"])
async def test_through_our_proxy(http2: bool, tls_files: TlsFiles) -> None:
    context = trio_h2.client_ssl_context(tls_files.ca)
    async with targets(tls_files) as (secure, plain), our_proxy() as url:
        async with Client(proxy=Proxy(url, http2=http2), ssl_context=context, prior_knowledge=True) as client:
            async with trio.open_nursery() as nursery:
                for target in secure, plain:
                    for _ in range(20):
                        nursery.start_soon(client.get, target)
            assert (await client.get(f"{secure}/x")).text == "GET /x []"
            with pytest.raises(ProxyError, match="status 403"):
                await client.get("https://192.0.2.1")
        async with Client(proxy=Proxy(_without(url), http2=http2), ssl_context=context) as client:
            with pytest.raises(ProxyError, match="status 407"):
                await client.get(secure)

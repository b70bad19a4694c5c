"""Tunnels with foreign peers: Node on either side of a CONNECT, nghttpx in the middle, and a gibibyte each way."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.bodies import MIB
from tests.interop.processes import free_port, run, running
from tests.tunnel.targets import HERE, echo, jane, read_all, reset, target
from trio_h2 import ErrorCode
from trio_h2.tunnel import ConnectProxy, TunnelRefusedError, open_tunnel, through

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

    Handler = Callable[[trio_h2.ServerStream], Awaitable[object]]

ROOT = Path(__file__).parents[2]
NODE = Path(__file__).parent / "node"


@pytest.fixture(params=["h2c", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "tls")


@asynccontextmanager
async def served(
    handler: Handler, tls_files: TlsFiles, *, tls: bool, config: trio_h2.ServerConfig | None = None
) -> AsyncGenerator[str, None]:
    """Serves on 127.0.0.1; gives the URL."""
    serve = (
        partial(
            trio_h2.serve_ssl_over_tcp,
            *(handler, 0, trio_h2.server_ssl_context(tls_files.certificate, tls_files.key)),
            host="127.0.0.1",
            config=config,
        )
        if tls
        else partial(trio_h2.serve_tcp, handler, 0, host="127.0.0.1", config=config)
    )
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        yield server.urls[0]
        await server.aclose(grace=5)


# ---- Node asks our proxy ----


class NodeClient:
    """Plays `connect_client.js`."""

    def __init__(self, program: str, url: str, ca: Path | None) -> None:
        self._program = program
        self._url = url
        self._ca = [] if ca is None else [ca]

    async def __call__(self, method: str, what: str) -> dict[str, object]:
        done = await run(self._program, NODE / "connect_client.js", method, self._url, what, *self._ca)
        seen: dict[str, object] = json.loads(done.text)
        return seen


@pytest.mark.parity("L1")
async def test_node_goes_through_our_proxy(peers: PeerFinder, tls_files: TlsFiles, tls: bool) -> None:
    async def rude(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        reset(stream)

    proxy = ConnectProxy(["127.0.0.1:1024-65535"])
    async with target(jane) as place, target(rude) as other, served(proxy, tls_files, tls=tls) as url:
        node = NodeClient(peers.program("node"), url, tls_files.ca if tls else None)
        seen = await node("CONNECT", place.authority)
        assert seen == {
            **{"offered": False, "status": 200, "body": "hello Jane", "ended": True, "error": None},
            "rstCode": ErrorCode.NO_ERROR,
        }
        seen = await node("CONNECT", "127.0.0.1:1023")
        assert (seen["status"], seen["body"]) == (403, "127.0.0.1:1023 is not allowed\n")
        seen = await node("CONNECT", other.authority)
        assert (seen["status"], seen["rstCode"]) == (200, ErrorCode.CONNECT_ERROR)
        seen = await node("POST", "/")
        assert (seen["status"], seen["rstCode"]) == (None, ErrorCode.REFUSED_STREAM)
    assert (proxy.statistics().opened, proxy.statistics().open) == (2, 0)


@pytest.mark.parity("L2")
async def test_node_sends_us_an_extended_connect(peers: PeerFinder, tls_files: TlsFiles, tls: bool) -> None:
    async def greet(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await stream.send_all(f"{stream.protocol} {stream.path} {await read_all(stream)!r}".encode())

    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with served(greet, tls_files, tls=tls, config=config) as url:
        node = NodeClient(peers.program("node"), url, tls_files.ca if tls else None)
        seen = await node("websocket", "/chat")
    assert seen["offered"] is True
    assert (seen["status"], seen["body"], seen["rstCode"]) == (200, "websocket /chat b'Jane'", 0)


# ---- We ask Node ----


@pytest.fixture
async def session(peers: PeerFinder, tls_files: TlsFiles, tls: bool) -> AsyncGenerator[trio_h2.ClientSession, None]:
    """A session with the proxy `connect_proxy.js`."""
    files = [tls_files.certificate, tls_files.key] if tls else []
    async with running(peers.program("node"), NODE / "connect_proxy.js", *files) as program:
        port = (await program.wait_for(r"^listening (\d+)$"))[1]
        context = trio_h2.client_ssl_context(tls_files.ca) if tls else None
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        async with trio_h2.connect(url, ssl_context=context) as session:
            yield session


@pytest.mark.parity("L1")
async def test_our_client_goes_through_node(session: trio_h2.ClientSession) -> None:
    async with target(jane) as place:
        async with open_tunnel(session, place.authority) as stream:
            await stream.send_all(b"Jane")
            await stream.send_eof()
            assert await read_all(stream) == b"hello Jane"
        with pytest.raises(TunnelRefusedError, match="status 403") as info:
            async with open_tunnel(session, "127.0.0.1:1"):
                raise AssertionError
        assert info.value.body == b"not that one\n"
    with pytest.raises(trio_h2.StreamResetError) as reset_info:  # nobody listens there any more
        async with open_tunnel(session, place.authority):
            raise AssertionError
    assert reset_info.value.code == ErrorCode.CONNECT_ERROR
    with pytest.raises(trio_h2.StreamRefusedError):
        async with session.request("GET") as stream:
            await stream.receive_response()


@pytest.mark.parity("L1")
async def test_much_both_ways_through_node(session: trio_h2.ClientSession) -> None:
    block = bytes(range(256)) * 4096
    async with target(echo) as place, open_tunnel(session, place.authority) as stream, trio.open_nursery() as nursery:

        async def send() -> None:
            for _ in range(16):
                await stream.send_all(block)
            await stream.send_eof()

        nursery.start_soon(send)
        assert await read_all(stream) == block * 16


@pytest.mark.parity("L4")
async def test_http2_inside_of_a_tunnel_through_node(session: trio_h2.ClientSession, tls_files: TlsFiles) -> None:
    async def hello(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"hello " + await read_all(stream))

    async with served(hello, tls_files, tls=True) as url:
        context = trio_h2.client_ssl_context(tls_files.ca)
        async with trio_h2.connect(url, transport=through(session), ssl_context=context) as inner:
            for _ in range(3):
                async with inner.request("POST", body=b"Jane") as stream:
                    assert await read_all(stream) == b"hello Jane"


@pytest.mark.parity("L2")
async def test_we_send_node_an_extended_connect(session: trio_h2.ClientSession) -> None:
    async with session.request("CONNECT", "/chat?a=b", protocol="chat", end_stream=False) as stream:
        response = await stream.receive_response()
        assert (response.status, response["x-protocol"], response["x-path"]) == (200, "chat", "/chat?a=b")
        await stream.send_all(b"echo")
        assert await stream.receive_some() == b"echo"
        await stream.send_eof()
        assert await stream.receive_some() == b""


# ---- nghttpx in the middle ----


@pytest.mark.parity("L1", "L4")
async def test_our_client_goes_through_nghttpx(peers: PeerFinder, tls_files: TlsFiles, tls: bool) -> None:
    """As an HTTP/2 forward proxy, nghttpx hands every CONNECT on to the next proxy, which is ours.

    It does not pass on the end of one direction, only that of the target.
    """

    async def greet(stream: trio.SocketStream) -> None:
        await stream.send_all(b"who are you?")
        await stream.send_all(b"hello " + bytes(await stream.receive_some()))

    port = free_port()
    files = [tls_files.key, tls_files.certificate] if tls else []
    proxy = ConnectProxy(HERE)
    async with target(greet) as place, served(proxy, tls_files, tls=False) as url:
        command: list[str | Path] = [
            *(peers.program("nghttpx"), "--conf=/dev/null", "--http2-proxy", "--workers=1"),
            f"--frontend=127.0.0.1,{port}{'' if tls else ';no-tls'}",
            f"--backend=127.0.0.1,{url.rpartition(':')[2]};;proto=h2",
            *files,
        ]
        async with running(*command) as program:
            await program.wait_for_port(port)
            context = trio_h2.client_ssl_context(tls_files.ca) if tls else None
            address = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            async with trio_h2.connect(address, ssl_context=context) as session:
                for _ in range(3):
                    async with open_tunnel(session, place.authority) as stream:
                        assert await stream.receive_some() == b"who are you?"
                        await stream.send_all(b"Jane")
                        assert await read_all(stream) == b"hello Jane"
                with pytest.raises(TunnelRefusedError) as info:
                    async with open_tunnel(session, "192.0.2.1:443"):
                        raise AssertionError
                assert info.value.status == 403
    assert proxy.statistics().opened == 3


# ---- Very much ----


# Minutes are for slow machines.
@pytest.mark.timeout(600)
@pytest.mark.parity("L1")
async def test_one_gibibyte_each_way_at_once() -> None:
    command = [sys.executable, "-m", "tests.interop.tunnel_transfer"]
    async with running(*command, "target", cwd=ROOT) as place, running(*command, "proxy", cwd=ROOT) as proxy:
        url = (await proxy.wait_for(r"^listening (\S+)$"))[1]
        authority = (await place.wait_for(r"^listening (\S+)$"))[1]
        async with running(*command, "client", url, authority, cwd=ROOT) as client:
            line = (await client.wait_for(r"^\{.*\}$", seconds=560))[0]
    result = json.loads(line)
    assert (result["up_intact"], result["down_intact"], result["length"]) == (True, True, 1024 * MIB)
    assert result["client_growth"] < 64 * MIB
    assert result["proxy_growth"] < 64 * MIB

"""Foreign HTTP/1.1 clients against a server of ours that speaks both versions on one port."""

from __future__ import annotations

import importlib.util
import json
import socket
import ssl
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import RawClient
from tests.interop.app import HELLO
from tests.interop.bodies import MIB, body, sha256
from tests.interop.nginx import nginx_command
from tests.interop.processes import free_port, run, running

if TYPE_CHECKING:
    from tests.interop.conftest import OurServer, TlsFiles
    from tests.interop.processes import PeerFinder

_SUMMARY = "%{stderr}%{http_version} %{http_code} %{size_download}\n"
_NODE = Path(__file__).parent / "node" / "http1.js"


def _curl(peers: PeerFinder, server: OurServer, *options: str) -> list[str]:
    command = [peers.program("curl"), "-q", "-sS", "--max-time", "60", "-w", _SUMMARY, *options]
    return [*command, "--cacert", str(server.ca)] if server.tls else command


@pytest.mark.parity("A3")
async def test_curl_gets_the_same_from_both(both_server: OurServer, peers: PeerFinder) -> None:
    """The answers of one port, but for what says which version it was."""
    newer = "--http2" if both_server.tls else "--http2-prior-knowledge"
    told: dict[str, list[str]] = {}
    for option in (newer, "--http1.1", "--http1.0"):
        told[option] = []
        for path in ("/hello", "/trailers", "/bytes/100000", "/nowhere", "/echo", "/sum"):
            upload = ["--data-binary", "payload"] if path in ("/echo", "/sum") else []
            done = await run(*_curl(peers, both_server, option), *upload, both_server.url + path)
            version, rest = done.errors.split(" ", 1)
            assert version == ("2" if option == newer else "1.1")  # that of the response (RFC 9110 §2.5)
            told[option].append(rest + done.text)
        done = await run(*_curl(peers, both_server, option), both_server.url + "/version")
        alpn = {newer: "h2" if both_server.tls else "h2c", "--http1.1": "http/1.1" if both_server.tls else None}
        shown = json.loads(done.stdout)
        assert shown["version"] == {newer: "2.0", "--http1.1": "1.1", "--http1.0": "1.0"}[option]
        if option in alpn:
            assert shown["alpn"] == alpn[option]
    assert told[newer] == told["--http1.1"] == told["--http1.0"]


async def test_curl_uses_a_connection_again(both_server: OurServer, peers: PeerFinder, tmp_path: Path) -> None:
    url = both_server.url + "/bytes/[1000-1019]"
    done = await run(
        *_curl(peers, both_server, "--http1.1", "-w", "%{stderr}%{num_connects} "), "-o", tmp_path / "#1", url
    )
    assert done.errors.split() == ["1", *["0"] * 19]


async def test_curl_large_bodies(both_server: OurServer, peers: PeerFinder, tmp_path: Path) -> None:
    up, down = tmp_path / "up", tmp_path / "down"
    up.write_bytes(body(20 * MIB))
    for options in ([], ["-H", "Transfer-Encoding: chunked"]):
        done = await run(*_curl(peers, both_server, "--http1.1", *options), "-T", up, both_server.url + "/sum")
        assert json.loads(done.stdout)["sha256"] == sha256(20 * MIB)
    await run(*_curl(peers, both_server, "--http1.1"), "-o", down, f"{both_server.url}/bytes/{50 * MIB}")
    assert down.read_bytes() == body(50 * MIB)


async def test_curl_waits_for_100(both_server: OurServer, peers: PeerFinder) -> None:
    options = ["-i", "-H", "Expect: 100-continue", "--expect100-timeout", "300", "-d", "payload"]
    done = await run(*_curl(peers, both_server, "--http1.1", *options), both_server.url + "/continue")
    assert done.text.startswith("HTTP/1.1 100")
    assert '"length": 7' in done.text


async def test_curl_sees_a_cut_response_as_cut(
    both_server: OurServer, peers: PeerFinder, caplog: pytest.LogCaptureFixture
) -> None:
    """Chunked, and ended by the connection: then only a TCP reset tells (or TLS, which ends without a goodbye)."""
    for option in ("--http1.1", "--http1.0"):
        done = await run(*_curl(peers, both_server, option), both_server.url + "/late-boom", check=False)
        assert done.returncode in (18, 56), done
        assert HELLO.startswith(done.stdout)  # a reset may overtake bytes
    caplog.clear()


async def test_curl_upgrade_is_ignored(both_server: OurServer, peers: PeerFinder) -> None:
    """RFC 9113 §3.1: h2c by Upgrade is obsolete; the request is answered as it is."""
    fields = ["-H", "Connection: Upgrade, HTTP2-Settings", "-H", "Upgrade: h2c", "-H", "HTTP2-Settings: AAMAAABk"]
    done = await run(*_curl(peers, both_server, "--http1.1", *fields), both_server.url + "/hello")
    assert done.stdout == HELLO
    assert done.errors.startswith("1.1 200")


async def test_node(both_server: OurServer, peers: PeerFinder) -> None:
    target = [both_server.url, str(both_server.ca)] if both_server.tls else [both_server.url]
    told = json.loads((await run(peers.program("node"), str(_NODE), *target)).stdout)
    assert {one["version"] for one in told.values()} == {"1.1"}
    assert all(one["complete"] for one in told.values())
    assert len({one["port"] for one in told.values()}) == 1, "every request on one connection"
    assert (told["get"]["body"], told["head"]["body"], told["echo"]["body"]) == (HELLO.decode(), "", "payload")
    summary = json.loads(told["chunked"]["body"])
    assert (summary["length"], summary["trailers"]) == (7, {"x-sum": "12"})
    assert told["trailers"]["trailers"] == {"x-count": "13", "x-note": "the end"}
    assert told["hints"]["informational"] == [103, 103]
    assert told["expect"]["informational"] == [100]
    assert (told["early"]["status"], told["after"]["status"]) == (413, 200)


async def test_httpx(both_server: OurServer, tls_files: TlsFiles, peers: PeerFinder) -> None:
    if importlib.util.find_spec("httpx") is None:
        peers.missing("the library httpx is not installed")
    import httpx

    context = tls_files.authority.client_context(alpn=())
    for http2 in (False, True):
        async with httpx.AsyncClient(
            http2=http2, verify=context, base_url=both_server.url, timeout=60, trust_env=False
        ) as client:
            response = await client.get("/hello")
            # In cleartext httpx takes HTTP/1.1 if it may.
            assert response.http_version == ("HTTP/2" if http2 and both_server.tls else "HTTP/1.1")
            assert response.content == HELLO
            # Not an echo: httpx reads no response before it has sent its request.
            told = (await client.post("/sum", content=body(3_000_000))).json()
            assert (told["length"], told["sha256"]) == (3_000_000, sha256(3_000_000))


_NGINX = """
    upstream ours {{ server {ours}; keepalive 2; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://ours;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
        }}
    }}
"""


@pytest.mark.parametrize("both_server", ["cleartext"], indirect=True)
async def test_nginx_in_front(both_server: OurServer, peers: PeerFinder, tmp_path: Path) -> None:
    """As a reverse proxy that keeps its connections to us."""
    port = free_port()
    ours = both_server.url.partition("://")[2]
    command = nginx_command(peers, tmp_path, _NGINX.format(port=port, ours=ours))
    async with running(*command) as program:
        await program.wait_for_port(port)
        url = f"http://127.0.0.1:{port}"
        for n in range(30):
            done = await run(*_curl(peers, both_server), f"{url}/bytes/{n * 1000}")
            assert done.stdout == body(n * 1000)
        file = tmp_path / "up"
        file.write_bytes(body(5 * MIB))
        for options in ([], ["-H", "Transfer-Encoding: chunked"]):
            done = await run(*_curl(peers, both_server, *options), "-T", file, f"{url}/sum")
            assert json.loads(done.stdout)["sha256"] == sha256(5 * MIB)
        assert len(both_server.server.http1_connections) <= 2


# -- bytes, over real sockets -------------------------------------------------------------------------------------


async def _open(server: OurServer, tls_files: TlsFiles) -> RawClient:
    tcp = await trio.open_tcp_stream("127.0.0.1", server.server.port)
    if not server.tls:
        return RawClient(tcp)
    context = tls_files.authority.client_context(alpn=("http/1.1",))
    return RawClient(trio.SSLStream(tcp, context, server_hostname="127.0.0.1", https_compatible=True))


async def test_a_large_upload_that_is_refused(both_server: OurServer, tls_files: TlsFiles) -> None:
    """The answer arrives, although nobody reads what the client goes on sending: no TCP reset overtakes it."""
    client = await _open(both_server, tls_files)

    async def send() -> None:
        await client.send("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n")
        try:
            while True:
                await client.send(bytes(100_000))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.sleep(0.2)
        answer = await client.answer()
        assert (answer.status, answer.body) == (413, b"too much\n")
        nursery.cancel_scope.cancel()
    await trio.aclose_forcefully(client.transport)


async def test_a_client_that_breaks_cancels_the_handler(both_server: OurServer, tls_files: TlsFiles) -> None:
    client = await _open(both_server, tls_files)
    await client.send("GET /hang HTTP/1.1\r\nhost: a\r\n\r\n")
    await both_server.app.started.wait()
    (connection,) = both_server.server.http1_connections
    below = client.transport
    if isinstance(below, trio.SSLStream):
        below = below.transport_stream
    else:  # in cleartext only a reset says that the client has left: it might just have said all it has to say
        assert isinstance(below, trio.SocketStream)
        below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(below)
    with trio.fail_after(10):
        await both_server.app.cancelled.wait()
        with pytest.raises(trio_h2.TransportLostError):
            await connection.wait_closed()
    await trio.testing.wait_all_tasks_blocked()
    assert [type(error) for error in both_server.errors] == [trio_h2.TransportLostError]
    both_server.errors.clear()


async def test_the_same_octets_to_a_port_for_tls(both_server: OurServer, tls_files: TlsFiles) -> None:
    """And TLS to a port in cleartext: both are refused, each in the client's words, and nothing else happens."""
    tcp = await trio.open_tcp_stream("127.0.0.1", both_server.server.port)
    if both_server.tls:
        await tcp.send_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await RawClient(tcp).answer()).status == 400
    else:
        context = tls_files.authority.client_context()
        with pytest.raises(trio.BrokenResourceError) as caught:
            await trio.SSLStream(tcp, context, server_hostname="127.0.0.1").do_handshake()
        assert isinstance(caught.value.__cause__, ssl.SSLError)
    await trio.aclose_forcefully(tcp)
    with trio.fail_after(10):
        while both_server.tls and not both_server.errors:  # noqa: ASYNC110 - the hook that is called is not async
            await trio.sleep(0.01)
    both_server.errors.clear()

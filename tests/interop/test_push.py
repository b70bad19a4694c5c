"""Server push with foreign programs: Node and nghttp take ours, we take those of Node and nghttpd."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.interop.fetching import checked_session, fetch
from tests.interop.processes import free_port, run, running
from tests.interop.test_node_client import Node, Seen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.conftest import OurServer, TlsFiles
    from tests.interop.processes import PeerFinder

NODE_SERVER = Path(__file__).parent / "node" / "server.js"


# -- our server --------------------------------------------------------------------------------------------------------


@pytest.mark.parity("E2", "E3")
async def test_node_takes_ours(server: OurServer, peers: PeerFinder) -> None:
    seen = await Node(peers.program("node"), server)("push")
    seen.part("page").check_whole()
    pushes = seen.part("pushes")
    assert sorted(pushes) == ["/pushed/0", "/pushed/1", "/pushed/2"]
    for number in 0, 2:
        pushed = pushes.part(f"/pushed/{number}")
        promised = pushed.part("promised")
        assert (promised[":method"], promised["x-number"]) == ("GET", str(number))
        assert server.url == f"{promised[':scheme']}://{promised[':authority']}"
        assert (pushed.status, pushed.length, pushed.ended, pushed.error) == (200, len("/pushed/0"), True, None)
        assert (pushed.trailers, pushed.rstCode) == ({"x-path": f"/pushed/{number}"}, 0)
    assert pushes.part("/pushed/1").rstCode == trio_h2.ErrorCode.REFUSED_STREAM
    seen.part("without").check_whole(status=204, length=0)


@pytest.mark.parity("E3")
async def test_nghttp_takes_ours(server: OurServer, peers: PeerFinder) -> None:
    done = await run(peers.program("nghttp"), "--no-verify-peer", "--timeout=30", "-v", server.url + "/push/2")
    assert re.findall(r"recv PUSH_PROMISE frame <length=\d+, flags=0x04, stream_id=(\d+)>", done.text) == ["13", "13"]
    assert re.findall(r"promised_stream_id=(\d+)", done.text) == ["2", "4"]
    assert len(re.findall(r"recv \(stream_id=[24]\) :status: 200", done.text)) == 2
    assert sorted(re.findall(r"recv \(stream_id=[24]\) x-path: (.*)", done.text)) == ["/pushed/0", "/pushed/1"]
    assert "RST_STREAM" not in done.text
    assert "GOAWAY" not in done.text.partition("send GOAWAY")[0]


@pytest.mark.parity("E2")
async def test_nghttp_forbids_ours(server: OurServer, peers: PeerFinder) -> None:
    done = await run(
        peers.program("nghttp"), "--no-verify-peer", "--timeout=30", "-v", "--no-push", server.url + "/push/2"
    )
    assert "SETTINGS_ENABLE_PUSH(0x02):0" in done.text
    assert ":status: 204" in done.text
    assert "PUSH_PROMISE" not in done.text


# -- our client --------------------------------------------------------------------------------------------------------


class Taken:
    """What our client was pushed."""

    def __init__(self) -> None:
        self.pushes: dict[str, tuple[trio_h2.Headers, trio_h2.Headers, bytes, trio_h2.Headers | None]] = {}

    async def take(self, stream: trio_h2.PushedStream) -> None:
        """The handler."""
        response = await stream.receive_response()
        body = b"".join([chunk async for chunk in stream])
        self.pushes[stream.path] = (stream.headers, response, body, await stream.receive_trailers())


@pytest.fixture(params=["h2c", "tls"])
async def node_url(request: pytest.FixtureRequest, peers: PeerFinder, tls_files: TlsFiles) -> AsyncGenerator[str, None]:
    tls = request.param == "tls"
    files = [tls_files.certificate, tls_files.key] if tls else []
    async with running(peers.program("node"), NODE_SERVER, *files) as program:
        port = (await program.wait_for(r"^listening (\d+)$"))[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"


@pytest.mark.parity("B9", "C5")
async def test_we_take_those_of_node(node_url: str, tls_files: TlsFiles) -> None:
    taken = Taken()
    async with checked_session(node_url, tls_files, push_handler=taken.take) as session:
        # Fewer than max_concurrent_pushes: Node lets no response wait for its turn, but resets those above the limit.
        assert (await fetch(session, "/promise/10")).body == b"from node\n"
        await session.aclose()
    assert sorted(taken.pushes) == sorted(f"/pushed/{number}" for number in range(10))
    promised, response, body, trailers = taken.pushes["/pushed/7"]
    assert (promised[":method"], promised["x-number"]) == ("GET", "7")
    assert (response.status, body) == (200, b"/pushed/7")
    assert trailers is not None
    assert trailers["x-path"] == "/pushed/7"


@pytest.mark.parity("C5")
async def test_we_refuse_those_of_node(peers: PeerFinder, tls_files: TlsFiles) -> None:
    async def refuse(stream: trio_h2.PushedStream) -> None:
        stream.reset(trio_h2.ErrorCode.CANCEL)

    async with running(peers.program("node"), NODE_SERVER) as program:
        port = (await program.wait_for(r"^listening (\d+)$"))[1]
        async with checked_session(f"http://127.0.0.1:{port}", tls_files, push_handler=refuse) as session:
            assert (await fetch(session, "/promise/3")).status == 200
            assert (await fetch(session, "/hello")).status == 200
            for number in range(3):
                line = json.loads((await program.wait_for(rf'^.*"closed":"/pushed/{number}".*$'))[0], object_hook=Seen)
                assert line.rstCode in (0, trio_h2.ErrorCode.CANCEL)  # 0: it was over before


@pytest.mark.parity("B9", "C5")
@pytest.mark.parametrize("tls", [False, True], ids=["h2c", "tls"])
async def test_we_take_those_of_nghttpd(tls: bool, peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"page\n")
    (tmp_path / "style.css").write_bytes(b"body { }\n" * 20_000)
    (tmp_path / "script.js").write_bytes(b"")
    port = free_port()
    options = ["--address=127.0.0.1", f"--htdocs={tmp_path}", "--push=/=/style.css,/script.js", str(port)]
    options += [str(tls_files.key), str(tls_files.certificate)] if tls else ["--no-tls"]
    taken = Taken()
    async with running(peers.program("nghttpd"), *options) as program:
        await program.wait_for_port(port)
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        config = trio_h2.ClientConfig(stream_window=20_000)
        async with checked_session(url, tls_files, config, push_handler=taken.take) as session:
            assert (await fetch(session, "/")).body == b"page\n"
            await session.aclose()
    _, response, body, _ = taken.pushes["/style.css"]
    assert (response.status, body) == (200, b"body { }\n" * 20_000)
    assert taken.pushes["/script.js"][2] == b""

"""Tests of the file share. Run them with: python3 -m pytest test_share.py"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import share
import trio

import trio_h2
from trio_h2.compat import request_handler
from trio_h2.testing import session_pair, tls_server


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[trio_h2.ClientSession]:
    """A client of the service, in memory."""
    async with session_pair(request_handler(share.Share(tmp_path).app)) as (session, _):
        yield session


async def test_a_file_comes_back(session: trio_h2.ClientSession) -> None:
    async with session.request("PUT", "/files/a.txt", body=b"hello") as stream:
        assert (await stream.receive_response()).status == 201
    async with session.request("GET", "/files/a.txt") as stream:
        response = await stream.receive_response()  # the headers, and the status among them
        assert (response.status, response["content-length"]) == (200, "5")
        assert await stream.read() == b"hello"
    async with session.request("GET", "/files") as stream:
        assert await stream.json() == [{"name": "a.txt", "size": 5}]


@pytest.mark.parametrize("path", ["/files/missing", "/files/.hidden", "/files/a/../b", "/elsewhere"])
async def test_there_is_nothing_else(session: trio_h2.ClientSession, path: str) -> None:
    async with session.request("GET", path) as stream:
        assert (await stream.receive_response()).status in (404, 405)


async def test_an_upload_has_a_limit(session: trio_h2.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "MAX_SIZE", 1000)
    async with session.request("PUT", "/files/a.txt", body=bytes(1001)) as stream:
        assert (await stream.receive_response()).status == 413
    async with session.request("GET", "/files") as stream:
        assert await stream.json() == []


async def test_who_watches_is_told(session: trio_h2.ClientSession) -> None:
    async with session.request("GET", "/events") as events:
        await events.receive_response()
        async with session.request("PUT", "/files/a.txt", body=b"hello") as stream:
            await stream.receive_response()
        assert await events.receive_some() == b"a.txt has 5 bytes\n"


async def test_a_client_that_leaves_leaves_nothing_behind(tmp_path: Path) -> None:
    handler = request_handler(share.Share(tmp_path).app)
    async with session_pair(handler) as (session, _), session.request("PUT", "/files/a", end_stream=False) as stream:
        await stream.send_all(b"half")
        stream.reset()
    assert await trio.to_thread.run_sync(lambda: list(tmp_path.iterdir())) == []


async def test_with_curl_over_tls(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    async with tls_server(request_handler(share.Share(tmp_path).app)) as server:  # its certificate is for this test
        curl = ["curl", "--silent", "--http2", "--cacert", str(server.ca_file), f"{server.url}/files"]
        done = await trio.run_process(curl, capture_stdout=True)
        assert json.loads(done.stdout) == [{"name": "a.txt", "size": 5}]

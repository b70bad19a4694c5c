"""Fifty downloads at once, with retries: docs/downloads.md."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import downloads
import kept_session
import one_download
import pytest
import trio

import trio_h2
import trio_h2.files
from tests.docs.conftest import Certificates, contents, serving

if TYPE_CHECKING:
    from pathlib import Path

PATHS = [f"/files/{number}" for number in range(200)]
BODY = bytes(range(256)) * 512


class Troubled:
    """A server on which much goes wrong the first time."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.running = 0
        self.most = 0

    async def handle(self, stream: trio_h2.ServerStream) -> None:
        self.asked[stream.path] += 1
        first, number = self.asked[stream.path] == 1, int(stream.path.rpartition("/")[2])
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if number == 7:
                await stream.respond(404, body=b"")
            elif first and number % 10 == 1:
                await stream.respond(503, body=b"later")
            elif first and number % 10 == 2:
                await stream.respond({"content-length": len(BODY)})
                await stream.send_all(BODY[:1000])
                stream.reset(trio_h2.ErrorCode.INTERNAL_ERROR)
            elif first and number == 53:
                stream.session.shutdown()  # other requests are told to go elsewhere
                await stream.respond(200, body=BODY)
            elif first and number == 113:
                stream.session.destroy()
            else:
                await stream.respond(200, body=BODY)
        finally:
            self.running -= 1


async def test_all_files_arrive_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But the one that does not exist, which is asked for once."""
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    server = Troubled()
    async with serving(server.handle) as running:
        urls = [running.url + path for path in PATHS]
        with trio.fail_after(30):
            async with trio_h2.Client(retry=downloads.RETRY, prior_knowledge=True) as client:
                failed = await downloads.download_all(client, tmp_path, urls)
    assert failed == [urls[7]]
    assert contents(tmp_path) == {f"files_{number}": BODY for number in range(200) if number != 7}
    assert server.asked["/files/7"] == 1
    assert server.most <= downloads.AT_ONCE


async def test_what_is_cut_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is only reset is sent again by the client."""
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    asked: Counter[str] = Counter()

    async def handler(stream: trio_h2.ServerStream) -> None:
        asked[stream.path] += 1
        if stream.path == "/reset" and asked["/reset"] == 1:
            stream.reset(trio_h2.ErrorCode.INTERNAL_ERROR)
        elif stream.path == "/reset":
            await stream.respond(200, body=b"whole")
        else:
            await stream.respond({"content-length": 10})
            await stream.send_all(b"part")
            stream.reset(trio_h2.ErrorCode.INTERNAL_ERROR)

    async with serving(handler) as running, trio_h2.Client(retry=downloads.RETRY, prior_knowledge=True) as client:
        with trio.fail_after(30):
            urls = [f"{running.url}/cut", f"{running.url}/reset"]
            assert await downloads.download_all(client, tmp_path, urls) == urls[:1]
    assert contents(tmp_path) == {"reset": b"whole"}
    assert asked == {"/cut": downloads.RETRIES + 1, "/reset": 2}


async def test_an_interrupted_one_goes_on(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "file").write_bytes(BODY)
    os.utime(tmp_path / "site" / "file", (1, 1))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    monkeypatch.setattr("trio_h2.files._conditions._SETTLED", 0)
    context = certificates.authority.server_context()
    handler = trio_h2.files.DirectoryHandler(tmp_path / "site")
    async with trio_h2.open_server(handler, ssl_context=context) as server:
        url, file = f"{server.url}/file", str(tmp_path / "file")
        with trio.CancelScope() as scope:

            def look(received: int, _expected: int | None) -> None:
                if received >= len(BODY) // 2:  # less may be said to be 0.0 MB
                    scope.cancel()

            with monkeypatch.context() as patch:
                patch.setattr(one_download, "show", look)
                await one_download.download(url, file)
        assert 0 < os.stat(f"{file}.part").st_size <= len(BODY)
        await one_download.download(url, file)
    assert (tmp_path / "file").read_bytes() == BODY
    said = capsys.readouterr().err.split("\r")
    assert said[-1] == "0.1 of 0.1 MB"


async def test_a_certificate_authority_can_be_named(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    certificates.authority.write_ca(tmp_path / "ca.pem")

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"hello")

    async with trio_h2.open_server(handler, ssl_context=certificates.authority.server_context()) as server:
        await downloads.main(str(tmp_path / "out"), [f"{server.url}/a"], tmp_path / "ca.pem")
    assert contents(tmp_path / "out") == {"a": b"hello"}


async def test_a_server_that_is_not_there_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    async with serving(Troubled().handle) as running:
        url = running.url
    with trio.fail_after(30), pytest.raises(SystemExit, match="2 failed"):
        await downloads.main(str(tmp_path), [f"{url}/1", f"{url}/2"])


async def test_a_kept_session_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of docs/keeping-a-session-open.md: many tasks, one session at a time."""
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    server = Troubled()
    answers: list[bytes] = []

    async def ask(kept: kept_session.KeptSession, path: str) -> None:
        answers.append(await kept_session.ask(kept, path))

    async with serving(server.handle) as running, trio.open_nursery() as background:
        kept = kept_session.KeptSession(running.url, background)
        with trio.fail_after(30):
            for start in range(0, 200, 50):
                async with trio.open_nursery() as tasks:
                    for path in PATHS[start : start + 50]:
                        tasks.start_soon(ask, kept, path)
        background.cancel_scope.cancel()
    assert len(answers) == 200
    assert set(answers) == {BODY, b"later", b""}  # 503 and 404 are answers
    assert answers.count(b"") == 1

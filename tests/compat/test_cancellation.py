"""Cancelled at every moment, the handler or the client: the session goes on, and no file stays open."""

from __future__ import annotations

import contextlib
import gc
import logging
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.compat.clients import Http2Client, every_version, served
from tests.stream.harness import pair
from tests.sweep.harness import HandlerCancel
from trio_h2 import ErrorCode, compat
from trio_h2.compat import _multipart
from trio_h2.testing import CancellationSweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio.testing import MockClock

    from tests.compat.clients import Client
    from trio_h2.compat import Request, Response
    from trio_h2.compat._spool import Spool

BODY = bytes(range(250))
FORM = (
    b'--cut\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--cut\r\ncontent-disposition: form-data; name="f"; filename="x"\r\n\r\n' + BODY + b"\r\n--cut--\r\n"
)
SMALL = trio_h2.ServerConfig(stream_window=100, receive_budget=65_535)
"""Windows smaller than the bodies: there is something to wait for."""
EXCHANGES = {
    "/echo": (BODY, {}, BODY),
    "/read": (BODY, {}, BODY),
    "/hints": (b"", {}, b"done"),
    "/form": (FORM, {"content-type": "multipart/form-data; boundary=cut"}, b"1" + BODY),
    "/large": (BODY, {}, b"the body has more than 200 bytes\n"),
}


class App:
    """A handler, and the files it has seen."""

    def __init__(self) -> None:
        self.files: list[Spool] = []
        self._running = 0

    async def wait_idle(self) -> None:
        """Waits until no handler runs; threads take real time."""
        while self._running or not all(file.closed for file in self.files):
            await trio.lowlevel.checkpoint()

    async def __call__(self, request: Request, response: Response) -> None:
        self._running += 1
        try:
            await self._answer(request, response)
        finally:
            self._running -= 1

    async def _answer(self, request: Request, response: Response) -> None:
        match request.path:
            case "/echo":
                async for chunk in request:
                    await response.write(chunk)
                response.add_trailers({"x-sum": "1"})
            case "/read":
                await response.end(await request.read())
                await response.wait_finished()
            case "/hints":
                await response.write_early_hints("</a>; rel=preload")
                await response.write("do")
                await response.end("ne")
            case "/form":
                try:
                    form = await request.form()
                    (file,) = form.files
                    assert not file.in_memory
                    await response.end(form["a"].encode() + await file.read())
                finally:
                    self.files += request._spools
            case _:
                await request.read(max_size=200)


async def exchange(client: Client, path: str) -> None:
    """Makes a request, and checks its response."""
    body, headers, expected = EXCHANGES[path]
    reply = await client.fetch("POST", path, headers={"te": "trailers", **headers}, body=body)
    assert reply.status == (413 if path == "/large" else 200)
    assert reply.body == expected
    assert len(reply.trailers) == (path == "/echo")


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_multipart, "SPOOL_MEMORY", 100)


@contextlib.contextmanager
def _allowed_resets(codes: set[object]) -> Iterator[None]:
    try:
        yield
    except trio_h2.StreamResetError as exc:
        codes.add(exc.code)


@pytest.mark.parity("G2", "G4")
@pytest.mark.parametrize("path", EXCHANGES)
async def test_the_handler(path: str, mock_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    hits = 0
    codes: set[object] = set()
    # Threads take real time, so a form has fewer seeds.
    sweep = CancellationSweep(seeds=(0,) if path == "/form" else (0, 1))
    for run in sweep:
        app = App()
        async with pair(compat.request_handler(app), server_config=SMALL) as (client, server):
            cancel = HandlerCancel(server, run)
            async with run:
                with _allowed_resets(codes):
                    await exchange(Http2Client(client), path)
            hits += cancel.hits
            await exchange(Http2Client(client), "/read")
            await app.wait_idle()
        assert all(file.closed for file in app.files)
    gc.collect()
    assert sweep.points > 10
    assert hits > 4
    assert codes == {ErrorCode.CANCEL}
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parity("G2", "G4")
@pytest.mark.parametrize("path", EXCHANGES)
@every_version
async def test_the_client(version: str, path: str, mock_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    sweep = CancellationSweep(seeds=(0,))
    for run in sweep:
        app = App()
        async with served(version, compat.request_handler(app), config=SMALL) as client:
            async with run:
                await exchange(client, path)
            if run.where is not None:
                await client.give_up()
            await exchange(client, "/read")
            await app.wait_idle()
        assert all(file.closed for file in app.files)
    gc.collect()
    assert sweep.points > 10
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []

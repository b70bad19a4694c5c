"""The programs in docs/request-response.md do what the text says."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import continue_check
import h11
import own_request
import pytest
import request_response
import response_deadlines
import trio
import upload_form

import trio_h2
from tests.compat.clients import Client, every_version, served
from trio_h2.compat import request_handler
from trio_h2.testing import memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from trio.testing import MockClock

    from trio_h2.compat import Request, Response


async def text_of(client: Client, path: str = "/", **headers: str) -> str:
    return (await client.fetch("GET", path, headers=headers)).body.decode()


def saved_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


@every_version
async def test_the_first_program(version: str) -> None:
    async with served(version, request_handler(request_response.app)) as client:
        reply = await client.fetch("GET", "/you?x=y")
        assert (reply.body, reply.headers["cache-control"]) == (b"hello, /you", "no-store")


@every_version
async def test_the_hook(version: str) -> None:
    async with served(version, continue_check.handler) as client:
        for method, status in (("POST", 417), ("PUT", 200)):
            assert (await client.fetch(method, body=b"body", expect_continue=True)).status == status


@every_version
@pytest.mark.parametrize("program", [response_deadlines.report, response_deadlines.live])
@pytest.mark.parametrize("sent", [0, 3])
async def test_a_deadline_that_cuts_a_body_is_seen(
    version: str,
    program: Callable[[Request, Response], Awaitable[None]],
    sent: int,
    complaints: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(sent):
            yield b"part"
        await trio.sleep_forever()

    monkeypatch.setattr(response_deadlines, "parts", parts)
    raises = program is response_deadlines.report
    async with served(version, request_handler(program), raise_handler_errors=not raises) as client:
        if raises and not sent:
            assert (await client.fetch()).status == 500
        else:
            # h11 says it in a nursery of the client: nothing at all, or a body without its last chunk.
            with pytest.raises((trio_h2.StreamResetError, ExceptionGroup)) as cut:
                await client.fetch()
            if isinstance(cut.value, ExceptionGroup):
                assert cut.group_contains((h11.RemoteProtocolError, EOFError, trio.BrokenResourceError))
            await client.give_up()
    assert ("TooSlowError" in complaints.text) == raises


@every_version
@pytest.mark.parametrize("written", [0, 1000, 99_999])
@pytest.mark.parametrize("stuck", [False, True])
@pytest.mark.parametrize("plain", [False, True])
async def test_a_body_with_content_length_never_looks_whole(
    version: str,
    written: int,
    stuck: bool,
    plain: bool,
    complaints: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    """Wherever the deadline strikes: before its first byte, between two pieces, or (*stuck*) inside one."""

    async def body(write: Callable[[bytes], Awaitable[object]]) -> None:
        with trio.move_on_after(1):
            if written:
                await write(bytes(written))
            if stuck:
                await write(bytes(1_000_000 - written))  # the client does not read it all
            else:
                await trio.sleep_forever()

    async def app(request: Request, response: Response) -> None:
        await response.write_head(200, {"content-length": 1_000_000}).flush_headers()
        await body(response.write)

    async def handle(stream: trio_h2.ServerExchange) -> None:
        await stream.respond({":status": 200, "content-length": 1_000_000})
        await body(stream.send_all)

    ours, theirs = memory_transports(50_000)
    async with trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_stream, handle if plain else request_handler(app), theirs, allow_http1=True)
        nursery.start_soon(serve)
        if version == "1.1":
            await ours.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            await trio.sleep(2)
            received = bytearray()
            with contextlib.suppress(trio.BrokenResourceError):
                while data := await ours.receive_some():
                    received += data
            assert len(received.partition(b"\r\n\r\n")[2]) < 1_000_000
            await ours.aclose()
        else:
            config = trio_h2.ClientConfig(stream_window=100_000)
            connect = trio_h2.connect("http://localhost", transport=ours, config=config)
            async with connect as session, session.request("GET") as stream:
                await stream.receive_response()
                await trio.sleep(2)
                with pytest.raises(trio_h2.StreamResetError) as reset:
                    await stream.receive_trailers()
                assert reset.value.code == trio_h2.ErrorCode.INTERNAL_ERROR
    assert complaints.text


async def test_a_class_of_ones_own() -> None:
    async with served("2.0", own_request.handler) as client:
        assert await text_of(client) == "nobody"
        assert await text_of(client, "/", **{"x-user": "me"}) == "me"


async def test_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_form, "folder", tmp_path)
    body = (
        b'--cut\r\ncontent-disposition: form-data; name="name"\r\n\r\nme\r\n'
        b'--cut\r\ncontent-disposition: form-data; name="file"; filename="../x"\r\n\r\nfile\r\n--cut--\r\n'
    )
    async with served("2.0", request_handler(upload_form.upload)) as client:
        headers = {"content-type": "multipart/form-data; boundary=cut"}
        assert (await client.fetch("POST", headers=headers, body=body)).body == b"thank you, me"
    assert saved_in(tmp_path) == [b"file"]


async def test_the_parts_of_a_report(autojump_clock: MockClock) -> None:
    assert [part async for part in response_deadlines.parts()][:2] == [b"part 0\n", b"part 1\n"]

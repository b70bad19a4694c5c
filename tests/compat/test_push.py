"""Responses on pushed streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.compat.clients import served
from tests.compat.test_handler import MyRequest, MyResponse
from tests.stream.harness import pair, scripted_client
from trio_h2 import ErrorCode, LocalProtocolError, compat
from trio_h2.testing import DataFrame, PushPromiseFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.compat.clients import StreamHandler
    from trio_h2.compat import Request, Response


async def pushed_by(handler: StreamHandler) -> dict[str, tuple[int, str | None, bytes]]:
    """Returns what *handler* pushes."""
    taken: dict[str, tuple[int, str | None, bytes]] = {}

    async def take(stream: trio_h2.PushedStream) -> None:
        response = await stream.receive_response()
        body = b"".join([bytes(chunk) async for chunk in stream])
        taken[stream.path] = (response.status, response.get("x"), body)

    async with pair(handler, push_handler=take) as (client, _server):
        async with client.request("GET") as stream:
            assert await stream.receive_some() == b"page"
        await trio.testing.wait_all_tasks_blocked()
    return taken


@pytest.mark.parity("G5", "G6")
async def test_a_pushed_response(autojump_clock: MockClock) -> None:
    async def app(request: MyRequest, response: MyResponse) -> None:
        assert response.push_allowed
        style = await response.push({":path": "/style.css", "accept": "text/css"})
        assert type(style) is MyResponse
        assert type(style.request) is MyRequest
        assert (style.request.method, style.request.url) == ("GET", "/style.css")
        assert style.request.headers["accept"] == "text/css"
        assert style.request.authority == request.authority
        assert style.request.complete
        assert not style.push_allowed
        style.set_header("x", "1")
        await style.write("a {}")
        await style.end("b {}")
        head = await response.push({":path": "/head", ":method": "HEAD"})
        await head.write_head(404).end("dropped")
        await response.end("page")

    handler = compat.request_handler(app, request_class=MyRequest, response_class=MyResponse)
    assert await pushed_by(handler) == {"/style.css": (200, "1", b"a {}b {}"), "/head": (404, None, b"")}


@pytest.mark.parity("G5")
async def test_what_the_handler_forgot_is_ended(autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        (await response.push({":path": "/head"})).write_head(404)
        await (await response.push({":path": "/begun"})).write("begun")
        await response.end("page")

    assert await pushed_by(compat.request_handler(app)) == {
        "/head": (404, None, b""),
        "/begun": (200, None, b"begun"),
    }


@pytest.mark.parity("G5")
async def test_nothing_at_all_is_reset(autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.push({":path": "/never"})
        await response.end("page")

    async with scripted_client(compat.request_handler(app), settings={trio_h2.SettingCode.ENABLE_PUSH: 1}) as (_, peer):
        await peer.request()
        await peer.expect(PushPromiseFrame, promised_stream_id=2)
        await peer.expect_headers(1, status=200)
        await peer.expect_data(1, b"page", end_stream=True)
        await peer.expect_rst(2, ErrorCode.CANCEL)


@pytest.mark.parity("G5")
async def test_a_push_that_nobody_wants(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async def app(request: Request, response: Response) -> None:
        style = await response.push({":path": "/style.css"})
        style.set_header("x", "1")
        await trio.sleep(1)
        await response.end("page")

    async with scripted_client(compat.request_handler(app), settings={trio_h2.SettingCode.ENABLE_PUSH: 1}) as (_, peer):
        await peer.request()
        await peer.expect(PushPromiseFrame, promised_stream_id=2)
        await peer.send_rst(2, ErrorCode.CANCEL)
        await peer.expect_headers(1, status=200)
        assert await peer.collect_body(1) == b"page"
        await peer.expect_nothing()
    assert [record for record in caplog.records if record.name == "trio_h2.server"] == []


@pytest.mark.parity("G5")
@pytest.mark.parametrize("when", ["ended", "pushed", "unwanted", "destroyed", "1.1"])
async def test_when_there_is_no_push(when: str, autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        one, reason = response, "allows no pushes"
        if when == "ended":
            await response.end("page")
            reason = "the response has ended"
        elif when == "pushed":
            one, reason = await response.push({":path": "/"}), "cannot push"
        elif when == "destroyed":
            response.destroy()
        elif when == "1.1":
            reason = "no push over HTTP/1.1"
        assert not one.push_allowed
        error = trio.ClosedResourceError if when == "destroyed" else LocalProtocolError
        with pytest.raises(error, match="closed on this side" if when == "destroyed" else reason):
            await one.push({":path": "/style.css"})
        if when != "destroyed":
            await response.end("" if when == "ended" else "page")

    handler = compat.request_handler(app)
    if when == "1.1":
        async with served(when, handler) as client:
            assert (await client.fetch()).body == b"page"
        return
    allowed = {trio_h2.SettingCode.ENABLE_PUSH: int(when != "unwanted")}
    async with scripted_client(handler, settings=allowed) as (_server, peer):
        await peer.request()
        if when == "destroyed":
            await peer.expect_rst(1, ErrorCode.CANCEL)
        else:
            await peer.until(DataFrame, stream_id=1, data=b"page")

"""Clients that take only tiny header lists (SETTINGS_MAX_HEADER_LIST_SIZE): that is theirs, and no error of the app."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import served
from trio_h2 import ErrorCode, HeadersTooLargeError
from trio_h2.compat import request_handler
from trio_h2.testing import RstStreamFrame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_h2 import ServerStream
    from trio_h2.compat import Request, Response

Log = pytest.LogCaptureFixture
MAX_HEADER_LIST_SIZE = 6


async def plain(stream: ServerStream) -> None:
    await stream.respond({":status": 200, "x": "y" * 500}, body=b"hello")


async def in_a_nursery(stream: ServerStream) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(plain, stream)


async def with_trailers(stream: ServerStream) -> None:
    await stream.respond(200)
    await stream.send_all(b"hello")
    await stream.send_trailers({"x": "y" * 500})


async def with_a_push(stream: ServerStream) -> None:
    await stream.push({":path": "/" + "x" * 500})


@request_handler
async def of_compat(request: Request, response: Response) -> None:
    response.set_header("x", "y" * 500)
    await response.send_text("hello")


@pytest.mark.parametrize("handler", [plain, in_a_nursery, with_trailers, with_a_push, of_compat])
async def test_no_error_of_the_application(
    handler: Callable[[ServerStream], Awaitable[None]], caplog: Log, autojump_clock: object
) -> None:
    """The log tells it at INFO, without a traceback; the client gets what goes out, and the session goes on."""
    caplog.set_level(logging.INFO, "trio_h2.server")
    async with served(handler, settings={MAX_HEADER_LIST_SIZE: 200}) as (peer, session):
        stream_id = await peer.request()
        status = (await peer.expect_headers(stream_id=stream_id)).status
        if handler is with_trailers:
            assert status == 200
            assert (await peer.until(RstStreamFrame)).code == ErrorCode.INTERNAL_ERROR
        else:
            assert status == 500
        await peer.ping()
        assert not session.closed
        await peer.aclose()
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    (record,) = (record for record in caplog.records if "does not take" in record.getMessage())
    assert record.exc_info is None
    assert "the client does not take the response to GET /: the headers have " in record.getMessage()
    assert "the peer accepts at most 200 (its SETTINGS_MAX_HEADER_LIST_SIZE)" in record.getMessage()


async def test_large_headers_for_a_usual_client_are_an_error_of_the_application(
    caplog: Log, autojump_clock: object
) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond({":status": 200, "x": "y" * 20_000})

    async with served(handler, settings={MAX_HEADER_LIST_SIZE: 16_384}) as (peer, _):
        assert (await peer.expect_headers(stream_id=await peer.request())).status == 500
        await peer.aclose()
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert "the handler of GET / raised" in record.getMessage()


async def test_a_handler_may_send_less_instead(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        with pytest.raises(HeadersTooLargeError) as caught:
            await stream.respond({":status": 200, "x": "y" * 500})
        assert caught.value.limit == 200
        await stream.respond(200, send_date=False)

    async with served(handler, settings={MAX_HEADER_LIST_SIZE: 200}) as (peer, _):
        assert (await peer.expect_headers(stream_id=await peer.request())).status == 200
        await peer.aclose()

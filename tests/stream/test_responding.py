"""What a handler may answer, in which order, and what is on the wire then."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, pair, scripted_client
from trio_h2 import SettingCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio.testing import MockClock

    from trio_h2.testing import HeadersFrame

_NO_DATE = trio_h2.ServerConfig(send_date=False)


async def _answer_of(handler: object, method: str = "GET") -> tuple[HeadersFrame, bytes]:
    """Returns response headers and body that a handler's client sees."""
    async with scripted_client(cast("Exchanges", handler).handle, config=_NO_DATE) as (_server, peer):
        stream_id = await peer.request(method)
        headers = await peer.expect_headers(stream_id)
        body = b"" if headers.end_stream else await peer.collect_body(stream_id)
        await peer.expect_nothing()
        return headers, body


class _Responds:
    """A handler that responds with these arguments."""

    def __init__(
        self, headers: Mapping[str, object] | int | None = None, body: bytes | None = None, *, end_stream: bool = False
    ) -> None:
        self._headers = headers
        self._body = body
        self._end_stream = end_stream

    async def handle(self, stream: trio_h2.ServerStream) -> None:
        headers = cast("trio_h2.HeadersInput | int | None", self._headers)
        await stream.respond(headers, body=self._body, end_stream=self._end_stream)


# -- one unit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("E4")
async def test_without_arguments_it_is_200(autojump_clock: MockClock) -> None:
    headers, body = await _answer_of(_Responds())
    assert (headers.fields, body) == (((b":status", b"200"),), b"")
    assert not headers.end_stream


async def test_a_body_makes_one_unit(autojump_clock: MockClock) -> None:
    headers, body = await _answer_of(_Responds({":status": 201, "A": "b"}, b"hello"))
    assert headers.fields == ((b":status", b"201"), (b"a", b"b"), (b"content-length", b"5"))
    assert body == b"hello"


async def test_an_empty_body_ends_with_the_headers(autojump_clock: MockClock) -> None:
    headers, _ = await _answer_of(_Responds(404, b""))
    assert headers.end_stream
    assert headers.get("content-length") == "0"


@pytest.mark.parity("E4")
async def test_end_stream_ends_with_the_headers(autojump_clock: MockClock) -> None:
    headers, _ = await _answer_of(_Responds(403, end_stream=True))
    assert headers.end_stream
    assert headers.get("content-length") is None


async def test_a_body_leaves_in_one_write_with_its_headers(autojump_clock: MockClock) -> None:
    async with scripted_client(_Responds(body=b"x" * 100).handle) as (server, peer):
        await peer.request()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().queued_output == 0
        before = len(peer.frames)
        await peer.expect_headers()
        await peer.expect_data(data=b"x" * 100, end_stream=True)
        assert len(peer.frames) == before + 2


async def test_a_long_body_is_sent_after_the_handler_has_returned(autojump_clock: MockClock) -> None:
    async with scripted_client(_Responds(body=bytes(300_000)).handle) as (server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, fields={"content-length": "300000"})
        await trio.testing.wait_all_tasks_blocked()
        numbers = server.statistics()
        assert (numbers.running_handlers, numbers.queued_body) == (0, 300_000 - 65_535)
        assert len(await peer.collect_body(stream_id)) == 300_000


# -- content-length ----------------------------------------------------------------------------------------------------


@pytest.mark.parity("E4", "J8", "K1")
@pytest.mark.parametrize(
    ("headers", "body", "end_stream"),
    [
        ({"content-length": "4"}, b"12345", False),
        ({"content-length": "4"}, b"", False),
        ({"content-length": "4"}, None, True),
        ({":status": "205", "content-length": "4"}, None, False),
        ({":status": "205", "content-length": "4"}, b"", False),
        ({":status": "204", "content-length": "0"}, None, False),
        ({"content-length": "four"}, b"1234", False),
    ],
)
async def test_a_length_that_cannot_be_true_is_refused(
    autojump_clock: MockClock, headers: dict[str, str], body: bytes | None, end_stream: bool
) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(ValueError, match="content-length"):
            await stream.respond(headers, body=body, end_stream=end_stream)
        await stream.respond(200, body=b"fine")

    async with pair(handler) as (client, _server), client.request("GET") as stream:
        assert await stream.receive_some() == b"fine"


@pytest.mark.parametrize("body", [None, b""])
async def test_a_304_may_name_the_length_of_what_it_does_not_send(
    autojump_clock: MockClock, body: bytes | None
) -> None:
    headers, _ = await _answer_of(_Responds({":status": 304, "content-length": 1234}, body))
    assert headers.end_stream
    assert headers.get("content-length") == "1234"


async def test_a_handler_that_stays_short_resets(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"content-length": 10})
        await stream.send_all(b"short")

    async with scripted_client(handler) as (_server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id)
        await peer.expect_data(stream_id, b"short", end_stream=False)
        await peer.expect_rst(stream_id, trio_h2.ErrorCode.INTERNAL_ERROR)
        await peer.request()  # the session lives
        await peer.expect_headers()
    assert "body short" in caplog.text


# -- no content --------------------------------------------------------------------------------------------------------


@pytest.mark.parity("E4")
@pytest.mark.parametrize("respond_with_body", [True, False])
async def test_head_ends_with_the_headers_and_drops_the_body(
    autojump_clock: MockClock, respond_with_body: bool
) -> None:
    finished = False

    class Page:
        async def handle(self, stream: trio_h2.ServerStream) -> None:
            """One handler for GET and HEAD."""
            nonlocal finished
            if respond_with_body:
                await stream.respond(body=b"0123456789")
                finished = True
                return
            await stream.respond({"content-length": 10})
            with trio.testing.assert_checkpoints():
                await stream.send_all(b"01234")
            await stream.send_all(b"56789")
            await stream.send_all(b"too much, but nobody counts")
            await stream.wait_send_all_might_not_block()
            await stream.send_eof()
            await stream.send_eof()
            finished = True

    headers, body = await _answer_of(Page(), "HEAD")
    assert finished
    assert headers.end_stream
    assert headers.get("content-length") == "10"
    assert body == b""


async def test_after_the_answer_to_head_no_reset_matters(autojump_clock: MockClock) -> None:
    done = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await trio.sleep(1)
        await stream.send_all(b"dropped")
        done.set()

    async with scripted_client(handler) as (_server, peer):
        stream_id = await peer.request("HEAD", end_stream=False)
        await peer.expect_headers(stream_id, end_stream=True)
        await peer.send_rst(stream_id)
        with trio.fail_after(5):
            await done.wait()


# -- order -------------------------------------------------------------------------------------------------------------


async def test_after_the_own_close_no_response(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.aclose()
        for call in (stream.respond(200), stream.send_informational(103), stream.send_all(b"")):
            with pytest.raises(trio.ClosedResourceError):
                await call

    async with scripted_client(handler) as (_server, peer):
        stream_id = await peer.request()
        await peer.expect_rst(stream_id, trio_h2.ErrorCode.CANCEL)
        await peer.expect_nothing()


@pytest.mark.parity("E1")
async def test_interim_responses_come_first(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with trio.testing.assert_checkpoints():
            await stream.send_informational(100)
        await stream.send_informational(103, {"link": "</style.css>"})
        for status in (99, 101, 200):
            with pytest.raises(ValueError, match="1"):
                await stream.send_informational(status)
        with trio.testing.assert_checkpoints():
            await stream.respond(200)
        assert [headers.status for headers in stream.sent_info_headers] == [100, 103]

    async with pair(handler) as (client, _server), client.request("GET") as stream:
        assert (await stream.receive_response()).status == 200
        assert [(headers.status, headers.get("link")) for headers in stream.informational] == [
            (100, None),
            (103, "</style.css>"),
        ]


@pytest.mark.parity("E4", "K1")
@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({":status": "99"}, ValueError),
        ({":status": "100"}, ValueError),
        (1000, ValueError),
        (True, TypeError),
        ({":path": "/"}, ValueError),
        ({"a": "line\r\nbreak"}, ValueError),
        ({"transfer-encoding": "chunked"}, ValueError),
    ],
)
async def test_bad_headers_are_refused_at_the_call(
    autojump_clock: MockClock, headers: dict[str, str] | int, error: type[Exception]
) -> None:
    class Handler:
        async def handle(self, stream: trio_h2.ServerStream) -> None:
            with pytest.raises(error):
                await stream.respond(headers)
            await stream.respond(200, body=b"fine")

    assert (await _answer_of(Handler()))[1] == b"fine"


@pytest.mark.parametrize("body", [5, "text", [1, 2]])
async def test_a_body_is_bytes(autojump_clock: MockClock, body: object) -> None:
    class Handler:
        async def handle(self, stream: trio_h2.ServerStream) -> None:
            with pytest.raises(TypeError):
                await stream.respond(200, body=cast("bytes", body))
            await stream.respond(200, body=b"fine")

    assert (await _answer_of(Handler()))[1] == b"fine"


async def test_headers_larger_than_the_client_takes_are_refused(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(trio_h2.LocalProtocolError, match="at most 100"):
            await stream.respond({"x": "y" * 100})
        with pytest.raises(trio_h2.LocalProtocolError, match="at most 100"):
            await stream.send_informational(103, {"x": "y" * 100})
        await stream.respond(200)
        with pytest.raises(trio_h2.LocalProtocolError, match="at most 100"):
            await stream.send_trailers({"x": "y" * 100})
        await stream.send_trailers({"x": "y"})

    settings = {SettingCode.MAX_HEADER_LIST_SIZE: 100}
    async with scripted_client(handler, config=_NO_DATE, settings=settings) as (_server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, status=200)
        await peer.expect_headers(stream_id, end_stream=True)
        await peer.expect_nothing()


@pytest.mark.parity("E4")
@pytest.mark.parametrize("given", [True, False])
async def test_a_date_is_added(autojump_clock: MockClock, given: bool) -> None:
    own = "Thu, 01 Jan 1970 00:00:00 GMT"

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"Date": own} if given else None)

    async with pair(handler) as (client, _server), client.request("GET") as stream:
        response = await stream.receive_response()
        dates = response.get_all("date")
        assert len(dates) == 1
        assert parsedate_to_datetime(dates[0]).tzinfo is not None
        assert (dates[0] == own) is given


@pytest.mark.parity("E4")
async def test_one_response_without_a_date(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"", send_date=stream.path == "/dated")

    async with pair(handler) as (client, _server):
        for path, dates in (("/", 0), ("/dated", 1)):
            async with client.request("GET", path) as stream:
                assert len((await stream.receive_response()).get_all("date")) == dates


@pytest.mark.parity("E2")
async def test_it_is_known_whether_the_headers_were_sent(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        known = [stream.headers_sent]
        await stream.send_informational(103)
        known.append(stream.headers_sent)
        await stream.respond()
        known.append(stream.headers_sent)
        assert known == [False, False, True]

    async with pair(handler) as (client, _server), client.request("GET") as stream:
        assert await stream.receive_some() == b""

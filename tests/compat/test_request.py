"""What a request tells, its body as a stream, its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.compat.clients import every_version, served
from tests.stream.harness import pair, scripted_client
from trio_h2 import ErrorCode, Headers, compat

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.compat import Request, Response


@pytest.mark.parity("G1")
@every_version
async def test_what_a_request_tells(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        assert request.method == "PUT"
        assert request.url == "/a%20b/c?d=e&f=%3D&d="
        assert request.path == "/a%20b/c"
        assert request.query == [("d", "e"), ("f", "="), ("d", "")]
        assert request.authority == "localhost"
        assert request.scheme == "http"
        assert request.http_version == version
        assert (request.http_version_major, request.http_version_minor) == tuple(map(int, version.split(".")))
        assert request.headers[":method"] == "PUT"
        assert request.headers[":path"] == request.url
        assert request.headers["X-Two"] == "1, 2"
        assert (b":method", b"PUT") in request.raw_headers
        spelled = b"x-two" if version == "2.0" else b"X-Two"  # HTTP/2 has no other names (RFC 9113 §8.2.1)
        assert [value for name, value in request.raw_headers if name == spelled] == [b"1, 2"]
        assert all(name == name.lower() for name in request.headers)
        assert not request.expects_continue
        assert repr(request) == "<Request PUT /a%20b/c?d=e&f=%3D&d=>"
        assert response.request is request
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch("PUT", "/a%20b/c?d=e&f=%3D&d=", headers={"X-Two": "1, 2"}, body=b"body")
    assert reply.status == 200


@pytest.mark.parity("G1")
async def test_a_url_with_raw_bytes() -> None:
    """Path and query are what they would be if the client had percent-encoded them."""

    async def app(request: Request, response: Response) -> None:
        request.url = "/é?q=ü".encode().decode("latin-1")  # as header fields show bytes
        assert (request.path, request.query) == ("/%C3%A9", [("q", "ü")])
        await response.end()

    async with served("2.0", compat.request_handler(app)) as client:
        assert (await client.fetch("GET", "/")).status == 200


@pytest.mark.parity("G1")
@every_version
async def test_altering_what_it_tells_breaks_nothing(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        with pytest.raises(TypeError):
            request.headers["x"] = "y"  # type: ignore[index]
        raw = request.raw_headers
        raw.clear()
        assert request.raw_headers
        request.headers = Headers({":method": "GET", "content-length": 0, "content-type": "text/plain; charset=no"})
        assert request.method == "POST"
        request.method = "GET"
        request.url = "/rewritten?q=1"
        assert (request.path, request.query) == ("/rewritten", [("q", "1")])
        assert await request.text() == "body"
        await response.end("fine")

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch("POST", "/there", body=b"body")).body == b"fine"


@pytest.mark.parity("G1")
@every_version
async def test_trailers_are_empty_until_the_end(version: str, autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        await trio.sleep(1)
        assert (request.trailers == {}, request.raw_trailers, request.complete) == (True, [], False)
        assert await request.read() == b"body"
        assert request.complete
        assert request.trailers["x-sum"] == "4"
        assert request.raw_trailers == [(b"x-sum" if version == "2.0" else b"X-Sum", b"4")]
        assert await request.receive_trailers() == request.trailers
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch("POST", body=b"body", headers={"trailer": "x-sum"}, trailers={"X-Sum": "4"})
    assert reply.status == 200


@pytest.mark.parity("G1")
@every_version
async def test_waiting_for_trailers_throws_the_body_away(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        assert await request.receive_some(2) == b"bo"
        assert await request.receive_trailers() == {}
        assert request.complete
        assert await request.receive_some() == b""
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch("POST", body=b"body" * 1000)).status == 200


@pytest.mark.parity("G1")
@every_version
async def test_a_request_without_a_body_is_complete(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        assert request.complete
        assert await request.read() == b""
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).status == 200


@pytest.mark.parity("G1")
@every_version
async def test_what_it_runs_on(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        if version == "2.0":
            assert isinstance(request.stream, trio_h2.ServerStream)
            assert request.transport is request.stream.session.transport
        else:
            assert request.stream is None
        assert not request.transport.encrypted
        assert request.transport.peer_address is None
        for refused in (request.transport.send_eof, request.transport.aclose, request.transport.receive_some):
            with pytest.raises(trio_h2.LocalProtocolError):
                refused()
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).status == 200


# -- the body as a stream ----------------------------------------------------------------------------------------------


@pytest.mark.parity("G2")
@every_version
async def test_the_body_is_a_stream(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        async for chunk in request:
            await response.write(chunk)
        assert request.complete
        with trio.testing.assert_checkpoints():
            assert await request.receive_some() == b""
        await response.end()

    body = bytes(range(256)) * 1000
    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch("POST", body=body)).body == body


@pytest.mark.parity("G2")
@every_version
async def test_no_more_octets_than_wanted(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        sizes = []
        while chunk := await request.receive_some(300):
            sizes.append(len(chunk))
        assert max(sizes) == 300
        assert sum(sizes) == 1000
        for wrong in (0, -1):
            with pytest.raises(ValueError, match="max_bytes"):
                await request.receive_some(wrong)
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch("POST", body=b"x" * 1000)).status == 200


@pytest.mark.parity("G2")
async def test_an_unread_body_holds_the_client_back(autojump_clock: MockClock) -> None:
    """No more is received than the stream's window, however long the handler takes."""
    go_on = trio.Event()

    async def app(request: Request, response: Response) -> None:
        assert request.stream is not None
        await go_on.wait()
        assert len(await request.read()) == 300_000
        await response.end()

    config = trio_h2.ServerConfig(stream_window=65_535)
    async with (
        pair(compat.request_handler(app), server_config=config) as (client, server),
        client.request("POST", body=bytes(300_000)) as stream,
    ):
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().ledger.held == 65_535
        go_on.set()
        assert (await stream.receive_response()).status == 200


# -- its end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("G2")
@pytest.mark.parametrize("error", [None, ValueError("enough")])
async def test_destroying_it_resets(error: Exception | None, autojump_clock: MockClock) -> None:
    seen: list[bool] = []

    async def app(request: Request, response: Response) -> None:
        states = [request.destroyed]
        request.destroy(error)
        request.destroy(KeyError("too late"))
        states.append(request.destroyed)
        assert states == [False, True]
        assert response.destroyed
        assert request.aborted
        assert request.closed
        assert request.complete
        for call in (request.read, response.flush_headers, response.end):
            with pytest.raises(trio.ClosedResourceError) as info:
                await call()
            assert info.value.__cause__ is error
        seen.append(await request.wait_aborted())

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.expect_rst(stream_id, ErrorCode.CANCEL if error is None else ErrorCode.INTERNAL_ERROR)
    assert seen == [True]


@pytest.mark.parity("G1", "G2")
async def test_an_abort_can_be_waited_for(autojump_clock: MockClock) -> None:
    """For servers that do not cancel the handler."""
    seen: list[object] = []

    async def app(request: Request, response: Response) -> None:
        assert not request.aborted
        seen.append(await request.wait_aborted())
        seen.append(request.aborted)
        assert request.complete
        with pytest.raises(trio_h2.StreamResetError):
            await request.wait_closed()
        with pytest.raises(trio_h2.StreamResetError):
            await response.wait_closed()

    handler = compat.request_handler(app)
    async with scripted_client(handler, cancel_handler_on_reset=False) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        await peer.send_rst(stream_id, ErrorCode.CANCEL)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == [True, True]


@pytest.mark.parity("G2")
async def test_a_normal_end_can_be_waited_for(autojump_clock: MockClock) -> None:
    seen: list[object] = []

    async def app(request: Request, response: Response) -> None:
        await request.read()
        await response.end()
        await request.wait_closed()
        await response.wait_closed()
        seen.append(await request.wait_aborted())
        assert request.closed
        assert response.closed
        assert not request.aborted

    async with served("2.0", compat.request_handler(app)) as client:
        await client.fetch("POST", body=b"body")
    assert seen == [False]


@pytest.mark.parity("G2")
async def test_by_default_an_abort_cancels_the_handler(autojump_clock: MockClock) -> None:
    cancelled: list[str] = []

    async def app(request: Request, response: Response) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(request.url)
            raise

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        stream_id = await peer.request("GET")
        await trio.testing.wait_all_tasks_blocked()
        await peer.send_rst(stream_id, ErrorCode.CANCEL)
        await trio.testing.wait_all_tasks_blocked()
    assert cancelled == ["/"]


@pytest.mark.parity("G2", "G4")
async def test_an_idle_exchange_is_reset(autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        request.idle_timeout = 5
        assert response.idle_timeout == 5
        response.idle_timeout = 7
        assert request.idle_timeout == 7
        await trio.sleep_forever()

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        start = trio.current_time()
        stream_id = await peer.request("GET")
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        assert trio.current_time() - start == pytest.approx(7, abs=0.1)


@pytest.mark.parity("G2", "G4")
@pytest.mark.parametrize("side", ["request", "response"])
@every_version
async def test_a_hook_keeps_an_idle_exchange(side: str, version: str, autojump_clock: MockClock) -> None:
    calls: list[float] = []

    async def app(request: Request, response: Response) -> None:
        start = trio.current_time()
        one = request if side == "request" else response
        one.set_idle_timeout(5, lambda: calls.append(trio.current_time() - start))
        await trio.sleep(12)
        await response.end("late")

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).body == b"late"
    assert calls == pytest.approx([5, 10], abs=0.1)


@pytest.mark.parity("G2")
@every_version
async def test_a_timeout_is_a_cancel_scope(version: str, autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        with trio.move_on_after(3) as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught
        response.status_code = 503
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).status == 503


def test_requests_are_not_made_by_users() -> None:
    with pytest.raises(TypeError, match="Request has no public constructor; request_handler"):
        compat.Request()  # type: ignore[call-arg]


@every_version
async def test_it_tells_when_the_server_shuts_down(version: str, autojump_clock: MockClock) -> None:
    seen: list[bool] = []

    async def app(request: Request, response: Response) -> None:
        seen.append(request.draining)
        with trio.move_on_after(1) as scope:
            await request.wait_draining()
        assert scope.cancelled_caught
        request._exchange.session.shutdown()
        with trio.testing.assert_checkpoints():
            await request.wait_draining()
        seen.append(request.draining)
        await response.end(b"done")

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).body == b"done"
    assert seen == [False, True]


@every_version
async def test_a_response_knows_what_it_runs_on(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        assert response.stream is request.stream
        assert (response.stream is None) == (version == "1.1")
        assert response.transport is request.transport
        await response.end(b"done")

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).body == b"done"

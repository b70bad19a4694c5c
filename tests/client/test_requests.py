"""Requests and responses of a client, over both versions of HTTP."""

from __future__ import annotations

import contextlib
import pickle
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.client.network import network, ours, scripted, until_closed
from trio_h2 import Client, ErrorCode, Timeouts
from trio_h2.testing import HeadersFrame, RstStreamFrame

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from trio.testing import MockClock

    from tests.client.network import Handler, Serve
    from trio_h2.testing import ScriptedPeer

URL = "http://a.example"
both = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])


@contextlib.asynccontextmanager
async def _served(
    *servers: Serve, http1: bool = False, timeouts: Timeouts | None = None
) -> AsyncGenerator[Client, None]:
    async with (
        network(*servers) as made,
        Client(transport=made, prior_knowledge=not http1, timeouts=timeouts) as client,
    ):
        yield client


def _handler(handler: Handler) -> Serve:
    return ours(handler, http1=True)


async def _echo(stream: trio_h2.ServerStream) -> None:
    body = await stream.read()
    await stream.respond({":status": 200, "x-method": stream.method, "x-path": stream.path}, body=body)


@both
async def test_what_a_request_says(http1: bool, autojump_clock: MockClock) -> None:
    async def tell(stream: trio_h2.ServerStream) -> None:
        names = "user-agent", "accept", "x-own", "content-length"
        seen = {name: stream.headers.get(name) for name in names}
        await stream.respond(200, body=repr((stream.method, stream.path, stream.authority, seen)).encode())

    async with _served(_handler(tell), http1=http1) as client:
        response = await client.get(f"{URL}:8080/a b/ü?x=1", params={"y": ["2", "ä&"], "z": 3}, headers={"x-own": "v"})
        agent = f"trio-h2/{trio_h2.__version__}"
        fields = {"user-agent": agent, "accept": "*/*", "x-own": "v", "content-length": None}
        path = "/a%20b/%C3%BC?x=1&y=2&y=%C3%A4%26&z=3"
        assert response.text == repr(("GET", path, "a.example:8080", fields))
        assert response.url == f"{URL}:8080/a b/ü?x=1&y=2&y=%C3%A4%26&z=3"
        response = await client.fetch("POST", URL, headers=[("User-Agent", "mine"), ("Accept", "text/plain")])
        fields = {"user-agent": "mine", "accept": "text/plain", "x-own": None, "content-length": "0"}
        assert response.text == repr(("POST", "/", "a.example", fields))


async def test_http2_only_means_http2(autojump_clock: MockClock) -> None:
    async def tell(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"told")

    async with network(_handler(tell)) as made, Client(transport=made, http1=False) as client:
        assert (await client.get(URL)).http_version == "2"


@both
async def test_no_headers_but_those_of_the_request(http1: bool, autojump_clock: MockClock) -> None:
    async def tell(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=repr(sorted(name for name in stream.headers if name[:1] != ":")).encode())

    async with (
        network(_handler(tell)) as made,
        Client(transport=made, prior_knowledge=not http1, default_headers=False, headers={"x-a": "1"}) as client,
    ):
        assert (await client.get(URL, headers={"x-b": "2"})).text == repr(["x-a", "x-b"])


@both
async def test_headers_of_the_client(http1: bool, autojump_clock: MockClock) -> None:
    async def tell(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=f"{stream.headers['user-agent']} {stream.headers.get('x-a')}".encode())

    async with (
        network(_handler(tell)) as made,
        Client(transport=made, prior_knowledge=not http1, headers={"User-Agent": "me", "X-A": "1"}) as client,
    ):
        assert (await client.get(URL)).text == "me 1"
        assert (await client.get(URL, headers={"x-a": "2"})).text == "me 2"
        assert (await client.get(URL, headers={"X-A": "3"})).text == "me 3"


@both
@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
async def test_bodies_both_ways(size: int, http1: bool, autojump_clock: MockClock) -> None:
    async def echo(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=await stream.read(max_size=10_000_000))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 70_000):
            yield body[start : start + 70_000]
            await trio.sleep(0.01)

    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with _served(_handler(echo), http1=http1) as client:
        for sent in body, pieces(), pieces:
            response = await client.fetch("POST", URL, body=sent, max_size=10_000_000)
            assert response.content == body
        assert client.statistics().opened == 1
        assert client.statistics().requests == 0


@both
async def test_a_response_piece_by_piece(http1: bool, autojump_clock: MockClock) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        await stream.send_informational(103, {"link": "</x>"})
        await stream.respond({":status": 201, "x-a": "b"}, end_stream=False)
        for piece in b"one", b"two":
            await stream.send_all(piece)
            await trio.sleep(1)
        await stream.send_trailers({"x-sum": "6"})

    async with _served(_handler(answer), http1=http1) as client, client.request("GET", f"{URL}/p") as response:
        assert (response.status, response.ok, response.headers["x-a"]) == (201, True, "b")
        assert response.http_version == ("1.1" if http1 else "2")
        assert (response.method, response.url, response.history) == ("GET", f"{URL}/p", ())
        assert [head.status for head in response.informational] == [103]
        before = response.trailers
        assert before is None
        with pytest.raises(RuntimeError, match="read"):
            _ = response.content
        with trio.move_on_after(0.5):
            await response.receive_some()
        assert b"".join([piece async for piece in response]) in (b"two", b"onetwo")
        assert response.trailers is not None
        assert response.trailers["x-sum"] == "6"
        assert await response.receive_some() == b""


@both
async def test_iterating_has_a_checkpoint(http1: bool, autojump_clock: MockClock) -> None:
    async with _served(_handler(_echo), http1=http1) as client:
        for body in b"x", b"":
            async with client.request("POST", URL, body=body) as response:
                with trio.testing.assert_checkpoints():
                    assert b"".join([piece async for piece in response]) == body
            async with client.request("POST", URL, body=body) as response:
                assert await response.receive_some() == body
                with trio.testing.assert_no_checkpoints():  # the piece, or the end, was one
                    assert [piece async for piece in response] == []


@both
async def test_text_and_json(http1: bool, autojump_clock: MockClock) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        kind, body = {
            "/latin": ("text/plain; charset=latin-1", "grün".encode("latin-1")),
            "/json": ("application/json", b'{"a": [1, null]}'),
        }[stream.path]
        await stream.respond({":status": 200, "content-type": kind}, body=body)

    async with _served(_handler(answer), http1=http1) as client:
        latin = await client.get(f"{URL}/latin")
        assert (latin.text, latin.decode("cp1252"), latin.content) == ("grün", "grün", b"gr\xfcn")
        assert (await client.get(f"{URL}/json")).json() == {"a": [1, None]}
        with pytest.raises(trio_h2.BodyDecodeError, match="not JSON"):
            latin.json()
        with pytest.raises(trio_h2.BodyDecodeError, match="byte 2 is wrong"):
            latin.decode("utf-8")


@both
async def test_too_large_a_body_is_refused(http1: bool, autojump_clock: MockClock) -> None:
    async def large(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=bytes(2_000_000))

    async with _served(_handler(large), http1=http1) as client:
        with pytest.raises(trio_h2.BodyTooLargeError, match="max_size=1048576"):
            await client.get(URL)
        assert len((await client.get(URL, max_size=2_000_000)).content) == 2_000_000
        assert client.statistics().requests == 0


@both
async def test_reading_goes_on_where_it_was(http1: bool, autojump_clock: MockClock) -> None:
    """After a cancelled call, and after one that wanted less."""

    async def slow(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, end_stream=False)
        for piece in b"one", b"two":
            await stream.send_all(piece)
            await trio.sleep(1)

    async with _served(_handler(slow), http1=http1) as client, client.request("GET", URL) as response:
        with trio.move_on_after(0.5):
            await response.read()
        with pytest.raises(trio.WouldBlock):
            response.read_nowait()
        with pytest.raises(trio_h2.BodyTooLargeError, match="max_size=4"):
            await response.read(max_size=4)
        before = trio.current_time()
        with pytest.raises(trio_h2.BodyTooLargeError, match="max_size=5"):
            await response.read(max_size=5)
        assert trio.current_time() == before  # it waits for nothing more
        assert await response.read(max_size=6) == b"onetwo"
        assert (response.read_nowait(), response.content) == (b"onetwo", b"onetwo")
        assert [piece async for piece in response] == []


async def test_a_body_that_is_here_is_read_without_waiting(autojump_clock: MockClock) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"hello")

    async with _served(_handler(answer)) as client:
        async with client.request("GET", URL) as response:
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio_h2.BodyTooLargeError):
                response.read_nowait(max_size=4)
            with pytest.raises(trio_h2.BodyTooLargeError):
                response.read_nowait(max_size=4)
            assert response.read_nowait() == b"hello"
            assert client.statistics().requests == 0
            with trio.testing.assert_checkpoints():
                assert await response.read() == b"hello"
        async with client.request("GET", URL) as response:
            await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.ClosedResourceError):
            response.read_nowait()


@both
async def test_raise_for_status(http1: bool, autojump_clock: MockClock) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        await stream.respond(int(stream.path[1:]), body=b"why")

    async with _served(_handler(answer), http1=http1) as client:
        fine = await client.get(f"{URL}/200")
        assert fine.raise_for_status() is fine
        for status in 301, 404, 503:
            response = await client.get(f"{URL}/{status}")
            assert not response.ok
            with pytest.raises(
                trio_h2.StatusError, match=f"GET {URL}/{status} was answered with status {status}"
            ) as it:
                response.raise_for_status()
            assert (it.value.status, it.value.response, response.text) == (status, response, "why")
            again = pickle.loads(pickle.dumps(it.value))
            assert (again.status, again.response, str(again)) == (status, None, str(it.value))


@both
async def test_no_body_where_there_is_none(http1: bool, autojump_clock: MockClock) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        await stream.respond(
            {":status": 204 if stream.method == "GET" else 200}, body=b"" if stream.method == "GET" else b"x"
        )

    async with _served(_handler(answer), http1=http1) as client:
        assert (await client.get(URL)).status == 204
        head = await client.fetch("HEAD", URL)
        assert (head.status, head.content, head.headers["content-length"]) == (200, b"", "1")
        assert (await client.get(URL)).content == b""
        assert client.statistics().opened == 1


# -- uploads that end early --------------------------------------------------------------------------------------------


@both
async def test_what_the_maker_of_a_body_raises_comes_out(http1: bool, autojump_clock: MockClock) -> None:
    seen: list[str] = []

    async def reads(stream: trio_h2.ServerStream) -> None:
        try:
            await stream.read()
        except trio_h2.H2Error as exc:
            seen.append(type(exc).__name__)
            raise

    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        await trio.sleep(1)
        raise ValueError("no more")

    async with _served(_handler(reads), http1=http1) as client:
        with pytest.raises(ValueError, match="no more"):
            await client.fetch("POST", URL, body=broken())
        assert client.statistics().requests == 0
        await trio.sleep(1)


@both
async def test_an_upload_stops_when_the_response_has_ended(http1: bool, autojump_clock: MockClock) -> None:
    async def refuses(stream: trio_h2.ServerStream) -> None:
        await stream.respond(413, body=b"too large")

    ended: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        count = 0
        try:
            while True:
                yield bytes(1000)
                count += 1
                await trio.sleep(0.01)
        finally:
            ended.append(count)

    async with _served(_handler(refuses), http1=http1) as client:
        response = await client.fetch("POST", URL, body=endless())
        assert (response.status, response.content) == (413, b"too large")
        assert len(ended) == 1
        assert client.statistics().requests == 0
        assert (await client.fetch("POST", URL, body=b"x")).status == 413


@both
async def test_leaving_the_block_ends_a_body_that_nobody_waits_for(http1: bool, autojump_clock: MockClock) -> None:
    async def answers_early(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, end_stream=False)
        await stream.read()

    ended = False

    async def silent() -> AsyncIterator[bytes]:
        nonlocal ended
        try:
            yield b"some"
            await trio.sleep_forever()
        finally:
            ended = True

    async with _served(_handler(answers_early), http1=http1) as client:
        with trio.fail_after(1):
            async with client.request("POST", URL, body=silent()) as response:
                assert response.status == 200
        assert ended
        assert client.statistics().requests == 0


async def test_a_body_of_a_former_attempt_is_ended(autojump_clock: MockClock) -> None:
    async def refusing(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await trio.sleep(1)
        await peer.send_rst(head.stream_id, ErrorCode.REFUSED_STREAM)
        again = await peer.until(HeadersFrame)
        assert await peer.collect_body(again.stream_id) == b"2"
        await peer.respond(again.stream_id, 200)
        await until_closed(peer)

    begun: list[int] = []
    ended: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        number = len(begun) + 1
        begun.append(number)
        try:
            if number == 1:
                await trio.sleep_forever()
            assert ended == [1]
            yield b"%d" % number
        finally:
            ended.append(number)

    async with _served(scripted(refusing)) as client:
        assert (await client.fetch("PUT", URL, body=body)).status == 200
    assert (begun, ended) == ([1, 2], [1, 2])


async def test_a_body_that_was_begun_is_not_sent_again(autojump_clock: MockClock) -> None:
    async def refusing(peer: ScriptedPeer) -> None:
        for _ in range(2):
            head = await peer.until(HeadersFrame)
            await trio.sleep(1)
            await peer.send_rst(head.stream_id, ErrorCode.REFUSED_STREAM)
        again = await peer.until(HeadersFrame)
        assert await peer.collect_body(again.stream_id) == b"all"
        await peer.respond(again.stream_id, 200)
        await until_closed(peer)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"ll"

    async with _served(scripted(refusing)) as client:
        with pytest.raises(trio_h2.StreamRefusedError):
            await client.fetch("POST", URL, body=pieces())
        assert (await client.fetch("POST", URL, body=pieces)).status == 200


async def test_leaving_the_block_early_keeps_the_session(autojump_clock: MockClock) -> None:
    async def script(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        await peer.respond(head.stream_id, 200, body=b"begin", end_stream=False)
        await peer.until(RstStreamFrame, stream_id=head.stream_id, code=ErrorCode.CANCEL)
        second = await peer.until(HeadersFrame)
        await peer.respond(second.stream_id, 200, body=b"whole")
        await until_closed(peer)

    async with _served(scripted(script)) as client:
        async with client.request("GET", URL) as response:
            assert await response.receive_some() == b"begin"
        with pytest.raises(trio.ClosedResourceError):
            await response.receive_some()
        assert (await client.get(URL)).content == b"whole"
        assert client.statistics().opened == 1


# -- HTTP/1.1 ----------------------------------------------------------------------------------------------------------


def _raw(*answers: bytes, close: bool = False) -> Serve:
    """Answers each head of a request with given bytes."""

    async def serve(transport: trio.abc.Stream) -> None:
        received = b""
        for answer in answers:
            while b"\r\n\r\n" not in received:
                data = await transport.receive_some()
                if not data:
                    return
                received += data
            received = received.partition(b"\r\n\r\n")[2]
            with contextlib.suppress(trio.BrokenResourceError):
                for at in range(len(answer)):  # byte by byte
                    await transport.send_all(answer[at : at + 1])
        if close:
            await transport.aclose()
        else:
            while await transport.receive_some():
                pass

    return serve


async def test_http1_keeps_its_connection(autojump_clock: MockClock) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n3\r\nabc\r\n0\r\nX-T: t\r\n\r\n"
    counted = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with _served(_raw(chunked, counted), http1=True) as client:
        response = await client.get(URL)
        assert (response.content, response.headers.get("transfer-encoding")) == (b"abc", None)
        assert response.trailers is not None
        assert response.trailers["x-t"] == "t"
        assert (await client.get(URL)).content == b"ok"
        assert client.statistics().opened == 1


async def test_http1_takes_the_connection_that_was_used_last(autojump_clock: MockClock) -> None:
    """So that those which are not needed any more idle, and are closed."""
    served: list[tuple[str, trio_h2.StreamSession]] = []

    async def answer(stream: trio_h2.ServerStream) -> None:
        served.append((stream.path, stream.session))
        await trio.sleep(float(stream.path[1:]))
        await stream.respond(200)

    async with _served(_handler(answer), http1=True) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.get, f"{URL}/1")
            nursery.start_soon(client.get, f"{URL}/2")
        last = dict(served)["/2"]
        assert dict(served)["/1"] is not last
        for _ in range(3):
            await client.get(f"{URL}/0")
        assert [session for _, session in served[2:]] == [last] * 3


@pytest.mark.parametrize(
    "last", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", b"HTTP/1.0 200 OK\r\n\r\nold"]
)
async def test_http1_that_closes_is_left(last: bytes, autojump_clock: MockClock) -> None:
    async with _served(_raw(last, close=True), http1=True) as client:
        for _ in range(3):
            assert (await client.get(URL)).content == last.partition(b"\r\n\r\n")[2]
        assert client.statistics().opened == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", trio_h2.TransportLostError),
        (b"HTTP/1.1 200", trio_h2.TransportLostError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", trio_h2.TransportLostError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", trio_h2.RemoteProtocolError),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", trio_h2.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", trio_h2.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n", trio_h2.RemoteProtocolError),
    ],
)
async def test_http1_that_is_broken(answer: bytes, error: type[Exception], autojump_clock: MockClock) -> None:
    """An error of the library, no other connection, and none left behind."""
    async with _served(_raw(answer, close=True), http1=True) as client:
        with pytest.raises(error):
            await client.get(URL)
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().connections == 0
        assert client.statistics().opened == 1


_SETTINGS = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (_SETTINGS, True),
        (_SETTINGS[:9], True),
        (b"\x00\x00\x00" + _SETTINGS[3:9] + b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(8), True),
        (b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01", False),
        (b"\x00HTTP/1.1 200 OK\r\n\r\n", False),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
async def test_http1_that_is_answered_with_http2(
    answer: bytes, hint: bool, size: int, autojump_clock: MockClock
) -> None:
    """The error says what to do, be it that the bytes trickle in."""

    async def serve(transport: trio.abc.Stream) -> None:
        await transport.receive_some()
        with contextlib.suppress(trio.BrokenResourceError):
            for at in range(0, len(answer), size):
                await transport.send_all(answer[at : at + size])
        await transport.aclose()

    async with _served(serve, http1=True) as client:
        with pytest.raises(trio_h2.RemoteProtocolError) as caught:
            await client.get(URL)
        assert (str(caught.value) == "the server speaks HTTP/2: use Client(prior_knowledge=True)") is hint
        await trio.testing.wait_all_tasks_blocked()
        assert (client.statistics().connections, client.statistics().opened) == (0, 1)


async def test_half_a_frame_is_no_http1(autojump_clock: MockClock) -> None:
    """The server closes the connection in the middle of what may have been HTTP/2."""
    async with _served(_raw(b"\x00\x00\x06", close=True), http1=True) as client:
        with pytest.raises(trio_h2.H2Error):
            await client.get(URL)


async def test_http1_carries_one_request_at_a_time(autojump_clock: MockClock) -> None:
    most = running = 0

    async def slow(stream: trio_h2.ServerStream) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        await stream.respond(200)
        running -= 1

    async with network(_handler(slow)) as made, Client(transport=made, max_http1_per_origin=3) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(9):
                nursery.start_soon(client.get, URL)
        assert (most, client.statistics().opened) == (3, 3)
        assert trio.current_time() == pytest.approx(3, abs=0.1)


@both
async def test_http1_timeouts(http1: bool, autojump_clock: MockClock) -> None:
    async def slow(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/body":
            await stream.respond(200, end_stream=False)
            await stream.send_all(b"some")
        await trio.sleep_forever()

    timeouts = Timeouts(response=5, idle=2)
    async with _served(_handler(slow), http1=http1, timeouts=timeouts) as client:
        with pytest.raises(trio_h2.RequestTimeoutError, match="response=5"):
            await client.get(URL)
        with pytest.raises(trio_h2.RequestTimeoutError, match="idle=2"):
            await client.get(f"{URL}/body")
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().requests == 0


# -- wrong arguments ---------------------------------------------------------------------------------------------------


async def test_wrong_arguments_are_refused_at_the_call() -> None:
    async with Client() as client:
        for url, error in (
            ("ftp://a", ValueError),
            ("http://a b/", ValueError),
            (5, TypeError),
            ("http://a/\n", ValueError),
        ):
            with pytest.raises(error):
                client.request("GET", url)  # type: ignore[arg-type]  # that is the test
        with pytest.raises(TypeError, match="body"):
            client.request("GET", URL, body="text")  # type: ignore[arg-type]  # that is the test
        with pytest.raises(ValueError, match="max_size"):
            await client.get(URL, max_size=-1)
    with pytest.raises(ValueError, match="both off"):
        Client(http1=False, http2=False)
    with pytest.raises(ValueError, match="max_sessions must be at least 1, not 0"):
        Client(max_sessions=0)
    with pytest.raises(ValueError, match="max_sessions_per_origin"):
        Client(max_sessions_per_origin=0)
    with pytest.raises(ValueError, match="max_http1_per_origin"):
        Client(max_http1_per_origin=0)
    with pytest.raises(ValueError, match="idle_timeout"):
        Client(idle_timeout=0)
    with pytest.raises(TypeError, match="ssl_context"):
        Client(ssl_context=1)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="public constructor"):
        trio_h2.Response()  # type: ignore[call-arg]  # that is the test


# -- what is not to be relied on ---------------------------------------------------------------------------------------


async def test_http1_large_body_to_a_server_that_answers_without_reading(autojump_clock: MockClock) -> None:
    """The answer is seen, although the body can never be sent."""

    async def refuses(transport: trio.abc.Stream) -> None:
        await transport.receive_some(1000)
        await transport.send_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!")
        await trio.sleep_forever()

    async with _served(refuses, http1=True) as client:
        with trio.fail_after(10):
            response = await client.fetch("POST", URL, body=bytes(10_000_000))
        assert (response.status, response.content) == (413, b"no!")


async def test_http1_large_body_says_its_length(autojump_clock: MockClock) -> None:
    async def tell(stream: trio_h2.ServerStream) -> None:
        length = stream.headers.get("content-length")
        await stream.respond(200, body=f"{length} {len(await stream.read(max_size=10_000_000))}".encode())

    async with _served(_handler(tell), http1=True) as client:
        assert (await client.fetch("POST", URL, body=bytes(1_000_000))).text == "1000000 1000000"


async def test_http1_bytes_that_nobody_asked_for_answer_no_request(autojump_clock: MockClock) -> None:
    """A second response that comes with the first is none to the next request."""
    double = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na" + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    async def at_once(transport: trio.abc.Stream) -> None:
        await transport.receive_some(1000)
        await transport.send_all(double)
        await trio.sleep_forever()

    async with _served(at_once, _raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"), http1=True) as client:
        assert (await client.get(URL)).content == b"a"
        assert (await client.get(URL)).content == b"b"
        assert client.statistics().opened == 2


async def test_http1_held_body_of_a_wrong_length_is_an_error_of_ours(autojump_clock: MockClock) -> None:
    async with _served(_raw(b"HTTP/1.1 100 Continue\r\n\r\n"), http1=True) as client:
        request = client.request("POST", URL, headers={"content-length": "2"}, body=b"xyz", expect_continue=True)
        with pytest.raises(trio_h2.LocalProtocolError):
            async with request:
                pass


@pytest.mark.parametrize("seconds", [0.25, 4.0])
async def test_http1_holds_the_body_as_long_as_the_configuration_says(
    seconds: float, autojump_clock: MockClock
) -> None:
    came: list[float] = []

    async def never_asks(transport: trio.abc.Stream) -> None:
        received = b""
        while b"body" not in received:
            received += await transport.receive_some()
        came.append(trio.current_time())
        await transport.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    config = trio_h2.ClientConfig(expect_continue_timeout=seconds)
    async with network(never_asks) as made, Client(transport=made, config=config) as client:
        start = trio.current_time()
        async with client.request("POST", URL, body=b"body", expect_continue=True) as response:
            assert response.status == 200
        assert came == [pytest.approx(start + seconds)]


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize("http1", [True, False])
async def test_clear_text_that_is_answered_with_tls(size: int, http1: bool, autojump_clock: MockClock) -> None:
    """The server's alert tells what it speaks: the request is not sent again, and the error says what to do."""
    alert = b"\x15\x03\x03\x00\x02\x02\x46"

    async def serve(transport: trio.abc.Stream) -> None:
        await transport.receive_some()
        with contextlib.suppress(trio.BrokenResourceError):
            for at in range(0, len(alert), size):
                await transport.send_all(alert[at : at + size])
        await transport.aclose()

    async with _served(serve, http1=http1) as client:
        with pytest.raises(trio_h2.HandshakeError, match="seems to speak TLS: use https://") as caught:
            await client.get(URL)
        assert not caught.value.retryable
        await trio.testing.wait_all_tasks_blocked()
        assert (client.statistics().connections, client.statistics().opened) == (0, 1)


async def test_http1_that_is_answered_with_something_like_tls(autojump_clock: MockClock) -> None:
    async def serve(transport: trio.abc.Stream) -> None:
        await transport.receive_some()
        await transport.send_all(b"\x15\x03\x03\x00\x03 and so on\r\n\r\n")
        await transport.aclose()

    async with _served(serve, http1=True) as client:
        with pytest.raises(trio_h2.RemoteProtocolError, match=r"breaks the rules of HTTP/1\.1"):
            await client.get(URL)

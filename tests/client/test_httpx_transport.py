"""The transport for httpx and httpx2, in both libraries and over both versions of HTTP."""

from __future__ import annotations

import importlib
import math
from collections.abc import AsyncIterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.client.network import network, ours, scripted, until_closed
from trio_h2 import ErrorCode, Retry
from trio_h2.httpx import Transport
from trio_h2.testing import CancellationSweep, GoAwayFrame, HeadersFrame

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    import httpx
    from trio.testing import MockClock

    from tests.client.network import Handler, Network, Serve
    from trio_h2.testing import ScriptedPeer

URL = "http://a.example"
versions = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> str:
    """Each of the two, which are the same as far as these tests go; type checkers are told that it is httpx."""
    return str(request.param)


def _error(library: str, name: str) -> type[Exception]:
    error: type[Exception] = getattr(importlib.import_module(library), name)
    return error


def _client(library: str, transport: Transport, limit: httpx.Timeout | None = None) -> httpx.AsyncClient:
    module = importlib.import_module(library)
    client: httpx.AsyncClient = module.AsyncClient(transport=transport, timeout=limit)
    return client


def _timeout(library: str, seconds: float | None = None, **named: float | None) -> httpx.Timeout:
    timeout: httpx.Timeout = importlib.import_module(library).Timeout(seconds, **named)
    return timeout


@asynccontextmanager
async def _served(
    library: str,
    *servers: Serve,
    http1: bool = False,
    limit: httpx.Timeout | None = None,
    retry: Retry | None = None,
) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with (
        network(*servers) as made,
        _client(library, _transport(made, http1=http1, retry=retry), limit) as client,
    ):
        yield client


def _transport(made: Network, *, http1: bool = False, retry: Retry | None = None) -> Transport:
    return Transport(transport=made, prior_knowledge=not http1, retry=retry)


def _handler(handler: Handler) -> Serve:
    return ours(handler, http1=True)


async def _tell(stream: trio_h2.ServerStream) -> None:
    """Says what a request was."""
    body = await stream.read(max_size=10_000_000)
    fields = sorted((name, value) for name, value in stream.headers.items() if name[:1] != ":")
    told = stream.method, stream.path, stream.authority, fields, len(body)
    await stream.respond(200, body=repr(told).encode())


class _Pieces:
    """A body; no generator, because httpx leaves those that are not read to their end to the garbage collector."""

    def __init__(self, count: int, seconds: float = 0) -> None:
        self._left = count
        self._seconds = seconds

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        await trio.sleep(self._seconds)
        return b"x"


async def _silent(stream: trio_h2.ServerStream) -> None:
    await trio.sleep_forever()


async def _echo(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, end_stream=False)
    async for data in stream:
        await stream.send_all(data)
    await stream.send_trailers([("x-sum", "1"), ("x-sum", "2")])


@versions
async def test_what_a_request_says(library: str, http1: bool, autojump_clock: MockClock) -> None:
    async with _served(library, _handler(_tell), http1=http1) as client:
        client.headers = type(client.headers)({"x-own": "v"})  # no user-agent, no accept
        response = await client.get(f"{URL}:8080/a b/ü?x=1#part")
        told = "GET", "/a%20b/%C3%BC?x=1", "a.example:8080", [("x-own", "v")], 0
        assert response.text == repr(told)
        assert (response.status_code, response.reason_phrase) == (200, "OK")
        assert response.http_version == ("HTTP/1.1" if http1 else "HTTP/2")
        assert response.extensions == {"http_version": b"HTTP/1.1" if http1 else b"HTTP/2"}
        response = await client.post(URL, content=b"12345", headers={"Host": "other", "TE": "gzip", "Connection": "a"})
        assert response.text == repr(("POST", "/", "other", [("content-length", "5"), ("x-own", "v")], 5))
        response = await client.get("http://user:secret@a.example/")
        assert "('authorization', 'Basic dXNlcjpzZWNyZXQ=')" in response.text


@versions
@pytest.mark.parametrize("size", [65_536, 65_537, 3_000_000])
async def test_content(library: str, http1: bool, size: int, autojump_clock: MockClock) -> None:
    async with _served(library, _handler(_tell), http1=http1, limit=_timeout(library, 10)) as client:
        response = await client.put(URL, content=bytes(size))
        assert response.text.endswith(f", {size})")
        assert f"('content-length', '{size}')" in response.text


@versions
async def test_streams_and_trailers(library: str, http1: bool, autojump_clock: MockClock) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(30):
            await trio.sleep(1)
            yield bytes(10_000)

    size = 0
    async with _served(library, _handler(_echo), http1=http1, limit=_timeout(library, 10)) as client:
        async with client.stream("POST", URL, content=body()) as response:
            assert http1 or trio.current_time() < 1  # its head comes while the body is sent
            async for data in response.aiter_raw():
                size += len(data)
                assert "trailers" not in response.extensions
        assert size == 300_000
        assert response.extensions["trailers"].get_list("x-sum") == ["1", "2"]
        assert type(response.extensions["trailers"]) is type(response.headers)


@versions
async def test_what_the_maker_of_a_body_raises(library: str, http1: bool, autojump_clock: MockClock) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await trio.sleep(1)
        raise KeyError("mine")

    async with _served(library, _handler(_silent), _handler(_echo), http1=http1) as client:
        with pytest.raises(KeyError, match="mine"):
            await client.post(URL, content=body())
        with pytest.raises(KeyError, match="mine"):
            await client.post(f"{URL}:81", content=body())


async def test_redirects_and_compression_are_those_of_httpx(library: str, autojump_clock: MockClock) -> None:
    import gzip

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/":
            await stream.respond({":status": 307, "location": "/there", "set-cookie": "a=b"})
        else:
            text = f"{stream.headers['cookie']} {await stream.text()}"
            await stream.respond({":status": 200, "content-encoding": "gzip"}, body=gzip.compress(text.encode()))

    async with _served(library, ours(handler)) as client:
        response = await client.post(URL, content=b"again", follow_redirects=True)
        assert (response.text, len(response.history)) == ("a=b again", 1)


# -- time-outs --------------------------------------------------------------------------------------------------------


async def test_connect_timeout(library: str, autojump_clock: MockClock) -> None:
    async def never(origin: str) -> trio.abc.Stream:
        await trio.sleep(math.inf)
        raise AssertionError

    timeout = _timeout(library, None, connect=3, pool=1)
    async with _client(library, Transport(transport=never), limit=timeout) as client:
        with pytest.raises(_error(library, "ConnectTimeout"), match="connect=3 s") as caught:
            await client.get(URL)
        assert trio.current_time() == pytest.approx(3)
        assert isinstance(caught.value.__cause__, trio_h2.RequestTimeoutError)
        with pytest.raises(_error(library, "ConnectTimeout")):
            await client.get(URL, timeout=0)


@versions
async def test_pool_timeout(library: str, http1: bool, autojump_clock: MockClock) -> None:
    async with (
        network(_handler(_silent)) as made,
        _client(
            library,
            Transport(transport=made, prior_knowledge=not http1, max_sessions=1),
            _timeout(library, None, connect=1, pool=4),
        ) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(client.get, URL)
        await trio.sleep(1)
        with pytest.raises(_error(library, "PoolTimeout"), match="slot=4 s"):
            await client.get("http://b.example/")
        assert trio.current_time() == pytest.approx(5)
        nursery.cancel_scope.cancel()


@versions
async def test_read_timeouts(library: str, http1: bool, autojump_clock: MockClock) -> None:
    async def slow(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/body":
            await stream.respond(200, end_stream=False)
            for _ in range(3):
                await trio.sleep(1)
                await stream.send_all(b"x")
        await trio.sleep_forever()

    timeout = _timeout(library, None, read=2)
    async with _served(library, _handler(slow), http1=http1, limit=timeout) as client:
        with pytest.raises(_error(library, "ReadTimeout"), match="response=2 s"):
            await client.get(URL)
        assert trio.current_time() == pytest.approx(2)
        with pytest.raises(_error(library, "ReadTimeout"), match="idle=2 s"):
            await client.get(f"{URL}/body")
        assert trio.current_time() == pytest.approx(7)


@pytest.mark.parametrize("whole", [True, False], ids=["content", "pieces"])
async def test_write_timeout(library: str, whole: bool, autojump_clock: MockClock) -> None:
    """A body that the server takes slowly has its time, piece by piece; one that it does not take has no more."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(50_000)

    async def slow(stream: trio_h2.ServerStream) -> None:
        for _ in range(20):
            await trio.sleep(1)
            await stream.receive_some(50_000)
        await trio.sleep_forever()

    timeout = _timeout(library, None, write=5, read=6)
    config = trio_h2.ServerConfig(stream_window=65_535, receive_budget=65_535, max_concurrent_streams=1)
    async with _served(library, ours(slow, config=config), limit=timeout) as client:
        with pytest.raises(_error(library, "WriteTimeout"), match="send=5 s"):
            await client.post(URL, content=bytes(2_000_000) if whole else body())
        assert 20 < trio.current_time() < 30


# -- errors -----------------------------------------------------------------------------------------------------------


async def test_connect_errors(library: str, autojump_clock: MockClock) -> None:
    async def refused(origin: str) -> trio.abc.Stream:
        raise OSError("refused")

    async with _client(library, Transport(transport=refused, retry=Retry(attempts=0))) as client:
        with pytest.raises(_error(library, "ConnectError"), match="refused"):
            await client.get(URL)
        with pytest.raises(_error(library, "UnsupportedProtocol")):
            await client.get("ftp://a.example/")
        with pytest.raises(_error(library, "LocalProtocolError"), match="method"):
            await client.request("BAD METHOD", URL)
        with pytest.raises(_error(library, "LocalProtocolError")):
            await client.get(URL, headers={"x-bad": "a\nb"})
        with pytest.raises(ValueError, match="'sni_hostname'"):
            await client.get(URL, extensions={"sni_hostname": "other"})


@versions
async def test_a_connection_that_breaks(library: str, http1: bool, autojump_clock: MockClock) -> None:
    async def breaks(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/body":
            await stream.respond(200, end_stream=False)
            await stream.send_all(b"part")
        await trio.aclose_forcefully(transports.pop())

    transports: list[trio.abc.Stream] = []

    async def serve(transport: trio.abc.Stream) -> None:
        transports.append(transport)
        await _handler(breaks)(transport)

    async with _served(library, serve, http1=http1, retry=Retry(attempts=0)) as client:
        with pytest.raises(_error(library, "ReadError")):
            await client.get(URL)
        with pytest.raises(_error(library, "ReadError")):
            await client.get(f"{URL}/body")


async def test_streams_that_the_server_resets(library: str, autojump_clock: MockClock) -> None:
    async def script(peer: ScriptedPeer) -> None:
        request = await peer.until(HeadersFrame)
        await peer.send_rst(request.stream_id, ErrorCode.INTERNAL_ERROR)
        request = await peer.until(HeadersFrame)
        await peer.respond(request.stream_id, 200, body=b"part", end_stream=False)
        await peer.send_rst(request.stream_id, ErrorCode.INTERNAL_ERROR)
        await until_closed(peer)

    async with _served(library, scripted(script)) as client:
        for _ in range(2):
            with pytest.raises(_error(library, "RemoteProtocolError"), match="INTERNAL_ERROR"):
                await client.get(URL)


async def test_a_server_that_leaves_and_one_that_refuses(library: str, autojump_clock: MockClock) -> None:
    """What httpx's own transport fails with: GOAWAY in the middle, and streams that were not processed."""

    async def leaving(peer: ScriptedPeer) -> None:
        requests = [await peer.until(HeadersFrame) for _ in range(3)]
        await peer.send_goaway(requests[0].stream_id)
        await peer.respond(requests[0].stream_id, 200, body=b"first")
        await until_closed(peer)

    async def refusing(peer: ScriptedPeer) -> None:
        requests = [await peer.until(HeadersFrame) for _ in range(2)]
        for request in requests:
            await peer.send_rst(request.stream_id, ErrorCode.REFUSED_STREAM)
        for _ in range(2):
            request = await peer.until(HeadersFrame)
            await peer.respond(request.stream_id, 200, body=b"second")
        await until_closed(peer)

    found: list[bytes] = []

    async def get(client: httpx.AsyncClient) -> None:
        found.append((await client.get(URL)).content)

    async with _served(library, scripted(leaving), scripted(refusing)) as client, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(get, client)
    assert sorted(found) == [b"first", b"second", b"second"]


# -- the block --------------------------------------------------------------------------------------------------------


async def test_it_must_be_entered_and_once(library: str, autojump_clock: MockClock) -> None:
    transport = Transport()
    client = _client(library, transport)
    with pytest.raises(RuntimeError, match="was not entered: `async with`"):
        await client.get(URL)
    await client.aclose()
    with pytest.raises(RuntimeError, match="only once"):
        async with transport:
            pass
    async with network(_handler(_tell)) as made:
        transport = _transport(made)
        async with _client(library, transport) as client:
            await client.get(URL)
            with pytest.raises(RuntimeError, match="only once"):
                async with _client(library, transport):
                    pass
            await transport.aclose()
            with pytest.raises(RuntimeError, match="is closed"):
                await client.get(URL)
    with pytest.raises(TypeError, match="must be a Request of httpx or httpx2"):
        await transport.handle_async_request(object())  # type: ignore[call-overload]  # what is tested


def test_it_is_a_transport_of_both() -> None:
    import httpx
    import httpx2

    assert isinstance(Transport(), httpx.AsyncBaseTransport)
    assert isinstance(Transport(), httpx2.AsyncBaseTransport)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="max_sessions"):
        Transport(max_sessions=0)


@versions
async def test_closing_gives_up_what_is_open(library: str, http1: bool, autojump_clock: MockClock) -> None:
    async with network(_handler(_echo), _handler(_silent)) as made:
        transport = _transport(made, http1=http1)
        async with _client(library, transport) as client, trio.open_nursery() as nursery:
            request = client.build_request("POST", URL, content=_Pieces(1000, 1))
            response = await transport.handle_async_request(request)
            assert isinstance(response.stream, AsyncIterable)
            pieces = aiter(response.stream)  # not through the generators of httpx, which would be left unfinished
            assert await anext(pieces) == b"x"

            async def fails() -> None:
                with pytest.raises(_error(library, "NetworkError")):
                    await client.get("http://b.example")

            nursery.start_soon(fails)
            await trio.sleep(1.5)
            await client.aclose()
            with pytest.raises(_error(library, "NetworkError")):
                await anext(pieces)
            await response.aclose()
        assert transport.statistics().connections == 0


async def test_it_leaves_with_goaway(library: str, autojump_clock: MockClock) -> None:
    said: list[object] = []

    async def script(peer: ScriptedPeer) -> None:
        request = await peer.until(HeadersFrame)
        await peer.respond(request.stream_id, 200, body=b"x")
        said.append((await peer.until(GoAwayFrame)).code)
        await until_closed(peer)

    async with network(scripted(script)) as made:
        async with _client(library, _transport(made)) as client:
            await client.get(URL)
        await trio.testing.wait_all_tasks_blocked()
    assert said == [ErrorCode.NO_ERROR]


async def test_what_the_block_is_left_by_comes_out_as_it_is(library: str, autojump_clock: MockClock) -> None:
    async with network(_handler(_tell)) as made:
        with pytest.raises(KeyError, match="mine"):
            async with _client(library, _transport(made)) as client:
                await client.get(URL)
                raise KeyError("mine")


async def test_a_request_that_is_cancelled_costs_no_other(library: str, autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await (_silent if stream.path == "/silent" else _tell)(stream)

    async with network(ours(handler)) as made:
        transport = _transport(made)
        async with _client(library, transport) as client:
            for content in b"", _Pieces(1000, 1):
                with trio.move_on_after(3) as scope:
                    await client.post(f"{URL}/silent", content=content)
                assert scope.cancelled_caught
            assert (await client.get(URL)).status_code == 200
            assert transport.statistics().requests == 0
            assert len(made.asked) == 1


async def test_cancelled_at_every_checkpoint(autojump_clock: MockClock) -> None:
    sweep = CancellationSweep(seeds=[0])
    for run in sweep:
        async with network(ours(_echo)) as made:
            transport = _transport(made)
            async with run, _client("httpx", transport) as client:
                assert (await client.post(URL, content=b"ab")).content == b"ab"
                assert (await client.post(URL, content=_Pieces(2))).content == b"xx"
            left = transport.statistics()
            assert (left.connections, left.opening, left.requests, left.waiting) == (0, 0, 0, 0)
    assert sweep.points > 20

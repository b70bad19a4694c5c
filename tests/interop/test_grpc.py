"""gRPC by hand (docs/grpc.md), against Google's own library: each kind of call, errors and deadlines, both ways."""

from __future__ import annotations

import importlib
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import grpc_client
import grpc_server
import pytest
import trio
from grpc_messages import INVALID_ARGUMENT, MAX_MESSAGE, UNIMPLEMENTED, GrpcError

import trio_h2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator
    from types import ModuleType, SimpleNamespace

    from tests.interop.processes import PeerFinder

# grpcio has no types, and no use for them here: its methods take and give bytes.


@pytest.fixture(scope="module")
def grpc(peers: PeerFinder) -> ModuleType:
    try:
        return importlib.import_module("grpc")
    except ImportError:
        peers.missing("the library grpcio is not installed")
        raise


@pytest.fixture
async def port() -> AsyncGenerator[int, None]:
    """The port of our server."""
    async with trio_h2.open_server(grpc_server.handler, grace=1) as server:
        yield server.port or 0


async def test_grpcio_makes_each_kind_of_call(grpc: ModuleType, port: int) -> None:
    def calls() -> None:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            assert channel.unary_unary("/demo.Demo/Hello")(b"Jane") == b"hello, Jane"
            assert list(channel.unary_stream("/demo.Demo/Split")(b"one two three")) == [b"one", b"two", b"three"]
            assert channel.stream_unary("/demo.Demo/Count")(iter([b"x"] * 1000)) == b"1000"
            large = bytes(3_000_000)
            assert channel.unary_unary("/demo.Demo/Hello", None, None)(large) == b"hello, " + large
            assert channel.unary_unary("/demo.Demo/Hello")(b"") == b"hello, "

    await trio.to_thread.run_sync(calls)


async def test_the_client_on_the_page(grpc: ModuleType, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    page = importlib.import_module("grpcio_client")
    await trio.to_thread.run_sync(page.main, f"localhost:{port}")
    assert capsys.readouterr().out == "b'hello, Jane'\nb'A'\nb'B'\n"


async def test_both_sides_of_a_call_stream_at_the_same_time(grpc: ModuleType, port: int) -> None:
    """The client sends its next message when it has seen the answer to the last one."""

    def calls() -> None:
        answered = threading.Semaphore(1)

        def requests() -> Iterator[bytes]:
            for letter in (b"a", b"b", b"c"):
                assert answered.acquire(timeout=10)
                yield letter

        got = []
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            for answer in channel.stream_stream("/demo.Demo/Shout")(requests()):
                got.append(answer)
                answered.release()
        assert got == [b"A", b"B", b"C"]

    await trio.to_thread.run_sync(calls)


async def test_grpcio_understands_our_errors(grpc: ModuleType, port: int) -> None:
    def calls() -> None:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            for method, message, timeout, code in [
                ("Nothing", b"", None, "UNIMPLEMENTED"),
                ("Hello", bytes(MAX_MESSAGE + 1), None, "RESOURCE_EXHAUSTED"),
                ("Sleep", b"50", 0.2, "DEADLINE_EXCEEDED"),
                ("Sleep", b"not a number", None, "UNKNOWN"),
            ]:
                with pytest.raises(grpc.RpcError) as failed:
                    channel.unary_unary(f"/demo.Demo/{method}")(message, timeout=timeout)
                assert failed.value.code().name == code
            assert channel.unary_unary("/demo.Demo/Hello")(b"Jane") == b"hello, Jane"

    await trio.to_thread.run_sync(calls)


class _Context(Protocol):
    """What is needed of a context of grpcio, which has no types."""

    def add_callback(self, callback: Callable[[], object]) -> object: ...


class _Service:
    """The same methods, by grpcio."""

    def __init__(self, grpc: ModuleType) -> None:
        self._methods = {
            "/demo.Demo/Hello": grpc.unary_unary_rpc_method_handler(lambda name, _: b"hello, " + name),
            "/demo.Demo/Split": grpc.unary_stream_rpc_method_handler(lambda words, _: iter(words.split())),
            "/demo.Demo/Count": grpc.stream_unary_rpc_method_handler(lambda all_, _: str(len(list(all_))).encode()),
            "/demo.Demo/Shout": grpc.stream_stream_rpc_method_handler(lambda all_, _: (one.upper() for one in all_)),
            "/demo.Demo/Fail": grpc.unary_unary_rpc_method_handler(
                lambda _, context: context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not ü, 100 %")
            ),
            "/demo.Demo/Sleep": grpc.unary_unary_rpc_method_handler(self._sleep),
        }

    @staticmethod
    def _sleep(_: bytes, context: _Context) -> bytes:
        """Waits until the call is given up."""
        over = threading.Event()
        context.add_callback(over.set)
        over.wait(10)
        return b""

    def service(self, details: SimpleNamespace) -> object:
        """Returns how a call is handled."""
        return self._methods.get(details.method)


@contextmanager
def serve_grpcio(grpc: ModuleType) -> Generator[str, None, None]:
    """A server of grpcio; yields its URL."""
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads, handlers=[_Service(grpc)])
        port = server.add_insecure_port("localhost:0")
        server.start()
        yield f"http://localhost:{port}"
        server.stop(None).wait()


@pytest.fixture
def grpcio_url(grpc: ModuleType) -> Generator[str, None, None]:
    with serve_grpcio(grpc) as url:
        yield url


async def test_our_client_calls_grpcio(grpcio_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    await grpc_client.main(grpcio_url)
    assert capsys.readouterr().out == "b'hello, Jane'\nb'one'\nb'two'\nb'three'\nb'10'\nb'A'\nb'B'\n"


async def test_our_client_understands_the_errors_of_grpcio(grpcio_url: str) -> None:
    """Among them those that come without a body, where the status is in the headers."""
    async with trio_h2.connect(grpcio_url) as session:
        with pytest.raises(GrpcError, match="not ü, 100 %") as failed:
            await grpc_client.unary(session, "/demo.Demo/Fail", b"")
        assert failed.value.status == INVALID_ARGUMENT
        with pytest.raises(GrpcError) as failed:
            await grpc_client.unary(session, "/demo.Demo/Nothing", b"")
        assert failed.value.status == UNIMPLEMENTED

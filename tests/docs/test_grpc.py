"""gRPC by hand, both sides ours: docs/grpc.md. What Google's library makes of them is in tests/interop."""

from __future__ import annotations

import grpc_client
import grpc_server
import pytest
import trio
from grpc_messages import (
    DEADLINE_EXCEEDED,
    INTERNAL,
    RESOURCE_EXHAUSTED,
    UNIMPLEMENTED,
    UNKNOWN,
    GrpcError,
    Messages,
    pack,
)

import trio_h2
from tests.docs.conftest import serving
from trio_h2.testing import session_pair


async def test_client_and_server_understand_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(grpc_server.handler) as server:
        await grpc_client.main(server.urls[0])
    assert capsys.readouterr().out == "b'hello, Jane'\nb'one'\nb'two'\nb'three'\nb'10'\nb'A'\nb'B'\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (pack(b"x")[:-1], INTERNAL),
        (b"", INTERNAL),
        (b"\1\0\0\0\0", UNIMPLEMENTED),
        (b"\0\xff\0\0\0", RESOURCE_EXHAUSTED),
    ],
)
async def test_what_is_no_message_fails_the_call(body: bytes, status: int) -> None:
    async with session_pair(grpc_server.handler) as (session, _):
        async with session.request("POST", "/demo.Demo/Hello", headers=grpc_client.HEADERS, body=body) as stream:
            assert (await stream.receive_response()).status == 200
            trailers = await stream.receive_trailers()
        assert trailers is not None
        assert trailers["grpc-status"] == str(status)


async def test_deadlines_and_unknown_methods() -> None:
    async with session_pair(grpc_server.handler) as (session, _):
        headers = {**grpc_client.HEADERS, "grpc-timeout": "20m"}
        async with session.request("POST", "/demo.Demo/Sleep", headers=headers, body=pack(b"50")) as stream:
            await stream.receive_response()
            trailers = await stream.receive_trailers()
        assert trailers is not None
        assert trailers["grpc-status"] == str(DEADLINE_EXCEEDED)
        with pytest.raises(GrpcError, match="there is no /demo"):
            await grpc_client.unary(session, "/demo.Demo/Nothing", b"")


async def test_a_method_with_a_bug(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def bug(_requests: Messages, _send: grpc_server.Send) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(grpc_server.METHODS, "/demo.Demo/Bug", bug)
    async with session_pair(grpc_server.handler) as (session, _):
        with pytest.raises(GrpcError, match="the method has failed") as failed:
            await grpc_client.unary(session, "/demo.Demo/Bug", b"")
        assert failed.value.status == UNKNOWN
        assert await grpc_client.unary(session, "/demo.Demo/Hello", b"Jane") == b"hello, Jane"
    assert "/demo.Demo/Bug has a bug" in caplog.text
    assert "ZeroDivisionError: division by zero" in caplog.text


async def test_the_deadline_of_the_client() -> None:
    async with session_pair(grpc_server.handler) as (session, _):
        with pytest.raises((GrpcError, trio.TooSlowError)):  # whichever side looks at its clock first
            await grpc_client.unary(session, "/demo.Demo/Sleep", b"50", seconds=0.05)


async def test_metadata() -> None:
    async with session_pair(grpc_server.handler) as (session, _):
        headers = {**grpc_client.HEADERS, "request-id": "7"}
        async with session.request("POST", "/demo.Demo/Hello", headers=headers, body=pack(b"Jane")) as stream:
            assert (await stream.receive_response())["request-id"] == "7"
            trailers = await stream.receive_trailers()
        assert trailers is not None
        assert trailers["grpc-status"] == "0"
        assert float(trailers["seconds"]) >= 0


async def test_others_are_told_what_it_speaks() -> None:
    async with session_pair(grpc_server.handler) as (session, _), session.request("GET") as stream:
        assert (await stream.receive_response()).status == 415


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2H", 7200), ("3S", 3), ("20m", 0.02), ("5n", 5e-9), ("", float("inf")), ("x", float("inf"))],
)
def test_timeouts(value: str, seconds: float) -> None:
    assert grpc_server.timeout_of(trio_h2.Headers({"grpc-timeout": value})) == seconds

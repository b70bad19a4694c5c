"""RST_STREAM of either side in every state of a stream: the other side hears of it, and the session goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_h2
from tests.reference.ends import our_client, our_server, pattern, read
from trio_h2 import ErrorCode

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import ReferenceServerStream

BUDGET = 300_000
CODES = (ErrorCode.NO_ERROR, ErrorCode.CANCEL, ErrorCode.INTERNAL_ERROR, 0xFFFF_FFFF)
# What the client has done, and what the server has done, when the reset comes.
CLIENT_STATES = ("headers", "body", "ended")
SERVER_STATES = ("nothing", "interim", "headers", "body")
STATES = [(client, server) for client in CLIENT_STATES for server in SERVER_STATES]


async def ours_acts(stream: trio_h2.ServerStream, state: str) -> None:
    """Takes our server's side of a stream to a state."""
    if state == "interim":
        await stream.send_informational(103)
    elif state != "nothing":
        await stream.respond({":status": 200})
    if state == "body":
        await stream.send_all(b"body")


async def reference_acts(stream: ReferenceServerStream, state: str) -> None:
    """Takes the reference server's side of a stream to a state."""
    if state == "interim":
        await stream.send_informational(103)
    elif state != "nothing":
        await stream.respond(200, end_stream=False)
    if state == "body":
        await stream.send_all(b"body")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("client_state", "server_state"), STATES)
async def test_the_reference_client_resets(
    autojump_clock: MockClock, client_state: str, server_state: str, code: int
) -> None:
    cancelled = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        await ours_acts(stream, server_state)
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            assert stream.rst_code == code
            cancelled.set()
            raise

    async with our_server(handler) as (client, _):
        stream = await client.open_stream("POST", end_stream=client_state == "ended")
        if client_state == "body":
            await stream.send_all(pattern(20_000))
        await wait_all_tasks_blocked()
        assert len(stream.informational) == (server_state == "interim")
        assert (stream.headers is not None) == (server_state in ("headers", "body"))
        stream.reset(code)
        await cancelled.wait()
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await stream.response()
        assert (caught.value.code, caught.value.initiator) == (code, trio_h2.Initiator.LOCAL)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("client_state", "server_state"), STATES)
async def test_our_server_resets(autojump_clock: MockClock, client_state: str, server_state: str, code: int) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await ours_acts(stream, server_state)
        await wait_all_tasks_blocked()
        stream.reset(code)

    async with our_server(handler) as (client, _):
        stream = await client.open_stream("POST", end_stream=client_state == "ended")
        if client_state == "body":
            await stream.send_all(pattern(20_000))
        assert await stream.wait_reset() == code
        assert await stream.receive_some() == b"body" if server_state == "body" else True
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await stream.receive_some()
        assert (caught.value.code, caught.value.initiator) == (code, trio_h2.Initiator.REMOTE)
        with pytest.raises(trio_h2.StreamResetError):
            await stream.send_all(b"more")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("client_state", "server_state"), STATES)
async def test_our_client_resets(autojump_clock: MockClock, client_state: str, server_state: str, code: int) -> None:
    codes: list[int] = []

    async def handler(stream: ReferenceServerStream) -> None:
        await reference_acts(stream, server_state)
        codes.append(await stream.wait_reset())
        with pytest.raises(trio_h2.StreamResetError):
            await stream.send_eof()
        await stream.aclose()

    async with our_client(handler) as (session, _):
        stream = await session.open_stream("POST", end_stream=client_state == "ended")
        if client_state == "body":
            await stream.send_all(pattern(20_000))
        await wait_all_tasks_blocked()
        stream.reset(code)
        await stream.aclose()
        await wait_all_tasks_blocked()
        assert codes == [code]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("client_state", "server_state"), STATES)
async def test_the_reference_server_resets(
    autojump_clock: MockClock, client_state: str, server_state: str, code: int
) -> None:
    async def handler(stream: ReferenceServerStream) -> None:
        await reference_acts(stream, server_state)
        await wait_all_tasks_blocked()
        stream.reset(code)
        await stream.aclose()

    async with our_client(handler) as (session, _):
        stream = await session.open_stream("POST", end_stream=client_state == "ended")
        if client_state == "body":
            await stream.send_all(pattern(20_000))
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await read(stream)
        assert (caught.value.code, caught.value.initiator) == (code, trio_h2.Initiator.REMOTE)
        assert len(stream.informational) == (server_state == "interim")
        await stream.aclose()


async def test_our_server_refuses_what_it_has_not_read(autojump_clock: MockClock) -> None:
    """RFC 9113 §8.1: a complete response, then RST_STREAM(NO_ERROR) while the client still sends."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 413}, body=b"too much")

    async with our_server(handler) as (client, _):
        exchange = await client.request("POST", body=bytes(1_000_000))
        assert (exchange.status, exchange.body) == (413, b"too much")
        assert await exchange.stream.wait_reset() == ErrorCode.NO_ERROR


async def test_the_reference_server_wants_no_more(autojump_clock: MockClock) -> None:
    async def handler(stream: ReferenceServerStream) -> None:
        await stream.respond(413, body=b"too much")

    async with our_client(handler) as (session, _), session.request("POST", body=bytes(1_000_000)) as stream:
        assert (await stream.receive_response()).status == 413
        assert await read(stream) == b"too much"


async def test_a_refused_stream_may_be_asked_again(autojump_clock: MockClock) -> None:
    seen = 0

    async def handler(stream: ReferenceServerStream) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            stream.reset(ErrorCode.REFUSED_STREAM)
        else:
            await stream.respond(200, body=b"again")

    async with our_client(handler) as (session, _):
        async with session.request("GET") as stream:
            with pytest.raises(trio_h2.StreamRefusedError) as caught:
                await stream.receive_response()
            assert caught.value.retryable
        async with session.request("GET") as stream:
            assert await read(stream) == b"again"


async def test_our_server_credits_what_nobody_reads_after_resets(autojump_clock: MockClock) -> None:
    """More than the windows hold, on streams that are given up: the session must not run dry."""

    async def never_reads(stream: trio_h2.ServerStream) -> None:
        await trio.sleep_forever()

    config = trio_h2.ServerConfig(max_concurrent_streams=4, receive_budget=BUDGET, stream_window=65_536)
    async with our_server(never_reads, config=config) as (client, session):
        for _time in range(30):
            stream = await client.open_stream("POST")
            await stream.send_all(bytes(60_000))
            stream.reset()
        await client.ping()
        assert session.statistics().ledger.received == 30 * 60_000


async def test_our_client_credits_what_nobody_reads_after_resets(autojump_clock: MockClock) -> None:
    async def sends(stream: ReferenceServerStream) -> None:
        await stream.respond(200, body=bytes(60_000), end_stream=False)
        await stream.wait_reset()

    config = trio_h2.ClientConfig(receive_budget=BUDGET, stream_window=65_536)
    async with our_client(sends, config=config) as (session, _):
        for _time in range(30):
            async with session.request("GET") as stream:
                await stream.receive_response()
                await wait_all_tasks_blocked()
        assert session.statistics().ledger.received == 30 * 60_000

"""Tests of the greeter, in every way that the page shows."""

import ssl

import trio
from greeter import Greeter
from trio.testing import MockClock

import trio_h2
from trio_h2 import testing


# in memory
async def test_it_greets(session_pair: testing.SessionPairFixture) -> None:
    client, _ = await session_pair(Greeter())
    async with client.request("GET", "/you") as stream:
        assert (await stream.receive_response()).status == 200
        assert await stream.text() == "hello, /you\n"


# over TLS
async def test_it_greets_over_tls(tls_server: testing.TlsServerFixture) -> None:
    server = await tls_server(Greeter())
    connect = trio_h2.connect(server.url, ssl_context=server.client_ssl_context)
    async with connect as session, session.request("GET", "/you") as stream:
        assert await stream.text() == "hello, /you\n"


# with curl
async def test_it_greets_curl(tls_server: testing.TlsServerFixture) -> None:
    server = await tls_server(Greeter())
    command = ["curl", "--silent", "--show-error", "--cacert", str(server.ca_file), f"{server.url}/you"]
    done = await trio.run_process(command, capture_stdout=True)
    assert done.stdout == b"hello, /you\n"


# mutual TLS
async def test_who_is_there(
    tls_server: testing.TlsServerFixture, client_certificate: testing.ClientCertificateFixture
) -> None:
    async def who(stream: trio_h2.ServerStream) -> None:
        fields = stream.transport.peer_certificate_fields or {}
        await stream.respond(body=repr(fields["subject"]).encode())

    server = await tls_server(who, client_certificates=ssl.CERT_REQUIRED)
    alice = client_certificate("alice")  # alice.cert_file and alice.key_file are for curl
    connect = trio_h2.connect(server.url, ssl_context=alice.ssl_context)
    async with connect as session, session.request("GET") as stream:
        assert "alice" in await stream.text()


# timeouts
async def test_a_slow_backend(session_pair: testing.SessionPairFixture, autojump_clock: MockClock) -> None:
    async def slow(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(3600)
        await stream.respond(body=b"late")

    backend, _ = await session_pair(slow)
    client, _ = await session_pair(Greeter(backend))
    async with client.request("GET") as stream:
        assert (await stream.receive_response()).status == 504
    assert trio.current_time() >= 30  # of Trio's clock; the test takes milliseconds


# faults
async def test_a_backend_that_is_cut_off(
    session_pair: testing.SessionPairFixture,
    faulty_session_pair: testing.FaultySessionPairFixture,
    autojump_clock: MockClock,
) -> None:
    backend, _, transport = await faulty_session_pair(Greeter(), testing.CuttingStream)
    await backend.ping()
    client, _ = await session_pair(Greeter(backend))
    await transport.cut()
    async with client.request("GET") as stream:
        assert (await stream.receive_response()).status == 502


# scripted
async def test_a_backend_that_resets(
    session_pair: testing.SessionPairFixture,
    scripted_server: testing.ScriptedServerFixture,
    autojump_clock: MockClock,
) -> None:
    backend, peer = await scripted_server()
    client, _ = await session_pair(Greeter(backend))
    async with client.request("GET") as stream:
        request = await peer.expect_headers(end_stream=True)
        await peer.send_rst(request.stream_id, trio_h2.ErrorCode.INTERNAL_ERROR)
        assert (await stream.receive_response()).status == 502


# reference
async def test_another_implementation(reference_client: testing.ReferenceClientFixture) -> None:
    client, _ = await reference_client(Greeter())
    exchange = await client.request("GET", "/you")
    assert (exchange.status, exchange.body) == (200, b"hello, /you\n")


# cancellation
async def test_cancelled_anywhere_it_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    sweep = testing.CancellationSweep()
    for run in sweep:
        greeter = Greeter()
        async with testing.session_pair(greeter, raise_handler_errors=False) as (client, _):
            async with run, client.request("GET", "/you") as stream:
                await stream.read()
            await client.ping()
            assert greeter.busy == 0
            async with client.request("GET", "/again") as stream:
                assert await stream.text() == "hello, /again\n"
    assert sweep.points > 10


# mistakes
async def test_a_handler_that_fails(session_pair: testing.SessionPairFixture) -> None:
    async def fails(stream: trio_h2.ServerStream) -> None:
        raise ZeroDivisionError

    client, _ = await session_pair(fails, raise_handler_errors=False)
    async with client.request("GET") as stream:
        assert (await stream.receive_response()).status == 500


# without pytest
async def main() -> None:
    async with (
        testing.tls_server(Greeter()) as server,
        server.connect() as session,
        session.request("GET", "/you") as stream,
    ):
        assert await stream.text() == "hello, /you\n"


# end

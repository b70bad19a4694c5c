"""Servers behind a load balancer that tells whose connection it passes on."""

from __future__ import annotations

import json
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import HOST, RawClient
from tests.net.serving import MemoryListener, get
from trio_h2 import HandshakeError, Server, ServerConfig, serve_listeners, serve_stream, serve_tcp
from trio_h2._net._proxy_protocol import _MalformedError, accept_proxied, parse
from trio_h2._stream._proxied import ProxyHeader
from trio_h2.testing import ThrowawayAuthority, TrickleStream, memory_transports

if TYPE_CHECKING:
    from trio_h2 import ServerExchange, ServerSession

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
LINE_SAYS = ProxyHeader(("192.0.2.1", 56324), ("198.51.100.7", 443))


def version_2(family: int, addresses: bytes, *, command: int = 0x21, more: bytes = b"") -> bytes:
    """Returns a binary header; *more* follows the addresses, as extensions do."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(addresses) + len(more)) + addresses + more


def inet(source: str, destination: str, *ports: int) -> bytes:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    return b"".join(socket.inet_pton(family, host) for host in (source, destination)) + struct.pack("!HH", *ports)


TCP4 = version_2(0x11, inet("192.0.2.1", "198.51.100.7", 56324, 443))
WHOLE = [
    (LINE, LINE_SAYS),
    (b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", ProxyHeader(("2001:db8::1", 1), ("::1", 65535))),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", ProxyHeader(("0.0.0.0", 0), ("0.0.0.0", 0))),
    (b"PROXY UNKNOWN\r\n", ProxyHeader(None, None)),
    (b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n", ProxyHeader(None, None)),
    (TCP4, LINE_SAYS),
    (version_2(0x21, inet("2001:db8::1", "::1", 1, 65535)), ProxyHeader(("2001:db8::1", 1), ("::1", 65535))),
    (version_2(0x11, inet("192.0.2.1", "198.51.100.7", 56324, 443), more=b"\x04\0\x01x"), LINE_SAYS),
    (version_2(0x31, b"/a".ljust(108, b"\0") + b"/b".ljust(108, b"\0")), ProxyHeader(b"/a", b"/b")),
    (version_2(0x31, bytes(216)), ProxyHeader(None, None)),
    (version_2(0x00, b""), ProxyHeader(None, None)),
    (version_2(0x12, bytes(12)), ProxyHeader(None, None)),
    (version_2(0x00, b"", command=0x20), ProxyHeader(None, None)),
    (version_2(0x11, inet("192.0.2.1", "198.51.100.7", 1, 2), command=0x20), ProxyHeader(None, None)),
    (version_2(0x00, b"", more=bytes(65535)), ProxyHeader(None, None)),
]
MALFORMED = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01",
    b"proxy TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 1\r\n",
    b"PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
    b"PROXY UDP4 192.0.2.1 198.51.100.7 56324 443\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.7 56324 443\r\n",
    b"PROXY TCP4 ::1 ::1 56324 443\r\n",
    b"PROXY TCP6 192.0.2.1 198.51.100.7 56324 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 056 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 -1 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7  443\r\n",
    b"PROXY TCP4 192.0.2.\xe91 198.51.100.7 1 443\r\n",
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    b"PROXY TCP4" + b" " * 97,
    version_2(0x11, bytes(11)),
    version_2(0x21, bytes(35)),
    version_2(0x31, bytes(215)),
    version_2(0x11, bytes(12), command=0x11),
    version_2(0x11, bytes(12), command=0x22),
]


# -- the header ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "says"), WHOLE)
def test_headers(data: bytes, says: ProxyHeader) -> None:
    assert parse(data) == (says, len(data))
    assert parse(data + b"PRI *") == (says, len(data))
    for size in range(1, len(data)) if len(data) < 1000 else (1, 16, len(data) - 1):
        assert parse(data[:size]) is None, "more has to come"


@pytest.mark.parametrize("data", MALFORMED)
def test_what_is_no_header(data: bytes) -> None:
    with pytest.raises(_MalformedError):
        parse(data)


def test_the_longest_line() -> None:
    longest = b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n"
    assert len(longest) == 107
    assert parse(longest) == (ProxyHeader(None, None), 107)


# -- servers -------------------------------------------------------------------------------------------------------


async def addresses(exchange: ServerExchange) -> None:
    """Answers with the addresses as the handler sees them."""
    view = exchange.transport
    told = [view.peer_address, view.local_address, view.proxy_address]
    await exchange.respond(body=json.dumps(told).encode())


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


@pytest.mark.parametrize("header", [LINE, TCP4], ids=["version 1", "version 2"])
@pytest.mark.parametrize("trickle", [False, True], ids=["at once", "byte by byte"])
async def test_the_client_is_known(header: bytes, trickle: bool, autojump_clock: object) -> None:
    client, server = memory_transports()
    transport = TrickleStream(server) if trickle else server
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_stream, addresses, transport, proxy_protocol=True))
        await client.send_all(header)
        assert json.loads(await get("http://x", client)) == [["192.0.2.1", 56324], ["198.51.100.7", 443], None]


async def test_on_sockets_below_tls(authority: ThrowawayAuthority) -> None:
    """The header comes before the handshake; the address of the load balancer is known, too."""
    labels = []

    async def remember(session: ServerSession) -> None:
        labels.append(repr(session))

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(
            partial(
                trio_h2.serve_ssl_over_tcp,
                addresses,
                0,
                authority.server_context(),
                host="127.0.0.1",
                proxy_protocol=True,
                on_session=remember,
            )
        )
        transport = await trio.open_tcp_stream("127.0.0.1", server.port)
        own: tuple[str, int] = transport.socket.getsockname()
        await transport.send_all(LINE)
        told = json.loads(await get("https://localhost", transport, authority.client_context()))
        await server.aclose()
    assert told == [["192.0.2.1", 56324], ["198.51.100.7", 443], list(own)]
    assert "192.0.2.1:56324" in labels[0]


async def test_a_load_balancer_that_speaks_for_itself() -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve_tcp, addresses, 0, host="127.0.0.1", proxy_protocol=True))
        transport = await trio.open_tcp_stream("127.0.0.1", server.port)
        own = list(transport.socket.getsockname())
        await transport.send_all(version_2(0, b"", command=0x20))
        assert json.loads(await get(server.urls[0], transport)) == [own, ["127.0.0.1", server.port], own]
        await server.aclose()


async def test_http_1_as_well(autojump_clock: object) -> None:
    client, server = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_stream, addresses, server, allow_http1=True, proxy_protocol=True))
        raw = RawClient(client)
        await raw.send(f"{LINE.decode()}GET / HTTP/1.1\r\n{HOST}\r\n")
        assert json.loads((await raw.answer()).body)[0] == ["192.0.2.1", 56324]
        await client.aclose()


@pytest.mark.parametrize("data", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", LINE[:-1], b""], ids=["none", "half", "nothing"])
async def test_who_does_not_say_it_is_not_served(
    data: bytes, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """It is closed, at once or after the time for handshakes, and others are served."""
    errors: list[Exception] = []

    def failed(session: ServerSession | None, error: Exception) -> None:
        assert session is None
        errors.append(error)

    listener = MemoryListener()
    serve = partial(
        serve_listeners,
        addresses,
        [listener],
        config=ServerConfig(handshake_timeout=5),
        proxy_protocol=True,
        on_session_error=failed,
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        client = listener.connect()
        before = trio.current_time()
        if data:
            await client.send_all(data)
        assert await client.receive_some() == b""
        assert trio.current_time() - before == (0 if data.startswith(b"PRI") else 5)
        await trio.testing.wait_all_tasks_blocked()
        (error,) = errors
        assert isinstance(error, HandshakeError)
        assert "PROXY" in str(error)
        good = listener.connect()
        await good.send_all(TCP4)
        assert json.loads(await get("http://x", good))[0] == ["192.0.2.1", 56324]
        await server.aclose()
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.mark.parametrize("end", ["eof", "reset", "shutdown"])
async def test_what_ends_in_the_header(end: str, autojump_clock: object) -> None:
    errors: list[Exception] = []
    listener = MemoryListener()

    def failed(session: ServerSession | None, error: Exception) -> None:
        errors.append(error)

    serve = partial(serve_listeners, addresses, [listener], proxy_protocol=True, on_session_error=failed)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        client = listener.connect()
        await client.send_all(LINE[:10])
        await trio.testing.wait_all_tasks_blocked()
        if end == "eof":
            await client.send_eof()
        elif end == "reset":
            await client.aclose()
        else:
            server.shutdown()
        if end != "reset":
            assert await client.receive_some() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert [type(error) for error in errors] == ([] if end == "shutdown" else [HandshakeError])
        await server.aclose()


@pytest.mark.parametrize("wrong", [None, 1, "yes"])
async def test_it_is_true_or_false(wrong: object) -> None:
    with pytest.raises(TypeError, match="proxy_protocol must be True or False"):
        await serve_tcp(addresses, 0, proxy_protocol=wrong)  # type: ignore[arg-type]  # what the test is about


async def test_the_stream_after_the_header(autojump_clock: object) -> None:
    """It gives what came early first, in pieces if they are wanted, and is otherwise the transport below."""
    client, server = memory_transports()
    await client.send_all(LINE + b"early")
    stream = await accept_proxied(server, ServerConfig())
    assert stream.header == LINE_SAYS
    with pytest.raises(ValueError, match="not 0"):
        await stream.receive_some(0)
    assert await stream.receive_some(2) == b"ea"
    assert await stream.receive_some() == b"rly"
    await stream.send_all(b"there")
    await stream.wait_send_all_might_not_block()
    await stream.send_eof()
    assert await client.receive_some() == b"there"
    assert await client.receive_some() == b""
    await client.send_all(b"late")
    assert await stream.receive_some() == b"late"
    await stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()

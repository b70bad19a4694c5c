"""Origins that share a session: only where the certificate allows it, and ORIGIN frames or addresses say so."""

from __future__ import annotations

import contextlib
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.network import network, ours, scripted, until_closed
from tests.client.proxying import Http2Proxy
from trio_h2 import Client, Proxy, Retry
from trio_h2.testing import HeadersFrame, PeerClosedError, ThrowawayAuthority

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from trio.testing import MockClock

    from tests.client.network import Serve
    from trio_h2.testing import ScriptedPeer

A, B, OTHER = "https://a.example", "https://b.example", "https://other.test"
ORIGIN = 0xC  # the type of the frame, RFC 8336 §2


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority(["a.example", "b.example", "*.wild.example", "127.0.0.1"])


@pytest.fixture(scope="module")
def context(authority: ThrowawayAuthority) -> ssl.SSLContext:
    return authority.client_context(["h2", "http/1.1"])


def _tls(authority: ThrowawayAuthority, serve: Serve) -> Serve:
    async def serve_tls(transport: trio.abc.Stream) -> None:
        secure = trio.SSLStream(transport, authority.server_context(["h2"]), server_side=True, https_compatible=True)
        with contextlib.suppress(trio.BrokenResourceError):  # the client does not like the certificate
            await secure.do_handshake()
            await serve(secure)

    return serve_tls


def _announcing(*origins: str, status: Callable[[str], int] = lambda _authority: 200) -> Serve:
    """A server that names origins, and answers each request with what it was asked."""

    async def script(peer: ScriptedPeer) -> None:
        entries = b"".join(len(origin).to_bytes(2, "big") + origin.encode() for origin in origins)
        await peer.send_raw_frame(ORIGIN, 0, 0, entries)
        peer.timeout = 1000
        with contextlib.suppress(PeerClosedError):
            while True:
                head = await peer.until(HeadersFrame)
                asked = head.get(":authority") or ""
                await peer.respond(head.stream_id, status(asked), body=f"{asked} {head.get(':path')}".encode())

    return scripted(script)


async def _sessions(
    serve: Serve, authority: ThrowawayAuthority, context: ssl.SSLContext, urls: Sequence[str], *, coalesce: bool = True
) -> list[str]:
    """Returns the origins that were connected to."""
    async with (
        network(_tls(authority, serve)) as made,
        Client(transport=made, ssl_context=context, coalesce=coalesce, retry=Retry(attempts=0)) as client,
    ):
        for url in urls:
            response = await client.get(url)
            assert response.text == f"{url.removeprefix('https://')} /"
            assert response.status == 200
        return made.asked


# -- ORIGIN ------------------------------------------------------------------------------------------------------------


async def test_what_the_server_names_shares_its_session(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    asked = await _sessions(_announcing(A, B), authority, context, [A, B, A, B])
    assert asked == [A]


async def test_off_by_default(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    asked = await _sessions(_announcing(A, B), authority, context, [A, B], coalesce=False)
    assert asked == [A, B]
    async with (
        network(_tls(authority, _announcing(A, B))) as made,
        Client(transport=made, ssl_context=context) as client,
    ):
        await client.get(A)
        await client.get(B)
        assert made.asked == [A, B]


@pytest.mark.parametrize("named", [(A,), (), (f"{B}:444", f"http://{B[8:]}")], ids=["itself", "nothing", "others"])
async def test_what_the_server_does_not_name_has_a_session_of_its_own(
    named: tuple[str, ...], authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    assert await _sessions(_announcing(*named), authority, context, [A, B]) == [A, B]


async def test_a_name_without_a_certificate_is_worth_nothing(
    context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    """Whoever could name any origin would get everybody's requests."""
    only_a = ThrowawayAuthority(["a.example"])
    async with (
        network(_tls(only_a, _announcing(A, OTHER, B))) as made,
        Client(transport=made, ssl_context=only_a.client_context(), coalesce=True, retry=Retry(attempts=0)) as client,
    ):
        await client.get(A)
        for url in OTHER, B:
            with pytest.raises(trio_h2.HandshakeError):
                await client.get(url)
        assert made.asked == [A, OTHER, B]


async def test_a_certificate_that_nobody_verified_is_worth_nothing(
    authority: ThrowawayAuthority, autojump_clock: MockClock
) -> None:
    trusting = _trusting_context()
    assert await _sessions(_announcing(A, B), authority, trusting, [A, B]) == [A, B]


def _trusting_context() -> ssl.SSLContext:
    context = trio_h2.client_ssl_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("a.example", True),
        ("A.EXAMPLE", True),
        ("x.wild.example", True),
        ("x.y.wild.example", False),
        ("wild.example", False),
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("[::1]", False),
        ("c.example", False),
    ],
)
async def test_for_whom_a_certificate_is(
    host: str, covered: bool, authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    url = f"https://{host}"
    async with (
        network(_tls(authority, _announcing(A, B, url.lower()))) as made,
        Client(transport=made, ssl_context=context, coalesce=True, retry=Retry(attempts=0)) as client,
    ):
        await client.get(B)
        if covered:
            await client.get(url)
        else:
            with pytest.raises(trio_h2.HandshakeError):
                await client.get(url)
        assert (len(made.asked) == 1) == covered


async def test_after_421_an_origin_has_a_session_of_its_own(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    """For good, and without counting as a repetition; its request is sent again even if it is a POST."""
    first = _announcing(A, B, status=lambda asked: 200 if asked == "a.example" else 421)
    async with (
        network(_tls(authority, first), _tls(authority, _announcing(A, B))) as made,
        Client(transport=made, ssl_context=context, coalesce=True, retry=Retry(attempts=0), idle_timeout=10) as client,
    ):
        await client.get(A)
        response = await client.fetch("POST", B, body=b"once")
        assert (response.status, response.text) == (200, "b.example /")
        assert made.asked == [A, B]
        for _ in range(8):
            await trio.sleep(5)
            await client.get(A)
        assert len(client.sessions) == 1  # that of B idled too long
        await client.get(B)
        assert made.asked == [A, B, B]


async def test_a_session_that_the_server_leaves_takes_no_others(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    async def leaving(peer: ScriptedPeer) -> None:
        entries = b"".join(len(origin).to_bytes(2, "big") + origin.encode() for origin in (A, B))
        await peer.send_raw_frame(ORIGIN, 0, 0, entries)
        head = await peer.until(HeadersFrame)
        await peer.send_goaway(head.stream_id)
        await trio.sleep(1)
        await peer.respond(head.stream_id, 200, body=b"old")
        await until_closed(peer)

    async with (
        network(_tls(authority, scripted(leaving)), _tls(authority, _announcing(A, B))) as made,
        Client(transport=made, ssl_context=context, coalesce=True) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(client.get, A)
        await trio.sleep(0.5)
        assert (await client.get(B)).text == "b.example /"
        assert made.asked == [A, B]


async def test_the_authority_that_a_request_names_stays(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    async with (
        network(_tls(authority, _announcing(A, B))) as made,
        Client(transport=made, ssl_context=context, coalesce=True) as client,
    ):
        await client.get(A)
        assert (await client.get(B, headers={"host": "mine.example"})).text == "mine.example /"
        assert (await client.get(B, headers={"x-y": "z"})).text == "b.example /"
        assert made.asked == [A]


async def test_not_beyond_a_proxy(
    authority: ThrowawayAuthority,
    context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    """Who is to be connected to directly does not share what goes through a proxy; two behind the proxy may share."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "b.example")
    served = _tls(authority, _announcing(A, B, "https://c.wild.example"))
    handler = Http2Proxy(served)

    async def dial(origin: str) -> trio.abc.Stream:
        dialed.append(origin)
        return await (through if "proxy" in origin else made)(origin)

    dialed: list[str] = []
    async with network(served) as made, network(ours(handler)) as through:
        async with Client(
            transport=dial, proxy=Proxy("http://proxy.example:3128", http2=True), ssl_context=context, coalesce=True
        ) as client:
            for url in A, B, "https://c.wild.example":
                await client.get(url)
        assert len(handler.heads) == 1
        dialed.clear()
        async with Client(transport=dial, trust_env=True, ssl_context=context, coalesce=True) as client:
            with pytest.raises(trio_h2.ProxyError):  # it speaks HTTP/2 only
                await client.get(A)
            await client.get(B)
            assert dialed[-1] == B


# -- addresses ---------------------------------------------------------------------------------------------------------


class _Names(trio.abc.HostnameResolver):
    """Knows the addresses of the hosts of these tests."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = addresses
        self.asked: list[str] = []

    async def getaddrinfo(  # type: ignore[override] # of what is asked for here
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[object]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.asked.append(name)
        await trio.lowlevel.checkpoint()
        if name not in self._addresses:
            raise OSError(f"no such host: {name}")
        return [(trio.socket.AF_INET, trio.socket.SOCK_STREAM, 6, "", (self._addresses[name], port))]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise NotImplementedError


@pytest.fixture
async def names() -> AsyncGenerator[_Names, None]:
    names = _Names({"a.example": "127.0.0.1", "b.example": "127.0.0.1", "x.wild.example": "127.0.0.2"})
    before = trio.socket.set_custom_hostname_resolver(names)
    yield names
    trio.socket.set_custom_hostname_resolver(before)


@asynccontextmanager
async def _listening(authority: ThrowawayAuthority, *origins: str) -> AsyncGenerator[trio_h2.Server, None]:
    async def echo(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=stream.headers[":authority"].encode())

    async with trio_h2.open_server(
        echo, host="127.0.0.1", ssl_context=authority.server_context(["h2"]), origins=origins
    ) as server:
        yield server


async def test_the_same_address_shares_a_session(
    authority: ThrowawayAuthority, context: ssl.SSLContext, names: _Names
) -> None:
    async with _listening(authority) as server, Client(ssl_context=context, coalesce=True) as client:
        for host in "a.example", "b.example", "a.example", "b.example":
            assert (await client.get(f"https://{host}:{server.port}")).text == f"{host}:{server.port}"
        assert client.statistics().opened == 1
        assert names.asked == ["a.example", "b.example"]


async def test_another_address_or_port_does_not(
    authority: ThrowawayAuthority, context: ssl.SSLContext, names: _Names
) -> None:
    async with (
        _listening(authority) as server,
        _listening(authority) as other,
        Client(ssl_context=context, coalesce=True, retry=Retry(attempts=0)) as client,
    ):
        await client.get(f"https://a.example:{server.port}")
        with pytest.raises(OSError, match=r"127\.0\.0\.2|refused|connect"):
            await client.get(f"https://x.wild.example:{server.port}")
        assert (await client.get(f"https://b.example:{other.port}")).text == f"b.example:{other.port}"
        assert client.statistics().opened == 2
        with pytest.raises(OSError, match="no such host"):
            await client.get(f"https://y.wild.example:{server.port}")


async def test_the_same_address_is_not_enough_if_the_server_has_named_others(
    authority: ThrowawayAuthority, context: ssl.SSLContext, names: _Names
) -> None:
    """RFC 8336 §2.4: not "authoritative for an origin not present in the Origin Set"."""
    async with (
        _listening(authority, "https://a.example") as server,
        Client(ssl_context=context, coalesce=True) as client,
    ):
        for host in "a.example", "b.example":
            assert (await client.get(f"https://{host}:{server.port}")).text == f"{host}:{server.port}"
        assert client.statistics().opened == 2

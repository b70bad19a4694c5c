"""What a client begins with on a port that speaks TLS: its ClientHello, or a request in clear text."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.http1.client import RawClient
from tests.net.serving import MemoryListener, get, hello
from trio_h2 import HandshakeError, connect, serve_listeners
from trio_h2._net._hello import FirstBytes
from trio_h2.testing import (
    CLIENT_PREFACE,
    GoAwayFrame,
    ScriptedPeer,
    ThrowawayAuthority,
    TrickleStream,
    memory_transports,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio.testing import MockClock


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


def client_hello(name: str | None, *, tls12: bool = False) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def records(data: bytes, size: int) -> bytes:
    """Splits the one record of a hello into several."""
    message = data[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(data[:3] + len(part).to_bytes(2, "big") + part for part in parts)


async def first_bytes(*chunks: bytes, end: bool = True) -> FirstBytes:
    ours, theirs = memory_transports()
    for chunk in chunks:
        await theirs.send_all(chunk)
    if end:
        await theirs.send_eof()
    first = FirstBytes()
    await first.receive(ours)
    return first


class TestServerName:
    @pytest.mark.parametrize("tls12", [True, False])
    @pytest.mark.parametrize(
        ("asked", "told"),
        [("Example.test", "example.test"), (None, None), ("127.0.0.1", None), ("a_b.test", "a_b.test")],
    )
    async def test_it_is_told(self, asked: str | None, told: str | None, tls12: bool) -> None:
        data = client_hello(asked, tls12=tls12)
        first = await first_bytes(data, end=False)
        assert first.data == data
        assert first.server_name == told
        assert not first.in_clear_text

    async def test_a_hello_in_several_records(self) -> None:
        data = client_hello("example.test")
        size = len(data) // 6
        assert (await first_bytes(records(data, size), end=False)).server_name == "example.test"

    async def test_a_hello_in_more_records_than_anybody_needs_is_left_to_openssl(self) -> None:
        assert (await first_bytes(records(client_hello("example.test"), 9), end=False)).server_name is None

    async def test_byte_by_byte(self) -> None:
        ours, theirs = memory_transports()
        await theirs.send_all(client_hello("example.test"))
        first = FirstBytes()
        await first.receive(TrickleStream(ours, receive_bytes=1))
        assert first.server_name == "example.test"

    def test_every_cut_and_every_wrong_byte(self) -> None:
        """Nothing but a name, or none, comes out of it."""
        data = client_hello("example.test")

        def broken() -> Iterator[bytes]:
            for at in range(len(data)):
                yield data[:at]
                for value in (0, 1, 0xFF, data[at] ^ 0x20):
                    yield data[:at] + bytes([value]) + data[at + 1 :]

        for one in broken():
            first = FirstBytes()
            first.data = one
            name = first.server_name
            assert name is None or name.replace(".", "").replace("-", "").replace("_", "").isalnum()

    async def test_a_name_is_text(self) -> None:
        data = client_hello("example.test").replace(b"example.test", b"exam\x1b[1mtest")
        assert (await first_bytes(data, end=False)).server_name is None

    async def test_no_end_of_it(self) -> None:
        """No more than 16 KiB and one read are held."""
        endless = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(100_000)
        assert len((await first_bytes(endless, end=False)).data) < 90_000


@pytest.mark.parametrize(
    ("data", "clear"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", True),
        (b"BREW-COFFEE /pot HTTP/1.0\n\n", True),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", True),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", True),
        (CLIENT_PREFACE, True),
        (b"GET /\r\n", False),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", False),
        (b"HELO example.test\r\n", False),
        (b"\x80\x2e\x01\x03\x01", False),
        (b"\0" * 64, False),
        (b"A" * 100, False),
        (b"", False),
    ],
)
async def test_requests_in_clear_text(data: bytes, clear: bool) -> None:
    assert (await first_bytes(data)).in_clear_text is clear
    assert (await first_bytes(*(data[at : at + 7] for at in range(0, len(data), 7)))).in_clear_text is clear


class TestClearText:
    """RFC 9110 §15.5.1: 400 for what a port of HTTPS cannot serve, in the words of the client."""

    @pytest.fixture
    async def served(
        self, authority: ThrowawayAuthority, nursery: trio.Nursery, autojump_clock: MockClock
    ) -> tuple[MemoryListener, list[Exception]]:
        listener = MemoryListener()
        reports: list[Exception] = []
        serve = partial(
            serve_listeners,
            hello,
            [listener],
            ssl_context=authority.server_context(),
            on_session_error=lambda _, error: reports.append(error),
        )
        await nursery.start(serve)
        return listener, reports

    @pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST /x HTTP/1.0", "CONNECT a:443 HTTP/1.1"])
    async def test_http1(self, line: str, served: tuple[MemoryListener, list[Exception]]) -> None:
        listener, reports = served
        client = RawClient(listener.connect())
        await client.send(f"{line}\r\nhost: a\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert answer.body == b"This port speaks HTTPS: write https:// instead of http://.\n"
        assert "date" in answer.headers
        await client.expect_end()
        await client.transport.aclose()
        await trio.testing.wait_all_tasks_blocked()
        (error,) = reports
        assert isinstance(error, HandshakeError)
        assert str(error) == "the client does not speak TLS, but HTTP in clear text: it must use https://"

    async def test_head(self, served: tuple[MemoryListener, list[Exception]]) -> None:
        client = RawClient(served[0].connect())
        await client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await client.answer(head=True)).headers["content-length"] == "59"
        await client.expect_end()

    async def test_http2(self, served: tuple[MemoryListener, list[Exception]]) -> None:
        peer = ScriptedPeer(served[0].connect(), client=True)
        await peer.send_preface()
        await peer.send_settings()
        goaway = await peer.until(GoAwayFrame)
        assert goaway.code == 0xC  # INADEQUATE_SECURITY
        assert goaway.debug == b"this port speaks TLS: use https"
        await peer.expect_eof()

    async def test_our_client(self, served: tuple[MemoryListener, list[Exception]]) -> None:
        with pytest.raises(HandshakeError, match="and says: 'this port speaks TLS: use https'") as caught:
            async with (
                connect("http://localhost", transport=served[0].connect()) as session,
                session.request("GET") as stream,
            ):
                await stream.receive_response()
        assert not caught.value.retryable

    async def test_a_client_that_says_no_more(self, served: tuple[MemoryListener, list[Exception]]) -> None:
        """Half a line has the time of a handshake."""
        client = RawClient(served[0].connect())
        await client.send("GET /")
        start = trio.current_time()
        await client.expect_end()
        assert trio.current_time() - start == pytest.approx(10, abs=0.1)

    async def test_others_are_served(
        self, authority: ThrowawayAuthority, served: tuple[MemoryListener, list[Exception]]
    ) -> None:
        await RawClient(served[0].connect()).send("GET / HTTP/1.1\r\n\r\n")
        assert await get("https://localhost", served[0].connect(), authority.client_context()) == b"hello"

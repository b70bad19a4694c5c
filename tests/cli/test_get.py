"""`trio-h2 get`, against servers in this process."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trustme

import trio_h2
from tests.cli.tools import Ended, read_all, served
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Command
    from trio_h2 import ServerStream

MIB = 1024 * 1024


async def mirror(stream: ServerStream) -> None:
    """Answers with what was asked."""
    body = await read_all(stream)
    fields = b"".join(b"%b: %b\n" % field for field in stream.headers.raw if not field[0].startswith(b":"))
    text = f"{stream.method} {stream.authority} {stream.path}\n".encode()
    await stream.respond(200, body=text + fields + b"\n" + body)


async def status_in_path(stream: ServerStream) -> None:
    """Answers /404 with 404."""
    await stream.respond({":status": int(stream.path[1:]), "x-one": "1"}, body=stream.path.encode())


# -- what is sent and shown ----------------------------------------------------------------------------------------


async def test_a_plain_get(get: Command) -> None:
    async with served(mirror) as site:
        done = await get(site.url("/a?b=ü"))
        authority = site.url("").removeprefix("http://")
    fields = f"user-agent: trio-h2/{trio_h2.__version__}\naccept: */*\n\n"
    assert done == Ended(0, f"GET {authority} /a?b=%C3%BC\n{fields}".encode(), "")


async def test_headers_and_method(get: Command) -> None:
    async with served(mirror) as site:
        done = await get(site.url(), "-X", "PUT", "-H", "User-Agent: me", "-H", "x: ü", "-H", "x:", "-H", "accept: b")
    first, *fields = done.out.split(b"\n")
    assert first.startswith(b"PUT ")
    assert fields == [b"user-agent: me", b"x: \xc3\xbc", b"x: ", b"accept: b", b"content-length: 0", b"", b""]


async def test_data_is_a_post(get: Command) -> None:
    async with served(mirror) as site:
        done = await get(site.url(), "-d", "käse")
        assert done.out.startswith(b"POST ")
        assert done.out.endswith(b"content-length: 5\n\nk\xc3\xa4se")
        assert (await get(site.url(), "-d", "x", "-X", "PATCH")).out.startswith(b"PATCH ")
        assert (await get(site.url(), "-d", "")).out.startswith(b"POST ")


async def test_include(get: Command) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.send_informational(103, {"link": "</a>"})
        await stream.respond([(":status", 404), ("set-cookie", "a"), ("set-cookie", b"\xff"), ("date", "-")], body=b"B")

    async with served(handler) as site:
        done = await get(site.url(), "-i")
    fields = b"set-cookie: a\nset-cookie: \xff\ndate: -\ncontent-length: 1\n"
    assert done == Ended(0, b"HTTP/2 103\nlink: </a>\n\nHTTP/2 404\n" + fields + b"\nB", "")


async def test_head_shows_headers_and_no_bar_for_a_body_that_never_comes(get: Command) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond({":status": 200, "content-length": 5 * MIB, "date": "-"})

    async with served(handler) as site:
        done = await get(site.url(), "-X", "HEAD", "-i")
    assert done == Ended(0, b"HTTP/2 200\ncontent-length: 5242880\ndate: -\n\n", "")


async def test_a_big_body_arrives_as_it_is(get: Command, tmp_path: Path) -> None:
    body = os.urandom(5 * MIB + 7)

    async def handler(stream: ServerStream) -> None:
        await stream.respond(200, body=body)

    async with served(handler) as site:
        assert (await get(site.url())).out == body
        assert await get(site.url(), "-o", str(tmp_path / "out")) == Ended(0, b"", "")
    assert (tmp_path / "out").read_bytes() == body


async def test_with_a_file_only_the_head_goes_to_stdout(get: Command, tmp_path: Path) -> None:
    async with served(status_in_path) as site:
        done = await get(site.url("/200"), site.url("/404"), "-i", "-o", str(tmp_path / "out"))
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.startswith(b"HTTP")] == [b"HTTP/2 200", b"HTTP/2 404"]
    assert b"/200" not in done.out
    assert (tmp_path / "out").read_bytes() == b"/200/404"


async def test_an_empty_body_makes_an_empty_file(get: Command, tmp_path: Path) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond(204)

    (tmp_path / "out").write_bytes(b"old")
    async with served(handler) as site:
        assert await get(site.url(), "-o", str(tmp_path / "out")) == Ended(0, b"", "")
    assert (tmp_path / "out").read_bytes() == b""


# -- sessions ------------------------------------------------------------------------------------------------------


async def test_urls_of_one_origin_share_a_session_and_keep_their_order(get: Command) -> None:
    async with served(mirror) as one, served(mirror) as other:
        done = await get(one.url("/1"), other.url("/2"), one.url("/3"), other.url("/4").replace("http", "HTTP"))
    assert (one.sessions, other.sessions) == (1, 1)
    assert [line.split()[-1] for line in done.out.splitlines() if line.startswith(b"GET")] == [
        b"/1",
        b"/2",
        b"/3",
        b"/4",
    ]


async def test_a_session_that_has_ended_is_replaced(get: Command) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond(200, body=b"x")
        for session in site.server.sessions:
            session.shutdown()

    async with served(handler) as site, served(status_in_path) as other:
        # Another origin in between: the server's GOAWAY has arrived before the first one is asked again.
        done = await get(site.url(), other.url("/200"), site.url())
    assert done == Ended(0, b"x/200x", "")
    assert site.sessions == 2


# -- TLS -----------------------------------------------------------------------------------------------------------


async def test_trust(get: Command, authority: ThrowawayAuthority, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    authority.write_ca(ca)
    async with served(status_in_path, authority.server_context()) as site:
        url = site.url("/200")
        assert url.startswith("https:")
        assert await get(url, "--ca", str(ca)) == Ended(0, b"/200", "")
        assert await get(url, "--insecure") == Ended(0, b"/200", "")
        (await get(url)).failed(1, "certificate", "not accepted", "--ca")
        other = tmp_path / "other.pem"
        ThrowawayAuthority().write_ca(other)
        done = await get(url, "--ca", str(other))
        done.failed(1, "certificate", "not accepted", f"the authorities in {other} have not issued it")


async def test_the_name_in_the_certificate_counts(get: Command, tmp_path: Path) -> None:
    elsewhere = ThrowawayAuthority(["elsewhere.test"])
    elsewhere.write_ca(tmp_path / "ca.pem")
    async with served(status_in_path, elsewhere.server_context()) as site:
        (await get(site.url("/200"), "--ca", str(tmp_path / "ca.pem"))).failed(1, "certificate", "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "year", "words"), [("127.0.0.1", 2001, "expired"), ("elsewhere.test", 3001, "127.0.0.1")]
)
async def test_no_hint_where_no_authority_helps(get: Command, tmp_path: Path, name: str, year: int, words: str) -> None:
    """Whom to trust is not the question of a certificate that has expired, or is somebody else's."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    start, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(year, 1, 1, tzinfo=UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_before=start, not_after=end).configure_cert(context)
    context.set_alpn_protocols(["h2"])
    async with served(status_in_path, context) as site:
        done = await get(site.url("/200"), "--ca", str(tmp_path / "ca.pem"))
    done.failed(1, "certificate", "not accepted", words)
    assert "--ca" not in done.err
    assert "authorit" not in done.err


async def test_a_server_that_requires_a_certificate(get: Command, authority: ThrowawayAuthority) -> None:
    """In TLS 1.3 it says so after the handshake: that is no reason to doubt that it speaks HTTP/2."""
    context = authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    async with served(status_in_path, context) as site:
        done = await get(site.url("/200"), "--insecure")
    done.failed(1, "the server refused the TLS handshake: it requires a client certificate")
    assert "does not speak" not in done.err


async def test_unusable_authorities(get: Command, tmp_path: Path) -> None:
    (await get("https://localhost:1", "--ca", str(tmp_path / "absent"))).failed(1, "cannot read", "absent")
    (tmp_path / "text").write_text("no certificate")
    (await get("https://localhost:1", "--ca", str(tmp_path / "text"))).failed(1, "text")


async def test_a_server_that_speaks_tls(get: Command) -> None:
    """It answers clear text with an alert; nobody is told to try HTTP/1.1 then."""

    async def tls_server(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"\x15\x03\x03\x00\x02\x02\x46")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listener, *_ = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), tls_server, 0)
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        for options in ((), ("--http1",)):
            failed = await get(url, *options)
            failed.failed(1, "the server answered with an alert of TLS, so it seems to speak TLS: use https://")
            assert "--http1" not in failed.err
        nursery.cancel_scope.cancel()


async def test_a_server_without_http2(get: Command, authority: ThrowawayAuthority) -> None:
    """Over TLS it gets HTTP/1.1, unless that is not wanted; without TLS it would have to be known beforehand."""

    async def old_server(stream: trio.abc.Stream) -> None:
        try:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nold")
            await stream.receive_some()
        except trio.BrokenResourceError:
            pass
        await stream.aclose()

    for context in (authority.server_context(["http/1.1"]), authority.server_context([]), None):
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port: int = listener.socket.getsockname()[1]
        wrapped = listener if context is None else trio.SSLListener(listener, context)
        url = f"{'http' if context is None else 'https'}://127.0.0.1:{port}"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, old_server, [wrapped])
            insisting = await get(url, "--insecure", "--http2")
            choosing = await get(url, "--insecure", "-i")
            asked = await get(url, "--insecure", "-i", "--http1")
            nursery.cancel_scope.cancel()
        insisting.failed(1, "does not speak HTTP/2")
        old = Ended(0, b"HTTP/1.1 400\ncontent-length: 3\n\nold", "")
        assert asked == old
        if context is None:
            choosing.failed(1, "does not speak HTTP/2 (--http1 asks it in HTTP/1.1)")
        else:
            assert choosing == old

"""What `trio-h2 get` does as a client of many servers: redirects, retries, credentials, JSON, HTTP/1.1."""

from __future__ import annotations

import base64
import gzip
import os
from typing import TYPE_CHECKING

import pytest
import trio

from tests.cli.tools import Ended, read_all, served
from trio_h2 import ErrorCode, open_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Command
    from trio_h2 import ServerStream
    from trio_h2.testing import ThrowawayAuthority


async def mirror(stream: ServerStream) -> None:
    """Answers with what was asked."""
    body = await read_all(stream)
    names = ("authorization", "content-type", "accept")
    fields = [f"{name}: {stream.headers[name]}" for name in names if name in stream.headers]
    await stream.respond(200, body="\n".join([f"{stream.method} {stream.path}", *fields, body.decode()]).encode())


# -- JSON and credentials ------------------------------------------------------------------------------------------


async def test_json(get: Command, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("[1]")
    expected = "POST /\ncontent-type: application/json\naccept: application/json\n"
    async with served(mirror) as site:
        assert await get(site.url(), "--json", '{"a": 1}') == Ended(0, f'{expected}{{"a": 1}}'.encode(), "")
        assert (await get(site.url(), "--json", f"@{tmp_path / 'file.json'}")).out == f"{expected}[1]".encode()
        done = await get(site.url(), "--json", "1", "-X", "PUT", "-H", "accept: a/b", "-H", "Content-Type: c/d")
        assert done.out == b"PUT /\ncontent-type: c/d\naccept: a/b\n1"
        (await get(site.url(), site.url(), "--json", "@-")).failed(2, "--json @-")


async def test_credentials_are_sent_and_not_shown(get: Command, tmp_path: Path) -> None:
    encoded = base64.b64encode(b"jane:p\xc3\xa4ss:word")
    file = tmp_path / "trace"
    async with served(mirror) as site:
        done = await get(site.url(), "-u", "jane:päss:word", "-v", "--trace", str(file))
    assert done.code == 0
    assert done.out == b"GET /\nauthorization: Basic %b\naccept: */*\n" % encoded
    for shown in (done.err, file.read_text()):
        assert "authorization" in shown
        assert encoded.decode() not in shown
        assert "word" not in shown
    (await get("http://127.0.0.1:1", "-u", "a:b", "-H", "Authorization: x")).failed(2, "-u and -H")


async def test_credentials_are_in_no_error(get: Command) -> None:
    async def handler(stream: ServerStream) -> None:
        stream.reset(ErrorCode.INTERNAL_ERROR)

    async with served(handler) as site:
        for url in (site.url(), "http://127.0.0.1:1/", site.url().replace("http:", "https:")):
            done = await get(url, "-u", "jane:s3cret")
            done.failed(1)
            assert "s3cret" not in done.err
            assert base64.b64encode(b"jane:s3cret").decode() not in done.err


# -- redirects -----------------------------------------------------------------------------------------------------


async def test_redirects(get: Command) -> None:
    async with served(mirror) as other:

        async def handler(stream: ServerStream) -> None:
            if stream.path == "/here":
                await stream.respond({":status": 302, "location": "/there", "date": "-"})
            elif stream.path == "/away":
                await stream.respond({":status": 307, "location": other.url("/x"), "date": "-"})
            elif stream.path == "/circle":
                await stream.respond({":status": 302, "location": "/circle"})
            elif stream.path == "/nowhere":
                await stream.respond({":status": 302, "location": "http://127.0.0.1:1/"})
            else:
                await mirror(stream)

        async with served(handler) as site:
            assert (await get(site.url("/here"), "-i")).out == b"HTTP/2 302\nlocation: /there\ndate: -\n\n"
            done = await get(site.url("/here"), "-i", "-L", "-d", "x", "-u", "a:b")
            first, second = done.out.split(b"HTTP/2 ")[1:]
            assert first == b"302\nlocation: /there\ndate: -\n\n"
            assert second.startswith(b"200\n")
            assert second.endswith(b"\n\nGET /there\nauthorization: Basic YTpi\naccept: */*\n")
            done = await get(site.url("/away"), "--location", "-d", "body", "-u", "a:b")
            assert done.out == b"POST /x\naccept: */*\nbody", "no credentials for others"
            (await get(site.url("/circle"), "-L")).failed(1, "/circle", "redirected more often")
            (await get(site.url("/nowhere"), "-L")).failed(1, "cannot connect to http://127.0.0.1:1: Connection")


async def test_a_redirected_upload_is_read_again(get: Command, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"0123456789" * 30_000)

    async def handler(stream: ServerStream) -> None:
        body = await read_all(stream)
        if stream.path == "/":
            await stream.respond({":status": 308, "location": "/again"})
        else:
            await stream.respond(200, body=f"{stream.method} {stream.path} {len(body)} {body[:3].decode()}".encode())

    async with served(handler) as site:
        done = await get(site.url(), "-L", "-X", "PUT", "-d", f"@{tmp_path / 'body'}")
    assert done == Ended(0, b"PUT /again 300000 012", "")


# -- content codings -----------------------------------------------------------------------------------------------


async def test_compressed_bodies(get: Command) -> None:
    """They are asked for, and decoded, only with the option."""
    text = b"a long story " * 100_000

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/torn":
            await stream.respond({":status": 200, "content-encoding": "gzip"}, body=gzip.compress(text)[:-20])
        elif "gzip" in stream.headers.get("accept-encoding", ""):
            await stream.respond({":status": 200, "content-encoding": "gzip"}, body=gzip.compress(text))
        else:
            await stream.respond(200, body=b"plain")

    async with served(handler) as site:
        assert await get(site.url(), "--compressed") == Ended(0, text, "")
        assert await get(site.url()) == Ended(0, b"plain", "")
        assert (await get(site.url("/torn"))).out == gzip.compress(text)[:-20]
        (await get(site.url("/torn"), "--compressed", "-o", os.devnull)).failed(
            1, "the transfer failed after", "is incomplete: "
        )


# -- retries -------------------------------------------------------------------------------------------------------


class Flaky:
    """Fails so many times before it answers."""

    def __init__(self, failures: int, *, reset: bool = False) -> None:
        self._failures = failures
        self._reset = reset
        self.asked = 0

    async def __call__(self, stream: ServerStream) -> None:
        """Handles a request."""
        self.asked += 1
        if self.asked > self._failures:
            await stream.respond(200, body=b"in the end")
        elif self._reset:
            stream.reset(ErrorCode.REFUSED_STREAM)
        else:
            await stream.respond({":status": 503, "retry-after": "0"}, body=b"not now")


async def test_retry_after_a_status(get: Command) -> None:
    for number, method, out, asked in (
        (0, "GET", b"not now", 1),
        (1, "GET", b"not now", 2),
        (2, "GET", b"in the end", 3),
        (5, "DELETE", b"in the end", 3),
        (5, "POST", b"not now", 1),
    ):
        flaky = Flaky(2)
        async with served(flaky) as site:
            assert await get(site.url(), "-X", method, "--retry", str(number)) == Ended(0, out, "")
        assert flaky.asked == asked
    flaky = Flaky(1)
    async with served(flaky) as site:
        (await get(site.url(), "--fail")).failed(22, "503")
    assert flaky.asked == 1


async def test_what_was_not_processed_is_sent_once_more_by_itself(get: Command) -> None:
    for failures, more, code in ((1, [], 0), (2, [], 1), (2, ["--retry", "2"], 0), (1, ["--retry", "0"], 1)):
        flaky = Flaky(failures, reset=True)
        async with served(flaky) as site:
            assert (await get(site.url(), "-d", "x", *more)).code == code, (failures, more)


# -- HTTP/1.1 ------------------------------------------------------------------------------------------------------


async def versions(stream: ServerStream) -> None:
    """Answers with the version, and what it was sent."""
    body = await read_all(stream)
    version = type(stream.session).__name__
    await stream.respond(200, body=f"{version} {stream.method} {stream.path} {body.decode()}\n".encode())


async def test_the_version_that_was_asked_for(get: Command, authority: ThrowawayAuthority, tmp_path: Path) -> None:
    authority.write_ca(tmp_path / "ca.pem")
    async with open_server(versions, host="127.0.0.1", allow_http1=True) as plain:
        for more, name in (([], "ServerSession"), (["--http2"], "ServerSession"), (["--http1"], "Http1Connection")):
            done = await get(f"{plain.url}/a", f"{plain.url}/b", "-d", "x", *more)
            assert done == Ended(0, f"{name} POST /a x\n{name} POST /b x\n".encode(), ""), more
    context = authority.server_context(["h2", "http/1.1"])
    async with open_server(versions, host="127.0.0.1", ssl_context=context, allow_http1=True) as server:
        for more, name in (([], "ServerSession"), (["--http2"], "ServerSession"), (["--http1"], "Http1Connection")):
            done = await get(f"{server.url}/a", "--ca", str(tmp_path / "ca.pem"), *more)
            assert done == Ended(0, f"{name} GET /a \n".encode(), ""), more


async def test_uploads_over_http1(get: Command, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"file")
    async with open_server(versions, host="127.0.0.1", allow_http1=True) as server:
        done = await get(server.url, "--http1", "-d", f"@{tmp_path / 'body'}")
        assert done.out == b"Http1Connection POST / file\n"
        for data in ("four", f"@{tmp_path / 'body'}"):
            for length in ("3", "5", "x"):
                done = await get(server.url, "--http1", "-d", data, "-H", f"content-length: {length}")
                done.failed(done.code)
                assert done.code in (1, 2)
                assert "bug" not in done.err


async def test_a_response_of_http1_that_breaks_off(get: Command, tmp_path: Path) -> None:
    async def half(stream: trio.abc.Stream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, half, [listener])
        done = await get(f"http://127.0.0.1:{listener.socket.getsockname()[1]}/", "--http1")
        nursery.cancel_scope.cancel()
    assert done.out == b"half"
    done.failed(1, "the transfer failed after 4 bytes, stdout is incomplete", "closed the connection")


@pytest.mark.parametrize("data", [b"", b"\0", b"PRI * HTTP/2.0\r\n\r\n"])
async def test_a_server_of_http1_that_hangs_up(get: Command, data: bytes) -> None:
    async def hang_up(stream: trio.abc.Stream) -> None:
        async with stream:
            await stream.receive_some()
            if data:
                await stream.send_all(data)

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, hang_up, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
        (await get(url, "--http1")).failed(1, url)
        nursery.cancel_scope.cancel()

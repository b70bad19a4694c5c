"""`trio-h2 serve`, as a process: what it says, how it fails, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import ssl
from typing import TYPE_CHECKING, Protocol

import pytest
import trio

import trio_h2
from tests.cli.tools import PATIENCE, assert_one_line, fetch, read_all, run, running
from trio_h2._cli import main
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from trio_h2 import ClientSession


class Failing(Protocol):
    """Runs `trio-h2 serve` with arguments that must fail."""

    def __call__(self, code: int, words: list[str], *argv: str) -> None:
        """Checks the exit code, and that the one line on stderr says all of *words*."""


APP = """
import trio

async def echo(stream):
    await stream.respond(200)
    async for chunk in stream:
        await stream.send_all(chunk)

async def stubborn(stream):
    await stream.respond(200)
    await trio.sleep_forever()

async def broken(stream):
    raise ZeroDivisionError("the app's own mistake")
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    file = tmp_path / "app.py"
    file.write_text(APP)
    return file


@pytest.fixture
def failing(capfd: pytest.CaptureFixture[str]) -> Failing:
    """Runs `trio-h2 serve`, which fails before it serves, and checks what it says."""

    def check(code: int, words: list[str], *argv: str) -> None:
        assert main(["serve", *argv]) == code
        out, err = capfd.readouterr()
        assert out == ""
        assert_one_line(err, *words)

    return check


async def wait_refused(session: ClientSession) -> None:
    """Waits until the server takes no new requests."""
    while True:
        await session.ping()
        try:
            async with session.request("GET", "/another") as stream:
                stream.reset()
        except trio_h2.GoAwayError:
            return


# -- serving -------------------------------------------------------------------------------------------------------


async def test_a_directory(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    body = os.urandom(3_000_001)
    (tmp_path / "big").write_bytes(body)
    async with running("serve", str(tmp_path)) as server:
        url = await server.url()
        assert url.startswith("http://localhost:")
        assert await fetch(f"{url}/big") == 0
        assert capfdbinary.readouterr().out == body
        assert await fetch(f"{url}/../secret", "--fail") == 22
        server.signal(signal.SIGTERM)
        ended = await server.ended()
    assert (ended.code, ended.out, ended.err) == (0, b"", ""), "one line on stdout, nothing else"


async def test_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    async with running("serve") as server:
        assert await fetch(f"{await server.url()}/here", "--fail") == 0


async def test_hidden_files_and_listings(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / ".env").write_text("hidden")
    async with running("serve", str(tmp_path), "--hidden", "--listing") as server:
        url = await server.url()
        assert await fetch(f"{url}/") == 0
        assert b'"./.env"' in capfdbinary.readouterr().out
        assert await fetch(f"{url}/.env") == 0
        assert capfdbinary.readouterr().out == b"hidden"
    async with running("serve", str(tmp_path)) as server:
        url = await server.url()
        for path in ("/", "/.env"):
            assert await fetch(f"{url}{path}", "--fail") == 22


async def test_an_app_on_a_given_host(app: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    async with running("serve", "--app", f"{app}:echo", "--host", "127.0.0.1") as server:
        url = await server.url()
        assert url.startswith("http://127.0.0.1:")
        assert await fetch(url, "-d", "hello") == 0
    assert capfdbinary.readouterr().out == b"hello"


async def test_self_signed(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    async with running("serve", str(tmp_path), "--self-signed", "--write-ca", str(ca)) as server:
        url = await server.url()
        assert url.startswith("https://localhost:")
        assert await fetch(f"{url}/ca.pem", "--ca", str(ca), "--fail") == 0
        assert await fetch(f"{url}/ca.pem") == 1


async def test_a_certificate_of_ones_own(tmp_path: Path, authority: ThrowawayAuthority) -> None:
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.write_ca(ca)
    authority.write_server(cert, key)
    async with running("serve", str(tmp_path), "--cert", str(cert), "--key", str(key)) as server:
        assert await fetch(f"{await server.url()}/ca.pem", "--ca", str(ca), "--fail") == 0


async def test_what_an_app_does_wrong_is_shown_in_full(app: Path) -> None:
    async with running("serve", "--app", f"{app}:broken") as server:
        assert await fetch(await server.url(), "--fail") == 22
        server.signal(signal.SIGTERM)
        ended = await server.ended()
    assert ended.code == 0
    assert 'raise ZeroDivisionError("the app\'s own mistake")' in ended.err


# -- failures ------------------------------------------------------------------------------------------------------


async def test_port_in_use(tmp_path: Path) -> None:
    async with running("serve", str(tmp_path)) as server:
        port = (await server.url()).rpartition(":")[2]
        ended = await run("serve", str(tmp_path), "--port", port)
        assert ended.out == b""
        ended.failed(1, "localhost", port, "in use")


async def test_a_host_that_is_not_here(tmp_path: Path) -> None:
    (await run("serve", str(tmp_path), "--host", "no-such-host.invalid")).failed(1, "no-such-host.invalid")
    (await run("serve", str(tmp_path), "--host", "192.0.2.1")).failed(1, "192.0.2.1", "cannot listen")


def test_apps_that_cannot_be_loaded(app: Path, failing: Failing) -> None:
    for spec, word in [("absent.py:x", "absent.py"), ("x", "FILE.py:NAME"), ("f.py:", "FILE.py:NAME")]:
        failing(2, [word], "--app", spec)
    failing(2, ["there is no file"], "--app", f"{app.parent}:x")


def test_directories_that_are_none(tmp_path: Path, failing: Failing) -> None:
    failing(2, ["/no/such/directory", "not a directory"], "/no/such/directory")
    failing(2, ["not a directory"], __file__)


def test_certificates_that_cannot_be_read(tmp_path: Path, authority: ThrowawayAuthority, failing: Failing) -> None:
    cert, key, other_cert, other_key = (str(tmp_path / name) for name in ("cert", "key", "other-cert", "other-key"))
    authority.write_server(cert, key)
    ThrowawayAuthority().write_server(other_cert, other_key)
    for arguments, words in [
        (["--cert", "/no/such/file"], ["/no/such/file", "No such file"]),
        (["--cert", cert, "--key", "/no/such/key"], ["/no/such/key"]),
        (["--cert", cert], [cert]),
        (["--cert", cert, "--key", cert], [cert]),
        (["--cert", cert, "--key", other_key], [other_key, "does not belong"]),
        (["--cert", __file__], [__file__]),
        (["--self-signed", "--write-ca", "/no/such/ca.pem"], ["/no/such/ca.pem", "No such file"]),
    ]:
        failing(1, words, str(tmp_path), *arguments)


# -- the end -------------------------------------------------------------------------------------------------------


async def wait_not_listening(url: str) -> None:
    """Connects until that is refused; the sessions are told to go a moment before the sockets are closed."""
    with contextlib.suppress(OSError), trio.fail_after(PATIENCE):
        while True:
            async with trio_h2.connect(url):
                pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_drains(app: Path, number: signal.Signals) -> None:
    """The request that runs is finished, new ones are refused, then the process ends well."""
    async with running("serve", "--app", f"{app}:echo") as server:
        url = await server.url()
        async with trio_h2.connect(url) as session, session.request("POST", end_stream=False) as stream:
            await stream.send_all(b"before, ")
            assert await stream.receive_some() == b"before, "
            server.signal(number)
            await wait_refused(session)
            await wait_not_listening(url)
            await stream.send_all(b"after")
            await stream.send_eof()
            assert await read_all(stream) == b"after"
            ended = await server.ended()
        assert (ended.code, ended.out, ended.err) == (0, b"", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_at_once(app: Path, number: signal.Signals) -> None:
    async with running("serve", "--app", f"{app}:stubborn") as server:
        async with trio_h2.connect(await server.url()) as session, session.request("GET") as stream:
            await stream.receive_response()
            server.signal(number)
            await wait_refused(session)
            assert server.process.poll() is None
            server.signal(number)
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await read_all(stream)
            assert caught.value.code == trio_h2.ErrorCode.CANCEL
            ended = await server.ended()
        assert (ended.code, ended.out, ended.err) == (128 + number, b"", "")


async def test_a_signal_without_clients(tmp_path: Path) -> None:
    async with running("serve", str(tmp_path)) as server:
        await server.url()
        server.signal(signal.SIGINT)
        ended = await server.ended()
    assert (ended.code, ended.out, ended.err) == (0, b"", "")


async def test_an_idle_client_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with running("serve", str(tmp_path)) as server, trio_h2.connect(await server.url()) as session:
        await session.ping()
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0
        with trio.fail_after(5):
            await session.wait_closed()


# -- options -------------------------------------------------------------------------------------------------------


async def http1(url: str, ca: Path | None = None) -> bytes:
    """Sends a request over HTTP/1.1; returns the whole answer."""
    host, _, port = url.partition("://")[2].partition(":")
    stream: trio.abc.Stream = await trio.open_tcp_stream(host, int(port))
    if ca is not None:
        stream = trio.SSLStream(
            stream, ssl.create_default_context(cafile=str(ca)), server_hostname=host, https_compatible=True
        )
    async with stream:
        await stream.send_all(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        return b"".join([chunk async for chunk in stream])


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["alone", "workers"])
@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "tls"])
async def test_http1_on_the_same_port(tmp_path: Path, workers: list[str], tls: bool) -> None:
    (tmp_path / "index.html").write_bytes(b"<p>here</p>")
    ca = tmp_path / "ca.pem"
    options = ["--self-signed", "--write-ca", str(ca)] if tls else []
    async with running("serve", str(tmp_path), "--allow-http1", *options, *workers) as server:
        url = await server.url()
        answer = await http1(url, ca if tls else None)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"<p>here</p>")
        assert await fetch(url, "--fail", *(["--ca", str(ca)] if tls else [])) == 0


async def test_http1_is_off_by_default(tmp_path: Path) -> None:
    async with running("serve", str(tmp_path)) as server:
        url = await server.url()
        assert not (await http1(url)).startswith(b"HTTP/1.1")


@pytest.mark.parametrize("workers", [[], ["--workers", "1"]], ids=["alone", "workers"])
async def test_the_access_log_behind_a_load_balancer(tmp_path: Path, workers: list[str]) -> None:
    (tmp_path / "index.html").write_bytes(b"<p>here</p>")
    options = ["--proxy-protocol", "--access-log", "text", *workers]
    async with running("serve", str(tmp_path), *options) as server:
        url = await server.url()
        host, _, port = url.partition("://")[2].partition(":")
        transport = await trio.open_tcp_stream(host, int(port))
        await transport.send_all(b"PROXY TCP4 192.0.2.9 198.51.100.7 56324 80\r\n")
        async with trio_h2.connect(url, transport=transport) as session, session.request("GET") as stream:
            assert await read_all(stream) == b"<p>here</p>"
        server.signal(signal.SIGTERM)
        ended = await server.ended()
    assert (ended.code, ended.out) == (0, b"")
    assert re.match(r'\d{4}-\d\d-\d\dT[\d:]{8}[+-]\d{4} 192\.0\.2\.9:56324 "GET / HTTP/2\.0" 200 11 0\.', ended.err)
    assert ended.err.count("\n") == 1


async def test_an_access_log_as_other_servers_have_it(tmp_path: Path) -> None:
    async with running("serve", str(tmp_path), "--host", "127.0.0.1", "--access-log", "combined") as server:
        assert await fetch(f"{await server.url()}/absent", "--fail", "-H", "user-agent: x/1") == 22
        server.signal(signal.SIGTERM)
        ended = await server.ended()
    line = r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:[\d:]{8} \+0000\] "GET /absent HTTP/2\.0" 404 14 "-" "x/1"\n'
    assert re.fullmatch(line, ended.err)


async def test_an_access_log_in_json(tmp_path: Path) -> None:
    async with running("serve", str(tmp_path), "--access-log", "json") as server:
        url = await server.url()
        assert await fetch(f"{url}/absent", "--fail") == 22
        server.signal(signal.SIGTERM)
        ended = await server.ended()
    told = json.loads(ended.err)
    assert (told["method"], told["path"], told["status"]) == ("GET", "/absent", 404)

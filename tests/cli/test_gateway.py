"""`trio-h2 gateway`: HTTP/2 and TLS in front of other servers, and the routes of a file."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import run, running
from trio_h2._cli._args import ServeOptions, parse
from trio_h2._cli._errors import UsageError
from trio_h2._cli._serve import prepare

if TYPE_CHECKING:
    from pathlib import Path

_APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["greeting"] = "hello"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        text = f"{scope['state'].get('greeting')} {scope['root_path']} {scope['path']}"
        await send({"type": "http.response.body", "body": text.encode()})

async def handle(stream):
    await stream.respond(200, body=b"handled " + stream.path.encode())

def shout(headers):
    return headers.forwarded(add={":path": headers[":path"].upper()})

number = 3
"""


async def _mirror(stream: trio_h2.ServerStream) -> None:
    told = stream.headers.get("x-forwarded-proto")
    await stream.respond(200, body=f"{stream.http_version} {told} {stream.authority} {stream.path}".encode())


def _options(*argv: str) -> ServeOptions:
    options = parse(["gateway", *argv])
    assert isinstance(options, ServeOptions)
    return options


def test_options(tmp_path: Path) -> None:
    assert _options(":3000", "--port", "8443", "--self-signed", "--workers", "2") == ServeOptions(
        gateway=True,
        servers=(":3000",),
        allow_http1=True,
        self_signed=True,
        workers=2,
        binds=_options(":1", "--port", "8443").binds,
    )
    file = tmp_path / "gateway.toml"
    file.write_text('servers = ["http://a"]\nport = 1\n[[route]]\ndirectory = "."')
    options = _options("--config", str(file))
    assert (options.servers, options.routes_file) == (("http://a",), str(file))
    assert _options("--config", str(file), "http://b").servers == ("http://b",)


async def test_in_front_of_an_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = tmp_path / "ca.pem"
    async with trio_h2.open_server(_mirror, 0, allow_http1=True) as behind:
        argv = ("gateway", behind.url.removeprefix("http://"), "--self-signed", "--write-ca", str(ca))
        async with running(*argv) as gateway:
            url = await gateway.url()
            async with trio_h2.Client(ssl_context=trio_h2.client_ssl_context(str(ca), allow_http1=True)) as client:
                response = await client.get(f"{url}/x")
                assert response.http_version == "2"
                assert response.text == f"1.1 https {url.removeprefix('https://')} /x"
            gateway.signal(signal.SIGTERM)
            assert (await gateway.ended()).code == 0


async def test_workers_and_routes(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(_APP)
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.txt").write_text("a file")
    async with trio_h2.open_server(_mirror, path=str(tmp_path / "app.sock"), allow_http1=True):
        (tmp_path / "gateway.toml").write_text(
            """
            port = 0
            workers = 2
            [[route]]
            servers = ["unix:app.sock"]
            health = "/health"
            rewrite = "app.py:shout"
            ejection = { failures = 5 }
            retries = { attempts = 1 }
            timeouts = { response = 5 }
            max-running = 10
            [[route]]
            prefix = "/api"
            servers = "unix:app.sock"
            strip_prefix = true
            x_forwarded = false
            [[route]]
            prefix = "/files"
            directory = "site"
            [[route]]
            prefix = "/asgi"
            asgi = "app.py:app"
            [[route]]
            prefix = "/mounted"
            asgi = "app.py:app"
            strip_prefix = true
            [[route]]
            prefix = "/own"
            app = "app.py:handle"
            """
        )
        async with running("gateway", "--config", str(tmp_path / "gateway.toml")) as gateway:
            url = await gateway.url()
            async with trio_h2.Client(http1=False) as client:
                for path, text in (
                    ("/x", "/X"),
                    ("/api/y", "/y"),
                    ("/files/a.txt", "a file"),
                    ("/asgi/z", "hello  /asgi/z"),
                    ("/mounted/z", "hello /mounted /mounted/z"),
                    ("/own/z", "handled /own/z"),
                ):
                    response = await client.get(url + path)
                    assert response.text.endswith(text), response.text
            gateway.signal(signal.SIGTERM)
            assert (await gateway.ended()).code == 0


async def test_what_is_printed_is_a_file_that_means_the_same(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(
        'servers = "http://a"\n[[route]]\nprefix = "/b"\nservers = ["http://b"]\nretries = {attempts = 1}\n'
    )
    printed = await run("gateway", "--config", str(tmp_path / "gateway.toml"), "--print-config")
    assert printed.code == 0
    again = tmp_path / "again.toml"
    again.write_bytes(printed.out)
    assert b'[[route]]\nprefix = "/b"\nservers = ["http://b"]\nretries = {attempts = 1}\n' in printed.out
    assert _options("--config", str(again)).servers == ("http://a",)
    prepare(_options("--config", str(again)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "give the URL of a server, or --config FILE.toml with [[route]] tables"),
        ("route = 3", "routes must be tables, each below a line [[route]]"),
        ("[[route]]", "route 1: it must have one of servers, directory, asgi, app, not 0 of them"),
        ('[[route]]\nservers = ["http://a"]\napp = "a:b"', "route 1: it must have one of servers"),
        (
            '[[route]]\nservers = "http://a"\nmax_runing = 3',
            "there is no 'max_runing' in it; did you mean 'max_running'?",
        ),
        ('[[route]]\ndirectory = "."\nhealth = "/"', "route 1: there is no 'health' in it"),
        ('[[route]]\nservers = "http://a"\nmax_running = 0', "route 1: max_running must be at least 1, not 0"),
        ('[[route]]\nservers = "http://a"\nmax_running = "3"', "route 1: max_running must be an int, not '3'"),
        ("[[route]]\nservers = 3", "route 1: servers must be a string, not 3"),
        ('[[route]]\nservers = "ftp://a"', "route 1: "),
        ('[[route]]\nprefix = "api"\nservers = "http://a"', "route 1: prefix must be a path that begins with a slash"),
        ('[[route]]\nservers = "http://a"\nstrip_prefix = 1', "route 1: strip_prefix must be true or false, not 1"),
        ('[[route]]\nservers = "http://a"\nretries = 1', "route 1: retries must be a table, not 1"),
        ('[[route]]\nservers = "http://a"\nretries = {share = 2}', "route 1: retries: share must be in 0..1, not 2"),
        (
            '[[route]]\nservers = "http://a"\nhealth = {pth = "/"}',
            "health: there is no 'pth' in it; did you mean 'path'?",
        ),
        ('[[route]]\nservers = "https://a"\nca = "none.pem"', "none.pem"),
        ('[[route]]\nservers = "https://a"\nca = "c"\ninsecure = true', "ca and insecure exclude each other"),
        ('[[route]]\nservers = "http://a"\nrewrite = "app.py:number"', "rewrite: 'number' in "),
        ('[[route]]\ndirectory = "nowhere"', "route 1: cannot serve nowhere: it is not a directory"),
        ('[[route]]\nasgi = "app.py:number"', "route 1: "),
        ('[[route]]\nasgi = "app.py:app"\nlifespan = "maybe"', "lifespan must be one of auto, on, off, not 'maybe'"),
        ('[[route]]\napp = "app.py:none"', "route 1: "),
        ('[[route]]\nservers = "http://a"\n[[route]]\nservers = "http://b"', "routes must differ"),
    ],
)
def test_what_is_wrong_with_a_file(text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "app.py").write_text(_APP)
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        prepare(_options("--config", str(file)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert text == "" or str(file) in str(caught.value)


async def test_errors_are_told_in_one_line(tmp_path: Path) -> None:
    (await run("gateway")).failed(2, "give the URL of a server")
    (await run("gateway", "ftp://a")).failed(2, "the URL of the server: ")
    (await run("gateway", "http://a", "--config", str(tmp_path / "none.toml"))).failed(2, "none.toml")


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    async with running("gateway", "http://localhost:9", "--port", "0") as gateway:
        url = await gateway.url()
        async with trio_h2.Client(http1=False) as client:
            with trio.fail_after(20):
                assert (await client.get(url)).status == 502
        gateway.signal(signal.SIGINT)
        ended = await gateway.ended()
        assert ended.code == 0
        assert "the server has failed, answered with 502" in ended.err

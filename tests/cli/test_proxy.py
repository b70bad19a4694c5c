"""`trio-h2 proxy`, and `trio-h2 get --proxy` through it."""

from __future__ import annotations

import base64
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.tools import Command, read_all, running, served
from trio_h2._cli import main
from trio_h2._cli._target import parse_proxy
from trio_h2.tunnel import ConnectProxy

if TYPE_CHECKING:
    from pathlib import Path

    from trio_h2 import ServerStream
    from trio_h2.testing import ThrowawayAuthority

HERE = "127.0.0.0/8:*"


async def mirror(stream: ServerStream) -> None:
    """Answers with what was asked."""
    body = await read_all(stream)
    await stream.respond(200, body=f"{stream.scheme} {stream.authority} {stream.path} ".encode() + body)


async def no_proxy(stream: ServerStream) -> None:
    """Wants no CONNECT."""
    await stream.respond(405)


async def talkative(stream: ServerStream) -> None:
    """Refuses by a page for a browser, or by a long story."""
    if stream.authority.endswith(":9"):
        await stream.respond({":status": 403, "content-type": "text/html"}, body=b"<!DOCTYPE html>")
    else:
        await stream.respond({":status": 502, "content-type": "text/plain"}, body=b"blah " * 2000)


@pytest.mark.parity("L1", "L4")
@pytest.mark.parametrize("tls", [False, True], ids=["h2c-inside", "tls-inside"])
async def test_get_through_a_proxy_with_tls(
    get: Command, tls: bool, tmp_path: Path, authority: ThrowawayAuthority
) -> None:
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.write_ca(ca)
    authority.write_server(cert, key)
    argv = ["proxy", "--allow", HERE, "--cert", str(cert), "--key", str(key)]
    async with served(mirror, authority.server_context() if tls else None) as site, running(*argv) as proxy:
        url = await proxy.url()
        assert url.startswith("https://localhost:")
        done = await get(site.url("/one"), site.url("/two"), "--proxy", url, "--ca", str(ca), "-d", "x")
        where = site.url("").partition("://")
        proxy.signal(signal.SIGTERM)
        ended = await proxy.ended()
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{where[0]} {where[2]} /one x{where[0]} {where[2]} /two x".encode()
    assert site.sessions == 1
    assert (ended.code, ended.out) == (0, b"")
    assert ended.err.count("\n") == 1, "one line for one tunnel"
    assert f"CONNECT {where[2]} ({where[2]}): " in ended.err
    # The command leaves when it has its answer, whether or not the target has said goodbye by then.
    ends = "(both sides have ended|the client closed it|its session has ended)"
    assert re.search(rf" bytes up, \d+ down, \d+\.\d+ s: {ends}\n$", ended.err)


async def test_a_target_that_is_not_allowed(get: Command) -> None:
    async with served(mirror) as site, running("proxy", "--allow", "example.com:443", "--allow", "*:*") as proxy:
        done = await get(site.url(), "--proxy", await proxy.url())
        done.failed(1, site.url("").rstrip("/"), "the proxy refused it: 403,", "is not allowed")


async def test_a_proxy_that_cannot_be_used(get: Command) -> None:
    async with served(no_proxy) as site:
        done = await get("http://127.0.0.1:9", "--proxy", site.url(""))
        done.failed(1, "cannot connect to http://127.0.0.1:9: the proxy refused it: status 405")
        done = await get(site.url(), "--proxy", "http://127.0.0.1:9")
        done.failed(1, "cannot connect to http://127.0.0.1:9: Connection refused")


async def test_a_long_story_is_not_told(get: Command) -> None:
    async with served(talkative) as site:
        for port, status in ((9, 403), (10, 502)):
            done = await get(f"http://127.0.0.1:{port}", "--proxy", site.url(""))
            done.failed(1, f"the proxy refused it: status {status}\n")


async def test_credentials_for_the_proxy(get: Command) -> None:
    proxy = ConnectProxy([HERE], authenticate={"jane": "p@ss:word"})
    async with served(mirror) as site, served(proxy) as door:
        host = door.url("").removeprefix("http://").rstrip("/")
        done = await get(site.url("/x"), "--proxy", f"http://jane:p%40ss:word@{host}")
        assert (done.code, done.err) == (0, "")
        done = await get(site.url("/x"), "--proxy", f"http://jane:secret@{host}")
        done.failed(1, "the proxy refused it: 407, proxy credentials are missing or wrong")
        assert "secret" not in done.err
        assert base64.b64encode(b"jane:secret").decode() not in done.err


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("ftp://a", "http or https"),
        ("http://", "host"),
        ("http://a:0", "port"),
        ("http://a/path", "without a path"),
        ("http://a?q", "without a path"),
        ("http://jane%3Adoe:secret@a", "cannot have a colon in it, like 'jane:doe'"),
        ("http://jane:secret%ff@a", "must be UTF-8"),
        ("http://jane:secret://@a/path", "without a path"),
        ("http://jane:secret://x@", "names no host"),
    ],
)
async def test_wrong_proxy_urls(get: Command, proxy: str, words: str) -> None:
    done = await get("http://127.0.0.1:9", "--proxy", proxy)
    done.failed(2, words)
    assert "secret" not in done.err


def test_proxy_urls() -> None:
    assert parse_proxy("proxy.test").target.origin == "https://proxy.test"
    assert parse_proxy("http://proxy.test:3128/").target.origin == "http://proxy.test:3128"
    assert parse_proxy("jane@proxy.test:1").credentials == ("jane", "")
    for url in ("jane:://@[::1]:1", "//jane:://@[::1]:1", "HTTPS://jane:://@[::1]:1"):
        assert parse_proxy(url).target.origin == "https://[::1]:1"
        assert parse_proxy(url).credentials == ("jane", "://")
    assert parse_proxy("http://z%C3%B6e:a@b/c?d#e@proxy.test").credentials == ("zöe", "a@b/c?d#e")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        *[
            ("example.com", "HOST:PORTS"),
            ("a:0", "1..65535"),
            ("10.0.0.1/8:80", "host bits"),
            ("127.1:80", "four decimal"),
        ],
        ("localhost:8080", "can never match"),
    ],
)
def test_a_rule_that_is_not_right(rule: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["proxy", "--allow", "ok.test:1", "--allow", rule]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("trio-h2: --allow: ")
    assert err.count("\n") == 1
    assert words in err

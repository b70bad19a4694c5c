"""Cookies: who may set them, who gets them, and how many (RFC 6265)."""

from __future__ import annotations

import contextlib
import http.cookiejar
import sys
import time
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.network import network, ours
from trio_h2 import Client
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.client.network import Serve

both = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])


def over_tls(authority: ThrowawayAuthority, site: Site) -> Serve:
    """Serves a connection over TLS, by what the client chooses."""

    async def serve(transport: trio.abc.Stream) -> None:
        context = authority.server_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        secure = trio.SSLStream(transport, context, server_side=True, https_compatible=True)
        with contextlib.suppress(trio_h2.HandshakeError):
            await trio_h2.serve_stream(site, secure, allow_http1=True)

    return serve


class Site:
    """Sets what it is told to, and says which cookies it gets."""

    def __init__(self, *lines: str, location: str | None = None) -> None:
        self.lines = list(lines)
        self.location = location

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        fields = [("set-cookie", line) for line in self.lines]
        moved = self.location is not None and stream.path != "/end"
        if moved:
            fields.append(("location", self.location or ""))
        cookie = "; ".join(stream.headers.get_all("cookie"))
        await stream.respond([(":status", "302" if moved else "200"), *fields], body=cookie.encode())


@both
@pytest.mark.parametrize(
    ("host", "line", "other", "same", "elsewhere"),
    [
        ("a.example.com", "x=1", "b.example.com", "x=1", ""),
        ("a.example.com", "x=1", "b.a.example.com", "x=1", ""),
        ("a.example.com", "x=1; Domain=example.com", "b.example.com", "x=1", "x=1"),
        ("a.example.com", "x=1; Domain=.Example.COM", "example.com", "x=1", "x=1"),
        ("a.example.com", "x=1; Domain=com", "b.com", "", ""),
        ("a.example.co.uk", "x=1; Domain=co.uk", "b.co.uk", "", ""),
        ("a.github.io", "x=1; Domain=github.io", "b.github.io", "", ""),
        ("github.io", "x=1; Domain=github.io", "b.github.io", "x=1", ""),
        ("a.example.com", "x=1; Domain=b.example.com", "b.example.com", "", ""),
        ("aexample.com", "x=1; Domain=example.com", "example.com", "", ""),
        ("127.0.0.1", "x=1", "127.0.0.2", "x=1", ""),
        ("127.0.0.1", "x=1; Domain=0.0.1", "126.0.0.1", "", ""),
        ("[::1]", "x=1", "[::2]", "x=1", ""),
        ("localhost", "x=1", "otherhost", "x=1", ""),
        ("a.example.com", "x=1; Secure", "b.example.com", "", ""),
        ("a.example.com", "__Host-x=1; Path=/", "b.example.com", "", ""),
        ("a.example.com", "__Secure-x=1", "b.example.com", "", ""),
        ("a.example.com", "x=1; Path=/other", "b.example.com", "", ""),
        ("a.example.com", "x=1; Max-Age=0", "b.example.com", "", ""),
        ("a.example.com", f"x={'1' * 5000}", "b.example.com", "", ""),
        ("a.example.com", "nonsense", "b.example.com", "", ""),
        ("a.example.com", "=1", "b.example.com", "", ""),
        ("a.example.com", "x=\x011", "b.example.com", "", ""),
        ("a.example.com", "x = a=b ;", "b.example.com", "x=a=b", ""),
        ("a.example.com", "x=1; Domain=", "b.example.com", "x=1", ""),
        ("a.example.com", "x=1; Path=nowhere", "b.example.com", "x=1", ""),
        ("a.example.com", "x=1; Version=1; Port=99; Max-Age=soon", "b.example.com", "x=1", ""),
        ("a.example.com", "x=1; Max-Age=99999999999999999999999", "b.example.com", "x=1", ""),
        ("a.example.com", "x=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "b.example.com", "", ""),
        ("a.example.com", "x=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "b.example.com", "x=1", ""),
        ("a.example.com", "x=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=9", "b.example.com", "x=1", ""),
        # of two, the last one counts (RFC 6265 §5.3), for the check as for the jar
        ("a.example.co.uk", "x=1; Domain=co.uk; Domain=example.co.uk", "b.co.uk", "x=1", ""),
        ("a.example.co.uk", "x=1; Domain=example.co.uk; Domain=co.uk", "b.co.uk", "", ""),
        ("127.0.0.1", "x=1; Domain=127.0.0.1", "127.0.0.2", "x=1", ""),
        ("[::1]", "x=1; Domain=[::1]", "[::2]", "", ""),
        ("localhost", "x=1; Domain=localhost", "a.localhost", "x=1", ""),
    ],
)
async def test_who_gets_a_cookie(
    host: str, line: str, other: str, same: str, elsewhere: str, http1: bool, autojump_clock: MockClock
) -> None:
    site = Site(line)
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, cookies=True) as client,
    ):
        assert (await client.get(f"http://{host}")).text == ""
        site.lines = []
        assert (await client.get(f"http://{host}/p?q")).text == same
        assert (await client.get(f"http://{other}")).text == elsewhere


@both
async def test_off_by_default_and_a_jar_of_ones_own(http1: bool, autojump_clock: MockClock) -> None:
    jar = http.cookiejar.CookieJar()
    async with (
        network(ours(Site("x=1", "y=2; path=/"), http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as off,
        Client(transport=made, prior_knowledge=not http1, cookies=jar) as client,
        Client(transport=made, prior_knowledge=not http1, cookies=jar) as second,
    ):
        for _ in range(2):
            assert (await off.get("http://a.example")).text == ""
        assert (off.cookies, client.cookies) == (None, jar)
        await client.get("http://a.example")
        assert {cookie.name: cookie.value for cookie in jar} == {"x": "1", "y": "2"}
        assert (await second.get("http://a.example")).text == "x=1; y=2"
        own = await second.get("http://a.example", headers={"Cookie": "mine=1"})
        assert own.text == "mine=1"


@both
async def test_redirects_set_and_get_them(http1: bool, autojump_clock: MockClock) -> None:
    site = Site("x=1; path=/", location="/end")
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, cookies=True, follow_redirects=True) as client,
    ):
        assert (await client.get("http://a.example.com")).text == "x=1"
        site.location = "http://b.example.com/end"
        assert (await client.get("http://a.example.com")).text == ""
        site.lines = ["x=2; path=/"]
        site.location = "/end"
        assert (await client.get("http://a.example.com")).text == "x=2"


@both
async def test_nobody_deletes_the_cookies_of_others(http1: bool, autojump_clock: MockClock) -> None:
    site = Site("x=1; Domain=good.com; path=/")
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, cookies=True) as client,
    ):
        await client.get("http://good.com")
        site.lines = [
            "x=; Domain=good.com; path=/; Max-Age=0",
            "x=; Domain=.good.com; path=/; Max-Age=0",
            "x=; Domain=good.com; Domain=evil.com; path=/; Max-Age=0",
        ]
        await client.get("http://evil.com")
        site.lines = []
        assert (await client.get("http://good.com")).text == "x=1"


@both
@pytest.mark.parametrize("how", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_the_server_deletes_its_own(how: str, http1: bool, autojump_clock: MockClock) -> None:
    site = Site("x=1; path=/", "y=2; path=/")
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, cookies=True) as client,
    ):
        await client.get("http://a.example.com")
        site.lines = [f"x=; path=/; {how}"]
        assert (await client.get("http://a.example.com")).text == "x=1; y=2"
        assert (await client.get("http://a.example.com")).text == "y=2"
        assert client.cookies is not None
        client.cookies.clear()
        assert (await client.get("http://a.example.com")).text == ""


@both
async def test_none_is_sent_after_its_time(
    http1: bool, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site("x=1; Max-Age=60")
    now = time.time()
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, cookies=True) as client,
    ):
        await client.get("http://a.example.com")
        site.lines = []
        monkeypatch.setattr("time.time", lambda: now + 50)
        assert (await client.get("http://a.example.com")).text == "x=1"
        monkeypatch.setattr("time.time", lambda: now + 70)
        assert (await client.get("http://a.example.com")).text == ""


@both
async def test_paths(http1: bool, autojump_clock: MockClock) -> None:
    site = Site("x=1", "y=2; Path=/a/b", "z=3; Path=/")
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, cookies=True) as client,
    ):
        await client.get("http://a.example.com/a/page")
        site.lines = []
        seen = {
            path: (await client.get(f"http://a.example.com{path}")).text
            for path in ("/", "/a", "/a/c", "/ab", "/a/b", "/a/b/c?d=/", "/a/bc")
        }
    assert seen == {
        "/": "z=3",
        "/a": "x=1; z=3",
        "/a/c": "x=1; z=3",
        "/ab": "z=3",
        "/a/b": "y=2; x=1; z=3",
        "/a/b/c?d=/": "y=2; x=1; z=3",
        "/a/bc": "x=1; z=3",
    }


@both
async def test_secure_cookies_are_for_https_only(http1: bool, autojump_clock: MockClock) -> None:
    """And who listens on the way of a request in clear text does not replace them (RFC 6265bis §5.7)."""
    site = Site("__Host-x=1; path=/; Secure", "__Secure-y=2; path=/; Secure", "z=3; path=/; Secure; Domain=example.com")
    authority = ThrowawayAuthority(["a.example.com"])
    context = authority.client_context()
    context.set_alpn_protocols(["http/1.1" if http1 else "h2"])
    async with (
        # the first connection is with TLS, the second without
        network(over_tls(authority, site), ours(site, http1=True)) as made,
        Client(
            transport=made,
            ssl_context=context,
            http2=not http1,
            prior_knowledge=not http1,
            cookies=True,
        ) as client,
    ):
        await client.get("https://a.example.com")
        site.lines = ["z=evil; path=/; Domain=example.com", "z=evil; path=/", "z=; path=/; Max-Age=0"]
        assert (await client.get("http://a.example.com")).text == ""
        site.lines = []
        assert (await client.get("http://a.example.com")).text == ""
        assert (await client.get("https://a.example.com")).text == "__Host-x=1; __Secure-y=2; z=3"


@both
async def test_a_repeated_request_has_what_the_refusal_set(http1: bool, autojump_clock: MockClock) -> None:
    asked = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        asked.append("; ".join(stream.headers.get_all("cookie")))
        await stream.respond([(":status", 200 if len(asked) > 2 else 503), ("set-cookie", f"x={len(asked)}")])

    async with (
        network(ours(handler, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, cookies=True, retry=trio_h2.Retry(statuses={503})) as client,
    ):
        assert (await client.get("http://a.example.com")).ok
    assert asked == ["", "x=1", "x=2"]


@both
async def test_not_too_many(http1: bool, autojump_clock: MockClock) -> None:
    site = Site()

    async def sets(host: str, *ranges: range) -> None:
        for numbers in ranges:
            site.lines = [f"x{number}=1" for number in numbers]
            await client.get(f"http://{host}.github.io")

    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, cookies=True) as client,
    ):
        assert client.cookies is not None
        await sets("a.x", range(100), range(100, 200), range(200, 250))
        assert [cookie.name for cookie in client.cookies] == [f"x{number}" for number in range(70, 250)]
        await sets("b.x", range(250, 260))  # of the same site
        assert [cookie.name for cookie in client.cookies] == [f"x{number}" for number in range(80, 260)]
        for number in range(17):
            await sets(f"a.{number}", range(90), range(90, 180))
        assert len(client.cookies) == 3000


async def test_wrong_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="cookies must be True, False or an http"):
        Client(cookies="x=1")  # type: ignore[arg-type]  # that is the test
    monkeypatch.delitem(sys.modules, "trio_h2._client._cookies", raising=False)
    monkeypatch.setitem(sys.modules, "publicsuffixlist", None)
    with pytest.raises(RuntimeError, match=r"'trio-h2\[client\]'"):
        Client(cookies=True)

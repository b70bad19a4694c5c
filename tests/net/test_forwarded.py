"""The client behind proxies that speak HTTP: whom the server believes, and what it makes of what they tell."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import run, running
from tests.http1.client import RawClient
from trio_h2 import Headers, Server, ServerConfig, serve_tcp, serve_unix
from trio_h2._stream._forwarded import TrustedProxies
from trio_h2.access_log import access_log
from trio_h2.compat import Request, Response, request_handler

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NETWORKS = ("10.0.0.0/8", "2001:db8::/32", "127.0.0.1")
X = "x-forwarded"
F = "forwarded"


def told(fields: Sequence[tuple[str, str]], field: str | None = None) -> tuple[tuple[str, int] | None, str | None]:
    client = TrustedProxies(NETWORKS, field).client(Headers(fields))
    return client.address, client.scheme


class TestXForwarded:
    @pytest.mark.parametrize(
        ("value", "address"),
        [
            ("192.0.2.1", ("192.0.2.1", 0)),
            ("192.0.2.1:4711", ("192.0.2.1", 4711)),
            ("2001:DB8:0::1", ("2001:db8::1", 0)),
            ("[2001:db8::1]", ("2001:db8::1", 0)),
            ("[2001:db8::1]:80", ("2001:db8::1", 80)),
            ("::ffff:192.0.2.1", ("192.0.2.1", 0)),
            # From the end: what stands before the first one that is no proxy may be made up.
            ("6.6.6.6, 192.0.2.1", ("192.0.2.1", 0)),
            ("6.6.6.6, 192.0.2.1, 10.0.0.1,10.1.2.3:99", ("192.0.2.1", 0)),
            ("10.9.9.9, 10.0.0.1", ("10.9.9.9", 0)),
            # What is no address ends the list.
            ("192.0.2.1, unknown, 10.0.0.1", ("10.0.0.1", 0)),
            ("192.0.2.1, , 10.0.0.1", ("10.0.0.1", 0)),
            ("unknown", None),
            ("example.test", None),
            ("", None),
            ("192.0.2.1:99999", None),
            ("192.0.2.256", None),
            ("192.0.2.1, 192.0.2.", None),
            ("[192.0.2.1", None),
            ("fe80::1%eth0", None),
            ("192.0.2.\xb9", None),
        ],
    )
    def test_addresses(self, value: str, address: tuple[str, int] | None) -> None:
        assert told([("x-forwarded-for", value)]) == (address, None)

    def test_several_fields_are_one_list(self) -> None:
        fields = [("x-forwarded-for", "6.6.6.6, 192.0.2.1"), ("x-forwarded-for", "10.0.0.1")]
        assert told(fields) == (("192.0.2.1", 0), None)

    @pytest.mark.parametrize(
        ("addresses", "schemes", "scheme"),
        [
            ("192.0.2.1", "https", "https"),
            ("192.0.2.1", "HTTP", "http"),
            ("192.0.2.1", "wss", "https"),
            ("192.0.2.1", "gopher", None),
            ("6.6.6.6, 192.0.2.1, 10.0.0.1", "https", "https"),
            ("6.6.6.6, 192.0.2.1, 10.0.0.1", "http, https, http", "https"),
            ("6.6.6.6, 192.0.2.1, 10.0.0.1", "https, http", "http"),
        ],
    )
    def test_schemes(self, addresses: str, schemes: str, scheme: str | None) -> None:
        fields = [("x-forwarded-for", addresses), ("x-forwarded-proto", schemes)]
        assert told(fields) == (("192.0.2.1", 0), scheme)

    def test_a_scheme_alone(self) -> None:
        assert told([("x-forwarded-proto", "https")]) == (None, "https")


class TestForwarded:
    """RFC 7239."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", (("192.0.2.60", 0), "http")),
            ('For="[2001:db8:cafe::17]:4711"', (("2001:db8:cafe::17", 4711), None)),
            ('for=192.0.2.43, for="[2001:db8:cafe::17]"', (("192.0.2.43", 0), None)),
            (
                "for=6.6.6.6;proto=https , for=192.0.2.1;proto=http, for=10.0.0.1;proto=https",
                (("192.0.2.1", 0), "http"),
            ),
            ('for="192.0.2.1:80";host="a, b;for=6.6.6.6"', (("192.0.2.1", 80), None)),
            (r'for="192.0.2\.1"', (("192.0.2.1", 0), None)),
            ("for=unknown", (None, None)),
            ("for=_hidden;proto=https", (None, "https")),
            ("for=192.0.2.1, for=_hidden, for=10.0.0.1;proto=https", (("10.0.0.1", 0), "https")),
            ("proto=https", (None, "https")),
            ("for=192.0.2.1;for=6.6.6.6", (("192.0.2.1", 0), None)),
            # Malformed: nothing is believed.
            ('for=6.6.6.6;host="a, for=192.0.2.1', (None, None)),
            ("for=[2001:db8::1]", (None, None)),
            ("for", (None, None)),
            ("for=192.0.2.1 proto=http", (None, None)),
            ("", (None, None)),
        ],
    )
    def test_values(self, value: str, expected: tuple[tuple[str, int] | None, str | None]) -> None:
        assert told([("forwarded", value)]) == expected

    def test_long_values_take_linear_time(self) -> None:
        for text in (
            *(b" " * 60_000 + b"x", b'for="' + b"\\a" * 30_000, b"for=1;" * 10_000),
            *(b"," * 60_000, b"a=b," * 15_000, b"1" * 60_000, b"[" + b":" * 60_000),
        ):
            TrustedProxies(NETWORKS, None).client(Headers.from_raw([(F.encode(), text), (b"x-forwarded-for", text)]))


class TestBoth:
    """A proxy passes on the fields of the kind that it does not write."""

    X_FORWARDED = (("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https"))
    AGREE = (*X_FORWARDED, ("forwarded", 'for="192.0.2.1:7";proto=https'))
    DIFFER = (*X_FORWARDED, ("forwarded", "for=6.6.6.6;proto=http"))

    def test_they_count_as_far_as_they_agree(self) -> None:
        assert told(self.AGREE) == (("192.0.2.1", 7), "https")
        assert told(self.DIFFER) == (None, None)
        assert told([("x-forwarded-proto", "https"), ("forwarded", "for=6.6.6.6")]) == (None, None)

    def test_the_configuration_may_say_which(self) -> None:
        assert told(self.DIFFER, X) == (("192.0.2.1", 0), "https")
        assert told(self.DIFFER, F) == (("6.6.6.6", 0), "http")
        assert told([("forwarded", "for=6.6.6.6")], X) == (None, None)
        assert told([("x-forwarded-for", "6.6.6.6")], F) == (None, None)


class TestTrust:
    def test_networks_and_addresses(self) -> None:
        proxies = TrustedProxies(NETWORKS, None)
        for host in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7", "127.0.0.1"):
            assert proxies.trust((host, 1))
        for host in ("11.1.2.3", "127.0.0.2", "::1", "2001:db9::7", "fe80::1%lo"):
            assert not proxies.trust((host, 1))
        assert not proxies.trust("")
        assert not proxies.trust(None)
        assert TrustedProxies(["unix"], None).trust("")
        assert TrustedProxies(["unix"], None).trust(b"\0abstract")
        assert not TrustedProxies(["unix"], None).trust(("127.0.0.1", 1))

    def test_what_the_configuration_takes(self) -> None:
        assert ServerConfig().trusted_proxies == ()
        config = ServerConfig(trusted_proxies=["10.0.0.0/8", "unix", "::1"])  # type: ignore[arg-type]  # any iterable
        assert config.trusted_proxies == ("10.0.0.0/8", "unix", "::1")
        assert config.evolve(idle_timeout=1).trusted_proxies == config.trusted_proxies
        for wrong in ("10.0.0.1/8", "proxy.test", "", "*"):
            with pytest.raises(ValueError, match=r"trusted_proxies must hold networks such as '10\.0\.0\.0/8'"):
                ServerConfig(trusted_proxies=(wrong,))
        for kind in ("10.0.0.0/8", 7, (7,)):
            with pytest.raises(TypeError, match="trusted_proxies"):
                ServerConfig(trusted_proxies=kind)  # type: ignore[arg-type]  # that is the point
        with pytest.raises(ValueError, match="forwarded_field"):
            ServerConfig(forwarded_field="x-real-ip")


FIELDS = {"x-forwarded-for": "6.6.6.6, 192.0.2.1", "x-forwarded-proto": "https"}


class Seen:
    """What handlers were told."""

    def __init__(self) -> None:
        self.clients: list[object] = []

    async def __call__(self, stream: trio_h2.ServerExchange) -> None:
        address = stream.peer_address
        if isinstance(address, tuple) and address[0] == "127.0.0.1":
            address = "the proxy"
        self.clients.append((address, stream.scheme, stream.headers[":scheme"]))
        await stream.respond(204)


async def ask(server: Server, version: str, fields: dict[str, str]) -> None:
    if version == "2":
        async with (
            trio_h2.connect(f"http://127.0.0.1:{server.port}") as session,
            session.request("GET", headers=fields) as stream,
        ):
            await stream.receive_response()
        return
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as tcp:
        client = RawClient(tcp)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await client.send(f"GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n")
        await client.answer()


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_trusted_proxy_tells_of_its_clients(version: str) -> None:
    """Each request has its own, though they come over one connection."""
    seen = Seen()
    config = ServerConfig(trusted_proxies=("127.0.0.0/8",))
    async with trio.open_nursery() as nursery:
        serve = partial(serve_tcp, seen, 0, host="127.0.0.1", config=config, allow_http1=True)
        server: Server = await nursery.start(serve)
        await ask(server, version, FIELDS)
        await ask(server, version, {"forwarded": 'for="[2001:db8::1]:80"'})
        await ask(server, version, {})
        await server.aclose()
    assert seen.clients[:2] == [(("192.0.2.1", 0), "https", "http"), (("2001:db8::1", 80), "http", "http")]
    assert seen.clients[2] == ("the proxy", "http", "http")


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("networks", [(), ("10.0.0.0/8", "unix", "::1")])
async def test_nobody_else_is_believed(networks: tuple[str, ...], version: str) -> None:
    seen = Seen()
    config = ServerConfig(trusted_proxies=networks)
    async with trio.open_nursery() as nursery:
        serve = partial(serve_tcp, seen, 0, host="127.0.0.1", config=config, allow_http1=True)
        server: Server = await nursery.start(serve)
        await ask(server, version, FIELDS)
        await server.aclose()
    assert seen.clients == [("the proxy", "http", "http")]


async def test_a_proxy_on_a_unix_socket(tmp_path: Path) -> None:
    seen = Seen()
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        serve = partial(serve_unix, seen, path, config=ServerConfig(trusted_proxies=("unix",)))
        server: Server = await nursery.start(serve)
        async with (
            trio_h2.connect("http://localhost", unix_path=path) as session,
            session.request("GET", headers=FIELDS) as stream,
        ):
            await stream.receive_response()
        await server.aclose()
    assert seen.clients == [(("192.0.2.1", 0), "https", "http")]


async def test_requests_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trio_h2.access")
    clients: list[object] = []

    async def handle(request: Request, response: Response) -> None:
        clients.append((request.peer_address, request.scheme))
        await response.end(b"hello")

    config = ServerConfig(trusted_proxies=("127.0.0.1",))
    lines: list[str] = []
    for format in ("text", "common"):
        async with trio.open_nursery() as nursery:
            handler = access_log(request_handler(handle), format=format)
            serve = partial(serve_tcp, handler, 0, host="127.0.0.1", config=config, allow_http1=True)
            server: Server = await nursery.start(serve)
            await ask(server, "2", FIELDS)
            await ask(server, "2", {"x-forwarded-for": "2001:db8::1"})
            await ask(server, "2", {"x-forwarded-for": "192.0.2.1:80"})
            await ask(server, "2", {**FIELDS, **{f"x-{n}": "" for n in range(130)}})  # the library answers 431
            await server.aclose()
        lines += [record.getMessage().split(" ")[0] for record in caplog.records]
        caplog.clear()
    assert clients[0] == (("192.0.2.1", 0), "https")
    assert lines[:4] == ["192.0.2.1", "[2001:db8::1]", "192.0.2.1:80", "192.0.2.1"]
    assert lines[4:] == ["192.0.2.1", "2001:db8::1", "192.0.2.1", "192.0.2.1"]


async def test_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    options = ["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1", "--access-log", "text"]
    async with running("serve", str(tmp_path), "--host", "127.0.0.1", *options) as server:
        url = await server.url()
        async with trio_h2.connect(url) as session, session.request("GET", "/a", headers=FIELDS) as stream:
            await stream.receive_some()
        server.process.terminate()
        assert ' 192.0.2.1 "GET /a HTTP/2.0" 200 ' in (await server.ended()).err
    (await run("serve", str(tmp_path), "--trusted-proxy", "10.0.0.1/8")).failed(2, "--trusted-proxy", "10.0.0.1/8")

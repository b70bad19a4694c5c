"""What a proxy does not open, how it says so, and whom it asks on the way: on a network that is not there."""

from __future__ import annotations

import base64
import errno
import logging
import math
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair, scripted_client
from tests.tunnel.fakenet import FakeNet
from trio_h2 import ErrorCode, ServerConfig
from trio_h2.testing import RstStreamFrame
from trio_h2.tunnel import ConnectProxy, TunnelRefusedError, open_tunnel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

PUBLIC, OTHER, PUBLIC_6 = "93.184.215.14", "1.1.1.1", "2606:2800:21f::1"

pytestmark = pytest.mark.parity("L1")


@pytest.fixture
def net() -> FakeNet:
    return FakeNet()


async def refused(
    proxy: ConnectProxy, target: str, *, raise_handler_errors: bool = True, **options: object
) -> TunnelRefusedError:
    """Asks for a tunnel in a session of its own, and returns the refusal."""
    async with pair(proxy, raise_handler_errors=raise_handler_errors) as (client, _):
        with pytest.raises(TunnelRefusedError) as info:
            async with open_tunnel(client, target, **options):  # type: ignore[arg-type]
                pass
        assert client.statistics().open_streams == 0
        return info.value


async def ask(peer: ScriptedPeer, *fields: tuple[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Sends a CONNECT with these fields; returns status, headers and body of the refusal, and waits for its end."""
    stream_id = peer.next_stream_id()
    await peer.send_headers(stream_id, [(":method", "CONNECT"), *fields], end_stream=False)
    head = await peer.expect_headers(stream_id)
    headers = {name.decode(): value.decode() for name, value in head.fields}
    body = await peer.collect_body(stream_id)
    await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
    return int(headers[":status"]), headers, body


async def test_each_refusal_has_a_status_and_a_reason(
    net: FakeNet, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trio_h2.proxy")
    net.install()
    net.names = {"private.test": ["10.0.0.1", "::1"], "refuses.test": [PUBLIC], "no-way.test": [PUBLIC_6]}
    net.names["odd.test"] = [OTHER]
    net.errors = {PUBLIC: errno.ECONNREFUSED, PUBLIC_6: errno.ENETUNREACH, OTHER: errno.EPROTO}
    proxy = ConnectProxy(["*.test:443"])
    expected = [
        ("refuses.test:80", 403, "http_request_denied", "refuses.test:80 is not allowed"),
        ("other.example:443", 403, "http_request_denied", "other.example:443 is not allowed"),
        ("127.1:443", 400, "http_request_error", "'127.1' is not an IPv4 address as four decimal numbers"),
        ("private.test:443", 403, "destination_ip_prohibited", "private.test:443 leads to addresses that are not"),
        ("missing.test:443", 502, "dns_error", "missing.test cannot be looked up"),
        ("refuses.test:443", 502, "connection_refused", "refuses.test:443 refused the connection"),
        ("no-way.test:443", 502, "destination_ip_unroutable", "there is no way to no-way.test:443"),
        ("odd.test:443", 502, "destination_unavailable", "odd.test:443 cannot be reached"),
    ]
    async with scripted_client(proxy) as (_, peer):
        for authority, status, error, text in expected:
            told, headers, body = await ask(peer, (":authority", authority))
            assert (told, headers["proxy-status"]) == (status, f"trio_h2; error={error}")
            assert body.decode().startswith(text)
            assert b"10.0.0.1" not in body  # what a private name resolves to is nobody's business
            assert headers["content-type"].startswith("text/plain")
    lines = [record.getMessage() for record in caplog.records if record.name == "trio_h2.proxy"]
    assert [line.rpartition(" refused with ")[2][:3] for line in lines] == [str(status) for _, status, _, _ in expected]
    assert "(10.0.0.1 ::1)" in lines[3]
    assert proxy.statistics() == trio_h2.tunnel.ProxyStatistics(0, 0, len(expected), 0, 0)
    assert net.open_sockets == 0
    assert "refuses.test" in net.looked_up
    assert "other.example" not in net.looked_up  # nobody can make the proxy look up what no rule is about


@pytest.mark.parametrize("authority", [f"{'a' * 30_000}:443", f"{'%0a' * 40}:443", "a,b;c:443", f"[{'::' * 500}]:443"])
async def test_a_line_of_the_log_stays_one_line_of_some_length(
    net: FakeNet, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, authority: str
) -> None:
    caplog.set_level(logging.INFO, "trio_h2.proxy")
    async with scripted_client(ConnectProxy(["*:*"])) as (_, peer):
        status, _, body = await ask(peer, (":authority", authority))
    assert status == 400
    assert len(body) < 300
    (line,) = (record.getMessage() for record in caplog.records if record.name == "trio_h2.proxy")
    assert authority[:10] in line
    assert line.isprintable()
    assert len(line) < 600


async def test_only_connect_is_a_request_for_a_tunnel(net: FakeNet, autojump_clock: MockClock) -> None:
    """RFC 9113 §8.7: REFUSED_STREAM tells that nothing was processed."""
    async with scripted_client(ConnectProxy(["*:*"]), config=ServerConfig(enable_connect_protocol=True)) as (_, peer):
        for method in ("GET", "POST", "OPTIONS", "connect"):
            stream_id = peer.next_stream_id()
            fields = [(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", "/")]
            await peer.send_headers(stream_id, fields)
            await peer.expect_rst(stream_id, ErrorCode.REFUSED_STREAM)
        extended = [(":protocol", "connect-udp"), (":scheme", "http"), (":authority", "a.test:1"), (":path", "/")]
        status, _, _ = await ask(peer, *extended)
        assert status == 501


@pytest.mark.parametrize("fields", [[(":scheme", "https")], [(":path", "/")], [(":authority", "a.test")], []])
async def test_what_is_no_connect_is_malformed(
    net: FakeNet, autojump_clock: MockClock, fields: list[tuple[str, str]]
) -> None:
    """RFC 9113 §8.5: no ':scheme', no ':path', and an authority with a port; the handler never sees it."""
    given = [(":authority", "a.test:1")] if fields and fields[0][0] != ":authority" else []
    async with scripted_client(ConnectProxy(["*:*"])) as (_, peer):
        await peer.send_headers(1, [(":method", "CONNECT"), *fields, *given], end_stream=False)
        await peer.expect_rst(1, ErrorCode.PROTOCOL_ERROR)


async def test_the_answer_comes_when_the_target_is_connected(net: FakeNet, autojump_clock: MockClock) -> None:
    net.install()
    net.delays[PUBLIC] = 3.0
    async with scripted_client(ConnectProxy([f"{PUBLIC}:443"])) as (_, peer):
        await peer.send_headers(1, {":method": "CONNECT", ":authority": f"{PUBLIC}:443"}, end_stream=False)
        await peer.send_data(1, b"early")
        began = trio.current_time()
        assert dict((await peer.expect_headers(1)).fields)[b":status"] == b"200"
        assert trio.current_time() - began == pytest.approx(3.0)
        far = net.sockets[0].far
        assert await far.receive_some() == b"early"
        await far.send_all(b"late")
        assert (await peer.expect_data(1)).data == b"late"
        await far.send_eof()
        assert (await peer.expect_data(1)).end_stream
        await peer.send_data(1, end_stream=True)
        assert await far.receive_some() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert net.sockets[0].closed
        assert not net.sockets[0].was_reset


async def test_a_silent_target_costs_connect_timeout(net: FakeNet, autojump_clock: MockClock) -> None:
    net.install()
    net.names["slow.test"] = [PUBLIC, OTHER]
    net.black_holes = {PUBLIC, OTHER}
    net.hangs_up = {"nameserver-is-down.test"}
    for name in ("slow.test", "nameserver-is-down.test"):
        began = trio.current_time()
        error = await refused(ConnectProxy(["*:443"], connect_timeout=7.0), f"{name}:443")
        assert error.status == 504
        assert trio.current_time() - began == pytest.approx(7.0)
        assert error.headers["proxy-status"] == "trio_h2; error=connection_timeout"
        assert error.body == f"{name}:443 did not answer in 7 s\n".encode()
    assert net.open_sockets == 0


async def test_the_addresses_that_are_not_allowed_are_left_out(net: FakeNet, autojump_clock: MockClock) -> None:
    """DNS rebinding: the name is looked up once, and what was checked is what is connected to."""
    net.install()
    net.names["mixed.test"] = ["127.0.0.1", "::ffff:127.0.0.1", "::1", PUBLIC, "169.254.169.254", "fe80::1"]
    async with pair(ConnectProxy(["mixed.test:443"])) as (client, _), open_tunnel(client, "mixed.test:443"):
        assert net.looked_up == ["mixed.test"]
        assert net.dialled == [f"{PUBLIC}:443"]


async def test_the_next_address_is_tried_when_one_fails_or_is_slow(net: FakeNet, autojump_clock: MockClock) -> None:
    """RFC 8305: both families in turn; the next at once after a failure, and after 250 ms of silence."""
    net.install()
    net.names["many.test"] = [PUBLIC_6, "2606::2", PUBLIC, OTHER]
    net.errors[PUBLIC_6] = errno.ENETUNREACH
    net.black_holes = {PUBLIC}
    net.delays = {"2606::2": 1.0}
    async with pair(ConnectProxy(["many.test:443"])) as (client, _):
        began = trio.current_time()
        async with open_tunnel(client, "many.test:443"):
            assert net.dialled == [f"[{PUBLIC_6}]:443", f"{PUBLIC}:443", "[2606::2]:443", f"{OTHER}:443"]
            assert trio.current_time() - began == pytest.approx(0.5)
            assert net.open_sockets == 1
    assert net.open_sockets == 0


async def test_the_first_error_is_told_when_all_fail(net: FakeNet, autojump_clock: MockClock) -> None:
    net.install()
    net.names["down.test"] = [PUBLIC, OTHER]
    net.errors = {PUBLIC: errno.ECONNREFUSED, OTHER: errno.EHOSTUNREACH}
    error = await refused(ConnectProxy(["*:443"]), "down.test:443")
    assert (error.status, error.headers["proxy-status"]) == (502, "trio_h2; error=connection_refused")


async def test_a_client_that_leaves_while_the_proxy_connects(net: FakeNet, autojump_clock: MockClock) -> None:
    net.install()
    net.black_holes = {PUBLIC}
    proxy = ConnectProxy(["*:443"], connect_timeout=1e6)
    async with scripted_client(proxy) as (_, peer):
        await peer.send_headers(1, {":method": "CONNECT", ":authority": f"{PUBLIC}:443"}, end_stream=False)
        await peer.ping()
        assert proxy.statistics().open == net.open_sockets == 1
        await peer.send_rst(1)
        await peer.ping()
        assert proxy.statistics().open == net.open_sockets == 0


async def test_a_tunnel_in_which_nothing_happens_is_reset(net: FakeNet, autojump_clock: MockClock) -> None:
    net.install()
    proxy = ConnectProxy(["*:443"], idle_timeout=60)
    async with scripted_client(proxy, config=ServerConfig(ping_interval=math.inf)) as (_, peer):
        await peer.send_headers(1, {":method": "CONNECT", ":authority": f"{PUBLIC}:443"}, end_stream=False)
        await peer.expect_headers(1)
        far = net.sockets[0].far
        for _ in range(3):  # either direction keeps it up
            await trio.sleep(50)
            await far.send_all(b"x")
            await peer.expect_data(1)
            await trio.sleep(50)
            await peer.send_data(1, b"y")
            await far.receive_some()
        began = trio.current_time()
        await peer.expect_nothing(59)
        rst = await peer.until(RstStreamFrame)
        assert rst.code == ErrorCode.CANCEL
        assert trio.current_time() - began == pytest.approx(60)
        assert net.sockets[0].was_reset
        assert net.open_sockets == 0


async def test_no_more_than_max_tunnels(net: FakeNet, autojump_clock: MockClock) -> None:
    net.install()
    proxy = ConnectProxy([f"{PUBLIC}:*", f"{OTHER}:*"], max_tunnels=2, connect_timeout=1e6)
    net.black_holes = {OTHER}
    async with pair(proxy) as (client, _), trio.open_nursery() as nursery:

        async def wait_in_vain() -> None:
            async with open_tunnel(client, f"{OTHER}:1"):
                raise AssertionError

        nursery.start_soon(wait_in_vain)  # those that are being connected count, too
        async with open_tunnel(client, f"{PUBLIC}:1"):
            with pytest.raises(TunnelRefusedError, match="status 503") as info:
                async with open_tunnel(client, f"{PUBLIC}:2"):
                    pass
            assert info.value.headers["proxy-status"] == "trio_h2; error=connection_limit_reached"
        assert proxy.statistics().open == 2  # the client has ended its side, the target has not
        await trio.sleep(client.config.linger_timeout + 1)
        async with open_tunnel(client, f"{PUBLIC}:2"):
            pass
        nursery.cancel_scope.cancel()


# ---- Credentials ----


def basic(text: str | bytes) -> dict[str, str]:
    octets = text.encode() if isinstance(text, str) else text
    return {"proxy-authorization": "Basic " + base64.b64encode(octets).decode()}


WRONG: list[Mapping[str, str] | None] = [
    None,
    *[basic("jane:wrong"), basic("jane:"), basic("jane"), basic("john:secret"), basic("Jane:secret"), basic(":")],
    *[basic("jane:secret\0"), basic("jane:secret "), basic(b"jane:\xff"), basic(" jane:secret")],
    {"proxy-authorization": "Basic"},
    {"proxy-authorization": "Basic !!!"},
    {"proxy-authorization": "Bearer " + base64.b64encode(b"jane:secret").decode()},
    {"proxy-authorization": "Basic ja\xefne"},
    {"authorization": basic("jane:secret")["proxy-authorization"]},
]


@pytest.mark.parametrize("headers", WRONG)
@pytest.mark.parametrize("checked_by", ["mapping", "function", "async function"])
async def test_without_the_right_credentials(
    net: FakeNet, autojump_clock: MockClock, headers: Mapping[str, str] | None, checked_by: str
) -> None:
    net.install()
    error = await refused(guarded(checked_by), f"{PUBLIC}:443", headers=headers)
    assert error.status == 407
    # RFC 9110 §11.7.1: "A proxy MUST send at least one Proxy-Authenticate header field in each 407".
    assert error.headers["proxy-authenticate"] == 'Basic realm="the lab", charset="UTF-8"'
    assert net.dialled == []


def guarded(checked_by: str) -> ConnectProxy:
    users = {"jane": "secret", "zoë": "pässword:with:colons"}

    async def check(user: str, password: str) -> bool:
        await trio.lowlevel.checkpoint()
        return users.get(user) == password

    authenticate = {
        "mapping": users,
        "function": lambda user, password: users.get(user) == password,
        "async function": check,
    }[checked_by]
    return ConnectProxy(["*:443"], authenticate=authenticate, realm="the lab")  # type: ignore[arg-type]


@pytest.mark.parametrize("checked_by", ["mapping", "function", "async function"])
async def test_with_the_right_credentials(net: FakeNet, autojump_clock: MockClock, checked_by: str) -> None:
    net.install()
    async with pair(guarded(checked_by)) as (client, _):
        for credentials in (("jane", "secret"), ("zoë", "pässword:with:colons")):
            async with open_tunnel(client, f"{PUBLIC}:443", credentials=credentials) as stream:
                assert stream.sent_headers.sensitive == {"proxy-authorization"}  # RFC 7541 §7.1.3
        headers = {"proxy-authorization": basic("jane:secret")["proxy-authorization"].replace("Basic", "bASIC ")}
        async with open_tunnel(client, f"{PUBLIC}:443", headers=headers):
            pass


async def test_a_check_that_raises_is_a_bug_of_its_own(
    net: FakeNet, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def check(user: str, password: str) -> bool:
        raise RuntimeError("no database")

    caplog.set_level(logging.INFO, "trio_h2.proxy")
    proxy = ConnectProxy(["*:443"], authenticate=check)
    error = await refused(proxy, f"{PUBLIC}:443", credentials=("a", "b"), raise_handler_errors=False)
    assert error.status == 500
    assert "no database" in caplog.text
    (line,) = (record.getMessage() for record in caplog.records if record.name == "trio_h2.proxy")
    assert line.endswith(": failed with RuntimeError")


def test_arguments_that_are_not_right() -> None:
    for wrong in ({"a:b": "c"}, {"a": "b", ":": ""}):
        with pytest.raises(ValueError, match="colon"):
            ConnectProxy(["a:1"], authenticate=wrong)
    for wrong_type in ("jane:secret", 5, {"a": b"c"}, {1: "c"}):
        with pytest.raises(TypeError, match="authenticate"):
            ConnectProxy(["a:1"], authenticate=wrong_type)  # type: ignore[arg-type]
    for name in ("connect_timeout", "idle_timeout"):
        for off in (0, None, float("inf")):
            ConnectProxy(["a:1"], **{name: off})  # type: ignore[arg-type]
        for seconds in (-1, float("nan")):
            with pytest.raises(ValueError, match=name):
                ConnectProxy(["a:1"], **{name: seconds})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=name):
            ConnectProxy(["a:1"], **{name: "5"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_tunnels must be 1"):
        ConnectProxy(["a:1"], max_tunnels=0)
    with pytest.raises(TypeError, match="max_tunnels"):
        ConnectProxy(["a:1"], max_tunnels=True)
    for realm in ('a"b', "a\\b", "a\nb", "ä"):
        with pytest.raises(ValueError, match="realm"):
            ConnectProxy(["a:1"], realm=realm)
    assert repr(ConnectProxy(["a:1"])) == "<ConnectProxy with 0 tunnels>"

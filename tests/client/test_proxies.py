"""Clients that go through a proxy: what they say to it, what they say to the target, and whose fault an error is."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.network import network, ours
from tests.client.proxying import Http1Proxy, Http2Proxy, read_head
from trio_h2 import Client, Proxy, ProxyError, Retry, Timeouts
from trio_h2.testing import ThrowawayAuthority, sweep_cancellation

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from trio.testing import MockClock

    from tests.client.network import Serve

A, B = "https://a.example", "https://b.example:8443"
PROXY = "http://jane:pass%3Aw%C3%B6rd@proxy.example:3128"
CREDENTIALS = "Basic amFuZTpwYXNzOnfDtnJk"  # jane:pass:wörd
ONCE = Retry(attempts=0)


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority(["a.example", "b.example", "proxy.example"])


@pytest.fixture(scope="module")
def context(authority: ThrowawayAuthority) -> ssl.SSLContext:
    return authority.client_context(["h2", "http/1.1"])


def tls(authority: ThrowawayAuthority, serve: Serve, *, alpn: tuple[str, ...] = ("h2", "http/1.1")) -> Serve:
    """Speaks TLS before *serve* gets a connection."""
    server_context = authority.server_context(alpn)

    async def serve_tls(transport: trio.abc.Stream) -> None:
        secure = trio.SSLStream(transport, server_context, server_side=True, https_compatible=True)
        try:
            await secure.do_handshake()
        except trio.BrokenResourceError:
            return  # the client was cancelled
        await serve(secure)

    return serve_tls


async def _hello(stream: trio_h2.ServerStream | trio_h2.Http1Exchange) -> None:
    proxy_fields = [name for name in stream.headers if name.startswith("proxy-")]
    text = f"{stream.headers.get(':authority')} {stream.path} {proxy_fields}"
    await stream.respond(200, body=text.encode())


def _text(origin: str, path: str = "/") -> str:
    return f"{origin.partition('://')[2]} {path} []"


# -- HTTP/1.1 ----------------------------------------------------------------------------------------------------------


async def test_https_goes_through_a_tunnel(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    proxy = Http1Proxy(tls(authority, ours(_hello)))
    async with (
        network(proxy) as made,
        Client(transport=made, proxy=Proxy(PROXY, headers={"x-who": "me"}), ssl_context=context) as client,
    ):
        for origin in A, B, A:
            response = await client.get(origin)
            assert (response.text, response.http_version) == (_text(origin), "2")
        assert made.asked == ["http://proxy.example:3128"] * 2
    assert [head.split(b"\r\n") for head in proxy.heads] == [
        [
            f"CONNECT {target} HTTP/1.1".encode(),
            f"host: {target}".encode(),
            b"x-who: me",
            f"proxy-authorization: {CREDENTIALS}".encode(),
            *(b"", b""),
        ]
        for target in ("a.example:443", "b.example:8443")
    ]


async def test_http1_inside_of_a_tunnel(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    proxy = Http1Proxy(tls(authority, ours(_hello, http1=True), alpn=("http/1.1",)))
    async with network(proxy) as made, Client(transport=made, proxy=PROXY, ssl_context=context) as client:
        for path in "/1", "/2":
            response = await client.get(A + path)
            assert (response.text, response.http_version) == (_text(A, path), "1.1")
    assert len(proxy.heads) == 1


async def test_http2_in_clear_text_needs_a_tunnel(autojump_clock: MockClock) -> None:
    async def settings_come_with_the_answer(transport: trio.abc.Stream) -> None:
        await ours(_hello)(transport)

    proxy = Http1Proxy(settings_come_with_the_answer)
    async with network(proxy) as made, Client(transport=made, proxy=PROXY, prior_knowledge=True) as client:
        assert (await client.get("http://a.example/x")).text == "a.example /x []"
    assert proxy.heads[0].startswith(b"CONNECT a.example:80 HTTP/1.1\r\n")


async def test_http_is_forwarded(autojump_clock: MockClock) -> None:
    heads = []

    async def forward(transport: trio.abc.Stream) -> None:
        for _ in range(2):
            heads.append(await read_head(transport))
            await transport.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
        await trio.sleep_forever()

    async with network(forward) as made, Client(transport=made, proxy=PROXY) as client:
        for path in "/x?y", "":
            assert (await client.get("http://a.example:81" + path, headers={"accept": "a/b"})).text == "hi"
        assert made.asked == ["http://proxy.example:3128"]
    for head, target in zip(heads, (b"/x?y", b"/"), strict=True):
        assert head.startswith(b"GET http://a.example:81" + target + b" HTTP/1.1\r\nhost: a.example:81\r\n")
        assert head.count(b"\r\nproxy-authorization: " + CREDENTIALS.encode() + b"\r\n") == 1


async def test_interim_answers_to_connect_are_passed_over(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 299 Fine\r\nproxy-agent: x\r\n\r\n"

    async def serve(transport: trio.abc.Stream) -> None:
        await read_head(transport)
        await transport.send_all(answer)
        await tls(authority, ours(_hello))(transport)

    async with network(serve) as made, Client(transport=made, proxy=PROXY, ssl_context=context) as client:
        assert (await client.get(A)).text == _text(A)


async def test_tls_with_the_proxy_itself(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    """ALPN says that it speaks HTTP/1.1, which is asked once."""
    inner = Http1Proxy(tls(authority, ours(_hello)))
    proxy = Proxy(PROXY.replace("http:", "https:"), ssl_context=context)
    async with (
        network(tls(authority, inner, alpn=("http/1.1",))) as made,
        Client(transport=made, proxy=proxy, ssl_context=context) as client,
    ):
        for origin in A, B:
            assert (await client.get(origin)).text == _text(origin)
        assert made.asked == ["https://proxy.example:3128"] * 3
    assert len(inner.heads) == 2


# -- HTTP/2 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["h2c", "TLS"])
async def test_tunnels_share_a_session(
    secure: bool, authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    handler = Http2Proxy(tls(authority, ours(_hello)))
    serve = ours(handler)
    if secure:
        serve = tls(authority, serve)
        proxy = Proxy(PROXY.replace("http:", "https:"), ssl_context=context)
    else:
        proxy = Proxy(PROXY, http2=True)
    async with network(serve) as made, Client(transport=made, proxy=proxy, ssl_context=context) as client:
        async with trio.open_nursery() as nursery:
            for origin in A, B:
                nursery.start_soon(client.get, origin)
        for origin in A, B:
            response = await client.get(origin)
            assert (response.text, response.http_version) == (_text(origin), "2")
        assert made.asked == [proxy.url]
        assert len(handler.sessions) == 1
    assert {head[":authority"] for head in handler.heads} == {"a.example:443", "b.example:8443"}
    assert {head["proxy-authorization"] for head in handler.heads} == {CREDENTIALS}


async def test_http_goes_through_a_tunnel_of_http2(autojump_clock: MockClock) -> None:
    handler = Http2Proxy(ours(_hello, http1=True))
    async with network(ours(handler)) as made, Client(transport=made, proxy=Proxy(PROXY, http2=True)) as client:
        for _ in range(2):
            response = await client.get("http://a.example")
            assert (response.text, response.http_version) == ("a.example / []", "1.1")
    assert [head[":authority"] for head in handler.heads] == ["a.example:80"]


async def test_a_tunnel_that_the_proxy_has_ended_is_not_used(autojump_clock: MockClock) -> None:
    async def once(transport: trio.abc.Stream) -> None:
        await read_head(transport)
        await transport.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
        await trio.sleep(1)
        await transport.aclose()

    handler = Http2Proxy(once)
    async with network(ours(handler)) as made, Client(transport=made, proxy=Proxy(PROXY, http2=True)) as client:
        for _ in range(3):
            assert (await client.get("http://a.example")).text == "hi"
            await trio.sleep(2)
        assert len(made.asked) == 1
    assert len(handler.heads) == 3


async def test_a_further_session_with_the_proxy_when_streams_are_short(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    handler = Http2Proxy(tls(authority, ours(_hello)))
    config = trio_h2.ServerConfig(max_concurrent_streams=1)
    async with (
        network(ours(handler, config=config)) as made,
        Client(transport=made, proxy=Proxy(PROXY, http2=True), ssl_context=context) as client,
    ):
        for origin in A, B, A, B:
            assert (await client.get(origin)).text == _text(origin)
        assert len(made.asked) == 2


async def test_a_session_with_the_proxy_ends_after_its_last_tunnel(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    handler = Http2Proxy(tls(authority, ours(_hello)))
    async with (
        network(ours(handler)) as made,
        Client(transport=made, proxy=Proxy(PROXY, http2=True), ssl_context=context, idle_timeout=10) as client,
    ):
        await client.get(A)
        await trio.sleep(30)
        assert client.statistics().connections == 0
        (session,) = handler.sessions
        closed = [session.closed]
        await trio.sleep(50)
        assert [*closed, session.closed] == [False, True]
        await client.get(A)
        assert len(made.asked) == 2


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "tries"), [(403, 1), (407, 1), (502, 3), (503, 3), (504, 3), (301, 1)])
@pytest.mark.parametrize("http2", [False, True], ids=["1.1", "2"])
async def test_a_refusal_names_the_proxy(
    http2: bool, status: int, tries: int, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    if http2:
        handler = Http2Proxy(ours(_hello), *[status] * 9)
        serve, asked = ours(handler), partial(len, handler.heads)
    else:
        answer = f"HTTP/1.1 {status} Because\r\nx-y: z\r\ncontent-length: 7\r\n\r\nnot now".encode()
        http1_proxy = Http1Proxy(ours(_hello), answer)
        serve, asked = http1_proxy, partial(len, http1_proxy.heads)
    async with (
        network(serve) as made,
        Client(transport=made, proxy=Proxy(PROXY, http2=http2), ssl_context=context, retry=Retry(attempts=2)) as client,
    ):
        with pytest.raises(ProxyError) as caught:
            await client.get(A)
    error = caught.value
    assert asked() == tries
    assert (error.proxy, error.status, error.body) == ("http://proxy.example:3128", status, b"not now")
    assert error.retryable == (tries > 1)
    assert error.reason
    start = "the proxy http://proxy.example:3128 refused a tunnel to a.example:443 with status"
    assert str(error).startswith(f"{start} {status} ({error.reason})")
    for twin in pickle.loads(pickle.dumps(error)), copy.copy(error):
        assert (str(twin), twin.status, twin.proxy) == (str(error), status, error.proxy)


async def test_407_to_a_forwarded_request(autojump_clock: MockClock) -> None:
    proxy = Http1Proxy(ours(_hello), b"HTTP/1.1 407 Who?\r\ncontent-length: 0\r\n\r\n")
    async with network(proxy) as made, Client(transport=made, proxy=PROXY) as client:
        with pytest.raises(ProxyError, match=r"refused a request to http://a.example with status 407 \(Who\?\)"):
            await client.get("http://a.example")
        with pytest.raises(ProxyError):
            await client.get("http://a.example")
        assert client.statistics().requests == 0


@pytest.mark.parametrize("http2", [False, True], ids=["1.1", "2"])
async def test_a_proxy_that_cannot_be_reached_is_tried_again(
    http2: bool, authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    target = tls(authority, ours(_hello))
    serve = ours(Http2Proxy(target)) if http2 else Http1Proxy(target)
    tries = []

    async with network(serve) as made:

        async def flaky(origin: str) -> trio.abc.Stream:
            tries.append(origin)
            if len(tries) % 3:
                raise ConnectionRefusedError("nobody is there")
            return await made(origin)

        proxy = Proxy(PROXY, http2=http2)
        async with Client(transport=flaky, proxy=proxy, ssl_context=context) as client:
            assert (await client.get(A)).text == _text(A)
            assert len(tries) == 3
        tries.clear()
        async with Client(transport=flaky, proxy=proxy, ssl_context=context, retry=ONCE) as client:
            with pytest.raises(ProxyError, match=r"failed at the proxy http://proxy\.example:3128: nobody") as caught:
                await client.get(A)
            assert isinstance(caught.value.__cause__, ConnectionRefusedError)
            assert (caught.value.status, caught.value.retryable) == (None, True)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "did not answer as HTTP/1.1 does"),
        (b"HTTP/1.1 103 \r\n\r\n" * 200, "did not answer as HTTP/1.1 does"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, "did not answer as HTTP/1.1 does"),
    ],
)
async def test_a_proxy_that_answers_nonsense(
    answer: bytes, message: str, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    async def serve(transport: trio.abc.Stream) -> None:
        await read_head(transport)
        await transport.send_all(answer)
        await transport.aclose()

    async with (
        network(serve) as made,
        Client(transport=made, proxy=PROXY, ssl_context=context, retry=ONCE) as client,
    ):
        with pytest.raises(ProxyError, match=message):
            await client.get(A)


async def test_whose_certificate_is_wrong(context: ssl.SSLContext, autojump_clock: MockClock) -> None:
    """The target's, or the proxy's."""
    stranger = ThrowawayAuthority(["a.example", "proxy.example"])
    proxy = Http1Proxy(tls(stranger, ours(_hello)))
    async with network(proxy) as made, Client(transport=made, proxy=PROXY, ssl_context=context) as client:
        with pytest.raises(trio_h2.HandshakeError, match=r"a\.example"):
            await client.get(A)
    wrong = Proxy("https://proxy.example", ssl_context=context)
    async with (
        network(tls(stranger, proxy)) as made,
        Client(transport=made, proxy=wrong, ssl_context=context, retry=ONCE) as client,
    ):
        with pytest.raises(ProxyError, match=r"at the proxy https://proxy\.example:443") as caught:
            await client.get(A)
        assert isinstance(caught.value.__cause__, trio_h2.HandshakeError)


@pytest.mark.parametrize("phase", ["TCP", "answer", "body"])
@pytest.mark.parametrize("http2", [False, True], ids=["1.1", "2"])
async def test_a_silent_proxy_has_the_time_for_connecting(
    http2: bool, phase: str, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    async def silent(_stream: object) -> None:
        await trio.sleep_forever()

    async def half(transport: trio.abc.Stream) -> None:
        await read_head(transport)
        await transport.send_all(b"HTTP/1.1 403 No\r\ncontent-length: 10\r\n\r\nhalf")
        await trio.sleep_forever()

    async def half_2(stream: trio_h2.ServerStream) -> None:
        await stream.respond(403, end_stream=False)
        await stream.send_all(b"half")
        await trio.sleep_forever()

    async def black_hole(_origin: str) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    serve = {
        ("answer", False): silent,
        ("answer", True): ours(silent),
        ("body", False): half,
        ("body", True): ours(half_2),
    }
    async with network(serve.get((phase, http2), silent)) as made:
        timeouts = Timeouts(connect=4)
        proxy = Proxy(PROXY, http2=http2)
        transport = black_hole if phase == "TCP" else made
        async with Client(
            transport=transport, proxy=proxy, ssl_context=context, retry=ONCE, timeouts=timeouts
        ) as client:
            if phase == "body":
                with pytest.raises(ProxyError, match="403") as caught:
                    await client.get(A)
                assert caught.value.body == b"half"
                assert trio.current_time() == pytest.approx(1)
            else:
                with pytest.raises(trio_h2.RequestTimeoutError, match=r"proxy http://proxy\.example:3128 took") as late:
                    await client.get(A)
                assert late.value.phase == "connect"
                assert trio.current_time() == pytest.approx(4)
            await trio.sleep(1)
            assert client.statistics().opening == 0


async def test_a_request_with_a_time_of_its_own_names_the_proxy(
    context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    async def silent(_stream: object) -> None:
        await trio.sleep_forever()

    async with network(silent) as made, Client(transport=made, proxy=PROXY, ssl_context=context) as client:
        with pytest.raises(trio_h2.RequestTimeoutError, match=r"https://a\.example through the proxy http://proxy\.ex"):
            async with client.request("GET", A, timeouts=Timeouts(connect=3)):
                raise AssertionError
        assert trio.current_time() == pytest.approx(3)


async def test_a_lost_session_with_the_proxy(
    authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    """Ends the sessions in its tunnels; the next request opens both anew."""
    handler = Http2Proxy(tls(authority, ours(_hello)))
    async with (
        network(ours(handler)) as made,
        Client(transport=made, proxy=Proxy(PROXY, http2=True), ssl_context=context) as client,
    ):
        await client.get(A)
        for session in handler.sessions:
            session.destroy()
        await trio.sleep(1)
        assert (await client.get(A)).text == _text(A)
        assert len(made.asked) == 2


# -- cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("http2", [False, True], ids=["1.1", "2"])
async def test_cancelled_at_every_checkpoint(
    http2: bool, authority: ThrowawayAuthority, context: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    target = tls(authority, ours(_hello))
    open_tunnels = 0

    async def counting(transport: trio.abc.Stream) -> None:
        nonlocal open_tunnels
        open_tunnels += 1
        try:
            await target(transport)
        finally:
            open_tunnels -= 1

    serve = ours(Http2Proxy(counting)) if http2 else Http1Proxy(counting)

    async with network(serve) as made:
        proxy = Proxy(PROXY, http2=http2)

        async def scenario() -> None:
            async with Client(transport=made, proxy=proxy, ssl_context=context) as client:
                assert (await client.get(A)).text == _text(A)

        async def after() -> None:
            await trio.sleep(5)
            assert open_tunnels == 0

        assert await sweep_cancellation(scenario, after=after, seeds=[0]) > 20

        async with Client(transport=made, proxy=proxy, ssl_context=context, idle_timeout=3) as client:

            async def in_one_client() -> None:
                assert (await client.get(A)).text == _text(A)

            async def after_one() -> None:
                statistics = client.statistics()
                await trio.sleep(5)
                statistics = client.statistics()
                assert (statistics.opening, statistics.requests, statistics.waiting) == (0, 0, 0)
                assert statistics.connections == open_tunnels == 0

            assert await sweep_cancellation(in_one_client, after=after_one, seeds=[1]) > 10


# -- arguments, secrets and the environment ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("proxy.example:3128", "must begin with"),
        ("socks5://proxy.example", "http or https"),
        ("http://me:secret@proxy.example/path", "must look like"),
        ("http://me:secret@proxy.example?x", "must look like"),
        ("http://me:secret@proxy.example:99999", "port"),
        ("http://me:secret@", "no host"),
        ("http://m%3Ae:secret@proxy.example", "colon"),
    ],
)
def test_wrong_proxies_are_refused(wrong: str, message: str) -> None:
    for make in Proxy, _client_of:
        with pytest.raises(ValueError, match=message) as caught:
            make(wrong)
        assert "secret" not in str(caught.value)


def _client_of(proxy: str) -> Client:
    return Client(proxy=proxy)


def test_arguments_that_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude"):
        Client(proxy=PROXY, trust_env=True)
    with pytest.raises(ValueError, match="unix_path"):
        Client(proxy=PROXY, unix_path="/x")
    with pytest.raises(ValueError, match="exclude"):
        Proxy(PROXY, headers={"proxy-authorization": "Bearer x"})
    with pytest.raises(ValueError, match="host"):
        Proxy(PROXY, headers={"host": "x"})
    with pytest.raises(ValueError, match="ssl_context"):
        Proxy(PROXY, ssl_context=trio_h2.client_ssl_context())
    with pytest.raises(TypeError, match="http2"):
        Proxy(PROXY, http2=1)  # type: ignore[arg-type] # that is the point
    with pytest.raises(TypeError, match="URL"):
        Client(proxy=5)  # type: ignore[arg-type] # that is the point
    token = Proxy("http://proxy.example", headers={"proxy-authorization": "Bearer x"})
    assert token.headers["proxy-authorization"] == "Bearer x"


def test_secrets_are_not_shown() -> None:
    proxy = Proxy("http://me:secret@proxy.example")
    assert repr(proxy) == "<trio_h2.Proxy http://proxy.example:80>"
    assert "secret" not in f"{proxy.headers!r} {proxy.url}"
    assert Proxy("http://me@[::1]:81").url == "http://[::1]:81"


@pytest.mark.parametrize("http2", [False, True], ids=["1.1", "2"])
@pytest.mark.parametrize("works", [False, True])
async def test_secrets_are_in_no_log(
    works: bool,
    http2: bool,
    authority: ThrowawayAuthority,
    context: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    caplog.set_level(logging.DEBUG)
    target = tls(authority, ours(_hello))
    if http2:
        serve = ours(Http2Proxy(target, *[] if works else [502]))
    else:
        serve = Http1Proxy(target, b"HTTP/1.1 200 OK\r\n\r\n" if works else b"HTTP/1.1 407 Who\r\n\r\n")
    errors: list[BaseException] = []
    async with (
        network(serve) as made,
        Client(transport=made, proxy=Proxy(PROXY, http2=http2), ssl_context=context, retry=ONCE) as client,
    ):
        for _ in range(2):
            try:
                await client.get(A)
            except ProxyError as exc:
                errors.append(exc)
        said = "".join("".join(traceback.format_exception(error)) for error in errors) + repr(client.sessions)
    assert bool(errors) == (not works)
    for secret in "pass%3A", "pass:w", CREDENTIALS.partition(" ")[2], "jane":
        assert secret not in caplog.text
        assert secret not in said


VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def put(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize(
    ("variables", "http", "https"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": "http://p:1"}, "http://p:1", None),
        ({"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, "http://p:1", None),
        ({"https_proxy": "p:1"}, None, "http://p:1"),
        ({"HTTPS_PROXY": "https://p:1", "ALL_PROXY": "http://q:2"}, "http://q:2", "https://p:1"),
        ({"ALL_PROXY": "http://q:2", "NO_PROXY": "other, a.example"}, None, None),
        ({"ALL_PROXY": "http://q:2", "no_proxy": ".example"}, None, None),
        ({"ALL_PROXY": "http://q:2", "no_proxy": "*"}, None, None),
        ({"ALL_PROXY": "http://q:2", "no_proxy": "a.example:443"}, "http://q:2", None),
        ({"ALL_PROXY": "http://q:2", "no_proxy": "b.example"}, "http://q:2", "http://q:2"),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None, None),
    ],
)
async def test_the_environment_names_proxies(
    variables: dict[str, str],
    http: str | None,
    https: str | None,
    environ: Callable[[dict[str, str]], None],
    context: ssl.SSLContext,
    autojump_clock: MockClock,
) -> None:
    environ(variables)
    asked = []

    async def dial(origin: str) -> trio.abc.Stream:
        asked.append(origin)
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError("only asking")

    for trusted in True, False:
        asked.clear()
        async with Client(transport=dial, trust_env=trusted, ssl_context=context, retry=ONCE) as client:
            for url in "http://a.example", "https://a.example":
                with pytest.raises((OSError, ProxyError)):
                    await client.get(url)
        expected = [(trusted and http) or "http://a.example", (trusted and https) or "https://a.example"]
        assert asked == expected


def test_wrong_variables_are_refused(environ: Callable[[dict[str, str]], None]) -> None:
    environ({"all_proxy": "socks5://me:secret@proxy.example"})
    with pytest.raises(ValueError, match="environment variable ALL_PROXY is not right: bad URL") as caught:
        Client(trust_env=True)
    assert "secret" not in str(caught.value)
    Client()

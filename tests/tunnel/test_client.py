"""`open_tunnel` and `through`: what is asked, what is answered, and what the stream in between is good for."""

from __future__ import annotations

import pickle
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.session.scripted import settle
from tests.stream.harness import Exchanges, pair, scripted_server
from tests.tunnel.targets import HERE, jane, proxied, read_all, target
from trio_h2 import ErrorCode
from trio_h2.testing import ThrowawayAuthority, sweep_cancellation
from trio_h2.tunnel import ConnectProxy, TunnelRefusedError, open_tunnel, through

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

WINDOW = 65_535


@pytest.mark.parity("L1")
async def test_a_connect_has_an_authority_and_nothing_else(autojump_clock: MockClock) -> None:
    """RFC 9113 §8.5."""
    async with scripted_server() as (session, peer), trio.open_nursery() as nursery:

        async def tunnel(target: str, **options: object) -> None:
            async with open_tunnel(session, target, **options):  # type: ignore[arg-type]
                pass

        for asked, sent in (
            ("example.com:443", b"example.com:443"),
            ("[::1]:8080", b"[::1]:8080"),
            ("exämple.com:80", b"xn--exmple-cua.com:80"),
        ):
            nursery.start_soon(partial(tunnel, asked, headers={"x": "y"}))
            head = await peer.expect_headers()
            assert head.fields == ((b":method", b"CONNECT"), (b":authority", sent), (b"x", b"y"))
            assert not head.end_stream
            await peer.send_headers(head.stream_id, {":status": "200"})
            await peer.send_data(head.stream_id, end_stream=True)
            assert (await peer.expect_data(head.stream_id)).end_stream
        nursery.start_soon(partial(tunnel, "a:1", credentials=("jane", "doe")))
        head = await peer.expect_headers()
        assert (b"proxy-authorization", b"Basic amFuZTpkb2U=") in head.fields
        nursery.cancel_scope.cancel()


@pytest.mark.parity("L1")
async def test_what_is_not_right_is_refused_at_the_call(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer):
        for wrong in ("", "example.com", "example.com:", "example.com:0", ":80", "example.com:65536", "u@a:1", "ä:ö:1"):
            with pytest.raises(ValueError, match=r"authority|host name"):
                open_tunnel(session, wrong)
        for headers, words in (
            ({":path": "/"}, "no ':scheme' and no ':path'"),
            ({":scheme": "https"}, "no ':scheme' and no ':path'"),
            ({":method": "GET"}, "contradicts"),
            ({":authority": "a:1"}, "':authority' of a CONNECT"),
            ({"host": "a:1"}, "':authority' of a CONNECT"),
            ({"content-length": "5"}, "no length"),
            ({"proxy-authorization": "x"}, "exclude each other"),
        ):
            with pytest.raises(ValueError, match=words):
                open_tunnel(session, "a:1", headers=headers, credentials=("a", "b"))
            with pytest.raises(ValueError, match=words):
                through(session, headers=headers, credentials=("a", "b"))
        with pytest.raises(ValueError, match="colon"):
            open_tunnel(session, "a:1", credentials=("a:b", "c"))
        with pytest.raises(TypeError, match="target must be a str"):
            open_tunnel(session, 5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="session must be a ClientSession"):
            open_tunnel("a:1", "a:1")  # type: ignore[arg-type]
        await peer.expect_nothing()


@pytest.mark.parity("L1")
async def test_data_that_comes_with_the_answer_is_kept(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), trio.open_nursery() as nursery:

        async def proxy() -> None:
            stream_id = (await peer.expect_headers()).stream_id
            async with peer.batch():
                await peer.send_headers(stream_id, {":status": "103", "link": "<a>"})
                await peer.send_headers(stream_id, {":status": "299", "content-length": "1"})
                await peer.send_data(stream_id, b"220 ready")
                await peer.send_data(stream_id, end_stream=True)

        nursery.start_soon(proxy)
        async with open_tunnel(session, "a:25") as stream:
            assert await read_all(stream) == b"220 ready"
            await stream.send_eof()


@pytest.mark.parity("L1")
async def test_a_refusal_says_what_the_proxy_said(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer):
        for status, body, told in (
            (302, b"", ""),
            (403, b"\nnot here\n", ": not here"),
            (407, b"who \xe4re you?\r\nI ask", ": who \ufffdre you?"),
            (502, b"x" * 400, ": " + "x" * 100 + "…"),
            (503, bytes(40_000), ""),
            (503, b"\x1b[31mred", ""),
            (503, b"<html>", ""),
        ):
            async with trio.open_nursery() as nursery:

                async def proxy(status: int = status, body: bytes = body) -> None:
                    stream_id = (await peer.expect_headers()).stream_id
                    await peer.send_headers(stream_id, {":status": str(status), "x-why": "so"})
                    await peer.send_body(stream_id, body)
                    # We never ended our side; of a long reason only the beginning is read.
                    await peer.expect_rst(stream_id, ErrorCode.CANCEL if len(body) > 16_384 else ErrorCode.NO_ERROR)

                nursery.start_soon(proxy)
                with pytest.raises(TunnelRefusedError) as info:
                    async with open_tunnel(session, "a:1"):
                        raise AssertionError
                error = info.value
                assert (error.status, error.headers["x-why"], error.body) == (status, "so", body[: 16 * 1024])
                assert isinstance(error, trio_h2.H2Error)
                what = f"the proxy refused a tunnel to a:1 with status {status}{told}"
                assert str(error) == f"{what} (stream {error.stream_id})"
                assert error.session is session
                copy = pickle.loads(pickle.dumps(error))
                assert (copy.status, copy.body, str(copy)) == (error.status, error.body, str(error))


@pytest.mark.parity("L1")
async def test_a_refusal_does_not_wait_long_for_its_reason(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), trio.open_nursery() as nursery:

        async def proxy() -> None:
            stream_id = (await peer.expect_headers()).stream_id
            await peer.send_headers(stream_id, {":status": "502"})
            await peer.send_data(stream_id, b"because")

        nursery.start_soon(proxy)
        began = trio.current_time()
        with pytest.raises(TunnelRefusedError) as info:
            async with open_tunnel(session, "a:1"):
                raise AssertionError
        assert info.value.body == b"because"
        assert trio.current_time() - began == pytest.approx(1.0)


@pytest.mark.parity("L1")
async def test_a_proxy_that_resets_instead_of_answering(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), trio.open_nursery() as nursery:

        async def proxy() -> None:
            await peer.send_rst((await peer.expect_headers()).stream_id, ErrorCode.REFUSED_STREAM)

        nursery.start_soon(proxy)
        with pytest.raises(trio_h2.StreamRefusedError):
            async with open_tunnel(session, "a:1"):
                raise AssertionError


@pytest.mark.parity("L1")
async def test_how_the_block_is_left_is_how_the_tunnel_ends(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer):
        for error in (None, KeyError("x")):
            async with trio.open_nursery() as nursery:

                async def proxy(graceful: bool = error is None) -> None:
                    stream_id = (await peer.expect_headers()).stream_id
                    await peer.send_headers(stream_id, {":status": "200"})
                    if graceful:
                        assert (await peer.expect_data(stream_id)).end_stream
                        await peer.send_data(stream_id, end_stream=True)
                    else:
                        await peer.expect_rst(stream_id, ErrorCode.CANCEL)

                nursery.start_soon(proxy)
                with pytest.raises(KeyError, match="x") if error is not None else nullcontext():
                    async with open_tunnel(session, "a:1"):
                        if error is not None:
                            raise error
        block = open_tunnel(session, "a:1")
        with trio.CancelScope() as scope:
            scope.cancel()
            async with block:
                raise AssertionError
        with pytest.raises(RuntimeError, match="only once"):
            await block.__aenter__()


@pytest.mark.parity("L1", "L4")
@pytest.mark.parametrize("turned", [False, True], ids=["client-first", "proxy-first"])
async def test_a_tunnel_is_a_half_closeable_stream(autojump_clock: MockClock, turned: bool) -> None:
    exchanges = Exchanges()
    async with pair(
        exchanges.handle,
        client_config=trio_h2.ClientConfig(stream_window=WINDOW),
        server_config=trio_h2.ServerConfig(stream_window=WINDOW),
        cancel_handler_on_reset=False,
    ) as (client, _):

        async def make() -> tuple[trio_h2.Stream, trio_h2.Stream]:
            far: list[trio_h2.ServerStream] = []

            async def accept() -> None:
                far.append(await exchanges.next())
                await far[0].respond(200)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(accept)
                near = await open_tunnel(client, "a:1").__aenter__()
            return (far[0], near) if turned else (near, far[0])

        async def make_clogged() -> tuple[trio_h2.Stream, trio_h2.Stream]:
            ends = await make()
            for end in ends:
                await end.send_all(bytes(WINDOW))
            return ends

        await trio.testing.check_half_closeable_stream(make, make_clogged)
        exchanges.finish()
        await settle()


@pytest.mark.parity("L1")
async def test_cancelled_anywhere_the_session_stays_usable(autojump_clock: MockClock) -> None:
    async def proxy(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(1)
        if stream.authority == "refused:1":
            await stream.respond(403, body=b"no")
            return
        await stream.respond(200)
        async for chunk in stream:
            await stream.send_all(chunk)

    async with pair(proxy) as (client, server):

        async def talk() -> None:
            async with open_tunnel(client, "a:1") as stream:
                await stream.send_all(b"x")
                assert await stream.receive_some() == b"x"
            with pytest.raises(TunnelRefusedError):
                async with open_tunnel(client, "refused:1"):
                    raise AssertionError

        await sweep_cancellation(talk)
        await trio.sleep(10)
        assert client.statistics().open_streams == server.statistics().running_handlers == 0


# ---- What goes through a tunnel ----


async def hello(stream: trio_h2.ServerStream) -> None:
    body = b"".join([chunk async for chunk in stream])
    await stream.respond({":status": 200, "x-scheme": stream.scheme}, body=b"hello " + body)


@pytest.mark.parity("L4")
async def test_tls_inside_of_a_tunnel() -> None:
    """The stream goes into `trio.SSLStream` as it is; the proxy sees only ciphertext."""
    authority = ThrowawayAuthority()
    context = authority.server_context()
    client_context = authority.client_context()
    context.set_alpn_protocols([])

    async def talk(plain: trio.SocketStream) -> None:
        tls = trio.SSLStream(plain, context, server_side=True)
        await tls.send_all(b"hello " + await tls.receive_some())
        await tls.aclose()

    async with (
        target(talk) as place,
        proxied(ConnectProxy(HERE)) as session,
        open_tunnel(session, place.authority) as stream,
    ):
        tls = trio.SSLStream(stream, client_context, server_hostname="localhost")
        await tls.send_all(b"Jane")
        assert await tls.receive_some() == b"hello Jane"
        assert await tls.receive_some() == b""
        await tls.aclose()


@pytest.mark.parity("L4")
@pytest.mark.parametrize("outer_tls", [False, True], ids=["proxy-h2c", "proxy-tls"])
@pytest.mark.parametrize("inner_tls", [False, True], ids=["target-h2c", "target-tls"])
async def test_http2_inside_of_a_tunnel_inside_of_http2(outer_tls: bool, inner_tls: bool) -> None:
    authority = ThrowawayAuthority()
    ours = authority.client_context()

    async def serve(
        handler: Callable[[trio_h2.ServerStream], Awaitable[object]],
        tls: bool,
        *,
        task_status: trio.TaskStatus[trio_h2.Server],
    ) -> None:
        if tls:
            context = authority.server_context()
            await trio_h2.serve_ssl_over_tcp(handler, 0, context, host="127.0.0.1", task_status=task_status)
        else:
            await trio_h2.serve_tcp(handler, 0, host="127.0.0.1", task_status=task_status)

    proxy = ConnectProxy(HERE)
    async with trio.open_nursery() as nursery:
        origin: trio_h2.Server = await nursery.start(serve, hello, inner_tls)
        outer: trio_h2.Server = await nursery.start(serve, proxy, outer_tls)
        async with (
            trio_h2.connect(outer.urls[0], ssl_context=ours if outer_tls else None) as session,
            trio_h2.connect(
                origin.urls[0], transport=through(session), ssl_context=ours if inner_tls else None
            ) as inner,
        ):
            assert inner.encrypted == inner_tls
            for _ in range(3):
                async with inner.request("POST", body=b"Jane") as stream:
                    assert await read_all(stream) == b"hello Jane"
                    assert (await stream.receive_response())["x-scheme"] == ("https" if inner_tls else "http")
            assert proxy.statistics().open == 1
        nursery.cancel_scope.cancel()
    assert proxy.statistics().opened == 1


@pytest.mark.parity("L4")
async def test_a_tunnel_inside_of_a_tunnel() -> None:
    async with target(jane) as place, proxied(ConnectProxy(HERE)) as first, trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_tcp, ConnectProxy(HERE), 0, host="127.0.0.1")
        second: trio_h2.Server = await nursery.start(serve)
        async with (
            trio_h2.connect(second.urls[0], transport=through(first)) as session,
            open_tunnel(session, place.authority) as stream,
        ):
            await stream.send_all(b"Jane")
            await stream.send_eof()
            assert await read_all(stream) == b"hello Jane"
        nursery.cancel_scope.cancel()


@pytest.mark.parity("L4")
async def test_connect_raises_the_refusal(autojump_clock: MockClock) -> None:
    asked: list[str] = []

    async def proxy(stream: trio_h2.ServerStream) -> None:
        asked.append(stream.authority)
        await stream.respond(403, body=b"no")

    urls = ["https://example.com", "http://example.com", "https://[::1]", "http://[::1]:81", "https://example.com:8443"]
    async with pair(proxy) as (client, _):
        for url in urls:
            with pytest.raises(TunnelRefusedError, match="403"):
                async with trio_h2.connect(url, transport=through(client)):
                    raise AssertionError
    assert asked == ["example.com:443", "example.com:80", "[::1]:443", "[::1]:81", "example.com:8443"]

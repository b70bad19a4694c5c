"""`trio-h2 demo`: one tour of what there is, with a server and a client in one process.

Each step is a function to be read as an example; it says what it shows and checks that it happened.
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import partial
from typing import TYPE_CHECKING

import trio

import trio_h2
from trio_h2.tunnel import ConnectProxy, TunnelRefusedError, open_tunnel, through

from ._certs import throwaway_authority
from ._demo_asgi import framework, has_starlette
from ._demo_server import STYLE, DemoServer
from ._errors import CommandError, leaf_of
from ._text import print_text

if TYPE_CHECKING:
    import ssl

    from trio_h2 import ClientSession, Server

    from ._args import DemoOptions

GUESTS = 100
MEGABYTE = 1024 * 1024
_PATIENCE = 60


class Tour:
    """Says what happens, and counts what was checked."""

    def __init__(self) -> None:
        self.steps = 0
        self.checks = 0

    def step(self, title: str) -> None:
        """Begins a step."""
        self.steps += 1
        print_text(f"\n{self.steps}. {title}\n")

    def note(self, text: str) -> None:
        """Says something."""
        print_text(f"   {text}\n")

    def check(self, what: str, true: bool) -> None:
        """Checks that what was promised is so.

        Raises:
            CommandError: it is not.
        """
        self.checks += 1
        print_text(f"   {'ok' if true else 'FAILED'}: {what}\n")
        if not true:
            raise CommandError(f"it is not so that {what}")


async def demo(_options: DemoOptions) -> int:
    """Runs the tour.

    Returns:
        The exit code, 0.

    Raises:
        CommandError: something was not as it should be.
    """
    if importlib.util.find_spec("wsproto") is None:
        raise CommandError("the tour needs wsproto: pip install 'trio-h2[cli]'")
    tour = Tour()
    print_text("trio_h2: HTTP/2 over TLS, server and client in this process, nothing leaves the machine\n")
    try:
        with trio.fail_after(_PATIENCE):
            await run_tour(tour)
    except Exception as exc:
        error = leaf_of(exc)
        why = str(error) if isinstance(error, CommandError) else f"{type(error).__name__}: {error}"
        raise CommandError(f"the demo failed in step {tour.steps}: {why}") from exc
    print_text(f"\nAll {tour.checks} checks passed. Next: 'trio-h2 serve --self-signed', 'trio-h2 get --help'.\n")
    return 0


async def run_tour(tour: Tour) -> None:
    """All steps, in order."""
    authority = throwaway_authority()
    handlers = DemoServer(GUESTS)
    config = trio_h2.ServerConfig(enable_connect_protocol=True)  # for WebSockets
    async with trio.open_nursery() as nursery:
        tour.step("A server with a throw-away certificate")
        server: Server = await nursery.start(
            partial(trio_h2.serve_ssl_over_tcp, handlers, 0, authority.server_context(), config=config)
        )
        tour.note(f"listening on {server.urls[0]}")

        trusting = authority.client_context()
        await distrust(tour, server)
        async with trio_h2.connect(server.urls[0], ssl_context=trusting) as session:
            await connected(tour, session)
            await request(tour, session)
            await upload(tour, session)
            await echo(tour, session)
            await trailers(tour, session)
            await concurrency(tour, session, handlers)
            await cancellation(tour, session, handlers)
            await timeouts(tour, session)
            await websocket(tour, session)
            await push(tour, server, trusting)
            await tunnel(tour, server, trusting)
            await drain(tour, session, server, handlers)
        await closed(tour, server, trusting)
    if has_starlette():
        await framework(tour, authority)
    else:
        tour.note("(with Starlette installed, one of its applications would run here, too: trio_h2.asgi)")


async def distrust(tour: Tour, server: Server) -> None:
    """A client that was not told to trust the certificate."""
    try:
        async with trio_h2.connect(server.urls[0]):
            refused = False
    except trio_h2.HandshakeError as error:
        tour.note(f"{error}")
        refused = True
    tour.check("a client that does not know the certificate's authority refuses it", refused)


async def connected(tour: Tour, session: ClientSession) -> None:
    """One session, and the time a message takes on it."""
    tour.step("A client that trusts it")
    answers = [await session.ping() for _ in range(5)]
    fastest = min(answer.round_trip for answer in answers)
    tour.note(f"a PING there and back takes {fastest * 1000:.2f} ms")
    tour.check("TLS agreed on HTTP/2, and the server answers", not session.closed)


async def request(tour: Tour, session: ClientSession) -> None:
    """A request and its response."""
    tour.step("A request")
    async with session.request("GET", "/hello") as stream:
        response = await stream.receive_response()
        body = b"".join([chunk async for chunk in stream])
    tour.note(f"GET /hello: {response.status}, {response['content-type']}, {body!r}")
    tour.check("status and body are right", (response.status, body) == (200, b"hello, world\n"))


async def upload(tour: Tour, session: ClientSession) -> None:
    """A body that is sent piece by piece, as fast as the server reads it."""
    tour.step("An upload of 16 MiB, in pieces")
    piece, digest = bytes(range(256)) * 1024, hashlib.sha256()
    async with session.request("POST", "/upload", end_stream=False) as stream:
        for _ in range(16 * MEGABYTE // len(piece)):
            digest.update(piece)
            await stream.send_all(piece)
        await stream.send_eof()
        await stream.receive_response()
        receipt = b"".join([chunk async for chunk in stream]).decode()
    tour.note(f"the server's receipt: {receipt}")
    tour.check("every byte arrived, in order", receipt == f"{16 * MEGABYTE} {digest.hexdigest()}")


async def echo(tour: Tour, session: ClientSession) -> None:
    """One stream, both directions at once."""
    tour.step("A conversation: request and response at the same time")
    async with session.request("POST", "/echo", end_stream=False) as stream:
        await stream.receive_response()
        tour.note("the response is there; the request has not ended")
        for word in (b"first", b"second", b"third"):
            await stream.send_all(word)
            answer = await stream.receive_some()
            tour.check(f"{word!r} comes back before more is sent", answer == word)
        await stream.send_eof()
        tour.check("the response ends when the request does", await stream.receive_some() == b"")


async def trailers(tour: Tour, session: ClientSession) -> None:
    """Fields after the body, both ways: a checksum is known only when all is sent."""
    tour.step("Trailers")
    body = b"what the checksum is of"
    async with session.request("POST", "/checked", end_stream=False) as stream:
        await stream.send_all(body)
        await stream.send_trailers({"sha256": hashlib.sha256(body).hexdigest()})
        await stream.receive_response()
        answer = b"".join([chunk async for chunk in stream])
        fields = await stream.receive_trailers()
    tour.check("the server compared the body with the checksum behind it", answer == b"intact")
    ours = hashlib.sha256(answer).hexdigest()
    tour.check("so did the client, with the response", fields is not None and fields.get("sha256") == ours)


async def concurrency(tour: Tour, session: ClientSession, handlers: DemoServer) -> None:
    """Many requests on one session; each handler waits until all the others are there."""
    tour.step(f"{GUESTS} requests at the same time, on one connection")
    statuses: list[int] = []

    async def guest() -> None:
        async with session.request("GET", "/meet") as stream:
            statuses.append((await stream.receive_response()).status)

    async with trio.open_nursery() as nursery:
        for _ in range(GUESTS):
            nursery.start_soon(guest)
        await handlers.all_present.wait()
        tour.note(f"{session.statistics().open_streams} streams are open")
    tour.check(f"all {GUESTS} met at the server, and were answered", statuses == [200] * GUESTS)


async def cancellation(tour: Tour, session: ClientSession, handlers: DemoServer) -> None:
    """A download that is given up. Leaving the block is all there is to do."""
    tour.step("Giving up one request")
    async with session.request("GET", "/flood") as stream:
        received = 0
        while received < MEGABYTE:
            received += len(await stream.receive_some())
    tour.note(f"left an endless response after {received} bytes")
    await handlers.flood_ended.wait()
    tour.check("its handler was cancelled", True)
    ledger = session.statistics().ledger
    tour.note(f"bytes received {ledger.received}: taken {ledger.taken}, thrown away {ledger.discarded}")
    tour.check("nothing of it is held any more", ledger.held == 0)
    async with session.request("GET", "/hello") as stream:
        status = (await stream.receive_response()).status
    tour.check("the session goes on", status == 200)


async def timeouts(tour: Tour, session: ClientSession) -> None:
    """Timeouts are Trio's own."""
    tour.step("A timeout")
    with trio.move_on_after(0.1) as scope:
        async with session.request("GET", "/never") as stream:
            await stream.receive_response()
    tour.check("a request without an answer ended with its cancel scope", scope.cancelled_caught)
    await session.ping()
    tour.check("the session goes on, without open streams", session.statistics().open_streams == 0)


async def websocket(tour: Tour, session: ClientSession) -> None:
    """A WebSocket is one stream of the session, beside all others."""
    from trio_h2.websocket import open_websocket  # it needs a package that the library itself does not

    tour.step("A WebSocket, in the same session")
    async with open_websocket(session, "/loud") as ws:
        answers = []
        for word in ("hello", "there"):
            await ws.send_message(word)
            answers.append(await ws.receive_message())
    tour.note(f"it said {answers}, and closed with {ws.close_code}")
    tour.check("every message was answered", answers == ["HELLO", "THERE"])
    tour.check("it was closed as it should be", ws.close_code == 1000)


async def push(tour: Tour, server: Server, ssl_context: ssl.SSLContext) -> None:
    """Responses to requests that the client has not made. Browsers have given that up; other clients use it."""
    tour.step("Server push")
    came: dict[str, bytes] = {}
    arrived = trio.Event()

    async def take(pushed: trio_h2.PushedStream) -> None:
        came[pushed.path] = b"".join([chunk async for chunk in pushed])
        arrived.set()

    async with trio_h2.connect(server.urls[0], ssl_context=ssl_context, push_handler=take) as session:
        async with session.request("GET", "/page") as stream:
            await stream.receive_response()
        with trio.move_on_after(5):
            await arrived.wait()
    tour.note(f"with the page came {came}")
    tour.check("what the page needs came without being asked for", came == {"/style.css": STYLE})


async def tunnel(tour: Tour, server: Server, ssl_context: ssl.SSLContext) -> None:
    """A CONNECT proxy that may open connections to this server only, and HTTP/2 over TLS inside of its tunnel."""
    tour.step("A tunnel through a proxy")
    proxy = ConnectProxy([f"127.0.0.1:{server.port}", f"[::1]:{server.port}"])
    async with trio.open_nursery() as nursery:
        running: Server = await nursery.start(partial(trio_h2.serve_tcp, proxy, 0))
        async with (
            trio_h2.connect(running.urls[0]) as outer,
            trio_h2.connect(server.urls[0], transport=through(outer), ssl_context=ssl_context) as session,
            session.request("GET", "/hello") as stream,
        ):
            status = (await stream.receive_response()).status
            tour.note(f"{session.alpn_protocol} inside of {outer.alpn_protocol}: {status}")
        tour.check("a request went through a tunnel", status == 200)
        async with trio_h2.connect(running.urls[0]) as outer:
            try:
                async with open_tunnel(outer, "localhost:22"):
                    refusal = 0
            except TunnelRefusedError as error:
                refusal = error.status
        tour.check("the proxy opens no other connections", refusal == 403)
        await running.aclose()


async def drain(tour: Tour, session: ClientSession, server: Server, handlers: DemoServer) -> None:
    """The server shuts down while a response is under way."""
    tour.step("Shutting down in good order")
    async with session.request("GET", "/slow") as stream:
        body = await stream.receive_some()
        server.shutdown()
        await session.ping()  # the server's GOAWAY comes before the answer
        tour.check("the server takes no new requests, and says that a retry is safe", await is_refused(session))
        handlers.may_finish.set()
        async for chunk in stream:
            body += chunk
    tour.note(f"the running response: {body!r}")
    tour.check("what was running was finished", body == b"begun before the drain, ended after it")


async def is_refused(session: ClientSession) -> bool:
    """Whether a new request is refused, and can safely be sent elsewhere."""
    try:
        async with session.request("GET", "/hello") as stream:
            await stream.receive_response()
    except trio_h2.GoAwayError as error:
        return error.retryable
    return False


async def closed(tour: Tour, server: Server, ssl_context: ssl.SSLContext) -> None:
    """The server has let go of its port."""
    await server.aclose()
    try:
        async with trio_h2.connect(server.urls[0], ssl_context=ssl_context):
            gone = False
    except OSError:
        gone = True
    tour.check("the server is gone", gone)

"""What a receiver accepts, its application can pass on: through a gateway, in every pairing of roles and versions.

The gateway is what anybody would write on the public API, or a `relay`. A client of HTTP/2 or HTTP/1.1 in front of it
and a server of HTTP/2 behind it send whatever the gateway's two sides accept.
"""

from __future__ import annotations

import contextlib
import random
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
from hpack import NeverIndexedHeaderTuple

import trio_h2
from trio_h2 import Headers, SettingCode
from trio_h2._stream._promise import promise_fields
from trio_h2._wire._fields import MalformedMessageError, check_request, normal_request
from trio_h2.testing import DataFrame, HeadersFrame, PeerClosedError, RstStreamFrame, ScriptedPeer, memory_transports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    Fields = list[tuple[bytes, bytes]]

BODY = b"~body~"
LENGTH = (b"content-length", b"6")
GET: Fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost"), (b":path", b"/")]


@dataclass
class Message:
    """A request or a final response, frame by frame."""

    fields: Fields
    interim: list[Fields] = field(default_factory=list)
    body: bytes | None = None
    trailers: Fields | None = None

    async def send(self, peer: ScriptedPeer, stream_id: int) -> None:
        """Sends it over HTTP/2."""
        for fields in self.interim:
            await peer.send_headers(stream_id, fields)
        bare = self.body is None and self.trailers is None
        await peer.send_headers(stream_id, self.fields, end_stream=bare)
        if self.body is not None:
            await peer.send_data(stream_id, self.body, end_stream=self.trailers is None)
        if self.trailers is not None:
            await peer.send_headers(stream_id, self.trailers, end_stream=True)

    def http1(self) -> bytes:
        """Returns a request as HTTP/1.1 has it."""
        pseudo = {name: value for name, value in self.fields if name[:1] == b":"}
        authority = pseudo.get(b":authority", b"")
        target = authority if pseudo[b":method"] == b"CONNECT" else pseudo.get(b":path", b"/")
        lines = [pseudo[b":method"] + b" " + target + b" HTTP/1.1"]
        lines += [name.title() + b": " + value for name, value in self.fields if name[:1] != b":"]
        if not any(name == b"host" for name, _ in self.fields):
            lines.append(b"Host: " + authority)
        lines.append(b"Connection: close, x-hop")
        body = self.body or b""
        if self.trailers is not None:
            lines.append(b"Transfer-Encoding: chunked")
            tail = [name.title() + b": " + value for name, value in self.trailers]
            body = (b"6\r\n" + body + b"\r\n" if body else b"") + b"\r\n".join([b"0", *tail, b"", b""])
        return b"\r\n".join([*lines, b"", b""]) + body


@dataclass
class Passed:
    """What has come through, and what went wrong."""

    errors: list[Exception] = field(default_factory=list)
    request: Fields | None = None
    """What the server got."""
    request_body: bytes = b""
    request_trailers: Fields | None = None
    statuses: list[int] = field(default_factory=list)
    """What the client got."""
    response: Fields | None = None
    body: bytes = b""
    trailers: Fields | None = None


class Gateway:
    """Passes on what it gets; what it cannot, is an error."""

    def __init__(self, session: trio_h2.ClientSession, passed: Passed) -> None:
        self._session = session
        self._passed = passed

    async def handle(self, stream: trio_h2.ServerStream) -> None:
        """Passes one request on, and its response back."""
        try:
            end = stream.end_after_headers
            async with (
                self._session.request(stream.method, headers=stream.headers, end_stream=end) as upstream,
                trio.open_nursery() as nursery,
            ):
                if not end:
                    nursery.start_soon(self._upload, stream, upstream)
                await self._download(upstream, stream)
                nursery.cancel_scope.cancel()
        except* (trio_h2.StreamError, trio_h2.SessionError):
            stream.reset()  # the other side sent what nobody accepts, or went away
        except* Exception as group:
            self._passed.errors.append(group)

    async def _upload(self, stream: trio_h2.ServerStream, upstream: trio_h2.ClientStream) -> None:
        async for chunk in stream:
            await upstream.send_all(chunk)
        trailers = await stream.receive_trailers()
        await (upstream.send_eof() if trailers is None else upstream.send_trailers(trailers))

    async def _download(self, upstream: trio_h2.ClientStream, stream: trio_h2.ServerStream) -> None:
        while (interim := await upstream.receive_informational()) is not None:
            await stream.send_informational(interim.status, interim)
        response = await upstream.receive_response()
        await stream.respond(response, end_stream=upstream.end_after_headers)
        if upstream.end_after_headers:
            return
        async for chunk in upstream:
            await stream.send_all(chunk)
        trailers = await upstream.receive_trailers()
        if trailers is not None:
            await stream.send_trailers(trailers)


async def relay_on(version: str, request: Message, response: Message, *, up1: bool = False) -> Passed:
    """Sends *request* through a gateway that is made with `relay`, and *response* back.

    With *up1*, the server behind it is one of ours, which speaks HTTP/1.1.
    """
    passed = Passed()
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with trio.open_nursery() as nursery:

        async def connect(origin: str) -> trio.abc.Stream:
            ours, theirs = memory_transports()
            await nursery.start(_serve_http1 if up1 else _serve, theirs, response, passed)
            return ours

        async with trio_h2.Client(transport=connect, http1=up1, timeouts=trio_h2.Timeouts(response=2)) as client:
            up = trio_h2.Upstream(client, "http://localhost", tunnels=True, forwarded=False)

            async def handle(stream: trio_h2.ServerStream) -> None:
                try:
                    await trio_h2.relay(stream, up)
                except (trio_h2.StreamError, trio_h2.SessionError, trio.ClosedResourceError):
                    raise  # the client has left
                except Exception as exc:
                    passed.errors.append(exc)
                    raise

            front, visitor = memory_transports()
            nursery.start_soon(partial(trio_h2.serve_stream, handle, front, config=config, allow_http1=True))
            with trio.move_on_after(5):
                await (_over_http1 if version == "1.1" else _over_http2)(visitor, request, passed)
            await trio.aclose_forcefully(visitor)
            await trio.sleep(1)
            if client.statistics().requests:
                passed.errors.append(AssertionError("a request is left"))
            nursery.cancel_scope.cancel()
    return passed


async def _serve(
    transport: trio.abc.Stream,
    response: Message,
    passed: Passed,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    task_status.started()
    with contextlib.suppress(PeerClosedError):
        async with ScriptedPeer(transport, client=False) as server:
            await server.handshake({SettingCode.ENABLE_CONNECT_PROTOCOL: 1})
            await _answer(server, response, passed)


async def relay_on_to_http1(version: str, request: Message, response: Message) -> Passed:
    """As `relay_on`, to a server of HTTP/1.1."""
    return await relay_on(version, request, response, up1=True)


async def _serve_http1(
    transport: trio.abc.Stream,
    response: Message,
    passed: Passed,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        passed.request = list(stream.headers.raw)
        try:
            await _respond(stream, response)
        except ValueError:
            stream.reset()  # our own server does not send such a thing

    task_status.started()
    with contextlib.suppress(trio_h2.HandshakeError):  # of a gateway that has given up meanwhile
        await trio_h2.serve_stream(answer, transport, allow_http1=True)


async def _respond(stream: trio_h2.ServerStream, response: Message) -> None:
    for fields in response.interim:
        head = Headers.from_raw(fields)
        await stream.send_informational(head.status, head.forwarded(drop=[":status", "content-length"]))
    await stream.respond(Headers.from_raw(response.fields).forwarded())
    if stream.state.local_closed:
        return
    if response.body is not None:
        await stream.send_all(response.body)
    await (stream.send_eof() if response.trailers is None else stream.send_trailers(response.trailers))


async def pass_on(version: str, request: Message, response: Message) -> Passed:
    """Sends *request* through the gateway, and *response* back."""
    passed = Passed()
    ours, theirs = memory_transports()
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with (
        ScriptedPeer(theirs, client=False) as server,
        trio_h2.connect("http://localhost", transport=ours) as session,
        trio.open_nursery() as nursery,
    ):
        await server.handshake({SettingCode.ENABLE_CONNECT_PROTOCOL: 1})
        gateway = Gateway(session, passed)
        front, client = memory_transports()
        nursery.start_soon(partial(trio_h2.serve_stream, gateway.handle, front, config=config, allow_http1=True))
        nursery.start_soon(_answer, server, response, passed)
        with trio.move_on_after(5):
            await (_over_http1 if version == "1.1" else _over_http2)(client, request, passed)
        await trio.sleep(1)  # the gateway has done what it had to do
        nursery.cancel_scope.cancel()
    return passed


async def _answer(server: ScriptedPeer, response: Message, passed: Passed) -> None:
    while True:
        frame = await server.receive_frame()
        if isinstance(frame, HeadersFrame):
            if passed.request is None:
                passed.request = list(frame.fields)
                await response.send(server, frame.stream_id)
            else:
                passed.request_trailers = list(frame.fields)
        elif isinstance(frame, DataFrame):
            passed.request_body += frame.data


async def _over_http2(transport: trio.abc.Stream, request: Message, passed: Passed) -> None:
    async with ScriptedPeer(transport, client=True) as client:
        await client.handshake()
        await request.send(client, 1)
        while True:
            frame = await client.receive_frame()
            if isinstance(frame, HeadersFrame):
                status = dict(frame.fields).get(b":status")
                if status is None:
                    passed.trailers = list(frame.fields)
                else:
                    passed.statuses.append(int(status))
                    passed.response = list(frame.fields)
            elif isinstance(frame, DataFrame):
                passed.body += frame.data
            if isinstance(frame, RstStreamFrame) or getattr(frame, "end_stream", False):
                return


async def _over_http1(transport: trio.abc.Stream, request: Message, passed: Passed) -> None:
    await transport.send_all(request.http1())
    received = bytearray()
    try:
        while data := await transport.receive_some():
            received += data
    except trio.BrokenResourceError:
        pass
    finally:
        passed.statuses = [int(status) for status in re.findall(rb"(?:^|\n)HTTP/1.1 ([0-9]{3}) ", received)]
        passed.body = BODY if BODY in received else b""


VERSIONS = pytest.mark.parametrize("version", ["1.1", "2"])
OK = Message([(b":status", b"200")], body=BODY)


def response(status: int, *fields: tuple[bytes, bytes], body: bytes | None = None) -> Message:
    return Message([(b":status", b"%d" % status), *fields], body=body)


@VERSIONS
@pytest.mark.parametrize(
    ("given", "unwanted", "body"),
    [
        (response(204, (b"content-length", b"0")), b"content-length", b""),
        (response(205, LENGTH, body=BODY), b"content-length", b""),
        (response(205, body=BODY), b"x", b""),
        (response(200, (b"http2-settings", b"AAMAAABk"), body=BODY), b"http2-settings", BODY),
        (response(304, LENGTH), b"x", b""),
        (response(678, LENGTH, body=BODY), b"x", BODY),
        (Message([(b":status", b"204"), (b"content-length", b"0")], trailers=[(b"x-a", b"b")]), b"content-length", b""),
        (Message([(b":status", b"200")], body=BODY, trailers=[LENGTH, (b"host", b"a"), (b"x-a", b"b")]), b"x", BODY),
        (Message([(b":status", b"200")], [[(b":status", b"103"), (b"content-length", b"0")]], BODY), b"x", BODY),
    ],
)
async def test_responses(version: str, given: Message, unwanted: bytes, body: bytes, autojump_clock: MockClock) -> None:
    passed = await pass_on(version, Message(GET), given)
    assert passed.errors == []
    status = int(dict(given.fields)[b":status"])
    assert passed.statuses == [int(dict(fields)[b":status"]) for fields in given.interim] + [status]
    assert passed.body == body
    if version == "2":
        assert passed.response is not None
        assert [one for one in passed.response if one in given.fields] == [
            one for one in given.fields if one[0] != unwanted
        ]
        bodiless = status in (204, 205, 304)
        assert passed.trailers == (None if given.trailers is None or bodiless else [(b"x-a", b"b")])


@VERSIONS
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([*GET[:3], (b":path", b"/caf\xc3\xa9?\xff=%20")], (b":path", b"/caf%C3%A9?%FF=%20")),
        ([*GET, (b"http2-settings", b"AAMAAABk")], None),
        ([*GET, (b"te", b"Trailers")], (b"te", b"trailers")),
        ([(b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*")], (b":path", b"*")),
    ],
)
async def test_requests(
    version: str, given: Fields, expected: tuple[bytes, bytes] | None, autojump_clock: MockClock
) -> None:
    passed = await pass_on(version, Message(given), OK)
    assert passed.errors == []
    assert passed.statuses == [200]
    assert passed.request is not None
    names = [name for name, _ in passed.request]
    assert b"http2-settings" not in names
    if expected is not None:
        assert (expected[0], expected[1].lower() if expected[0] == b"te" else expected[1]) in [
            (name, value.lower() if name == b"te" else value) for name, value in passed.request
        ]


@VERSIONS
async def test_trailers_of_a_request(version: str, autojump_clock: MockClock) -> None:
    post = [(b":method", b"POST"), *GET[1:]]
    passed = await pass_on(version, Message(post, [], BODY, [LENGTH, (b"host", b"a"), (b"x-a", b"b")]), OK)
    assert (passed.errors, passed.statuses) == ([], [200])
    assert passed.request_body == BODY
    assert passed.request_trailers == [(b"x-a", b"b")]


@pytest.mark.parametrize("protocol", [[], [(b":protocol", b"websocket"), (b":scheme", b"http"), (b":path", b"/\xe9")]])
async def test_tunnels(protocol: Fields, autojump_clock: MockClock) -> None:
    """The content-length of a CONNECT, and of its answer, means nothing."""
    connect = [(b":method", b"CONNECT"), (b":authority", b"localhost:80"), *protocol, (b"content-length", b"2")]
    passed = await pass_on("2", Message(connect, body=BODY), response(200, (b"content-length", b"2"), body=BODY))
    assert (passed.errors, passed.statuses, passed.body, passed.request_body) == ([], [200], BODY, BODY)
    assert passed.request is not None
    assert passed.response is not None
    assert b"content-length" not in dict([*passed.request, *passed.response])
    assert dict(passed.request).get(b":path") == (b"/%E9" if protocol else None)


# -- at random ---------------------------------------------------------------------------------------------------------

_ANYWHERE: Fields = [
    *[(b"content-length", value) for value in (b"0", b"6", b"06", b"6")],
    *[(b"host", value) for value in (b"localhost", b"LOCALHOST:80", b"")],
    *[(b"te", value) for value in (b"trailers", b"TRAILERS")],
    *[(b"x-raw", value) for value in (b"", b"caf\xc3\xa9 \xff", b"a \t b", b'"')],
    *[(b"http2-settings", b"AAMAAABk"), (b"x-hop", b"1"), (b"!#$%&'*+-.^_`|~", b"odd"), (b"priority", b"u=9")],
    *[(b"cookie", b"a=b"), (b"cookie", b"c=d"), (b"set-cookie", b"a=b"), (b"date", b"today"), (b"trailer", b"x-sum")],
    *[(b"expect", b"100-continue"), (b"keep-alive", b"5"), (b"proxy-authorization", b"Basic eA=="), (b"range", b"x")],
    NeverIndexedHeaderTuple(b"x-secret", b"hush"),
]
_PATHS = [b"/", b"/", b"*", b"/a%20b?c", b"/caf\xc3\xa9", b"//x", b'/"<>\\^`{|}', b"/?\xff", b"/%", b"", b"/a b", b"x"]
_METHODS = b"GET HEAD POST PUT PATCH DELETE OPTIONS CONNECT M-SEARCH get".split()
_AUTHORITIES = [b"localhost", b"LOCALHOST", b"localhost:80", b"[::1]:8080", b"", b"a:b", b":80"]
_STATUSES = [200, 201, 204, 205, 206, 304, 404, 413, 417, 503, 600, 999]


class Random:
    """Messages at random, most of which are accepted."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def _some(self) -> Fields:
        return self._random.choices(_ANYWHERE, k=self._random.choice([0, 0, 1, 2, 4]))

    def _rest(self, fields: Fields, interim: list[Fields]) -> Message:
        body = self._random.choice([None, b"", BODY, BODY])
        trailers = self._random.choice([None, None, self._some()])
        return Message(fields, interim, body, trailers)

    def request(self) -> Message:
        """Returns a request, perhaps a CONNECT or an extended one."""
        chance, choice = self._random.random, self._random.choice
        method = choice(_METHODS)
        fields: Fields = [(b":method", method)]
        extended = method == b"CONNECT" and chance() < 0.5
        if method != b"CONNECT" or extended:
            fields += [(b":scheme", choice([b"http", b"HTTP", b"https", b"coap"])), (b":path", choice(_PATHS))]
        if chance() < 0.9:
            fields.append((b":authority", b"localhost:80" if method == b"CONNECT" else choice(_AUTHORITIES)))
        if extended:
            fields.append((b":protocol", b"websocket"))
        return self._rest(fields + self._some(), [])

    def response(self) -> Message:
        """Returns a response, and interim ones before it."""
        interim: list[Fields] = []
        for _ in range(self._random.choice([0, 0, 1, 2])):
            interim.append([(b":status", b"%d" % self._random.choice([100, 102, 103, 199])), *self._some()])
        return self._rest([(b":status", b"%d" % self._random.choice(_STATUSES)), *self._some()], interim)


def test_promises() -> None:
    """A request that a server has promised can be promised to somebody else."""
    messages, through = Random("promises"), 0
    while through < 200:
        fields = messages.request().fields
        try:
            head = check_request(fields)
        except MalformedMessageError:
            continue
        if head.method in (b"GET", b"HEAD") and not head.content_length:
            headers = Headers.from_raw(fields if head.normal else normal_request(fields, head))
            assert promise_fields(headers, "http", "localhost")
            through += 1


@VERSIONS
@pytest.mark.parametrize("passing", [pass_on, relay_on, relay_on_to_http1])
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_accepted(
    version: str, seed: int, passing: Callable[[str, Message, Message], Awaitable[Passed]], autojump_clock: MockClock
) -> None:
    """A message is refused by its receiver, or it comes through; nothing fails in the application."""
    messages = Random(f"{version} {seed}")
    through = 0
    for _ in range(60):
        request, given = messages.request(), messages.response()
        passed = await passing(version, request, given)
        assert passed.errors == [], (request, given)
        assert 500 not in passed.statuses, (request, given)
        if passed.request is not None and passed.statuses[-1:] == [int(dict(given.fields)[b":status"])]:
            through += 1
    assert through > 5

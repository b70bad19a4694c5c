"""What instruments are told of HTTP/1.1 connections."""

from __future__ import annotations

import pytest
import trio

from tests.http1.client import serving
from tests.trace.recorder import Recorder
from trio_h2 import Http1Exchange, Initiator, Role, ServerConfig, ServerStream


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def _echo(stream: ServerStream) -> None:
    await stream.respond({":status": 201, "x-a": "b"})
    while data := await stream.receive_some():
        await stream.send_all(data)
    await stream.send_trailers({"x-sum": "7"})


async def test_an_exchange_is_told_part_by_part(recorder: Recorder, autojump_clock: object) -> None:
    async with serving(_echo, config=ServerConfig(instruments=[recorder])) as served:
        await served.client.request("POST /up?x=1", "Content-Length: 5", "X-Case: Kept", body="hello")
        answer = await served.client.answer()
        assert answer.trailers == {"x-sum": "7"}
        await served.client.send_eof()
    assert recorder.names == [
        "session_started",
        "received head",
        "stream_opened",
        "received data",
        "received end",
        "sent head",
        "sent data",
        "sent end",
        "stream_closed",
        "session_ended",
    ]
    (info,) = recorder.sessions
    assert (info.role, info.http_version, info.alpn, info.scheme) == (Role.SERVER, "1.1", None, "http")
    head, data, end = recorder.parts_received
    assert (head.stream_id, head.message, head.method, head.target) == (1, "request", "POST", "/up?x=1")
    assert head.headers is not None
    assert list(head.headers.items()) == [("host", "example.org"), ("content-length", "5"), ("x-case", "Kept")]
    assert (data.length, end.headers) == (5, None)
    head, data, end = recorder.parts_sent
    assert (head.message, head.status, data.length) == ("response", 201, 5)
    assert head.headers is not None
    assert head.headers["x-a"] == "b"
    assert head.headers["transfer-encoding"] == "chunked"
    assert end.headers is not None
    assert end.headers["x-sum"] == "7"
    ((stream, ended),) = recorder.closed
    assert stream.headers is not None
    assert stream.headers[":path"] == "/up?x=1"
    assert (ended.how, ended.by, ended.status) == ("complete", Initiator.LOCAL, 201)
    assert (ended.bytes_sent, ended.bytes_received) == (5, 5)
    (session_end,) = recorder.session_ends
    assert (session_end.clean, session_end.streams) == (True, 1)
    assert session_end.bytes_received > 5
    assert session_end.bytes_sent > 5


async def test_exchanges_are_numbered(recorder: Recorder, autojump_clock: object) -> None:
    async def hello(stream: ServerStream) -> None:
        await stream.respond(body=b"hello")

    async with serving(hello, config=ServerConfig(instruments=[recorder])) as served:
        for _ in range(3):
            await served.client.request("GET /")
            await served.client.answer()
    assert [info.stream_id for info in recorder.opened] == [1, 2, 3]
    ends = [(info.stream_id, end.how) for info, end in recorder.closed]
    assert ends == [(1, "complete"), (2, "complete"), (3, "complete")]
    assert [part.stream_id for part in recorder.parts_sent if part.part == "head"] == [1, 2, 3]


async def test_a_client_that_ends_last(recorder: Recorder, autojump_clock: object) -> None:
    async def early(stream: ServerStream) -> None:
        await stream.respond(body=b"enough")
        while await stream.receive_some():
            pass

    async with serving(early, config=ServerConfig(instruments=[recorder])) as served:
        await served.client.request("POST /", "content-length: 2", body="a")
        await served.client.answer()
        await trio.sleep(0.5)
        await served.client.send("b")
        await trio.testing.wait_all_tasks_blocked()
    ((_, end),) = recorder.closed
    assert (end.how, end.by) == ("complete", Initiator.REMOTE)
    assert end.duration == pytest.approx(0.5)
    names = recorder.names
    assert names.index("stream_closed") == names.index("received end") + 1


async def test_a_response_that_is_cut(recorder: Recorder, autojump_clock: object) -> None:
    async def cut(stream: ServerStream) -> None:
        await stream.respond({":status": 200, "content-length": 10})
        await stream.send_all(b"12345")
        stream.reset()

    async with serving(cut, config=ServerConfig(instruments=[recorder])) as served:
        await served.client.request("GET /")
        await trio.testing.wait_all_tasks_blocked()
    ((_, end),) = recorder.closed
    assert (end.how, end.by, end.reason) == ("reset", Initiator.LOCAL, "the stream was reset on this side")


async def test_a_client_that_leaves(recorder: Recorder, autojump_clock: object) -> None:
    async def forever(stream: ServerStream) -> None:
        await trio.sleep_forever()

    async with serving(forever, config=ServerConfig(instruments=[recorder])) as served:
        await served.client.request("GET /")
        await trio.testing.wait_all_tasks_blocked()
        await served.client.transport.aclose()
    ((_, end),) = recorder.closed
    assert (end.how, end.by) == ("session", Initiator.REMOTE)
    (session_end,) = recorder.session_ends
    assert (session_end.clean, session_end.by) == (False, Initiator.REMOTE)


async def test_what_the_library_answers_itself(recorder: Recorder, autojump_clock: object) -> None:
    async with serving(_echo, config=ServerConfig(instruments=[recorder])) as served:
        await served.client.send("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n")
        assert (await served.client.answer()).status == 400
    (head,) = recorder.parts_sent
    assert (head.part, head.status) == ("head", 400)
    assert recorder.opened == []


async def test_interim_responses(recorder: Recorder, autojump_clock: object) -> None:
    async def hint(stream: ServerStream) -> None:
        await stream.send_informational(103, {"link": "</a>"})
        await stream.respond()

    async with serving(hint, config=ServerConfig(instruments=[recorder])) as served:
        await served.client.request("GET /")
        await served.client.answer()
        await served.client.answer()
    heads = [(part.message, part.status) for part in recorder.parts_sent if part.part == "head"]
    assert heads == [("informational", 103), ("response", 200)]
    ((_, end),) = recorder.closed
    assert end.status == 200


async def test_another_protocol_is_data(recorder: Recorder, autojump_clock: object) -> None:
    async def switch(stream: ServerStream) -> None:
        assert isinstance(stream, Http1Exchange)
        await stream.switch_protocols("chat")
        await stream.send_all(await stream.receive_some())

    async with serving(switch, config=ServerConfig(instruments=[recorder])) as served:
        await served.client.request("GET /", "connection: upgrade", "upgrade: chat")
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send("ping")
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send_eof()
    heads = [(part.message, part.status) for part in recorder.parts_sent if part.part == "head"]
    assert heads == [("response", 101)]
    assert sum(part.length for part in recorder.parts_received) == 4
    assert sum(part.length for part in recorder.parts_sent) == 4


async def test_a_handler_that_does_not_read_is_a_stall(recorder: Recorder, autojump_clock: object) -> None:
    async def slow(stream: ServerStream) -> None:
        await trio.sleep(5)
        while await stream.receive_some():
            pass
        await stream.respond()

    config = ServerConfig(instruments=[recorder], stream_window=1000, max_concurrent_streams=1)
    async with serving(slow, config=config) as served:
        await served.client.request("POST /", "content-length: 5000", body=bytes(2000))
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send(bytes(3000))
        assert (await served.client.answer()).status == 200
    assert [(one.stream_id, one.side, one.limit) for one in recorder.stalls][:1] == [(1, "receive", "stream_window")]
    assert recorder.resumes[0].duration == pytest.approx(5)


async def test_a_client_that_takes_nothing_is_a_stall(recorder: Recorder, autojump_clock: object) -> None:
    async def much(stream: ServerStream) -> None:
        await stream.respond(body=bytes(100_000))

    async with serving(much, config=ServerConfig(instruments=[recorder]), capacity=10_000) as served:
        await served.client.request("GET /")
        await trio.sleep(2)
        assert len((await served.client.answer()).body) == 100_000
    (stall, *_) = recorder.stalls
    assert (stall.stream_id, stall.side, stall.limit) == (0, "send", "transport")
    assert recorder.resumes[0].duration == pytest.approx(2)

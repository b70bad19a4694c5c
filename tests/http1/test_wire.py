"""The engine for HTTP/1.1 alone: however bytes are cut and garbled, there are events or one refusal, nothing else."""

from __future__ import annotations

import random

import pytest

from trio_h2 import ServerConfig
from trio_h2._http1._request import BadMessageError, RequestHead
from trio_h2._http1._wire import BodyReceived, EndReceived, Http1Wire

_CONFIG = ServerConfig(max_header_list_size=2000)
_REQUESTS = (
    b"GET /path?query HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 11\r\n\r\nhello world",
    b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nSum: 1\r\n\r\n",
    b"\r\nOPTIONS * HTTP/1.1\r\nHost: a:1\r\nConnection: keep-alive\r\n\r\n",
    b"GET http://b/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
)


def _play(data: bytes, cuts: list[int]) -> list[object]:
    """Feeds *data* in pieces, answers every request, and returns what came: heads, bodies, trailers, a refusal."""
    wire = Http1Wire(_CONFIG, b"http", lambda _: None)
    seen: list[object] = []
    body = b""
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        wire.receive(data[start:end])
        while True:
            try:
                event = wire.next()
            except BadMessageError as exc:
                return [*seen, body, exc.status]
            if event is None:
                break
            if isinstance(event, RequestHead):
                seen.append(event.headers.raw)
            elif isinstance(event, BodyReceived):
                body += event.data
            else:
                assert isinstance(event, EndReceived)
                seen.append((body, None if event.trailers is None else event.trailers.raw))
                body = b""
                wire.send_response(wire.number, [(b":status", b"204")], end_stream=True)
                if not wire.reusable:
                    return [*seen, "close"]
                wire.next_cycle()
    return [*seen, body]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_make_no_difference(seed: int) -> None:
    source = random.Random(seed)
    data = b"".join(source.choices(_REQUESTS, k=5))
    whole = _play(data, [])
    assert len(whole) == 11
    assert _play(data, list(range(1, len(data)))) == whole
    for _ in range(10):
        assert _play(data, sorted(source.sample(range(1, len(data)), 12))) == whole


@pytest.mark.parametrize("seed", range(20))
def test_garbled_requests(seed: int) -> None:
    """Any error but `BadMessageError` would be a bug, and so would be a different outcome for other pieces."""
    source = random.Random(seed)
    for _ in range(100):
        data = bytearray(b"".join(source.choices(_REQUESTS, k=2)))
        for _ in range(source.randint(1, 4)):
            place = source.randrange(len(data))
            match source.randrange(4):
                case 0:
                    data[place] = source.randrange(256)
                case 1:
                    del data[place : place + source.randint(1, 8)]
                case 2:
                    data[place:place] = source.randbytes(source.randint(1, 8))
                case _:
                    data[place:place] = source.choice((b"\r\n", b"\n", b": ", b"0\r\n\r\n", b"Content-Length: 5\r\n"))
        outcome = _play(bytes(data), [])
        pieces = sorted(source.sample(range(1, len(data)), min(20, len(data) - 1)))
        again = _play(bytes(data), pieces)
        assert not isinstance(outcome[-1], int) or outcome[-1] in (400, 431, 501, 505)
        # A refusal may come before or after bytes of a body that is refused anyway.
        assert [one for one in again if not isinstance(one, bytes)] == [
            one for one in outcome if not isinstance(one, bytes)
        ]


def test_what_it_has_not() -> None:
    wire = Http1Wire(_CONFIG, b"https", lambda _: None)
    assert wire.section_too_large([]) is None
    assert wire.block_too_large([]) is None
    wire.send_extension(1, 1, b"")
    wire.reset(1, 0)
    assert wire.remote_ended(1)
    assert not wire.aborted
    assert not wire.output


@pytest.mark.parametrize("status", [b"599", b"999"])
def test_no_status_is_too_strange(status: bytes) -> None:
    wire = Http1Wire(_CONFIG, b"https", lambda _: None)
    wire.receive(_REQUESTS[0])
    assert isinstance(wire.next(), RequestHead)
    assert isinstance(wire.next(), EndReceived)
    wire.send_response(1, [(b":status", status)], end_stream=True)
    assert wire.output.startswith(b"HTTP/1.1 " + status + b" \r\ncontent-length: 0\r\n")

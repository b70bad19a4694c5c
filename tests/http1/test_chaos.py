"""Random requests over transports that cut and delay at random: every answer is right, or the connection has ended."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import trio

from tests.http1.client import HOST, serving
from trio_h2.testing import ChaosStream

if TYPE_CHECKING:
    import trio_h2


async def handler(stream: trio_h2.ServerStream) -> None:
    """Does what its path says; `/unread` leaves the body where it is."""
    _, kind, size = stream.path.split("/")
    body = b""
    if kind != "unread":
        body = b"".join([bytes(chunk) async for chunk in stream])
    if kind == "whole":
        await stream.respond(body=body + bytes(int(size)))
        return
    await stream.respond({"x-kind": kind})
    for start in range(0, int(size), 5000):
        await stream.send_all(bytes(min(5000, int(size) - start)))
    if kind == "trailers":
        await stream.send_trailers({"x-length": len(body)})


@pytest.mark.parametrize("seed", range(15))
async def test_pipelined_requests(seed: int, autojump_clock: object) -> None:
    source = random.Random(seed)
    requests: list[tuple[str, str, int, bytes]] = []
    for _ in range(30):
        kind = source.choice(("whole", "parts", "trailers", "unread"))
        size = source.choice((0, 1, 1000, 20_000))
        method = source.choice(("GET", "POST", "HEAD"))
        requests.append((method, kind, size, source.randbytes(source.choice((0, 3, 9000)))))
    octets = b""
    for method, kind, size, body in requests:
        octets += f"{method} /{kind}/{size} HTTP/1.1\r\n{HOST}".encode()
        if source.random() < 0.5:
            octets += f"content-length: {len(body)}\r\n\r\n".encode() + body
        else:
            octets += b"transfer-encoding: chunked\r\n\r\n"
            for start in range(0, len(body), 700):
                part = body[start : start + 700]
                octets += f"{len(part):x}\r\n".encode() + part + b"\r\n"
            octets += b"0\r\n\r\n"

    def wrap(transport: trio.abc.Stream) -> trio.abc.Stream:
        return ChaosStream(transport, seed, max_delay=0.1)

    async with serving(handler, capacity=3000, wrap=wrap) as served, trio.open_nursery() as nursery:
        nursery.start_soon(served.client.send, octets)
        for method, kind, size, body in requests:
            answer = await served.client.answer(head=method == "HEAD")
            assert answer.status == 200
            expected = bytes(size) if kind != "whole" else body + bytes(size)
            assert answer.body == (b"" if method == "HEAD" else expected)
            if kind == "trailers" and method != "HEAD":
                assert answer.trailers == {"x-length": str(len(body))}
    assert [exchange.method for exchange in served.exchanges] == [method for method, *_ in requests]

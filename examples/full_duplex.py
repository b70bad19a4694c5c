"""Both directions at once: the client reads the echo of a long upload while it still sends, and trailers end both.

Neither side holds more than a window of it: who does not read is not sent to.
"""

from __future__ import annotations

import hashlib

import trio

import trio_h2
from trio_h2.testing import memory_transports

CHUNK = bytes(range(256)) * 256
CHUNKS = 100


async def echo(stream: trio_h2.ServerStream) -> None:
    digest = hashlib.sha256()
    await stream.respond({":status": 200, "trailer": "x-sha256"})
    async for chunk in stream:
        digest.update(chunk)
        await stream.send_all(chunk)
    await stream.send_trailers({"x-sha256": digest.hexdigest()})


async def upload(stream: trio_h2.ClientStream) -> None:
    for _ in range(CHUNKS):
        await stream.send_all(CHUNK)
    await stream.send_eof()


async def main() -> None:
    client_end, server_end = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio_h2.serve_stream, echo, server_end)
        async with (
            trio_h2.connect("http://echo.example", transport=client_end) as session,
            session.request("POST", "/echo", end_stream=False) as stream,
        ):
            nursery.start_soon(upload, stream)
            digest = hashlib.sha256()
            size = 0
            async for chunk in stream:
                digest.update(chunk)
                size += len(chunk)
            trailers = await stream.receive_trailers()
    assert trailers is not None
    same = trailers["x-sha256"] == digest.hexdigest()
    print(f"{size} bytes came back, {'unharmed' if same else 'damaged'}")


if __name__ == "__main__":
    try:
        trio.run(main)
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass

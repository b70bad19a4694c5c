"""A page whose style sheet is pushed, for old clients: browsers have dropped server push for 103 (Early Hints)."""

from __future__ import annotations

import contextlib

import trio

import trio_h2


async def page(stream: trio_h2.ServerStream) -> None:
    if stream.push_allowed:
        style = await stream.push({":path": "/style.css"})
        with contextlib.suppress(trio_h2.StreamResetError):  # the client may not want it
            await style.respond({"content-type": "text/css"}, body=b"body { margin: 0 }")
    await stream.respond({"content-type": "text/html"}, body=b'<link rel="stylesheet" href="/style.css">')


async def take(stream: trio_h2.PushedStream) -> None:
    response = await stream.receive_response()
    body = b"".join([chunk async for chunk in stream])
    print(f"pushed: {stream.path}, {response.status}, {len(body)} bytes")


async def main() -> None:
    async with trio_h2.open_server(page) as server, trio_h2.connect(server.url, push_handler=take) as session:
        async with session.request("GET", "/") as stream:
            response = await stream.receive_response()
            await stream.receive_trailers()
        await session.aclose()  # waits for the pushes
        print(f"page: {response.status}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C
        trio.run(main)

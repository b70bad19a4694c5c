"""A client that sends several requests over one session, at the same time."""

from __future__ import annotations

import sys

import trio

import trio_h2


async def fetch(session: trio_h2.ClientSession, path: str) -> None:
    async with session.request("GET", path) as stream:
        response = await stream.receive_response()
        body = b"".join([chunk async for chunk in stream])
        print(response.status, body.decode(), end="")


async def main(url: str) -> None:
    with trio.fail_after(10):
        async with trio_h2.connect(url) as session, trio.open_nursery() as nursery:
            for name in ("one", "two", "three"):
                nursery.start_soon(fetch, session, f"/{name}")


if __name__ == "__main__":
    try:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080")
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass

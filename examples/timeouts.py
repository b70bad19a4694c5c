"""Timeouts are cancel scopes: around a request, around a part of one, or around everything.

A request that is cancelled resets its own stream. The session and its other requests never notice.
"""

from __future__ import annotations

import trio

import trio_h2
from trio_h2.testing import memory_transports


async def sometimes_slow(stream: trio_h2.ServerStream) -> None:
    if stream.path == "/slow":
        await trio.sleep_forever()  # ends by itself: the reset of the stream cancels its handler
    await stream.respond(200, body=b"quick")


async def main() -> None:
    client_end, server_end = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio_h2.serve_stream, sometimes_slow, server_end)
        async with trio_h2.connect("http://example.test", transport=client_end) as session:
            with trio.move_on_after(0.2) as patience:
                async with session.request("GET", "/slow") as stream:
                    await stream.receive_response()
            print("gave up:", patience.cancelled_caught)

            async with session.request("GET", "/quick") as stream:
                print("the session lives on:", (await stream.receive_response()).status)


if __name__ == "__main__":
    try:
        trio.run(main)
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass

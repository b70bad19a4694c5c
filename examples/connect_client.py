"""A TCP connection through connect_proxy.py: the client says its name and ends, and only then gets its answer."""

from __future__ import annotations

import sys

import trio

import trio_h2
from trio_h2.tunnel import open_tunnel


async def greet(stream: trio.SocketStream) -> None:
    """The target, a plain TCP server: reads to the end, then answers."""
    name = b"".join([bytes(chunk) async for chunk in stream])
    await stream.send_all(b"hello " + name)


async def main(proxy: str) -> None:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, greet, [listener])
            target = f"127.0.0.1:{listener.socket.getsockname()[1]}"
            async with trio_h2.connect(proxy) as session, open_tunnel(session, target) as stream:
                await stream.send_all(b"Jane")
                await stream.send_eof()
                print(b"".join([chunk async for chunk in stream]).decode())
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    try:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080")
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass

"""HTTP/2 over TLS in one program, with a throw-away certificate: how to test a client without a real one."""

from __future__ import annotations

import functools

import trio

import trio_h2
from trio_h2.testing import ThrowawayAuthority


async def whoami(stream: trio_h2.ServerStream) -> None:
    await stream.respond({":status": 200}, body=f"{stream.scheme}://{stream.authority}{stream.path}".encode())


async def main() -> None:
    authority = ThrowawayAuthority()
    async with trio.open_nursery() as nursery:
        serve = functools.partial(trio_h2.serve_ssl_over_tcp, whoami, 0, authority.server_context(), host="localhost")
        server: trio_h2.Server = await nursery.start(serve)
        async with (
            trio_h2.connect(server.urls[0], ssl_context=authority.client_context()) as session,
            session.request("GET", "/me") as stream,
        ):
            response = await stream.receive_response()
            print(response.status, (await stream.receive_some()).decode().replace(str(server.port), "PORT"))
        await server.aclose()


if __name__ == "__main__":
    try:
        trio.run(main)
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass

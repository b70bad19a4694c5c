"""HTTP/2 over TLS in one program, with a throw-away certificate: how to test a client without a real one."""

from __future__ import annotations

import contextlib

import trio

import trio_h2
from trio_h2.testing import ThrowawayAuthority


async def whoami(stream: trio_h2.ServerStream) -> None:
    await stream.respond({":status": 200}, body=f"{stream.scheme}://{stream.authority}{stream.path}".encode())


async def main() -> None:
    authority = ThrowawayAuthority()
    async with (
        trio_h2.open_server(whoami, ssl_context=authority.server_context()) as server,
        trio_h2.connect(server.url, ssl_context=authority.client_context()) as session,
        session.request("GET", "/me") as stream,
    ):
        response = await stream.receive_response()
        print(response.status, (await stream.receive_some()).decode().replace(str(server.port), "PORT"))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C
        trio.run(main)

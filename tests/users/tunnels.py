"""A CONNECT proxy that asks for a password, and a client that speaks through it."""

from __future__ import annotations

from functools import partial

import trio

import trio_h2
from trio_h2 import tunnel


async def behind(stream: trio_h2.ServerStream) -> None:
    """The server that only the proxy can reach."""
    await stream.respond(200, body=f"hello from {stream.authority}".encode())


async def check(user: str, password: str) -> bool:
    """Looks the password up."""
    await trio.lowlevel.checkpoint()
    return (user, password) == ("ann", "secret")


async def main(answers: list[str]) -> None:
    """Runs all three."""
    proxy = tunnel.ConnectProxy(["127.0.0.0/8:*", "localhost:*"], authenticate=check)
    async with trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_tcp, proxy, 0, host="127.0.0.1")
        entrance: trio_h2.Server = await nursery.start(serve)
        async with (
            trio_h2.open_server(behind, host="127.0.0.1") as server,
            trio_h2.connect(entrance.url) as session,
        ):
            transport = tunnel.through(session, credentials=("ann", "secret"))
            async with trio_h2.connect(server.url, transport=transport) as inner, inner.request() as stream:
                answers.append(await stream.text())
            try:
                async with tunnel.open_tunnel(session, "localhost:1", credentials=("ann", "wrong")):
                    answers.append("let in")
            except tunnel.TunnelRefusedError as error:
                answers.append(str(error.status))
            statistics: tunnel.ProxyStatistics = proxy.statistics()
            answers.append(f"{statistics.opened} opened")
        entrance.shutdown()

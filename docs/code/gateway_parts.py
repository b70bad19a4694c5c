"""What a gateway may do beside passing everything on: the parts of docs/write-a-proxy.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio_h2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[trio_h2.ServerStream], Awaitable[None]]


def by_path(pages: trio_h2.Upstream, api: trio_h2.Upstream) -> Handler:
    async def gateway(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/health":
            await stream.respond(200, body=b"fine\n")
        elif stream.path.startswith("/api/"):
            await trio_h2.relay(stream, api)
        else:
            await trio_h2.relay(stream, pages)

    return gateway


def for_those_with_a_token(upstream: trio_h2.Upstream, token: str) -> Handler:
    async def gateway(stream: trio_h2.ServerStream) -> None:
        if stream.headers.get("authorization") == f"Bearer {token}":
            await trio_h2.relay(stream, upstream)
        else:
            await stream.respond({":status": 401, "www-authenticate": "Bearer"}, body=b"who are you?\n")

    return gateway


def without_prefix(client: trio_h2.Client, url: str) -> trio_h2.Upstream:
    def rewrite(headers: trio_h2.Headers) -> trio_h2.Headers:
        path = headers[":path"].removeprefix("/api") if ":path" in headers else None
        added = {"x-gateway": "1"} if path is None else {":path": path, "x-gateway": "1"}
        return headers.forwarded(drop=["cookie"], add=added)

    return trio_h2.Upstream(client, url, rewrite=rewrite)


def for_an_old_application(client: trio_h2.Client, url: str) -> trio_h2.Upstream:
    return trio_h2.Upstream(client, url, forwarded=False, x_forwarded=True, via="shop-gateway")


def impatient(url: str) -> tuple[trio_h2.Client, trio_h2.Upstream]:
    client = trio_h2.Client(max_http1_per_origin=100, retry=trio_h2.Retry(attempts=1))
    timeouts = trio_h2.Timeouts(connect=2, slot=5, response=30, idle=30, send=30)
    return client, trio_h2.Upstream(client, url, timeouts=timeouts)


def with_a_spare(upstream: trio_h2.Upstream, spare: trio_h2.Upstream, failures: list[str]) -> Handler:
    async def gateway(stream: trio_h2.ServerStream) -> None:
        asked = [upstream]

        async def instead(error: Exception) -> trio_h2.Upstream | None:
            if spare in asked:
                return None
            asked.append(spare)
            return spare

        failure = await trio_h2.relay(stream, upstream, instead=instead)
        if failure is not None:
            failures.append(f"{asked[-1].url}: {failure}")

    return gateway


def in_front_of_a_proxy(client: trio_h2.Client, proxy: str) -> trio_h2.Upstream:
    return trio_h2.Upstream(client, proxy, tunnels=True, tunnel_idle_timeout=600)

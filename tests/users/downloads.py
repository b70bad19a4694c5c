"""A client: many downloads at once on one session, retries where they are safe, and a deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

import trio_h2

if TYPE_CHECKING:
    from collections.abc import Sequence


async def download(session: trio_h2.ClientSession, path: str) -> bytes:
    """Downloads one path; again if the server has not looked at the request."""
    for attempt in range(3):
        try:
            async with session.request("GET", path, headers={"accept": "*/*"}) as stream:
                response = await stream.receive_response()
                if response.status != 200:
                    raise RuntimeError(f"{path}: {response.status}")
                body = bytearray()
                async for chunk in stream:
                    body += chunk
                return bytes(body)
        except trio_h2.H2Error as error:
            if not error.retryable:
                raise
            await trio.sleep(0.1 * 2**attempt)
    raise RuntimeError(f"{path}: refused three times")


async def download_all(url: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Downloads all of them."""
    found: dict[str, bytes] = {}
    config = trio_h2.ClientConfig(tcp_keepalive_interval=10)

    async with trio_h2.connect(url, config=config) as session:

        async def one(path: str) -> None:
            found[path] = await download(session, path)

        async with trio.open_nursery() as nursery:
            for path in paths:
                nursery.start_soon(one, path)
    return found


async def serve_numbers(stream: trio_h2.ServerStream) -> None:
    """Answers with its path a hundred times."""
    async with stream:
        await stream.respond({":status": 200, "content-type": "text/plain"})
        for _ in range(100):
            await stream.send_all(stream.path.encode("ascii"))


async def main(sizes: list[int]) -> None:
    """Downloads from a server of its own."""
    async with trio_h2.open_server(serve_numbers) as server:
        with trio.fail_after(30):
            found = await download_all(server.url, [f"/{number}" for number in range(50)])
    sizes += [len(body) for body in found.values()]

"""httpx on the connections of trio_h2. Run it with: python3 httpx_transport.py URL…"""

import sys

import httpx
import trio

import trio_h2.httpx


async def main(urls: list[str]) -> None:
    transport = trio_h2.httpx.Transport()
    async with httpx.AsyncClient(transport=transport, follow_redirects=True, timeout=10) as client:
        async with trio.open_nursery() as nursery:
            for url in urls:
                nursery.start_soon(show, client, url)


async def show(client: httpx.AsyncClient, url: str) -> None:
    response = await client.get(url)
    print(response.status_code, response.http_version, url)


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])

from collections.abc import AsyncIterator

import httpx
import trio


async def notes(url: str) -> object:
    async with httpx.AsyncClient(http1=False, http2=True, base_url=url) as client:
        response = await client.get("/notes", headers={"accept": "application/json"})
        response.raise_for_status()
        return response.json()


async def add(client: httpx.AsyncClient, text: str) -> str:
    response = await client.post("/notes", json={"text": text})
    response.raise_for_status()
    return response.headers["location"]


async def size(client: httpx.AsyncClient, path: str) -> int:
    total = 0
    async with client.stream("GET", path) as response:
        async for chunk in response.aiter_bytes():
            total += len(chunk)
    return total


async def upload(client: httpx.AsyncClient, chunks: AsyncIterator[bytes]) -> int:
    response = await client.put("/file", content=chunks)
    return response.status_code


async def in_time(client: httpx.AsyncClient) -> str | None:
    try:
        response = await client.get("/slow", timeout=2)  # for each read, not for all of it
    except httpx.TimeoutException:
        return None
    return response.text


async def both(client: httpx.AsyncClient) -> list[int]:
    sizes: list[int] = []

    async def one(path: str) -> None:
        sizes.append(await size(client, path))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, "/one")
        nursery.start_soon(one, "/two")
    return sizes

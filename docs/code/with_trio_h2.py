from collections.abc import AsyncIterator

import trio

import trio_h2


async def notes(url: str) -> trio_h2.JSONValue:
    async with trio_h2.Client() as client:
        response = await client.get(f"{url}/notes", headers={"accept": "application/json"})
        response.raise_for_status()
        return response.json()


async def add(client: trio_h2.Client, url: str, text: str) -> str:
    response = await client.post(f"{url}/notes", json={"text": text})
    response.raise_for_status()
    return response.headers["location"]


async def size(client: trio_h2.Client, url: str) -> int:
    total = 0
    async with client.request("GET", url) as response:
        async for chunk in response:
            total += len(chunk)
    return total


async def upload(client: trio_h2.Client, url: str, chunks: AsyncIterator[bytes]) -> int:
    response = await client.put(f"{url}/file", body=chunks)
    return response.status


async def in_time(client: trio_h2.Client, url: str) -> str | None:
    with trio.move_on_after(2):  # for all of it
        response = await client.get(f"{url}/slow")
        return response.text
    return None


async def both(client: trio_h2.Client, url: str) -> list[int]:
    sizes: list[int] = []

    async def one(path: str) -> None:
        sizes.append(await size(client, url + path))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, "/one")
        nursery.start_soon(one, "/two")
    return sizes

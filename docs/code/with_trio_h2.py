import json
from collections.abc import AsyncIterator

import trio

import trio_h2


async def notes(url: str) -> trio_h2.JSONValue:
    async with trio_h2.connect(url) as session:
        async with session.request("GET", "/notes", headers={"accept": "application/json"}) as stream:
            response = await stream.receive_response()
            if response.status != 200:
                raise RuntimeError(f"{response.status} from /notes")
            return await stream.json()


async def add(session: trio_h2.ClientSession, text: str) -> str:
    headers = {"content-type": "application/json"}
    body = json.dumps({"text": text}).encode()
    async with session.request("POST", "/notes", headers=headers, body=body) as stream:
        response = await stream.receive_response()
        return response["location"]


async def size(session: trio_h2.ClientSession, path: str) -> int:
    total = 0
    async with session.request("GET", path) as stream:
        async for chunk in stream:
            total += len(chunk)
    return total


async def upload(session: trio_h2.ClientSession, chunks: AsyncIterator[bytes]) -> int:
    async with session.request("PUT", "/file", end_stream=False) as stream:
        async for chunk in chunks:
            await stream.send_all(chunk)
        await stream.send_eof()
        response = await stream.receive_response()
        return response.status


async def in_time(session: trio_h2.ClientSession) -> str | None:
    with trio.move_on_after(2):  # for all of it
        async with session.request("GET", "/slow") as stream:
            return await stream.text()
    return None


async def both(session: trio_h2.ClientSession) -> list[int]:
    sizes: list[int] = []

    async def one(path: str) -> None:
        sizes.append(await size(session, path))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, "/one")
        nursery.start_soon(one, "/two")
    return sizes

"""What one does with `trio_h2.Client`. Run it with: python3 http_client.py URL"""

import sys
from collections.abc import AsyncIterator

import trio

import trio_h2


async def main(url: str) -> None:
    async with trio_h2.Client() as client:
        response = await client.get(url)
        print(response.status, response.headers["content-type"], len(response.content), "bytes")


async def add(client: trio_h2.Client, url: str, text: str) -> trio_h2.JSONValue:
    response = await client.post(url, json={"text": text}, params={"verbose": 1})
    response.raise_for_status()
    return response.json()


async def log_in(client: trio_h2.Client, url: str) -> bool:
    response = await client.post(url, data={"user": "jane", "password": "s3cret"}, follow_redirects=True)
    return response.ok


async def size(client: trio_h2.Client, url: str) -> int:
    total = 0
    async with client.request("GET", url) as response:
        async for piece in response:
            total += len(piece)
    return total


async def send(client: trio_h2.Client, url: str, rows: AsyncIterator[str]) -> int:
    async def lines() -> AsyncIterator[bytes]:
        async for row in rows:
            yield f"{row}\n".encode()

    response = await client.put(url, body=lines())
    return response.status


async def follow_log(client: trio_h2.Client, url: str) -> None:
    async with client.request("GET", url) as response:
        async for line in response.iter_lines():
            print(line)


async def follow_news(client: trio_h2.Client, url: str) -> None:
    async with client.request("GET", url, headers={"accept": "text/event-stream"}) as response:
        async for event in response.iter_events():
            print(event.event, event.data)


async def sizes(client: trio_h2.Client, urls: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}

    async def one(url: str) -> None:
        found[url] = await size(client, url)

    async with trio.open_nursery() as nursery:
        for url in urls:
            nursery.start_soon(one, url)
    return found


async def at_most_two_seconds(client: trio_h2.Client, url: str) -> bytes | None:
    with trio.move_on_after(2):
        return (await client.get(url)).content
    return None


async def impatient(url: str) -> str:
    timeouts = trio_h2.Timeouts(connect=3, response=10, idle=5)
    async with trio_h2.Client(timeouts=timeouts) as client:
        try:
            return (await client.get(url)).text
        except trio_h2.RequestTimeoutError as error:
            return f"too slow: {error.phase}"


async def ask_docker(path: str) -> trio_h2.JSONValue:
    async with trio_h2.Client(unix_path=path) as client:
        return (await client.get("http://docker/version")).json()


async def explain(client: trio_h2.Client, url: str) -> str:
    try:
        response = await client.get(url, max_size=10_000_000)
    except trio_h2.BodyError as error:
        return f"the body is too large, or broken: {error}"
    except trio_h2.HandshakeError as error:
        return f"no TLS, or no HTTP: {error}"
    except (trio_h2.SessionError, trio_h2.StreamError) as error:
        return f"the connection or the request broke: {error}"
    except OSError as error:
        return f"no connection: {error}"
    return response.text if response.ok else f"the server said {response.status}: {response.text}"


if __name__ == "__main__":
    trio.run(main, sys.argv[1])

import ssl
from collections.abc import Callable, Iterable

import trio

import trio_h2


async def fetch_notes(session: trio_h2.ClientSession) -> trio_h2.JSONValue:
    async with session.request(path="/notes") as stream:
        response = await stream.receive_response()
        if response.status != 200:
            raise RuntimeError(f"no notes: {response.status}")
        return await stream.json()


async def upload(session: trio_h2.ClientSession, chunks: Iterable[bytes]) -> int:
    async with session.request("POST", "/upload", end_stream=False) as stream:
        for chunk in chunks:
            if stream.send_unwanted:
                break
            await stream.send_all(chunk)
        await stream.send_eof()
        response = await stream.receive_response()
        return response.status


attentive = trio_h2.ClientConfig(ping_interval=20, ping_timeout=10)


async def fetch_film(url: str) -> bytes:
    config = trio_h2.ClientConfig(rfc7540_priorities=True)
    async with trio_h2.connect(url, config=config) as session, session.request(path="/film", weight=200) as stream:
        return await stream.read(max_size=100 * 1024 * 1024)


async def send_if_wanted(session: trio_h2.ClientSession, film: Callable[[], bytes]) -> int:
    async with session.request("PUT", "/film", end_stream=False, expect_continue=True) as stream:
        answer = None
        with trio.move_on_after(1):
            answer = await stream.wait_continue()
        if answer is None or answer.status == 100:  # many servers never send one
            await stream.send_all(film())
            await stream.send_eof()
        return (await stream.receive_response()).status


async def pass_on(stream: trio_h2.ServerStream, session: trio_h2.ClientSession) -> None:
    headers = stream.headers.forwarded(drop=["proxy-authorization"], add={"via": "2 gateway"})
    async with session.request(stream.method, headers=headers, body=await stream.read()) as behind:
        response = await behind.receive_response()
        await stream.respond(response.forwarded(), body=await behind.read())


async def fetch_all(context: ssl.SSLContext, *urls: str) -> list[bytes]:
    async with trio_h2.Client(ssl_context=context, coalesce=True) as client:
        return [(await client.get(url)).content for url in urls]

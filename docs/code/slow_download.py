"""A download that stalls: its program does something else. Run it with: python3 slow_download.py TRACE"""

import sys

import trio

import trio_h2
from trio_h2.instruments import QlogTrace

PIECE = bytes(16 * 1024)


async def serve(stream: trio_h2.ServerStream) -> None:
    await stream.respond({":status": 200, "content-type": "application/octet-stream"})
    for _ in range(256 if stream.path == "/big.iso" else 1):
        await stream.send_all(PIECE)


async def download(session: trio_h2.ClientSession, seconds: float) -> None:
    async with session.request(path="/big.iso") as stream:
        await stream.receive_some()
        await trio.sleep(seconds)  # a slow database, a busy disk, a person who reads …
        async for _ in stream:
            pass


async def main(path: str, seconds: float = 2) -> None:
    with QlogTrace(path, title="A slow download") as trace:
        config = trio_h2.ClientConfig(instruments=[trace])
        async with (
            trio_h2.open_server(serve) as server,
            trio_h2.connect(server.url, config=config) as session,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(download, session, seconds)
            for number in range(5):
                await trio.sleep(seconds / 6)
                async with session.request(path=f"/page/{number}") as stream:
                    await stream.read()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])

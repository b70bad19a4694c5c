"""A chat in the terminal: what you type goes to all. Run it with: python3 chat_client.py http://localhost:8080 Jane"""

import sys
from urllib.parse import quote

import trio

from trio_h2.websocket import WebSocket, connect_websocket


async def main(url: str, name: str) -> None:
    async with connect_websocket(f"{url}/chat?name={quote(name)}") as ws, trio.open_nursery() as nursery:
        nursery.start_soon(show, ws)
        async with await trio.open_file(sys.stdin.fileno(), closefd=False) as lines:
            async for line in lines:
                await ws.send_message(line.rstrip("\n"))
        nursery.cancel_scope.cancel()


async def show(ws: WebSocket) -> None:
    async for message in ws:
        print(message)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])

import trio_h2
from trio_h2.websocket import connect_websocket, open_websocket


async def one(url: str) -> str | bytes:
    async with connect_websocket(url, subprotocols=["echo"]) as ws:
        await ws.send_message("hello")
        return await ws.receive_message()


async def beside_other_requests(session: trio_h2.ClientSession) -> float:
    async with open_websocket(session, "/echo") as ws:
        return await ws.ping()

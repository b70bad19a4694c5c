import ssl

import trio_h2
from trio_h2.websocket import WebSocket, WebSocketHandler


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send_message(message)


async def pages(stream: trio_h2.ServerStream) -> None:
    await stream.respond({"content-type": "text/plain"}, body=b"a page\n")


async def serve(context: ssl.SSLContext) -> None:
    await trio_h2.serve_ssl_over_tcp(
        WebSocketHandler(echo, fallback=pages, subprotocols=["echo"]),
        8443,
        context,
        config=trio_h2.ServerConfig(enable_connect_protocol=True),
        allow_http1=True,
    )

import ssl

import trio

import trio_h2
from trio_h2.tunnel import open_tunnel, through


async def tcp(proxy_url: str) -> bytes:
    async with trio_h2.connect(proxy_url) as proxy, open_tunnel(proxy, "db.example.com:5432") as stream:
        await stream.send_all(b"Jane")
        await stream.send_eof()
        return b"".join([chunk async for chunk in stream])


async def tls(proxy_url: str, context: ssl.SSLContext) -> None:
    async with trio_h2.connect(proxy_url) as proxy, open_tunnel(proxy, "example.com:993") as stream:
        secure = trio.SSLStream(stream, context, server_hostname="example.com")
        await secure.send_all(b"a1 LOGOUT\r\n")


async def http2(proxy_url: str) -> int:
    async with (
        trio_h2.connect(proxy_url) as proxy,
        trio_h2.connect(
            "https://example.com", transport=through(proxy), ssl_context=trio_h2.client_ssl_context()
        ) as session,
        session.request("GET", "/") as stream,
    ):
        return (await stream.receive_response()).status

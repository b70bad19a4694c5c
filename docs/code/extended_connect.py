import trio_h2


async def handler(stream: trio_h2.ServerStream) -> None:
    if stream.protocol != "chat":
        await stream.respond(501)
        return
    await stream.respond(200)
    async for chunk in stream:
        await stream.send_all(chunk)


async def client(session: trio_h2.ClientSession) -> None:
    async with session.request("CONNECT", "/room/1", protocol="chat", end_stream=False) as stream:
        await stream.receive_response()
        await stream.send_all(b"hello")

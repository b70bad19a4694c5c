"""Who waits for whom: flow control in handlers and clients."""

from collections.abc import AsyncIterable, Awaitable, Callable

import trio

import trio_h2

AMOUNT = 1_000_000


# -- a body of any size
async def numbers(stream: trio_h2.ServerStream) -> None:
    await stream.respond({"content-type": "text/plain"})
    for number in range(AMOUNT):
        await stream.send_all(f"{number}\n".encode())  # waits while the client does not read


# -- a client in no hurry
async def read_slowly(session: trio_h2.ClientSession, work: Callable[[bytes], Awaitable[None]]) -> None:
    async with session.request(path="/numbers") as stream:
        while chunk := await stream.receive_some():
            await work(chunk)  # meanwhile the server may send what the window has room for, and must then wait


# -- an upload from a source
async def upload(session: trio_h2.ClientSession, source: AsyncIterable[bytes]) -> int:
    async with session.request("PUT", "/file", end_stream=False) as stream:
        async for chunk in source:
            await stream.send_all(chunk)
            if stream.send_unwanted:
                break  # the server has answered already, and takes no more
        await stream.send_eof()
        return (await stream.receive_response()).status


# -- only the latest value
async def latest(stream: trio_h2.ServerStream, value: Callable[[], str]) -> None:
    """Sends the value as often as the client can take it: one that is slow gets fewer, but never an old one."""
    await stream.respond({"content-type": "text/plain"})
    while True:
        await stream.wait_send_all_might_not_block()
        await stream.send_all(f"{value()}\n".encode())
        await trio.sleep(0.1)


# -- other windows
CONFIG = trio_h2.ClientConfig(
    stream_window=64 * 1024,  # what one response may be ahead of its reader
    receive_budget=64 * 1024 * 1024,  # what all of them together may be
)

from collections.abc import AsyncIterator

import trio

from trio_h2.compat import Request, Response


async def parts() -> AsyncIterator[bytes]:
    for number in range(100):
        await trio.sleep(1)
        yield b"part %d\n" % number


async def report(request: Request, response: Response) -> None:
    with trio.fail_after(30):
        async for part in parts():
            await response.write(part)


async def live(request: Request, response: Response) -> None:
    with trio.move_on_after(30) as deadline:
        async for part in parts():
            await response.write(part)
    if deadline.cancelled_caught:
        response.destroy()

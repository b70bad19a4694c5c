import trio

import trio_h2


async def fetch(session: trio_h2.ClientSession) -> bytes | None:
    with trio.move_on_after(2):
        async with session.request("GET", "/slow") as stream:
            return await stream.read()
    return None

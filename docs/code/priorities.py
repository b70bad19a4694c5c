"""What comes first, when several responses want to be sent on one session."""

import trio

import trio_h2

SIZE = 2_000_000


# -- client
async def load(session: trio_h2.ClientSession, done: list[str]) -> None:
    async def get(path: str, priority: trio_h2.Priority) -> None:
        async with session.request(path=path, priority=priority) as stream:
            await stream.read(max_size=SIZE)
            done.append(path)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(get, "/film", trio_h2.Priority(urgency=6))
        nursery.start_soon(get, "/picture", trio_h2.Priority(urgency=4, incremental=True))
        nursery.start_soon(get, "/data", trio_h2.Priority(urgency=1))


# -- client, later
def in_the_foreground(stream: trio_h2.ClientStream) -> None:
    stream.prioritize(trio_h2.Priority(urgency=0))


# -- server
async def handler(stream: trio_h2.ServerStream) -> None:
    if stream.path == "/export":
        stream.prioritize(trio_h2.Priority(urgency=7))  # whatever the client thinks of it
    await stream.respond(200, body=bytes(SIZE))

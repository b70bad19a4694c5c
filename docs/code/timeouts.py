"""Time-outs and cancellation, in clients and in handlers."""

import trio

import trio_h2


# -- client: a limit for one request
async def fetch(session: trio_h2.ClientSession, path: str) -> bytes | None:
    with trio.move_on_after(2):  # waiting for a free stream, sending, the response and its body
        async with session.request("GET", path) as stream:
            await stream.receive_response()
            return await stream.read()
    return None


# -- client: a limit for each part
async def fetch_patiently(session: trio_h2.ClientSession, path: str) -> bytes:
    body = bytearray()
    async with session.request("GET", path) as stream:
        with trio.fail_after(5):
            await stream.receive_response()
        while True:
            with trio.fail_after(10):  # however long the whole takes, something must come every 10 s
                chunk = await stream.receive_some()
            if not chunk:
                return bytes(body)
            body += chunk


# -- client: the first of several
async def fastest(session: trio_h2.ClientSession, paths: list[str]) -> bytes:
    found: list[bytes] = []
    async with trio.open_nursery() as nursery:

        async def race(path: str) -> None:
            async with session.request("GET", path) as stream:
                await stream.receive_response()
                found.append(await stream.read())
            nursery.cancel_scope.cancel()  # resets the streams of the others, and nothing else

        for path in paths:
            nursery.start_soon(race, path)
    return found[0]


# -- handler: before the response
async def search(stream: trio_h2.ServerStream) -> None:
    result = None
    with trio.move_on_after(1):
        result = await look_up(stream.path)
    if result is None:
        await stream.respond(504, body=b"too slow\n")
    else:
        await stream.respond(200, body=result)


# -- handler: after the response has begun
async def report(stream: trio_h2.ServerStream) -> None:
    await stream.respond({"content-type": "text/csv"})
    with trio.fail_after(30):  # raises: the stream is reset, and the client sees that the report is cut
        async for row in Rows():
            await stream.send_all(row)


# -- handler: a quiet cut
async def report_quietly(stream: trio_h2.ServerStream) -> None:
    await stream.respond({"content-type": "text/csv"})
    with trio.move_on_after(30) as deadline:
        async for row in Rows():
            await stream.send_all(row)
    if deadline.cancelled_caught:
        stream.destroy()  # without this the handler returns, and the client takes half a report for a whole one


# -- handler: cleaning up when the client has left
async def job(stream: trio_h2.ServerStream) -> None:
    try:
        result = await look_up(stream.path)  # cancelled when the client resets the stream, or is lost
    except trio.Cancelled:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await give_back()
        raise
    await stream.respond(200, body=result)


# -- the rest of the program
SECONDS_PER_ROW = 0.1


async def look_up(path: str) -> bytes:
    await trio.sleep(60 if "slow" in path else 0)
    return f"found {path}\n".encode()


async def give_back() -> None:
    await trio.sleep(0.1)


class Rows:
    """A thousand rows, one after the other."""

    def __init__(self) -> None:
        self.number = 0

    def __aiter__(self) -> "Rows":
        return self

    async def __anext__(self) -> bytes:
        if self.number == 1000:
            raise StopAsyncIteration
        await trio.sleep(SECONDS_PER_ROW)
        self.number += 1
        return f"{self.number}\n".encode()

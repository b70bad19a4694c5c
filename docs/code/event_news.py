"""An event stream that waits long for the next event, and still ends when its server restarts."""

import trio

import trio_h2


async def news(stream: trio_h2.ServerStream, events: trio.MemoryReceiveChannel[bytes]) -> None:
    await stream.respond({"content-type": "text/event-stream", "cache-control": "no-store"})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_when_draining, stream, nursery.cancel_scope)
        async for event in events:
            await stream.send_all(event)
        nursery.cancel_scope.cancel()


async def cancel_when_draining(stream: trio_h2.ServerStream, scope: trio.CancelScope) -> None:
    await stream.session.wait_draining()
    scope.cancel()

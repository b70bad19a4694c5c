"""A small application, whose tests are on the page about testing: it greets, counts, and asks another service."""

import trio

import trio_h2


class Greeter:
    """Greets whoever asks; with a *backend*, after asking that."""

    def __init__(self, backend: trio_h2.ClientSession | None = None) -> None:
        self.backend = backend
        self.busy = 0

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        """Answers one request."""
        self.busy += 1
        try:
            await self.answer(stream)
        finally:
            self.busy -= 1

    async def answer(self, stream: trio_h2.ServerStream) -> None:
        if self.backend is None:
            await stream.respond({"content-type": "text/plain"}, body=f"hello, {stream.path}\n".encode())
            return
        try:
            with trio.fail_after(30):
                async with self.backend.request("GET", stream.path) as request:
                    await stream.respond(body=await request.read())
        except trio.TooSlowError:
            await stream.respond({":status": 504})
        except trio_h2.H2Error:
            await stream.respond({":status": 502})

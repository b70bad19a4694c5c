"""A server of notes: handlers of streams, routes, JSON both ways, a limit for uploads, and a hook for sessions."""

from __future__ import annotations

from functools import partial

import trio

import trio_h2
from trio_h2.access_log import access_log


class Notes:
    """A handler with a state."""

    def __init__(self) -> None:
        self._notes: dict[int, str] = {}
        self._sessions: set[trio_h2.ServerSession] = set()

    async def on_session(self, session: trio_h2.ServerSession) -> None:
        self._sessions.add(session)

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        match stream.method, stream.path.strip("/").split("/"):
            case "GET", ["notes", number] if number.isdecimal():
                await self._show(stream, int(number))
            case "POST", ["notes"]:
                await self._add(stream)
            case _, ["notes", *_]:
                await stream.respond({":status": 405, "allow": "GET, POST"})
            case _:
                await stream.respond(404)

    async def _show(self, stream: trio_h2.ServerStream, number: int) -> None:
        note = self._notes.get(number)
        if note is None:
            await stream.respond(404)
            return
        await stream.respond({":status": 200, "content-type": "text/plain; charset=utf-8"}, body=note.encode())

    async def _add(self, stream: trio_h2.ServerStream) -> None:
        match await stream.json(max_size=10_000):
            case {"text": str(text)}:
                number = len(self._notes)
                self._notes[number] = text
                await stream.respond({":status": 201, "location": f"/notes/{number}"})
            case other:
                await stream.respond(400, body=f"no note: {other!r}".encode())


async def main(url: list[str]) -> None:
    """Serves, and asks itself."""
    notes = Notes()
    handler: trio_h2.Handler = access_log(notes)
    config = trio_h2.ServerConfig(max_concurrent_streams=20, stream_idle_timeout=30)
    async with trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_tcp, handler, 0, config=config, on_session=notes.on_session, allow_http1=True)
        server: trio_h2.Server = await nursery.start(serve)
        async with trio_h2.connect(server.url) as session:
            async with session.request("POST", "/notes", body=b'{"text": "milk"}') as stream:
                response = await stream.receive_response()
                url.append(response["location"])
                assert stream.session is session
            async with session.request(path=url[0]) as stream:
                url.append(await stream.text())
        server.shutdown()

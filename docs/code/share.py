"""A place for files: upload them, list them, download them, and watch what comes. It needs a cert.pem and a key.pem."""

import logging
import re
import signal
from pathlib import Path

import trio

import trio_h2
from trio_h2.access_log import access_log
from trio_h2.compat import HTTPError, Request, Response, request_handler

PORT = 8443
MAX_SIZE = 100 * 1024 * 1024
CHUNK = 64 * 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Share:
    """The service: a folder, and the clients that watch it."""

    def __init__(self, folder: Path) -> None:
        self.folder = trio.Path(folder)
        self.watchers: set[trio.MemorySendChannel[str]] = set()

    async def app(self, request: Request, response: Response) -> None:
        """Calls the method that answers a request."""
        match request.method, request.path.strip("/").split("/"):
            case "GET" | "HEAD", ["files"]:
                await self.list_files(response)
            case "PUT", ["files", name] if NAME.fullmatch(name):
                await self.upload(request, response, name)
            case "GET" | "HEAD", ["files", name] if NAME.fullmatch(name):
                await self.download(response, name)
            case "GET", ["events"]:
                await self.watch(response)
            case _, ["files", _]:
                raise HTTPError(405, headers={"allow": "GET, HEAD, PUT"})
            case _:
                raise HTTPError(404, "nothing is here\n")

    async def list_files(self, response: Response) -> None:
        paths = sorted(await self.folder.iterdir())
        files = [path for path in paths if not path.name.startswith(".")]
        await response.send_json([{"name": file.name, "size": (await file.stat()).st_size} for file in files])

    async def upload(self, request: Request, response: Response, name: str) -> None:
        """Writes the body while it comes, into a file that gets its name when it is whole."""
        part, size = self.folder / f".{name}.{id(request)}", 0
        try:
            async with await part.open("wb") as file:
                async for chunk in request:
                    size += len(chunk)
                    if size > MAX_SIZE:
                        raise HTTPError(413, f"a file has at most {MAX_SIZE} bytes\n")
                    await file.write(chunk)
            await part.replace(self.folder / name)
        finally:  # also if the client has left, which cancels this task
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await part.unlink(missing_ok=True)
        self.tell(f"{name} has {size} bytes")
        response.status_code = 201
        await response.end()

    async def download(self, response: Response, name: str) -> None:
        try:
            file = await (self.folder / name).open("rb")
        except FileNotFoundError:
            raise HTTPError(404, f"there is no {name}\n") from None
        async with file:
            response.set_header("content-type", "application/octet-stream")
            response.set_header("content-length", (await (self.folder / name).stat()).st_size)
            with trio.fail_after(600):  # raises, so that the client sees that its file is incomplete
                while chunk := await file.read(CHUNK):
                    await response.write(chunk)  # waits while the client does not read
            await response.end()

    async def watch(self, response: Response) -> None:
        """A response that does not end, with a line for each upload."""
        send, receive = trio.open_memory_channel[str](10)
        self.watchers.add(send)
        try:
            await response.flush_headers()
            async for line in receive:
                await response.write(f"{line}\n")
        finally:
            self.watchers.discard(send)

    def tell(self, line: str) -> None:
        for watcher in list(self.watchers):
            try:
                watcher.send_nowait(line)
            except trio.WouldBlock:  # it is ten lines behind: drop it
                self.watchers.discard(watcher)
                watcher.close()

    def close(self) -> None:
        """Ends the responses of all watchers."""
        for watcher in self.watchers:
            watcher.close()


async def main() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    folder = Path("files")
    await trio.Path(folder).mkdir(exist_ok=True)
    share = Share(folder)
    handler = access_log(request_handler(share.app))
    context = trio_h2.server_ssl_context("cert.pem", "key.pem", allow_http1=True)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio_h2.open_server(
            handler, PORT, host=None, ssl_context=context, allow_http1=True, grace=30
        ) as server:
            print("Listening on", server.url, flush=True)
            await anext(signals)
            server.stop_accepting()
            share.close()


if __name__ == "__main__":
    trio.run(main)

"""A server for a directory, with one answer of its own. Try: python file_server.py DIRECTORY [PORT]"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import trio

import trio_h2
from trio_h2.files import DirectoryHandler, HeaderFields, respond_with_file

if TYPE_CHECKING:
    import os


def add_size(status: os.stat_result, headers: HeaderFields) -> None:
    headers["x-size"] = status.st_size


async def send_source(stream: trio_h2.ServerStream) -> None:
    async def sorry(error: Exception) -> None:
        await stream.respond(404, body=f"the source is gone: {type(error).__name__}\n".encode())

    headers = {"content-type": "text/x-python"}
    await respond_with_file(stream, __file__, headers, stat_check=add_size, on_error=sorry)


async def main(directory: str, port: int) -> None:
    files = DirectoryHandler(directory, cache_control="max-age=60")

    async def handler(stream: trio_h2.ServerStream) -> None:
        await (send_source if stream.path == "/source" else files)(stream)

    async with trio_h2.open_server(handler, port) as server:
        print("Listening on", *server.urls, flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C
        trio.run(main, sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8080)

"""A server for a directory, with one answer of its own. Try: python file_server.py DIRECTORY [PORT]"""

from __future__ import annotations

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


async def serve(directory: str, port: int, *, task_status: trio.TaskStatus[trio_h2.Server]) -> None:
    files = DirectoryHandler(directory, cache_control="max-age=60")

    async def handler(stream: trio_h2.ServerStream) -> None:
        await (send_source if stream.path == "/source" else files)(stream)

    await trio_h2.serve_tcp(handler, port, host="localhost", task_status=task_status)


async def main(directory: str, port: int) -> None:
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve, directory, port)
        print("Listening on", *server.urls, flush=True)


if __name__ == "__main__":
    try:
        trio.run(main, sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8080)
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass

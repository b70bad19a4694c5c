from typing import BinaryIO

import trio

import trio_h2
from trio_h2.files import respond_with_fd


async def serve(file: BinaryIO) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await respond_with_fd(stream, file, {"content-type": "application/pdf"})

    await trio_h2.serve_tcp(handler, 8080)


if __name__ == "__main__":
    with open("report.pdf", "rb") as file:
        trio.run(serve, file)

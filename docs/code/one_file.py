import email.utils
import os

import trio

import trio_h2
from trio_h2.files import HeaderFields, respond_with_file


async def handler(stream: trio_h2.ServerStream) -> None:
    def check(status: os.stat_result, headers: HeaderFields) -> None:
        headers["last-modified"] = email.utils.formatdate(status.st_mtime, usegmt=True)

    async def sorry(error: Exception) -> None:
        await stream.respond(404, body=b"no such report\n")

    await respond_with_file(stream, "report.pdf", {"content-type": "application/pdf"}, stat_check=check, on_error=sorry)


if __name__ == "__main__":
    trio.run(trio_h2.serve_tcp, handler, 8080)

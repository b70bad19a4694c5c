"""A server for tests in another language: says where it is in a line of JSON, and ends with its standard input."""

import json
import sys

import trio

import trio_h2
from trio_h2.testing import tls_server


async def answer(stream: trio_h2.ServerStream) -> None:
    await stream.respond({"content-type": "text/plain"}, body=f"hello, {stream.path}\n".encode())


async def main() -> None:
    async with tls_server(answer, allow_http1=True) as server:
        print(json.dumps({"url": server.url, "ca_file": str(server.ca_file)}), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


if __name__ == "__main__":
    trio.run(main)

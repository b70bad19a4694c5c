"""The server of trio_h2, by its public API: a handler for each stream.

Usage: ours.py PORT [CERTIFICATE KEY]. Paths: /small, /bytes/N, /sink (reads the body), /echo, /json.
"""

from __future__ import annotations

import json
import sys

import trio

import trio_h2

SMALL = b"hello, world\n"
PIECE = bytes(range(256)) * 256


async def handler(stream: trio_h2.ServerStream) -> None:
    path = stream.path
    if path.startswith("/bytes/"):
        await stream.respond({":status": 200, "content-type": "application/octet-stream"})
        whole, rest = divmod(int(path[7:]), len(PIECE))
        for _ in range(whole):
            await stream.send_all(PIECE)
        await stream.send_all(PIECE[:rest])
        await stream.send_eof()
    elif path == "/echo":
        await stream.respond({":status": 200, "content-type": "application/octet-stream"})
        async for chunk in stream:
            await stream.send_all(chunk)
        await stream.send_eof()
    elif path == "/json":
        data = json.dumps({"message": "hello, world"}).encode()
        await stream.respond({":status": 200, "content-type": "application/json"}, body=data)
    else:
        if path == "/sink":
            async for _ in stream:
                pass
        await stream.respond({":status": 200, "content-type": "text/plain"}, body=SMALL)


async def main(port: int, *tls_files: str) -> None:
    if tls_files:
        context = trio_h2.server_ssl_context(*tls_files)
        await trio_h2.serve_ssl_over_tcp(handler, port, context, host="127.0.0.1")
    else:
        await trio_h2.serve_tcp(handler, port, host="127.0.0.1")


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), *sys.argv[2:])

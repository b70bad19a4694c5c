"""Runs another program against a server, and ends as it does: python3 run_against.py node client.mjs"""

import subprocess
import sys

import trio

import trio_h2
from trio_h2.testing import tls_server


async def answer(stream: trio_h2.ServerStream) -> None:
    await stream.respond({"content-type": "text/plain"}, body=f"hello, {stream.path}\n".encode())


async def run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    async with tls_server(answer) as server:
        return await trio.run_process(command, env=server.environment, check=False)


if __name__ == "__main__":
    sys.exit(trio.run(run, sys.argv[1:]).returncode)

"""The app that is replaced while it is used."""

import os

import trio

import trio_h2

VERSION = "1"


async def handle(stream: trio_h2.ServerStream) -> None:
    await trio.sleep(0.01)  # as if there were something to do
    await stream.respond(200, body=f"version {VERSION}, process {os.getpid()}\n".encode())

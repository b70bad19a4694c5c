"""A chat in the terminal: what you type goes to all. Run it with: python3 chat_client.py http://localhost:8080 Jane"""

import contextlib
import os
import sys
from urllib.parse import quote

import trio

from trio_h2 import H2Error
from trio_h2.websocket import WebSocket, WebSocketClosedError, connect_websocket


async def main(url: str, name: str) -> None:
    async with connect_websocket(f"{url}/chat?name={quote(name)}") as ws, trio.open_nursery() as nursery:
        nursery.start_soon(show, ws, nursery.cancel_scope)
        with contextlib.suppress(WebSocketClosedError):  # `show` says it
            rest = b""
            while typed := await trio.to_thread.run_sync(os.read, 0, 4096, abandon_on_cancel=True):
                *lines, rest = (rest + typed).split(b"\n")
                for line in lines:
                    await ws.send_message(line.decode(errors="replace"))
            nursery.cancel_scope.cancel()


async def show(ws: WebSocket, scope: trio.CancelScope) -> None:
    try:
        while True:
            print(await ws.receive_message())
    except WebSocketClosedError as error:
        print("closed:", error if error.close_code == 1006 else f"{error.close_code} {error.close_reason}".rstrip())
    scope.cancel()  # also what waits for the next line


if __name__ == "__main__":
    failed = None
    try:
        trio.run(main, sys.argv[1], sys.argv[2])
    except* KeyboardInterrupt:  # Ctrl-C
        pass
    except* (OSError, H2Error) as errors:  # nothing listens there, say
        failed = f"no chat at {sys.argv[1]}: {errors.exceptions[0]}"
    sys.exit(failed)

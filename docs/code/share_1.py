"""The first step: a server with two routes."""

import trio

import trio_h2
from trio_h2.compat import HTTPError, Request, Response, request_handler


async def app(request: Request, response: Response) -> None:
    match request.path.strip("/").split("/"):
        case [""]:
            await response.send_text("a place for files\n")
        case ["hello", name]:
            await response.send_text(f"hello, {name}\n")
        case _:
            raise HTTPError(404, "nothing is here\n")


if __name__ == "__main__":
    trio.run(trio_h2.serve_tcp, request_handler(app), 8080)

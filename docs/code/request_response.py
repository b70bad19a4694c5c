import trio

import trio_h2
from trio_h2.compat import Request, Response, request_handler


async def app(request: Request, response: Response) -> None:
    response.set_header("cache-control", "no-store")
    await response.send_text(f"hello, {request.path}")


if __name__ == "__main__":
    trio.run(trio_h2.serve_tcp, request_handler(app), 8080)

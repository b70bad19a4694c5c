import hashlib

import trio

import trio_h2
from trio_h2.compat import Request, Response, request_handler


async def app(request: Request, response: Response) -> None:
    if request.path == "/sum":
        digest = hashlib.sha256()
        async for chunk in request:
            digest.update(chunk)
        text = digest.hexdigest()
    else:
        text = f"hello, {request.path}"
    await response.send_text(f"{text}\n")


async def main() -> None:
    # what a lifespan would do at startup stands here
    await trio_h2.serve_ssl_over_tcp(
        request_handler(app),
        8443,
        trio_h2.server_ssl_context("cert.pem", "key.pem", allow_http1=True),
        config=trio_h2.ServerConfig(idle_timeout=5, max_concurrent_streams=100),
        allow_http1=True,
    )
    # and at shutdown, here


if __name__ == "__main__":
    trio.run(main)

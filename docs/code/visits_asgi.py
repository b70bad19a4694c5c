"""An ASGI application with a lifespan, and what serves it over TLS. It needs a cert.pem and a key.pem."""

import trio

import trio_h2
from trio_h2 import asgi

PORT = 8443


class Visits:
    def __init__(self) -> None:
        self.paths: list[object] = []

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            print("open for visitors", flush=True)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            print(f"{len(self.paths)} visits", flush=True)
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            self.paths.append(scope["path"])
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            for number, path in enumerate(self.paths, 1):
                await send({"type": "http.response.body", "body": f"{number}. {path}\n".encode(), "more_body": True})
            await send({"type": "http.response.body"})


app = Visits()


async def main() -> None:
    context = trio_h2.server_ssl_context("cert.pem", "key.pem", allow_http1=True)
    await asgi.serve(app, PORT, ssl_context=context)


if __name__ == "__main__":
    trio.run(main)

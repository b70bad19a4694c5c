"""A single-page application: its files, and index.html for every other path. Run it with: python3 static_site.py"""

import trio

import trio_h2
from trio_h2.files import DirectoryHandler

PORT = 8443


async def main() -> None:
    site = DirectoryHandler("site", fallback="index.html", cache_control="no-cache")

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path.startswith("/api/"):
            await stream.respond({"content-type": "application/json"}, body=b'{"greeting": "hello"}')
        else:
            await site(stream)

    context = trio_h2.server_ssl_context("cert.pem", "key.pem", allow_http1=True)
    await trio_h2.serve_ssl_over_tcp(handler, PORT, context, allow_http1=True)


if __name__ == "__main__":
    trio.run(main)

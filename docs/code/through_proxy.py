"""A request through a proxy: python3 through_proxy.py http://localhost:8080 https://example.com/ [CA-FILE]"""

import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

import trio

import trio_h2
from trio_h2.tunnel import through


async def fetch(proxy_url: str, url: str, ssl_context: ssl.SSLContext | None) -> bytes:
    async with (
        trio_h2.connect(proxy_url) as proxy,
        trio_h2.connect(url, transport=through(proxy), ssl_context=ssl_context) as session,
        session.request("GET", urlsplit(url).path or "/") as stream,
    ):
        response = await stream.receive_response()
        print(response.status)
        return await stream.read()


if __name__ == "__main__":
    ca = Path(sys.argv[3]) if sys.argv[3:] else None  # of the target, if the system does not know it
    print(trio.run(fetch, sys.argv[1], sys.argv[2], trio_h2.client_ssl_context(ca)).decode())

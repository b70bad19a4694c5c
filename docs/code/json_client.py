"""A client of the JSON API. Run it with: python3 json_client.py https://localhost:8443 cert.pem"""

import json
import ssl
import sys

import trio

import trio_h2


async def main(url: str, context: ssl.SSLContext | None) -> None:
    async with trio_h2.Client(ssl_context=context) as client:
        headers = {"content-type": "application/json"}
        body = json.dumps({"text": "buy bread"}).encode()
        response = await client.fetch("POST", f"{url}/notes", headers=headers, body=body)
        response.raise_for_status()
        print(response.status, response.headers["location"])
        print((await client.get(f"{url}/notes")).json())


if __name__ == "__main__":
    trio.run(main, sys.argv[1], trio_h2.client_ssl_context(sys.argv[2], allow_http1=True))

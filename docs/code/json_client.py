"""A client of the JSON API. Run it with: python3 json_client.py https://localhost:8443 cert.pem"""

import json
import ssl
import sys

import trio

import trio_h2


async def main(url: str, context: ssl.SSLContext | None) -> None:
    async with trio_h2.connect(url, ssl_context=context) as session:
        headers = {"content-type": "application/json"}
        body = json.dumps({"text": "buy bread"}).encode()
        async with session.request("POST", "/notes", headers=headers, body=body) as stream:
            response = await stream.receive_response()
            print(response.status, response["location"])
        async with session.request("GET", "/notes") as stream:
            response = await stream.receive_response()
            print(await stream.json())


if __name__ == "__main__":
    trio.run(main, sys.argv[1], trio_h2.client_ssl_context(sys.argv[2]))

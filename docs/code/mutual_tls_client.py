"""A client that shows a certificate. Run it with: python3 mutual_tls_client.py https://localhost:8443"""

import sys

import trio

import trio_h2


async def main(url: str) -> None:
    context = trio_h2.client_ssl_context("ca.pem")
    context.load_cert_chain("jane.pem", "jane.key")
    async with trio_h2.connect(url, ssl_context=context) as session, session.request() as stream:
        print(await stream.text(), end="")


if __name__ == "__main__":
    trio.run(main, sys.argv[1])

"""A client that trusts one authority of its own. Run it with: python3 tls_client.py https://localhost:8443 cert.pem"""

import sys

import trio

import trio_h2


async def main(url: str, ca: str) -> None:
    context = trio_h2.client_ssl_context(ca)  # without it: the authorities of the system
    async with trio_h2.connect(url, ssl_context=context) as session, session.request() as stream:
        print(await stream.text(), end="")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])

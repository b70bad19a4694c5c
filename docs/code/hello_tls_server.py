import trio
from hello_server import hello

import trio_h2


async def main() -> None:
    ssl_context = trio_h2.server_ssl_context("server.pem", "server.key")
    await trio_h2.serve_ssl_over_tcp(hello, 8443, ssl_context)


if __name__ == "__main__":
    trio.run(main)

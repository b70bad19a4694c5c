"""A server with an access log and the logs of the library. Run it with: python3 logs.py"""

import logging
import time

import trio

import trio_h2
from trio_h2.access_log import access_log

PORT = 8080


async def handler(stream: trio_h2.ServerStream) -> None:
    logging.info("asked for %s", stream.path)
    if stream.path == "/bug":
        raise RuntimeError("a bug")
    await stream.respond(200, body=b"hello\n")


async def main() -> None:
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    await trio_h2.serve_tcp(access_log(handler), PORT)


if __name__ == "__main__":
    trio.run(main)

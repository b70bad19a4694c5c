"""The ASGI application of the benchmarks on trio_h2, over HTTP/2 and HTTP/1.1.

Usage: ours_asgi.py PORT [CERTIFICATE KEY].
"""

from __future__ import annotations

import sys
from functools import partial

import trio

import trio_h2
from tests.benchmarks.servers.asgi import app
from trio_h2 import asgi


def main(port: int, *tls_files: str) -> None:
    context = trio_h2.server_ssl_context(*tls_files, allow_http1=True) if tls_files else None
    trio.run(partial(asgi.serve, app, port, host="127.0.0.1", ssl_context=context))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])

"""A server that knows its clients by their certificates. It needs server.pem, server.key and ca.pem."""

import ssl
from collections.abc import Iterable
from typing import cast

import trio

import trio_h2

PORT = 8443
ALLOWED = {"jane", "backup"}


def context() -> ssl.SSLContext:
    context = trio_h2.server_ssl_context("server.pem", "server.key")
    context.verify_mode = ssl.CERT_REQUIRED  # CERT_OPTIONAL: clients without one come in, too
    context.load_verify_locations("ca.pem")  # who may make certificates for clients
    return context


def name_of(stream: trio_h2.ServerStream) -> str | None:
    """Returns the common name in the certificate of the client, which TLS has verified."""
    fields = stream.transport.peer_certificate_fields or {}
    subject = cast("Iterable[Iterable[tuple[str, str]]]", fields.get("subject", ()))
    return next((value for part in subject for key, value in part if key == "commonName"), None)


async def handler(stream: trio_h2.ServerStream) -> None:
    name = name_of(stream)
    if name not in ALLOWED:
        await stream.respond(403, body=b"not for you\n")
        return
    await stream.respond(200, body=f"hello, {name}\n".encode())


async def main() -> None:
    await trio_h2.serve_ssl_over_tcp(handler, PORT, context(), host=None)


if __name__ == "__main__":
    trio.run(main)

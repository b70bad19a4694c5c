"""HTTP/2 over TLS, with a certificate that is renewed while it runs. It needs a cert.pem and a key.pem."""

import signal

import trio

import trio_h2

PORT = 8443


async def handler(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=f"{stream.transport.tls_version}, {stream.transport.alpn_protocol}\n".encode())


async def renew(server: trio_h2.Server) -> None:
    """Reads the files again at each SIGHUP: new connections get the new certificate, old ones stay as they are."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            try:
                server.set_ssl_context(trio_h2.server_ssl_context("cert.pem", "key.pem", allow_http1=True))
            except (OSError, ValueError) as error:
                print(f"the old certificate stays: {error}", flush=True)
            else:
                print("renewed", flush=True)


async def main() -> None:
    context = trio_h2.server_ssl_context("cert.pem", "key.pem", allow_http1=True)
    async with (
        trio_h2.open_server(handler, PORT, host=None, ssl_context=context, allow_http1=True) as server,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(renew, server)


if __name__ == "__main__":
    trio.run(main)

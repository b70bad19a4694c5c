import trio

import trio_h2
from trio_h2.tunnel import ConnectProxy


async def serve() -> None:
    proxy = ConnectProxy(
        ["example.com:443", "*.example.org:80,443", "10.1.0.0/16:5432"],
        authenticate={"jane": "secret"},
        connect_timeout=10,
        idle_timeout=300,
        max_tunnels=1000,
    )
    config = trio_h2.ServerConfig(max_concurrent_streams=500, stream_window=64 * 1024)
    await trio_h2.serve_ssl_over_tcp(proxy, 8443, trio_h2.server_ssl_context("cert.pem", "key.pem"), config=config)


if __name__ == "__main__":
    trio.run(serve)

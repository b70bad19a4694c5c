"""A gateway: browsers speak HTTP/2 with it, over TLS, and it speaks HTTP/1.1 with an application on port 3000."""

import trio

import trio_h2


async def main(
    application: str = "http://localhost:3000",
    port: int = 8443,
    certificate: str = "cert.pem",
    key: str = "key.pem",
    *,
    task_status: trio.TaskStatus[trio_h2.Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    context = trio_h2.server_ssl_context(certificate, key, allow_http1=True)
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with trio_h2.Client(max_http1_per_origin=100) as client:
        upstream = trio_h2.Upstream(client, application)

        async def gateway(stream: trio_h2.ServerStream) -> None:
            await trio_h2.relay(stream, upstream)

        await trio_h2.serve_ssl_over_tcp(
            gateway, port, context, config=config, allow_http1=True, task_status=task_status
        )


if __name__ == "__main__":
    trio.run(main)

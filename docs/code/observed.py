"""A server with figures for Prometheus and spans of OpenTelemetry."""

import trio

import trio_h2
from trio_h2.instruments.opentelemetry import OpenTelemetryInstrument
from trio_h2.instruments.prometheus import PrometheusInstrument, metrics_handler

metrics = metrics_handler()


async def handler(stream: trio_h2.ServerStream) -> None:
    if stream.path == "/metrics":
        await metrics(stream)
    else:
        await stream.respond(body=b"hello\n")


async def main() -> None:
    config = trio_h2.ServerConfig(instruments=[PrometheusInstrument(), OpenTelemetryInstrument()])
    async with trio_h2.open_server(handler, 8080, config=config):
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)

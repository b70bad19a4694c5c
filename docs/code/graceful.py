"""A server that finishes its requests at Ctrl-C and SIGTERM."""

import signal

import trio

import trio_h2


async def handler(stream: trio_h2.ServerStream) -> None:
    await trio.sleep(1)
    await stream.respond(200, body=b"done\n")


async def main() -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio_h2.open_server(handler, 8080, grace=30) as server:
            print("Listening on", server.url, flush=True)
            await anext(signals)  # leaving the block accepts no more, and waits for what runs
            print("ending", flush=True)


if __name__ == "__main__":
    trio.run(main)

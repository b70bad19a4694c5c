"""Listens to server-sent events, and reconnects: python3 event_client.py https://localhost:8443/ticks cert.pem"""

import math
import random
import sys
from collections.abc import Callable

import trio

import trio_h2

NOT_NOW = (502, 503, 504)
"""What a proxy answers while the server behind it restarts."""


async def listen(client: trio_h2.Client, url: str, handle: Callable[[trio_h2.ServerSentEvent], object]) -> None:
    """Calls *handle* with each event, for ever; an answer that will not change ends it with `ValueError`."""
    headers = {"accept": "text/event-stream"}
    retry = 3.0
    silent = trio_h2.Timeouts(idle=math.inf)  # events may be rare; a server that is lost is noticed by its session
    while True:
        try:
            async with client.request("GET", url, headers=headers, timeouts=silent) as response:
                if response.status == 204:
                    return  # the server has no more events
                if response.status not in (200, *NOT_NOW):
                    raise ValueError(f"status {response.status}")
                if response.status == 200:
                    events = response.iter_events()
                    async for event in events:
                        handle(event)
                        headers["last-event-id"] = event.id
                        retry = events.retry or retry
        except (OSError, trio_h2.StreamError, trio_h2.SessionError) as error:
            print(f"{error!r}, reconnecting", file=sys.stderr)
        await trio.sleep(retry * random.uniform(0.5, 1.5))


async def main() -> None:
    url, ca = sys.argv[1:]
    async with trio_h2.Client(ssl_context=trio_h2.client_ssl_context(ca)) as client:
        await listen(client, url, print)


if __name__ == "__main__":
    trio.run(main)

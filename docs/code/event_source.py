"""Server-sent events, and a page that shows them. It needs a cert.pem and a key.pem."""

import itertools
import json

import trio

import trio_h2

PAGE = b"""<!doctype html><meta charset="utf-8"><title>ticks</title><pre></pre>
<script>
const source = new EventSource("/ticks");
source.addEventListener("tick", event => {
  document.querySelector("pre").textContent += event.lastEventId + " " + event.data + "\\n";
});
</script>
"""
PORT = 8443
INTERVAL = 1.0


async def handler(stream: trio_h2.ServerStream) -> None:
    match stream.path:
        case "/":
            await stream.respond({"content-type": "text/html; charset=utf-8"}, body=PAGE)
        case "/ticks":
            await ticks(stream)
        case _:
            await stream.respond(404, body=b"")


async def ticks(stream: trio_h2.ServerStream) -> None:
    await stream.respond({"content-type": "text/event-stream", "cache-control": "no-store"})
    last = stream.headers.get("last-event-id", "")  # a browser that reconnects tells where it was
    for number in itertools.count(int(last) + 1 if last.isdecimal() else 1):
        if stream.session.draining:
            return  # the client reconnects, to the next process
        await stream.send_all(event(number, "tick", {"number": number}))
        await trio.sleep(INTERVAL)


def event(number: int, kind: str, data: object) -> bytes:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


async def main() -> None:
    context = trio_h2.server_ssl_context("cert.pem", "key.pem", allow_http1=True)
    await trio_h2.serve_ssl_over_tcp(handler, PORT, context, allow_http1=True)


if __name__ == "__main__":
    trio.run(main)

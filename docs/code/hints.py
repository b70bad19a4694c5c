"""103 (Early Hints): the client fetches what the page needs while the page is still being made."""

import trio

import trio_h2

PAGE = b'<!doctype html><link rel="stylesheet" href="/style.css"><p>hello</p>'


async def handler(stream: trio_h2.ServerStream) -> None:
    if stream.path == "/style.css":
        await stream.respond({"content-type": "text/css", "cache-control": "max-age=3600"}, body=b"p { color: teal }")
        return
    await stream.send_informational(103, {"link": "</style.css>; rel=preload; as=style"})
    await trio.sleep(0.2)  # as if a database had to be asked
    await stream.respond({"content-type": "text/html; charset=utf-8"}, body=PAGE)


if __name__ == "__main__":
    trio.run(trio_h2.serve_tcp, handler, 8080)

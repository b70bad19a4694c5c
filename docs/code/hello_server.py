import trio

import trio_h2


async def hello(stream: trio_h2.ServerStream) -> None:
    text = f"hello, {stream.path}\n"
    await stream.respond({"content-type": "text/plain"}, body=text.encode())


async def main() -> None:
    await trio_h2.serve_tcp(hello, 8080)


if __name__ == "__main__":
    trio.run(main)

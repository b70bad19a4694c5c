import trio

import trio_h2


async def hello(stream: trio_h2.ServerStream) -> None:
    await stream.respond({":status": 200, "content-type": "text/plain"}, body=f"hello, {stream.path}\n".encode())


async def main() -> None:
    await trio_h2.serve_tcp(hello, 8080)


if __name__ == "__main__":
    trio.run(main)

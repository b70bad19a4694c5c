"""A gRPC client: calls of each kind. Run it with: python3 grpc_client.py http://localhost:50051"""

import sys
from collections.abc import Callable, Iterable

import trio
from grpc_messages import Messages, check_status, pack

import trio_h2

HEADERS = {"content-type": "application/grpc", "te": "trailers"}


async def unary(session: trio_h2.ClientSession, method: str, message: bytes) -> bytes:
    async with session.request("POST", method, headers=HEADERS, body=pack(message)) as stream:
        response = await stream.receive_response()
        messages = [message async for message in Messages(stream)]
        check_status(response, await stream.receive_trailers())
        return messages[0]


async def streaming(
    session: trio_h2.ClientSession, method: str, messages: Iterable[bytes], handle: Callable[[bytes], object]
) -> None:
    """Sends messages and calls *handle* with each answer, both at the same time."""
    async with session.request("POST", method, headers=HEADERS, end_stream=False) as stream:

        async def send() -> None:
            for message in messages:
                await stream.send_all(pack(message))
            await stream.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            response = await stream.receive_response()
            async for message in Messages(stream):
                handle(message)
            check_status(response, await stream.receive_trailers())


async def main(url: str) -> None:
    async with trio_h2.connect(url) as session:
        with trio.fail_after(5):  # leaving the block resets the call, which tells the server
            print(await unary(session, "/demo.Demo/Hello", b"Jane"))
        await streaming(session, "/demo.Demo/Split", [b"one two three"], print)
        await streaming(session, "/demo.Demo/Count", [b"a"] * 10, print)
        await streaming(session, "/demo.Demo/Shout", [b"a", b"b"], print)


if __name__ == "__main__":
    trio.run(main, sys.argv[1])

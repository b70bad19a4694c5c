"""A gRPC client: calls of each kind. Run it with: python3 grpc_client.py http://localhost:50051"""

import sys
from collections.abc import Callable, Iterable, Mapping

import trio
from grpc_messages import Messages, check_status, only, pack

import trio_h2

HEADERS = {"content-type": "application/grpc", "te": "trailers"}


async def unary(
    session: trio_h2.ClientSession,
    method: str,
    message: bytes,
    *,
    seconds: float = 60,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    # The server is told the deadline; if it does not keep to it, leaving the block resets the call.
    headers = {**HEADERS, "grpc-timeout": f"{seconds * 1000:.0f}m", **(metadata or {})}
    with trio.fail_after(seconds):
        async with session.request("POST", method, headers=headers, body=pack(message)) as stream:
            response = await stream.receive_response()  # with the initial metadata
            messages = [message async for message in Messages(stream)]
            trailers = await stream.receive_trailers()  # with the trailing metadata
    check_status(response, trailers)
    return only(messages)


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
        print(await unary(session, "/demo.Demo/Hello", b"Jane", seconds=5, metadata={"request-id": "7"}))
        await streaming(session, "/demo.Demo/Split", [b"one two three"], print)
        await streaming(session, "/demo.Demo/Count", [b"a"] * 10, print)
        await streaming(session, "/demo.Demo/Shout", [b"a", b"b"], print)


if __name__ == "__main__":
    trio.run(main, sys.argv[1])

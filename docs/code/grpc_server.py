"""A gRPC server with a method of each kind. Run it with: python3 grpc_server.py"""

import logging
import math
from collections.abc import Awaitable, Callable

import trio
from grpc_messages import DEADLINE_EXCEEDED, OK, UNIMPLEMENTED, UNKNOWN, GrpcError, Messages, pack, status_fields

import trio_h2

Send = Callable[[bytes], Awaitable[None]]
UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


async def hello(requests: Messages, send: Send) -> None:
    """One message, one answer."""
    name = await requests.only()
    await send(b"hello, " + name)


async def split(requests: Messages, send: Send) -> None:
    """One message, several answers."""
    for word in (await requests.only()).split():
        await send(word)


async def count(requests: Messages, send: Send) -> None:
    """Several messages, one answer."""
    number = 0
    async for _ in requests:
        number += 1
    await send(str(number).encode())


async def shout(requests: Messages, send: Send) -> None:
    """Several of both, at the same time."""
    async for message in requests:
        await send(message.upper())


async def sleep(requests: Messages, send: Send) -> None:
    await trio.sleep(float(await requests.only()))
    await send(b"awake")


METHODS = {
    "/demo.Demo/Hello": hello,
    "/demo.Demo/Split": split,
    "/demo.Demo/Count": count,
    "/demo.Demo/Shout": shout,
    "/demo.Demo/Sleep": sleep,
}


async def handler(stream: trio_h2.ServerStream) -> None:
    if stream.method != "POST" or not stream.headers.get("content-type", "").startswith("application/grpc"):
        await stream.respond(415, body=b"this server speaks gRPC\n")
        return
    request_id = stream.headers.get("request-id", "none")  # metadata of the request is in its fields
    await stream.respond({"content-type": "application/grpc", "request-id": request_id})  # initial metadata
    began = trio.current_time()

    async def send(message: bytes) -> None:
        await stream.send_all(pack(message))

    try:
        method = METHODS.get(stream.path)
        if method is None:
            raise GrpcError(UNIMPLEMENTED, f"there is no {stream.path}")
        with trio.fail_after(timeout_of(stream.headers)):
            await method(Messages(stream), send)
    except GrpcError as error:
        await stream.send_trailers(status_fields(error.status, error.message))
    except trio.TooSlowError:
        await stream.send_trailers(status_fields(DEADLINE_EXCEEDED, "the deadline is over"))
    except (trio_h2.StreamError, trio_h2.SessionError):
        raise  # the call is over already
    except Exception:
        logging.exception("%s has a bug", stream.path)
        await stream.send_trailers(status_fields(UNKNOWN, "the method has failed"))
    else:
        trailing = {"seconds": f"{trio.current_time() - began:.3f}"}  # trailing metadata
        await stream.send_trailers({**status_fields(OK, ""), **trailing})


def timeout_of(headers: trio_h2.Headers) -> float:
    """Reads `grpc-timeout`, like ``100m`` for 100 milliseconds."""
    value = headers.get("grpc-timeout", "")
    if not value[:-1].isdecimal() or value[-1] not in UNITS:
        return math.inf
    return int(value[:-1]) * UNITS[value[-1]]


async def main() -> None:
    config = trio_h2.ServerConfig(body_timeout=math.inf)  # clients may stream requests as slowly as they like
    await trio_h2.serve_tcp(handler, 50051, config=config)


if __name__ == "__main__":
    trio.run(main)

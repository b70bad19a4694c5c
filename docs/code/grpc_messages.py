"""What gRPC adds to an HTTP/2 stream: messages with a length before them, and a status in the trailers."""

import struct
from urllib.parse import quote, unquote

import trio_h2

# Some of the statuses of gRPC.
OK, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 2, 3, 4, 8, 12, 13
MAX_MESSAGE = 4 * 1024 * 1024


class GrpcError(Exception):
    """A call that has failed."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(f"gRPC status {status}: {message}")
        self.status = status
        self.message = message


def pack(message: bytes) -> bytes:
    """Puts the prefix of five bytes before a message: not compressed, and its length."""
    return struct.pack(">BI", 0, len(message)) + message


class Messages:
    """The messages that come on a stream: `async for message in Messages(stream)`."""

    def __init__(self, stream: trio_h2.Stream) -> None:
        self.stream = stream
        self.buffer = bytearray()

    def __aiter__(self) -> "Messages":
        return self

    async def __anext__(self) -> bytes:
        if not await self.has(5):
            raise StopAsyncIteration
        compressed, length = struct.unpack(">BI", self.take(5))
        if compressed:
            raise GrpcError(UNIMPLEMENTED, "compressed messages are not supported")
        if length > MAX_MESSAGE:
            raise GrpcError(RESOURCE_EXHAUSTED, f"a message has at most {MAX_MESSAGE} bytes")
        if not await self.has(length):
            raise GrpcError(INTERNAL, "the body ends within a message")
        return self.take(length)

    async def only(self) -> bytes:
        """Returns the one message of a unary call."""
        return only([message async for message in self])

    async def has(self, size: int) -> bool:
        while len(self.buffer) < size:
            chunk = await self.stream.receive_some()
            if not chunk:
                return False
            self.buffer += chunk
        return True

    def take(self, size: int) -> bytes:
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken


def only(messages: list[bytes]) -> bytes:
    if len(messages) != 1:
        raise GrpcError(INTERNAL, f"{len(messages)} messages instead of one")
    return messages[0]


def status_fields(status: int, message: str) -> dict[str, str]:
    """Makes the trailers of a server."""
    return {"grpc-status": str(status), **({"grpc-message": quote(message, safe=" ")} if message else {})}


def check_status(response: trio_h2.Headers, trailers: trio_h2.Headers | None) -> None:
    """Raises `GrpcError` unless the call went well."""
    if response.status != 200:
        raise GrpcError(UNKNOWN, f"HTTP status {response.status}")
    # A call that fails at once has its status in the response, and no trailers.
    fields = trailers if trailers is not None else response
    status = int(fields.get("grpc-status", UNKNOWN))
    if status != OK:
        raise GrpcError(status, unquote(fields.get("grpc-message", "")))

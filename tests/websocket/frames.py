"""The other end of a WebSocket, frame by frame (RFC 6455 §5.2); it shares no code with the one under test."""

from __future__ import annotations

import struct
import zlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest
import trio
import trio.testing

import trio_h2
from tests.session.scripted import as_it_is
from tests.stream.harness import pair
from trio_h2.websocket import Deflate, WebSocket, WebSocketConfig, WebSocketHandler, open_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from tests.session.scripted import Wrapper

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OFFERING = trio_h2.ServerConfig(enable_connect_protocol=True)
KEY = bytes([0x37, 0xFA, 0x21, 0x3D])
"""The masking key of the examples in RFC 6455 §5.7."""

both_roles = pytest.mark.parametrize("role", ["client", "server"])
"""Of the WebSocket under test."""


@dataclass(frozen=True)
class Frame:
    """A frame, unmasked."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    masked: bool = False

    @property
    def code(self) -> int | None:
        """Of a Close frame."""
        assert self.opcode == CLOSE
        return int.from_bytes(self.payload[:2]) if self.payload else None


def mask(payload: bytes, key: bytes = KEY) -> bytes:
    """Masks, or unmasks."""
    return bytes(octet ^ key[i % 4] for i, octet in enumerate(payload))


def pack(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool, length: bytes | None = None
) -> bytes:
    """Returns a frame as bytes, right or wrong; *length* replaces the extended length."""
    size = len(payload)
    short, extended = (
        (size, b"")
        if size < 126
        else (126, struct.pack("!H", size))
        if size < 2**16
        else (127, struct.pack("!Q", size))
    )
    if length is not None:
        short, extended = (126 if len(length) == 2 else 127), length
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | short]) + extended
    return head + KEY + mask(payload) if masked else head + payload


def close_payload(code: int, reason: str = "") -> bytes:
    """Returns what a Close frame carries."""
    return struct.pack("!H", code) + reason.encode()


def deflated(*messages: bytes, takeover: bool = True) -> list[bytes]:
    """Returns the payloads of messages, compressed as one side does it (RFC 7692 §7.2.1)."""
    found = []
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    for message in messages:
        if not takeover:
            squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        found.append((squeeze.compress(message) + squeeze.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff"))
    return found


class Wire:
    """A stream with frames on it."""

    def __init__(self, stream: trio_h2.Stream | trio.abc.Stream, *, client: bool) -> None:
        self.stream = stream
        self.client = client
        self._data = b""

    async def send(self, opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0) -> None:
        """Sends a frame, masked as the role demands."""
        octets = payload.encode() if isinstance(payload, str) else payload
        await self.stream.send_all(pack(opcode, octets, fin=fin, rsv=rsv, masked=self.client))

    async def send_slowly(self, octets: bytes) -> None:
        """Sends bytes one by one."""
        for octet in octets:
            await self.stream.send_all(bytes([octet]))
            await trio.testing.wait_all_tasks_blocked()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Sends a Close frame."""
        await self.send(CLOSE, close_payload(code, reason))

    async def receive(self) -> Frame:
        """Receives a frame."""
        first, second = await self._exactly(2)
        size = second & 127
        if size == 126:
            size = int.from_bytes(await self._exactly(2))
            assert size >= 126
        elif size == 127:
            size = int.from_bytes(await self._exactly(8))
            assert size >= 2**16
        masked = bool(second >> 7)
        # RFC 6455 §5.1: "a client MUST mask all frames that it sends to the server", and "A server MUST NOT mask any".
        assert masked is not self.client
        key = await self._exactly(4) if masked else bytes(4)
        payload = mask(await self._exactly(size), key)
        return Frame(first & 15, payload, bool(first >> 7), first >> 4 & 7, masked)

    async def expect(self, opcode: int, payload: bytes | str | None = None, *, fin: bool = True, rsv: int = 0) -> bytes:
        """Receives a frame, which must be this one."""
        frame = await self.receive()
        assert (frame.opcode, frame.fin, frame.rsv) == (opcode, fin, rsv), frame
        if payload is not None:
            assert frame.payload == (payload.encode() if isinstance(payload, str) else payload)
        return frame.payload

    async def expect_close(self, code: int | None, reason: str | None = None) -> None:
        """Receives a Close frame."""
        frame = await self.receive()
        assert frame.code == code, frame
        if reason is not None:
            assert frame.payload[2:].decode() == reason

    async def expect_end(self) -> None:
        """The other side ends the stream, and sends nothing before."""
        assert self._data == b""
        assert await self.stream.receive_some() == b""

    async def expect_closed(self, code: int, *, ours: int | None = 1000) -> None:
        """The other side closes with *code*; plays the rest of the closing handshake."""
        await self.expect_close(code)
        if ours is not None:
            await self.close(ours)
        await self.expect_end()
        await self.send_eof()

    async def send_eof(self) -> None:
        """Ends this side."""
        assert isinstance(self.stream, trio.abc.HalfCloseableStream)
        await self.stream.send_eof()

    async def expect_nothing(self, seconds: float = 1.0) -> None:
        """Nothing comes for a while."""
        with trio.move_on_after(seconds):
            self._data += await self.stream.receive_some()
        assert self._data == b""

    async def _exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            data = await self.stream.receive_some()
            if not data:
                raise EOFError(f"the stream ended after {self._data!r}")
            self._data += data
        found, self._data = self._data[:size], self._data[size:]
        return found


@dataclass
class Ends:
    """A WebSocket under test, and the wire at its other end."""

    ws: WebSocket
    wire: Wire
    client: trio_h2.ClientSession
    server: trio_h2.ServerSession

    async def finish(self) -> None:
        """The peer closes, in good order."""
        await self.wire.close()
        await self.wire.expect_close(1000)
        await self.wire.expect_end()
        await self.wire.send_eof()


Extension: TypeAlias = tuple[Deflate | None, str]
NO_EXTENSION: Extension = (None, "")
DEFLATE: Extension = (Deflate(max_window_bits=15), "permessage-deflate")


@asynccontextmanager
async def ends(
    role: str,
    *,
    extension: Extension = NO_EXTENSION,
    config: WebSocketConfig | None = None,
    server: trio_h2.ServerConfig = OFFERING,
    client: trio_h2.ClientConfig | None = None,
    capacity: int | None = None,
    subprotocols: Iterable[str] = (),
    wrap: Wrapper = as_it_is,
) -> AsyncGenerator[Ends, None]:
    """A WebSocket of ours in this role, whose other end is played by the test; the books must balance at the end.

    *extension* is the compression of our side, and the field with which the other side answers, or which it offers;
    *wrap* makes the transport of the side under test.
    """
    compression, field = extension
    send, receive = trio.open_memory_channel[tuple[WebSocket | None, trio_h2.ServerStream]](1)
    done = trio.Event()
    fields = {"sec-websocket-extensions": field} if field else {}

    async def raw(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 200, **fields})
        send.send_nowait((None, stream))
        await done.wait()

    async def hand_out(ws: WebSocket) -> None:
        assert isinstance(ws.stream, trio_h2.ServerStream)
        send.send_nowait((ws, ws.stream))
        await done.wait()

    ours = WebSocketHandler(hand_out, compression=compression, config=config, subprotocols=subprotocols)
    connect = partial(
        pair,
        client_config=client,
        server_config=server,
        capacity=capacity,
        wrap_client=wrap if role == "client" else as_it_is,
        wrap_server=wrap if role == "server" else as_it_is,
    )
    async with connect(raw if role == "client" else ours, cancel_handler_on_reset=role == "server") as (one, two):
        if role == "client":
            async with open_websocket(
                one, "/chat", compression=compression, config=config, subprotocols=subprotocols
            ) as ws:
                _, stream = await receive.receive()
                yield Ends(ws, Wire(stream, client=False), one, two)
            done.set()
        else:
            headers = {"sec-websocket-version": "13", **fields}
            opened = await one.open_stream("CONNECT", "/chat", headers=headers, protocol="websocket", end_stream=False)
            async with opened:
                assert (await opened.receive_response()).status == 200
                accepted, _ = await receive.receive()
                assert accepted is not None
                yield Ends(accepted, Wire(opened, client=True), one, two)
                done.set()
                await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(10)  # what lingers, is reset

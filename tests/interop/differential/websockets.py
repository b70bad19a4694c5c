"""WebSockets over both versions of HTTP, frame by frame."""

from __future__ import annotations

import base64
import contextlib
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import h2.events
import h2.exceptions
import h11

from tests.interop.differential.http1 import Answer, connected, plain
from tests.interop.differential.http2 import Client

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
LEAVE: Final = b"\0leave"
"""In place of a frame: the client goes, without a Close frame."""


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """Returns a frame of a client (RFC 6455 §5.2), masked with zeros."""
    size = len(payload)
    if size < 126:
        length = struct.pack("!B", 0x80 | size)
    elif size < 65536:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    return bytes([0x80 * final | opcode]) + length + bytes(4) + payload


def close(code: int, reason: str = "") -> bytes:
    """Returns a Close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


@dataclass(frozen=True)
class Talk:
    """A WebSocket: what the client says, one part after each frame that comes, from the first on."""

    name: str
    do: str = "report"
    says: list[bytes] = field(default_factory=list)
    protocols: str = ""
    waits: int = 1
    """How many frames come before the client begins: what the application reports."""
    notes: bool = True
    """Whether the application lives to see the end."""
    versions: tuple[str, ...] = ("1.1", "2")


TALKS: Final = [
    Talk("text", says=[frame(TEXT, "héllo".encode()), close(1000, "bye")]),
    Talk("bytes", says=[frame(BINARY, b"\0\xff"), close(1000)]),
    Talk("an empty text", says=[frame(TEXT), close(1000)]),
    Talk("an empty message of bytes", says=[frame(BINARY), close(1000)]),
    Talk(
        "fragments", says=[frame(TEXT, b"a", final=False) + frame(0, b"b", final=False) + frame(0, b"c"), close(1000)]
    ),
    Talk("a ping", says=[frame(PING, b"are you there"), close(1000)]),
    Talk(
        "a ping between fragments",
        says=[frame(TEXT, b"a", final=False) + frame(PING, b"p"), frame(0, b"b"), close(1000)],
    ),
    Talk("a large message", says=[frame(BINARY, 200_000 * b"x"), close(1000)]),
    Talk("subprotocols", protocols="one, two", says=[close(1000)]),
    Talk("a code of the client's", says=[close(3001, "my reason")]),
    Talk("a close without a code", says=[frame(CLOSE)]),
    Talk("a client that leaves", says=[LEAVE]),
    Talk("a close of the application's", says=[frame(TEXT, b"close me"), close(4000)], versions=("1.1",)),
    Talk("text that is no UTF-8", says=[frame(TEXT, b"\xff\xfe")], versions=("1.1",)),
    Talk("a continuation of nothing", says=[frame(0, b"x")], versions=("1.1",)),
    Talk("a reserved opcode", says=[frame(5, b"x")], versions=("1.1",)),
    Talk("a code that is not allowed", says=[close(1005)], versions=("1.1",)),
    Talk("raises after accepting", says=[frame(TEXT, b"raise"), close(1011)], notes=False),
    Talk("returns after accepting", says=[frame(TEXT, b"return"), close(1000)], notes=False),
    Talk("fields with the acceptance", "headers", waits=0, says=[close(1000)]),
    Talk("refused", "refuses", waits=0),
    Talk("denied", "denies", waits=0),
    Talk("raises before accepting", "raises", waits=0),
    Talk("returns before accepting", "returns", waits=0),
    Talk("sends before accepting", "sends_first", waits=0),
    Talk("a subprotocol that was not offered", "unoffered", waits=0, says=[close(1000)]),
]


class Frames:
    """Takes the messages of a server out of its bytes, and its control frames."""

    def __init__(self) -> None:
        self._data = b""
        self._part: tuple[int, bytes] | None = None
        self.got: list[tuple[int, bytes]] = []

    def receive(self, data: bytes) -> None:
        """Takes some bytes."""
        self._data += data
        while len(self._data) >= 2:
            size, at = self._data[1] & 0x7F, 2
            if size > 125:
                at = 4 if size == 126 else 10
                if len(self._data) < at:
                    return
                size = int.from_bytes(self._data[2:at])
            if len(self._data) < at + size:
                return
            self._frame(self._data[0], self._data[at : at + size])
            self._data = self._data[at + size :]

    def _frame(self, first: int, payload: bytes) -> None:
        opcode, final = first & 0x0F, first & 0x80
        if opcode == PING:
            return
        if opcode < CLOSE:
            if opcode == 0:
                assert self._part is not None
                opcode, payload = self._part[0], self._part[1] + payload
            self._part = (opcode, payload)
        if final:
            self.got.append((opcode, payload))

    @property
    def closed(self) -> bool:
        """Whether there was a Close frame."""
        return any(opcode == CLOSE for opcode, _ in self.got)

    def shown(self) -> list[str]:
        """Returns them for people."""
        names = {TEXT: "text", BINARY: "bytes", CLOSE: "close", PONG: "pong"}
        return [f"{names[opcode]} {_payload(names[opcode], payload)}" for opcode, payload in self.got]


def _payload(name: str, payload: bytes) -> str:
    if name == "close":
        return f"{int.from_bytes(payload[:2])} {payload[2:].decode()}".strip() if payload else "without a code"
    return payload.decode(errors="backslashreplace") if len(payload) < 5000 else f"of {len(payload)} bytes"


class Wire:
    """How the bytes of a WebSocket go over one of the versions."""

    def send(self, data: bytes) -> None:
        """Sends some."""
        raise NotImplementedError

    def receive(self) -> bytes:
        """Returns what comes next; nothing at the end."""
        raise NotImplementedError

    def finish(self) -> None:
        """Ends the client's side, and waits a little for the other one to do so."""


class Http1Wire(Wire):
    """They follow the handshake."""

    def __init__(self, sock: socket.socket, early: bytes) -> None:
        self._sock, self._early = sock, early

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def receive(self) -> bytes:
        early, self._early = self._early, b""
        return early or self._sock.recv(65536)


class Http2Wire(Wire):
    """They are the bodies of a stream (RFC 8441)."""

    def __init__(self, sock: socket.socket, client: Client, number: int) -> None:
        self._sock, self._client, self._number = sock, client, number
        self._events = client.events(number)

    def send(self, data: bytes) -> None:
        self._client.send(self._number, data, end=False)

    def finish(self) -> None:
        self._client.send(self._number, b"", end=True)
        self._sock.settimeout(0.3)  # some never end theirs
        while self.receive():
            pass

    def receive(self) -> bytes:
        for event in self._events:
            if isinstance(event, h2.events.DataReceived) and event.data:
                return event.data
            if isinstance(event, h2.events.StreamEnded):
                return b""
            if isinstance(event, h2.events.StreamReset):
                raise ConnectionResetError
        return b""


def talk(port: int, version: str, one: Talk, key: str) -> Answer:
    """Has one WebSocket; returns what its client has seen."""
    answer: Answer = {"end": "closed before an answer"}
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context((_opened1 if version == "1.1" else _opened2)(port, one, key, answer))
        except TimeoutError:
            answer["end"] = "nothing more came"
            return answer
        except (EOFError, ConnectionError, h2.exceptions.ProtocolError, h11.RemoteProtocolError):
            return answer
        if opened is not None:
            _say(opened, one, answer)
    return answer


def _say(wire: Wire, one: Talk, answer: Answer) -> None:
    frames, says, due = Frames(), list(one.says), one.waits
    answer["end"] = "closed"
    try:
        while not frames.closed:
            if says and len(frames.got) >= due:
                said = says.pop(0)
                if said == LEAVE:
                    answer["end"] = "left"
                    break
                wire.send(said)
                due = len(frames.got) + 1
                continue
            data = wire.receive()
            if not data:
                answer["end"] = "ended without closing"
                break
            frames.receive(data)
        for said in says:  # the answer to a Close frame
            wire.send(said)
        if frames.closed:
            with contextlib.suppress(TimeoutError):
                wire.finish()
    except TimeoutError:
        answer["end"] = "nothing more came"
    except (EOFError, ConnectionError, h2.exceptions.ProtocolError):
        answer["end"] = "closed" if frames.closed else "cut"
    answer["frames"] = frames.shown()


@contextmanager
def _opened1(port: int, one: Talk, key: str, answer: Answer) -> Iterator[Wire | None]:
    fields = [
        *("host: example.com", "connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13"),
        *(f"sec-websocket-key: {base64.b64encode(bytes(16)).decode()}", f"x-do: {one.do}", f"x-key: {key}"),
        *([f"sec-websocket-protocol: {one.protocols}"] if one.protocols else []),
    ]
    head = "\r\n".join(["GET /talk?a=b HTTP/1.1", *fields, "", ""]).encode()
    with connected(port) as sock:
        sock.sendall(head)
        client = h11.Connection(h11.CLIENT)
        client.send(
            h11.Request(method="GET", target="/", headers=[("host", "x"), ("upgrade", "w"), ("connection", "upgrade")])
        )
        client.send(h11.EndOfMessage())
        while (event := client.next_event()) is h11.NEED_DATA:
            client.receive_data(sock.recv(65536))
        assert isinstance(event, h11.InformationalResponse | h11.Response)
        answer |= {"status": event.status_code, "headers": plain(event.headers), "end": "cut"}
        if event.status_code == 101:
            yield Http1Wire(sock, client.trailing_data[0])
        else:
            body = b""
            while not isinstance(event, h11.EndOfMessage):
                event = client.next_event()
                if event is h11.NEED_DATA:
                    client.receive_data(sock.recv(65536))
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
            answer |= {"body": body, "end": "whole"}
            yield None


@contextmanager
def _opened2(port: int, one: Talk, key: str, answer: Answer) -> Iterator[Wire | None]:
    fields = [
        *((b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":path", b"/talk?a=b")),
        *((b":authority", b"example.com"), (b"sec-websocket-version", b"13"), (b"x-do", one.do.encode())),
        *((b"x-key", key.encode()), *([(b"sec-websocket-protocol", one.protocols.encode())] if one.protocols else [])),
    ]
    with connected(port) as sock:
        client = Client(sock)
        client.wait_settings()
        number = client.request(fields, end=False)
        wire = Http2Wire(sock, client, number)
        for event in client.events(number):
            if isinstance(event, h2.events.ResponseReceived):
                answer |= {"headers": [(n.decode(), v.decode()) for n, v in event.headers][1:], "end": "cut"}
                status = answer["status"] = int(dict(event.headers)[b":status"])
                if status == 200:
                    yield wire
                else:
                    body = b""
                    while data := wire.receive():
                        body += data
                    answer |= {"body": body, "end": "whole"}
                    yield None
                return
            if isinstance(event, h2.events.StreamReset):
                answer["end"] = "reset before an answer"
                break
        yield None

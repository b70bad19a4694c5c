"""Requests over HTTP/1.1 as they are written down, byte for byte, and what servers answer."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, TypeAlias

import h11

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Answer: TypeAlias = dict[str, object]
"""What a client has seen of one response."""
SECONDS = 20.0
"""How long a server may take for an answer."""


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A TCP connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


def exchange(port: int, parts: list[bytes], methods: list[str]) -> list[Answer]:
    """Sends *parts* over one connection, waiting for an interim response in between, and returns the answers.

    Args:
        port: the server's.
        parts: what is sent; whatever comes after the first part is sent when 100 has come, or a final response.
        methods: those of the requests in it.
    """
    answers: list[Answer] = []
    with connected(port) as sock:
        sock.sendall(parts[0])
        later = parts[1:]
        client = h11.Connection(h11.CLIENT)
        for method in methods:
            with contextlib.suppress(h11.RemoteProtocolError):
                if client.their_state is h11.DONE:
                    client.start_next_cycle()
            answer: Answer = {"end": "closed before an answer"}
            answers.append(answer)
            if client.their_state is not h11.IDLE and client.our_state is not h11.IDLE:
                return answers  # the server has closed, as it has said
            client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
            client.send(h11.EndOfMessage())
            _receive(sock, client, answer, later)
    return answers


def _receive(sock: socket.socket, client: h11.Connection, answer: Answer, later: list[bytes]) -> None:
    """Receives one response, and fills in what became of it."""
    body, interim = b"", []
    while True:
        try:
            event = client.next_event()
            if event is h11.NEED_DATA:
                client.receive_data(sock.recv(65536))
                continue
        except TimeoutError:
            answer["end"] = "nothing more came"
            break
        except (h11.RemoteProtocolError, ConnectionError):
            if "status" in answer:
                answer["end"] = "cut"
            break
        if isinstance(event, h11.InformationalResponse):
            interim.append(event.status_code)
        elif isinstance(event, h11.Response):
            answer |= {"status": event.status_code, "headers": plain(event.headers), "end": "cut"}
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            answer["end"] = "whole"
            if event.headers:
                answer["trailers"] = plain(event.headers)
            break
        else:
            break
        if later:
            with contextlib.suppress(OSError):
                sock.sendall(later.pop(0))
    answer["body"] = body
    if interim:
        answer["interim"] = interim


def plain(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Returns header fields as text."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def leave(port: int, request: bytes, until: bytes) -> None:
    """Sends *request*, waits until *until* has come, and closes the connection."""
    with connected(port) as sock:
        sock.sendall(request)
        seen = b""
        while until not in seen:
            data = sock.recv(65536)
            if not data:
                return
            seen += data

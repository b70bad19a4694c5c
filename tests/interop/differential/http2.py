"""Requests over HTTP/2 as they are written down, and what servers answer."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from tests.interop.differential.http1 import Answer, connected, plain

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    Fields = list[tuple[bytes, bytes]]


class Client:
    """One connection that sends what it is told to, right or wrong."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self._h2 = h2.connection.H2Connection(config)
        self._events: deque[h2.events.Event] = deque()
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(2**30)
        self._h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
        self.flush()

    def flush(self) -> None:
        """Writes what is to be written."""
        self._sock.sendall(self._h2.data_to_send())

    def wait_settings(self) -> None:
        """Waits until the server has said what it takes."""
        while not isinstance(self.next_event(), h2.events.RemoteSettingsChanged):
            pass

    def request(self, fields: Fields, *, end: bool = True) -> int:
        """Opens a stream."""
        number = self._h2.get_next_available_stream_id()
        self._h2.send_headers(number, fields, end_stream=end)
        self.flush()
        return number

    def send(self, number: int, data: bytes, *, end: bool, trailers: Fields | None = None, padding: int = 0) -> None:
        """Sends a body, as far as the window lets it go."""
        view = memoryview(data)
        while view or (end and not trailers):
            room = min(self._h2.local_flow_control_window(number) - padding - 1, 16000)
            if view and room <= 0:
                self._read()
                continue
            piece, view = view[:room], view[room:]
            self._h2.send_data(
                number, bytes(piece), end_stream=end and not view and not trailers, pad_length=padding or None
            )
            self.flush()
            if not view:
                break
        if trailers:
            self._h2.send_headers(number, trailers, end_stream=True)
            self.flush()

    def reset(self, number: int) -> None:
        """Gives a stream up."""
        self._h2.reset_stream(number, 8)
        self.flush()

    def next_event(self) -> h2.events.Event:
        """Waits for the next event.

        Raises:
            EOFError: the server has closed the connection.
            TimeoutError: nothing came.
        """
        while not self._events:
            self._read()
        return self._events.popleft()

    def _read(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise EOFError
        self._events += self._h2.receive_data(data)
        self.flush()

    def events(self, number: int) -> Iterator[h2.events.Event]:
        """Yields what concerns one stream, to its end."""
        while True:
            event = self.next_event()
            if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.flush()
            if isinstance(event, h2.events.ConnectionTerminated):
                raise EOFError
            if getattr(event, "stream_id", number) == number:
                yield event

    def wait_data(self, number: int) -> None:
        """Waits until some of a response's body has come."""
        for event in self.events(number):
            if isinstance(event, h2.events.DataReceived):
                return

    def answer(self, number: int) -> Answer:
        """Returns what became of a request."""
        answer: Answer = {"end": "closed before an answer"}
        body, interim = b"", []
        try:
            for event in self.events(number):
                if isinstance(event, h2.events.InformationalResponseReceived):
                    interim.append(int(dict(event.headers)[b":status"]))
                elif isinstance(event, h2.events.ResponseReceived):
                    fields = plain(event.headers)
                    answer |= {"status": int(dict(fields)[":status"]), "headers": fields[1:], "end": "cut"}
                elif isinstance(event, h2.events.TrailersReceived):
                    answer["trailers"] = plain(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    answer["end"] = "whole"
                    break
                elif isinstance(event, h2.events.StreamReset):
                    if "status" not in answer:
                        answer["end"] = "reset before an answer"
                    break
        except TimeoutError:
            answer["end"] = "nothing more came"
        except (EOFError, ConnectionError, h2.exceptions.ProtocolError):
            pass
        answer["body"] = body
        if interim:
            answer["interim"] = interim
        return answer


@contextmanager
def client(port: int) -> Iterator[Client]:
    """A connection whose server speaks HTTP/2 without being asked (RFC 9113 §3.3)."""
    with connected(port) as sock:
        yield Client(sock)

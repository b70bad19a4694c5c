"""Looks through everything one endpoint has sent for what RFC 9113 says that nobody may send.

It shares nothing with the library but hpack, which decodes the field blocks. What an endpoint may send often depends on
what it has received; here only those rules are checked that do not. `ScriptedPeer` checks windows and frame sizes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20

_FLAGS = {
    DATA: END_STREAM | PADDED,
    HEADERS: END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY,
    SETTINGS: ACK,
    PUSH_PROMISE: END_HEADERS | PADDED,
    PING: ACK,
    CONTINUATION: END_HEADERS,
}
_LENGTHS = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_ON_CONNECTION = {SETTINGS, PING, GOAWAY}
_AFTER_END = {WINDOW_UPDATE, PRIORITY, RST_STREAM}
_CONNECTION_SPECIFIC = {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
_REQUEST_PSEUDO = {b":method", b":scheme", b":authority", b":path"}
_is_name = re.compile(rb":?[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_is_value = re.compile(rb"(?![ \t])[^\x00\r\n]*(?<![ \t])").fullmatch


@dataclass
class _Auditor:
    client: bool
    complaints: list[str] = field(default_factory=list)
    decoder: hpack.Decoder = field(default_factory=lambda: hpack.Decoder(max_header_list_size=2**24))
    ended: set[int] = field(default_factory=set)
    reset: set[int] = field(default_factory=set)
    headed: set[int] = field(default_factory=set)
    highest: int = 0
    last_goaway: int = 2**31 - 1
    block: bytearray | None = None
    block_stream: int = 0
    block_ends: bool = False
    block_promises: bool = False
    promised: int = 0

    def complain(self, what: str) -> None:
        self.complaints.append(what)

    def run(self, octets: bytes) -> None:
        if self.client:
            if octets[:24] != PREFACE[: len(octets)]:
                self.complain("§3.4: the client's preface is not the first thing sent")
            octets = octets[24:]
        first = True
        while octets:
            length, kind, flags = int.from_bytes(octets[:3], "big"), octets[3], octets[4]
            target, payload = int.from_bytes(octets[5:9], "big"), octets[9 : 9 + length]
            octets = octets[9 + length :]
            if first and (kind != SETTINGS or flags & ACK):
                self.complain("§3.4: the first frame is not SETTINGS")
            first = False
            self.frame(kind, flags, target, payload)

    def frame(self, kind: int, flags: int, target: int, payload: bytes) -> None:
        stream = target & 0x7FFF_FFFF
        if target != stream:
            self.complain(f"§4.1: the reserved bit is set in a frame of type {kind}")
        if flags & ~_FLAGS.get(kind, 0):
            self.complain(f"§4.1: a frame of type {kind} has flags {flags:#x}")
        if kind > CONTINUATION:
            return
        if _LENGTHS.get(kind, len(payload)) != len(payload):
            self.complain(f"§4.2: a frame of type {kind} has {len(payload)} bytes")
        if self.block is not None and (kind != CONTINUATION or stream != self.block_stream):
            self.complain(f"§4.3: a field block is interrupted by a frame of type {kind}")
        if kind != WINDOW_UPDATE and bool(stream) is (kind in _ON_CONNECTION):
            self.complain(f"§6: a frame of type {kind} on stream {stream}")
        if stream:
            self.stream_state(kind, stream)
        if flags & PADDED and kind in (DATA, HEADERS, PUSH_PROMISE):
            size = payload[0]
            if any(payload[len(payload) - size :]):
                self.complain("§6.1: padding that is not zero")
            payload = payload[1 : len(payload) - size]
        if kind in (HEADERS, PUSH_PROMISE, CONTINUATION):
            self.fragment(kind, flags, stream, payload)
        elif kind == SETTINGS:
            self.settings(flags, payload)
        elif kind == GOAWAY:
            self.goaway(payload)
        elif kind == WINDOW_UPDATE and not 1 <= int.from_bytes(payload, "big") < 2**31:
            self.complain("§6.9: WINDOW_UPDATE out of range")
        if kind == RST_STREAM:
            self.reset.add(stream)
        elif kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended.add(stream)

    def stream_state(self, kind: int, stream: int) -> None:
        if stream in self.reset and kind != PRIORITY:
            self.complain(f"§5.1: a frame of type {kind} on stream {stream}, which was reset")
        elif stream in self.ended and kind not in (*_AFTER_END, CONTINUATION):
            self.complain(f"§5.1: a frame of type {kind} on stream {stream}, which was ended")
        if kind == PRIORITY:
            return
        if stream % 2 == 0:
            self.pushed_state(kind, stream)
        elif self.client:
            self.request_state(kind, stream)

    def pushed_state(self, kind: int, stream: int) -> None:
        if self.client:
            if kind not in (RST_STREAM, WINDOW_UPDATE):
                self.complain(f"§5.1.1: a client uses the even stream {stream}")
        elif stream > self.promised:
            self.complain(f"§5.1: a frame of type {kind} on stream {stream}, which was not promised")
        elif kind not in (HEADERS, CONTINUATION, RST_STREAM) and stream not in self.headed:
            self.complain(f"§5.1: a frame of type {kind} on reserved stream {stream}")

    def request_state(self, kind: int, stream: int) -> None:
        if stream > self.highest:
            if kind != HEADERS:
                self.complain(f"§5.1: a frame of type {kind} on idle stream {stream}")
            self.highest = stream
        elif kind == HEADERS and stream not in self.headed:
            self.complain(f"§5.1.1: stream {stream} is opened after stream {self.highest}")

    def settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK and payload:
            self.complain("§6.5: an acknowledgement with settings in it")
        if len(payload) % 6:
            self.complain("§6.5: settings of six bytes each")
        for start in range(0, len(payload) - 5, 6):
            code = int.from_bytes(payload[start : start + 2], "big")
            value = int.from_bytes(payload[start + 2 : start + 6], "big")
            if code == 2 and value > (1 if self.client else 0):
                self.complain(f"§6.5.2: ENABLE_PUSH {value}")
            if code == 4 and value > 2**31 - 1:
                self.complain(f"§6.5.2: INITIAL_WINDOW_SIZE {value}")
            if code == 5 and not 2**14 <= value < 2**24:
                self.complain(f"§6.5.2: MAX_FRAME_SIZE {value}")

    def goaway(self, payload: bytes) -> None:
        if len(payload) < 8:
            self.complain(f"§6.8: GOAWAY with {len(payload)} bytes")
        last = int.from_bytes(payload[:4], "big")
        if last > self.last_goaway:
            self.complain(f"§6.8: GOAWAY with {last} after {self.last_goaway}")
        self.last_goaway = min(last, self.last_goaway)

    def fragment(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind != CONTINUATION:
            self.block, self.block_stream, self.block_promises = bytearray(), stream, kind == PUSH_PROMISE
            self.block_ends = kind == HEADERS and bool(flags & END_STREAM)
            if kind == PUSH_PROMISE:
                self.promise(stream, int.from_bytes(payload[:4], "big"))
                payload = payload[4:]
            elif flags & WITH_PRIORITY:
                payload = payload[5:]
        if self.block is None:
            self.complain("§6.10: CONTINUATION without a field block")
            return
        self.block += payload
        if flags & END_HEADERS:
            fields = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(bytes(self.block), raw=True)]
            self.block = None
            self.section(stream, fields)

    def promise(self, stream: int, promised: int) -> None:
        if self.client:
            self.complain("§8.4: a client sends PUSH_PROMISE")
        if stream % 2 == 0:
            self.complain(f"§8.4.1: PUSH_PROMISE on stream {stream}")
        if promised % 2 or not self.promised < promised < 2**31:
            self.complain(f"§6.6: stream {promised} is promised after stream {self.promised}")
        self.promised = max(promised, self.promised)

    def section(self, stream: int, fields: list[tuple[bytes, bytes]]) -> None:
        for name, value in fields:
            if not _is_name(name) or not _is_value(value):
                self.complain(f"§8.2.1: field {name!r}: {value!r}")
            if name in _CONNECTION_SPECIFIC or (name == b"te" and value != b"trailers"):
                self.complain(f"§8.2.2: field {name!r}: {value!r}")
        names = [name for name, _ in fields]
        pseudo = [name for name in names if name.startswith(b":")]
        if names[: len(pseudo)] != pseudo:
            self.complain(f"§8.3: pseudo-header fields after others: {names}")
        if len(set(pseudo)) != len(pseudo):
            self.complain(f"§8.3: a pseudo-header field is repeated: {names}")
        if self.block_promises:
            self.promised_request(dict(fields), set(pseudo))
        elif stream in self.headed:
            if pseudo or not self.block_ends:
                self.complain(f"§8.1: trailers with pseudo-header fields, or without END_STREAM: {names}")
        elif self.client:
            self.headed.add(stream)
            self.request(dict(fields), set(pseudo))
        else:
            self.response(stream, dict(fields).get(b":status", b""), pseudo)

    def request(self, fields: dict[bytes, bytes], pseudo: set[bytes]) -> None:
        allowed = _REQUEST_PSEUDO
        if fields.get(b":method") == b"CONNECT":
            allowed = allowed | {b":protocol"} if b":protocol" in pseudo else {b":method", b":authority"}
        if pseudo - allowed or (allowed - {b":authority"}) - pseudo or not all(fields[name] for name in pseudo):
            self.complain(f"§8.3.1: a request with {sorted(pseudo)}")
        if fields.get(b"host", fields.get(b":authority")) != fields.get(b":authority"):
            self.complain("§8.3.1: host is not :authority")

    def promised_request(self, fields: dict[bytes, bytes], pseudo: set[bytes]) -> None:
        self.request(fields, pseudo)
        if fields.get(b":method") not in (b"GET", b"HEAD") or fields.get(b"content-length", b"0") != b"0":
            self.complain(f"§8.4: a promise of {fields.get(b':method')!r}, or of a request with content")
        if not fields.get(b":authority"):
            self.complain("§8.4: a promise without :authority")

    def response(self, stream: int, status: bytes, pseudo: list[bytes]) -> None:
        if pseudo != [b":status"] or not re.fullmatch(rb"[1-9]\d\d", status) or status == b"101":
            self.complain(f"§8.3.2: a response with {pseudo} and status {status!r}")
        if not status.startswith(b"1"):
            self.headed.add(stream)
        elif self.block_ends:
            self.complain("§8.1: an interim response with END_STREAM")


def audit(octets: bytes, *, client: bool) -> list[str]:
    """Returns what is wrong with everything that an endpoint has sent; whole frames only.

    Args:
        bytes: What was sent, from the first byte on.
        client: Whether a client sent it.
    """
    auditor = _Auditor(client)
    auditor.run(octets)
    return auditor.complaints

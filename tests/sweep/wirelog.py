"""What both sides of a connection put on the wire, and the rules that no cancellation may break.

The frames are parsed and the headers decoded anew from the recorded bytes, by nothing that the sessions use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import hpack
import trio

from trio_h2.testing import (
    CLIENT_PREFACE,
    DataFrame,
    FaultyStream,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PushPromiseFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)
from trio_h2.testing._frames import FRAME_HEADER_LENGTH, frame_length, parse_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_ERROR = 0x0
REFUSED_STREAM = 0x7
CANCEL = 0x8
CLIENT, SERVER = "client", "server"


class Tap(FaultyStream):
    """Passes everything through, and writes down what is sent.

    Args:
        transport: The stream below.
        log: Where it is written down.
        side: Who sends.
    """

    def __init__(self, transport: trio.abc.Stream, log: WireLog, side: str) -> None:
        super().__init__(transport)
        self._log = log
        self._side = side

    async def _send(self, data: memoryview) -> None:
        log, side = self._log, self._side
        # Bytes taken from the engine are owed to the wire: after a write that was cancelled, nothing may follow.
        assert side not in log.cut, f"the {side} goes on sending after a write that was cancelled"
        log.writes.append((side, bytes(data)))
        try:
            await super()._send(data)
        except trio.Cancelled:
            log.cut.add(side)
            raise


@dataclass
class Half:
    """One direction of one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    opened: bool = False
    ended: bool = False
    reset: int | None = None


class WireLog:
    """The writes of both sides, in order.

    Attributes:
        writes: Who wrote what.
        cut: Who was cancelled in a write.
    """

    def __init__(self) -> None:
        self.writes: list[tuple[str, bytes]] = []
        self.cut: set[str] = set()
        # What was parsed and walked through so far.
        self._frames: list[tuple[str, Frame]] = []
        self._halves: dict[tuple[str, int], Half] = {}
        self._rest = {CLIENT: bytearray(), SERVER: bytearray()}
        self._decoders = {CLIENT: hpack.Decoder(), SERVER: hpack.Decoder()}
        self._begun = False
        self._newest = self._newest_push = 0
        self._parsed = self._played = 0

    def tap(self, transport: trio.abc.Stream, side: str) -> Tap:
        """Returns the transport with its sending written down."""
        return Tap(transport, self, side)

    def frames(self) -> list[tuple[str, Frame]]:
        """Returns who sent which frame; what the last write of a side left unfinished fails."""
        for side, data in self.writes[self._parsed :]:
            buffer = self._rest[side]
            buffer += data
            if side == CLIENT and not self._begun:
                assert buffer.startswith(CLIENT_PREFACE), f"no preface: {bytes(buffer[:32])!r}"
                del buffer[: len(CLIENT_PREFACE)]
                self._begun = True
            while len(buffer) >= FRAME_HEADER_LENGTH:
                size = FRAME_HEADER_LENGTH + frame_length(bytes(buffer[:FRAME_HEADER_LENGTH]))
                if len(buffer) < size:
                    break
                self._frames.append((side, parse_frame(bytes(buffer[:size]))))
                del buffer[:size]
        self._parsed = len(self.writes)
        assert not any(self._rest.values()), f"a frame was cut: {self._rest}"
        return self._frames

    def goaways(self, side: str) -> list[int]:
        """Returns the codes of the GOAWAY frames of a side."""
        return [frame.code for sender, frame in self.frames() if sender == side and isinstance(frame, GoAwayFrame)]

    def data_sent(self, side: str) -> int:
        """Returns the flow-controlled bytes that a side sent."""
        return sum(
            frame.flow_controlled_length
            for sender, frame in self.frames()
            if sender == side and isinstance(frame, DataFrame)
        )

    def check(self, complete: Mapping[str, tuple[bytes, bytes]], *, may_refuse: bool = False) -> None:
        """Fails if a side has broken a rule.

        Args:
            complete: For each path the whole bodies of request and response; no other body may be ended.
            may_refuse: Whether the server may refuse streams that it has not begun to answer.
        """
        halves = self._play()
        for (side, stream_id), half in halves.items():
            path = halves[CLIENT, stream_id].headers[":path"]
            whole = complete[path][side == SERVER]
            what = f"{side} on stream {stream_id} ({path})"
            if half.ended:
                # A cut body never looks complete.
                assert bytes(half.body) == whole, f"{what}: ended with {len(half.body)} of {len(whole)} bytes"
            else:
                assert whole.startswith(half.body), f"{what}: not what was to be sent"
            if not (may_refuse and half.reset == REFUSED_STREAM and side == SERVER and not half.headers):
                assert half.reset in (None, NO_ERROR, CANCEL), f"{what}: reset with code {half.reset}"
            status = half.headers.get(":status", "200")
            assert status in ("100", "103", "200"), f"{what}: status {status}"
        for side in (CLIENT, SERVER):
            codes = self.goaways(side)
            assert not any(codes), f"the {side} found something wrong: GOAWAY {codes}"

    def _play(self) -> dict[tuple[str, int], Half]:
        """Walks through the frames, stream by stream (RFC 9113 §5.1)."""
        frames = self.frames()
        for side, frame in frames[self._played :]:
            if frame.stream_id:
                self._play_frame(side, frame)
        self._played = len(frames)
        return self._halves

    def _play_frame(self, side: str, frame: Frame) -> None:
        stream_id = frame.stream_id
        if (CLIENT, stream_id) not in self._halves:
            # RFC 9113 §6.4: "RST_STREAM frames MUST NOT be sent for a stream in the "idle" state."
            assert side == CLIENT, f"the {side} used an idle stream: {frame!r}"
            assert isinstance(frame, HeadersFrame), f"the {side} used an idle stream: {frame!r}"
            assert stream_id > self._newest, f"stream {stream_id} after {self._newest}"
            self._newest = stream_id
        half = self._halves.setdefault((side, stream_id), Half())
        assert half.reset is None, f"the {side} sent this after RST_STREAM: {frame!r}"
        if half.ended:
            assert isinstance(frame, RstStreamFrame | WindowUpdateFrame), f"the {side} had ended: {frame!r}"
        match frame:
            case PushPromiseFrame():
                self._promise(side, frame)
            case HeadersFrame():
                fields = self._decoders[side].decode(frame.fragment)
                if not half.opened:
                    half.headers = {str(name): str(value) for name, value in fields}
                    half.opened = not half.headers.get(":status", "200").startswith("1")
                else:
                    assert frame.end_stream, f"the {side} sent trailers without END_STREAM: {frame!r}"
                half.ended = frame.end_stream
            case DataFrame():
                assert half.opened, f"the {side} sent DATA before its headers: {frame!r}"
                half.body += frame.data
                half.ended = frame.end_stream
            case RstStreamFrame():
                half.reset = frame.code

    def _promise(self, side: str, frame: PushPromiseFrame) -> None:
        """Makes a stream of a promise, the client's side of which has ended (RFC 9113 §8.4)."""
        promised = frame.promised_stream_id
        assert side == SERVER, "a client cannot push"
        assert promised % 2 == 0
        assert promised > self._newest_push, f"stream {promised} was promised after {self._newest_push}"
        self._newest_push = promised
        fields = {str(name): str(value) for name, value in self._decoders[side].decode(frame.fragment)}
        self._halves[CLIENT, promised] = Half(headers=fields, opened=True, ended=True)
        self._halves[SERVER, promised] = Half()

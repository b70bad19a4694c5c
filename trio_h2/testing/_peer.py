"""A scripted HTTP/2 peer: the test says frame by frame what it sends and what it wants to see.

It is built on hyperframe and hpack only, so it shares no code, and therefore no mistake, with the
engine that it tests. It sends any frame, right or wrong; what comes is read and judged by a `FrameReceiver`.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Self, TypeVar

import hpack
import trio
import trio.testing

from ._field_blocks import Number, field_pair, setting_pairs, split_block
from ._frames import (
    CLIENT_PREFACE,
    DataFrame,
    Frame,
    FrameFlag,
    FrameType,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    Priority,
    RstStreamFrame,
    SettingCode,
    SettingsFrame,
    WindowUpdateFrame,
    pack_frame,
)
from ._limits import Limits
from ._receiver import FrameReceiver, PeerClosedError

if TYPE_CHECKING:
    from types import TracebackType

    from ._field_blocks import FieldsInput, SettingsInput

FrameT = TypeVar("FrameT", bound=Frame)


class ScriptedPeer:
    """One end of an HTTP/2 connection, played by a test.

    It has no task of its own: it reads, and so acknowledges, only while one of its receiving methods
    runs. Leaving `async with` closes the transport without a word.

    The expecting methods skip frames for which `is_routine` is true unless one of them is asked for;
    any other frame fails the test, with a list of what came before. Attributes are compared with `==`;
    a set stands for "one of these". Frames that are skipped by `until` are gone (but still in `frames`);
    those that `pick` and `collect_body` pass over stay for the next call.

    Example:
        A client under test gets a response that is cut off::

            client_end, peer_end = memory_transports()
            async with ScriptedPeer(peer_end, client=False) as peer:
                await peer.handshake()
                request = await peer.expect_headers(end_stream=True)
                await peer.send_headers(request.stream_id, {":status": "200"})
                await peer.send_rst(request.stream_id, ErrorCode.INTERNAL_ERROR)
                await peer.expect_nothing()

    Args:
        transport: Any Trio stream, which the peer owns from now on.
        client: Whether the peer plays the client.
        auto_ack: Whether SETTINGS and PING are acknowledged as soon as they are read.
        timeout: Seconds of Trio's clock to wait for a frame before the test is failed. With an
            autojump clock this costs no time; raise it where a test waits for a long timeout.

    Attributes:
        transport: The stream below.
        client: As the argument.
        auto_ack: As the argument; may be changed at any time.
        timeout: As the argument; may be changed at any time.
    """

    def __init__(
        self, transport: trio.abc.Stream, *, client: bool, auto_ack: bool = True, timeout: float = 10.0
    ) -> None:
        self.transport = transport
        self.client = client
        self.auto_ack = auto_ack
        self.timeout: float = timeout
        self._limits = Limits()
        self._encoder = hpack.Encoder()
        self._turn = trio.StrictFIFOLock()
        """Several tasks may send: frames stay whole, and field blocks with their CONTINUATION frames together."""
        self._batch: bytearray | None = None
        self._receiver = FrameReceiver(transport, self._limits)
        self._queue: collections.deque[Frame] = collections.deque()
        """Frames that were read and left for the next receiving call."""
        self._unanswered: Frame | None = None
        self._next_stream_id = 1 if client else 2

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await trio.aclose_forcefully(self.transport)

    # ---- Whole steps of the protocol ----

    async def handshake(self, settings: SettingsInput[Number] = (), *, wait_ack: bool = True) -> SettingsFrame:
        """Opens the connection: preface, SETTINGS both ways, acknowledgements both ways.

        Other frames that come meanwhile stay for the next receiving call.

        Args:
            settings: The peer's own settings.
            wait_ack: Whether to wait until the other side has acknowledged them, so that they are in force.

        Returns:
            The other side's SETTINGS.
        """
        if self.client:
            async with self.batch():
                await self.send_preface()
                await self.send_settings(settings)
        else:
            await self.receive_preface()
            await self.send_settings(settings)
        first = await self._read_frame()
        if not isinstance(first, SettingsFrame) or first.ack:
            # RFC 9113 §3.4: "This sequence MUST be followed by a SETTINGS frame"; for the server:
            # it "MUST be the first frame the server sends".
            raise AssertionError(f"the first frame is not SETTINGS but {first!r}")
        if wait_ack:
            await self.pick(SettingsFrame, ack=True)
        return first

    async def request(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        scheme: str = "https",
        authority: str = "localhost",
        headers: FieldsInput = (),
        body: bytes | None = None,
        end_stream: bool = True,
    ) -> int:
        """Sends a request on the next stream of this side.

        Args:
            method: `:method`.
            path: `:path`.
            scheme: `:scheme`.
            authority: `:authority`.
            headers: The other fields.
            body: The content, sent as the windows allow.
            end_stream: Whether the request ends here.

        Returns:
            The stream's id.
        """
        stream_id = self.next_stream_id()
        pseudo = {":method": method, ":scheme": scheme, ":authority": authority, ":path": path}
        await self._send_message(stream_id, pseudo, headers, body, end_stream)
        return stream_id

    async def respond(
        self,
        stream_id: int,
        status: int = 200,
        *,
        headers: FieldsInput = (),
        body: bytes | None = None,
        end_stream: bool = True,
    ) -> None:
        """Sends a response; the arguments are those of `request`."""
        await self._send_message(stream_id, {":status": str(status)}, headers, body, end_stream)

    def next_stream_id(self) -> int:
        """Returns the next unused stream id of this side and uses it up."""
        stream_id = self._next_stream_id
        self._next_stream_id += 2
        return stream_id

    async def send_body(self, stream_id: int, data: bytes, *, end_stream: bool = True) -> None:
        """Sends content in DATA frames no longer and no faster than the other side allows.

        Frames that come meanwhile stay for the next receiving call.
        """
        view = memoryview(data)
        limits = self._limits
        while view:
            credit = min(self.send_window(stream_id), self.send_window(), limits.their_max_frame_size)
            if credit <= 0:
                self._queue.append(await self._read_frame())
                continue
            piece, view = bytes(view[:credit]), view[credit:]
            await self.send_data(stream_id, piece, end_stream=end_stream and not view)
        if end_stream and not data:
            await self.send_data(stream_id, end_stream=True)

    async def ping(self, data: bytes = b"roundtrp") -> None:
        """Sends PING and waits for its answer: all that was sent before has then been processed.

        Frames that come meanwhile stay for the next receiving call.
        """
        await self.send_ping(data)
        await self.pick(PingFrame, ack=True, data=data)

    # ---- Any frame, right or wrong: nothing checks whether the protocol allows it ----

    def send_window(self, stream_id: int = 0) -> int:
        """Returns the credit the other side has granted and this one has not used.

        It counts what has been *received* so far: WINDOW_UPDATE frames still in the transport are
        not in it. It falls below zero if more was sent than allowed.

        Args:
            stream_id: The stream, or 0 for the connection.
        """
        return self._limits.theirs.get(stream_id)

    def receive_window(self, stream_id: int = 0) -> int:
        """Returns the credit this side has granted and the other one has not used, as far as is known.

        Args:
            stream_id: The stream, or 0 for the connection.
        """
        return self._limits.ours.get(stream_id)

    async def send_bytes(self, data: bytes) -> None:
        """Sends bytes as they are. What they mean is not tracked."""
        if self._batch is not None:
            self._batch += data
            await trio.lowlevel.checkpoint()
            return
        async with self._turn:
            await self.transport.send_all(data)

    @contextlib.asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """Collects all that is sent inside the block and sends it as one write at its end.

        If the block raises, nothing of it is sent.
        """
        if self._batch is not None:
            raise RuntimeError("a batch is already open")
        self._batch = batch = bytearray()
        try:
            yield
        finally:
            self._batch = None
        await self.send_bytes(bytes(batch))

    async def send_eof(self) -> None:
        """Ends the sending direction of the transport; receiving goes on.

        Raises:
            TypeError: The transport cannot be closed in one direction only.
        """
        if not isinstance(self.transport, trio.abc.HalfCloseableStream):
            raise TypeError(f"{self.transport!r} cannot be half-closed")
        async with self._turn:
            await self.transport.send_eof()

    async def aclose(self) -> None:
        """Closes the transport without a word."""
        await self.transport.aclose()

    async def send_raw_frame(
        self, type: int, flags: int, stream_id: int, payload: bytes = b"", *, length: int | None = None
    ) -> None:
        """Sends a frame of any type with any content.

        The windows are not adjusted; SETTINGS sent this way are expected to be acknowledged but their
        content isn't applied.

        Args:
            type: The frame type, also one that doesn't exist.
            flags: All flag bits.
            stream_id: 32 bits, the reserved one included.
            payload: What follows the frame header.
            length: What the frame header says instead of the payload's real length.
        """
        if type == FrameType.SETTINGS and not flags & FrameFlag.ACK:
            self._limits.settings_sent(())
        await self.send_bytes(pack_frame(type, flags, stream_id, payload, length=length))

    async def send_preface(self, preface: bytes = CLIENT_PREFACE) -> None:
        """Sends the client's connection preface (RFC 9113 §3.4), without the SETTINGS after it."""
        await self.send_bytes(preface)

    async def send_settings(self, settings: SettingsInput[Number] = (), *, ack: bool = False) -> None:
        """Sends SETTINGS, or its acknowledgement.

        Args:
            settings: Numbers (see `SettingCode`) and values.
            ack: Whether to set ACK. No settings belong into such a frame, but they would be sent.
        """
        pairs = setting_pairs(settings)
        if not ack:
            self._limits.settings_sent(pairs)
        payload = b"".join(struct.pack(">HL", identifier, value) for identifier, value in pairs)
        flags = FrameFlag.ACK if ack else FrameFlag.NONE
        await self.send_bytes(pack_frame(FrameType.SETTINGS, flags, 0, payload))

    async def send_headers(
        self,
        stream_id: int,
        fields: FieldsInput | bytes,
        *,
        end_stream: bool = False,
        end_headers: bool = True,
        padding: int | None = None,
        priority: Priority | None = None,
        split: int | Sequence[int] | None = None,
    ) -> None:
        """Sends a field block as HEADERS and, if need be, CONTINUATION frames, all in one write.

        Args:
            stream_id: The stream.
            fields: The header or trailer fields. Pairs may be `hpack.NeverIndexedHeaderTuple`. `bytes`
                are taken as an encoded block and sent unchanged.
            end_stream: Whether to set END_STREAM.
            end_headers: Whether to set END_HEADERS on the last frame.
            padding: Bytes of padding in the HEADERS frame; None sends it unpadded.
            priority: A priority signal for the HEADERS frame.
            split: Bytes of the block for each frame, or for the first frames one after the other.
                By default the frames are as long as the other side allows.
        """
        flags = FrameFlag.END_STREAM if end_stream else FrameFlag.NONE
        prefix = b""
        if priority is not None:
            flags |= FrameFlag.PRIORITY
            prefix = priority.pack()
        await self._send_block(FrameType.HEADERS, flags, stream_id, prefix, fields, end_headers, padding, split)

    async def send_push_promise(
        self,
        stream_id: int,
        promised_stream_id: int,
        fields: FieldsInput | bytes,
        *,
        end_headers: bool = True,
        padding: int | None = None,
        split: int | Sequence[int] | None = None,
    ) -> None:
        """Sends PUSH_PROMISE; the arguments are those of `send_headers`."""
        prefix = struct.pack(">L", promised_stream_id)
        kind, flags = FrameType.PUSH_PROMISE, FrameFlag.NONE
        await self._send_block(kind, flags, stream_id, prefix, fields, end_headers, padding, split)

    async def send_continuation(self, stream_id: int, fragment: bytes, *, end_headers: bool = True) -> None:
        """Sends one CONTINUATION frame with a part of an encoded block."""
        flags = FrameFlag.END_HEADERS if end_headers else FrameFlag.NONE
        await self.send_bytes(pack_frame(FrameType.CONTINUATION, flags, stream_id, fragment))

    async def send_data(
        self, stream_id: int, data: bytes = b"", *, end_stream: bool = False, padding: int | None = None
    ) -> None:
        """Sends one DATA frame, whether or not the windows allow it.

        Args:
            stream_id: The stream.
            data: The content.
            end_stream: Whether to set END_STREAM.
            padding: Bytes of padding; None sends the frame unpadded, 0 with a pad length of 0.
        """
        flags = FrameFlag.END_STREAM if end_stream else FrameFlag.NONE
        payload = data
        if padding is not None:
            flags |= FrameFlag.PADDED
            payload = bytes([padding]) + data + bytes(padding)
        self._limits.theirs.spend(stream_id, len(payload))
        await self.send_bytes(pack_frame(FrameType.DATA, flags, stream_id, payload))

    async def send_priority(self, stream_id: int, priority: Priority | None = None) -> None:
        """Sends PRIORITY."""
        payload = (priority or Priority()).pack()
        await self.send_bytes(pack_frame(FrameType.PRIORITY, FrameFlag.NONE, stream_id, payload))

    async def send_rst(self, stream_id: int, code: int = 0x8) -> None:
        """Sends RST_STREAM, with CANCEL unless *code* is another one."""
        payload = struct.pack(">L", code)
        await self.send_bytes(pack_frame(FrameType.RST_STREAM, FrameFlag.NONE, stream_id, payload))

    async def send_ping(self, data: bytes = bytes(8), *, ack: bool = False) -> None:
        """Sends PING, or its acknowledgement. *data* has eight bytes unless it is to be wrong."""
        flags = FrameFlag.ACK if ack else FrameFlag.NONE
        await self.send_bytes(pack_frame(FrameType.PING, flags, 0, data))

    async def send_goaway(self, last_stream_id: int = 0, code: int = 0x0, debug: bytes = b"") -> None:
        """Sends GOAWAY, with NO_ERROR unless *code* is another one."""
        payload = struct.pack(">LL", last_stream_id, code) + debug
        await self.send_bytes(pack_frame(FrameType.GOAWAY, FrameFlag.NONE, 0, payload))

    async def send_window_update(self, stream_id: int, increment: int) -> None:
        """Sends WINDOW_UPDATE and counts it as granted, even if the increment is not allowed."""
        self._limits.ours.grant(stream_id, increment)
        payload = struct.pack(">L", increment)
        await self.send_bytes(pack_frame(FrameType.WINDOW_UPDATE, FrameFlag.NONE, stream_id, payload))

    def encode(self, fields: FieldsInput) -> bytes:
        """Returns a field block, encoded with this connection's HPACK state.

        The block has to be sent, and before any other that is encoded later; else the other side's
        decoder is out of step.
        """
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        return self._encoder.encode([field_pair(pair) for pair in pairs])

    # ---- Receiving ----

    async def receive_frame(self) -> Frame:
        """Returns the next frame: first those that another method has read and left, then new ones.

        HEADERS and PUSH_PROMISE come when their field block is complete; their CONTINUATION frames
        don't come on their own.

        Raises:
            PeerClosedError: The other side closed the transport.
            AssertionError: The other side broke the protocol, or nothing came in time.
        """
        if self._queue:
            await trio.lowlevel.checkpoint()
            return self._queue.popleft()
        return await self._read_frame()

    async def receive_preface(self) -> None:
        """Reads the client's connection preface (RFC 9113 §3.4)."""
        with trio.move_on_after(self.timeout) as scope:
            await self._receiver.receive_preface()
        assert not scope.cancelled_caught, f"no client preface came, only {self._receiver.begun!r}"

    def is_routine(self, frame: Frame) -> bool:
        """Whether a frame is mere housekeeping, which most tests don't want to see.

        These are acknowledged SETTINGS, WINDOW_UPDATE, and PING while it is answered automatically.
        """
        match frame:
            case SettingsFrame(ack=True) | WindowUpdateFrame():
                return True
            case PingFrame(ack=False):
                return self.auto_ack
            case _:
                return False

    @property
    def frames(self) -> list[Frame]:
        """All frames ever read, in the order of the wire."""
        return self._receiver.frames

    def history(self, count: int = 12) -> str:
        """Returns the last received frames as text, one in a line."""
        return self._receiver.history(count)

    # ---- Expectations ----

    async def expect(self, kind: type[FrameT], *, strict: bool = False, **attributes: object) -> FrameT:
        """Returns the next frame, which must be of a kind and have these attributes.

        Args:
            kind: The class of the frame.
            strict: Whether routine frames fail the test too.
            **attributes: Attributes of that class, `stream_id` among them.
        """
        return await self._expect(kind, attributes, strict=strict)

    async def until(self, kind: type[FrameT], **attributes: object) -> FrameT:
        """Returns the next frame of a kind with these attributes and drops all frames before it."""
        wanted = _describe(kind, attributes)
        while True:
            frame = await self._receive_for(wanted)
            if isinstance(frame, kind) and _matches(frame, attributes):
                return frame

    async def pick(self, kind: type[FrameT], **attributes: object) -> FrameT:
        """Returns the next frame of a kind with these attributes and leaves all others where they are."""
        wanted = _describe(kind, attributes)
        for index, queued in enumerate(self._queue):
            if isinstance(queued, kind) and _matches(queued, attributes):
                await trio.lowlevel.checkpoint()
                del self._queue[index]
                return queued
        while True:
            frame = await self._receive_for(wanted, queued=False)
            if isinstance(frame, kind) and _matches(frame, attributes):
                return frame
            self._queue.append(frame)

    async def expect_headers(
        self,
        stream_id: int | None = None,
        *,
        status: int | None = None,
        end_stream: bool | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> HeadersFrame:
        """Expects a field block. None leaves an attribute open; *fields* must be there among others."""
        frame = await self._expect(HeadersFrame, _given(stream_id=stream_id, status=status, end_stream=end_stream))
        for name, value in (fields or {}).items():
            assert frame.get(name) == value, f"expected {name}: {value}\nbut got  {frame!r}"
        return frame

    async def expect_data(
        self, stream_id: int | None = None, data: bytes | None = None, *, end_stream: bool | None = None
    ) -> DataFrame:
        """Expects one DATA frame. None leaves an attribute open."""
        return await self._expect(DataFrame, _given(stream_id=stream_id, data=data, end_stream=end_stream))

    async def expect_rst(self, stream_id: int, code: int | set[int] | None = None) -> RstStreamFrame:
        """Expects RST_STREAM on a stream, with one code, one of several, or any."""
        return await self._expect(RstStreamFrame, _given(stream_id=stream_id, code=code))

    async def expect_goaway(
        self, code: int | set[int] | None = None, *, last_stream_id: int | None = None
    ) -> GoAwayFrame:
        """Expects GOAWAY, with one code, one of several, or any."""
        return await self._expect(GoAwayFrame, _given(code=code, last_stream_id=last_stream_id))

    async def expect_connection_error(self, code: int | set[int] | None = None) -> GoAwayFrame:
        """Expects what RFC 9113 §5.4.1 demands after a connection error: GOAWAY, then the end.

        Frames that were underway before GOAWAY are dropped.
        """
        goaway = await self.until(GoAwayFrame)
        assert _matches(goaway, _given(code=code)), f"expected code {code!r}, got {goaway!r}"
        await self.expect_eof()
        return goaway

    async def expect_eof(self) -> None:
        """Expects the end of the transport, at a frame boundary. Routine frames before it are skipped."""
        while True:
            try:
                frame = await self.receive_frame()
            except PeerClosedError as exc:
                if exc.partial:
                    raise
                return
            if not self.is_routine(frame):
                raise AssertionError(f"expected the end\nbut got  {frame!r}\n{self.history()}")

    async def expect_nothing(self, seconds: float = 0.0, *, strict: bool = False) -> None:
        """Expects that no frame comes, nor the end, until all tasks are blocked.

        This is exact with in-memory transports only; with sockets the other side may be slow.

        Args:
            seconds: How long to go on waiting on Trio's clock; costs no time with an autojump clock.
            strict: Whether routine frames fail the test too.
        """
        surprises: list[str] = []
        timeout, self.timeout = self.timeout, float("inf")

        async def watch() -> None:
            try:
                while not surprises:
                    frame = await self.receive_frame()
                    if strict or not self.is_routine(frame):
                        surprises.append(repr(frame))
            except AssertionError as exc:
                surprises.append(str(exc))

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                await trio.sleep(seconds)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        finally:
            self.timeout = timeout
        assert not surprises, f"expected nothing\nbut got  {surprises[0]}\n{self.history()}"

    async def collect_body(self, stream_id: int, *, grant: bool = True) -> bytes:
        """Returns the content of a message, up to END_STREAM.

        Trailers stay for `expect_headers`, frames of other streams for whoever wants them.

        Args:
            stream_id: The stream.
            grant: Whether to give back the credit of each DATA frame, for stream and connection.
        """
        body = bytearray()
        while True:
            frame = await self.pick(Frame, stream_id=stream_id)
            match frame:
                case DataFrame():
                    body += frame.data
                    if grant and frame.flow_controlled_length:
                        await self._give_back(frame)
                    if frame.end_stream:
                        return bytes(body)
                case HeadersFrame(end_stream=True):
                    self._queue.appendleft(frame)
                    return bytes(body)
                case _ if not self.is_routine(frame):
                    raise AssertionError(f"the body was interrupted by {frame!r}\n{self.history()}")

    # ---- Inside ----

    async def _send_block(
        self,
        kind: FrameType,
        flags: FrameFlag,
        stream_id: int,
        prefix: bytes,
        fields: FieldsInput | bytes,
        end_headers: bool,
        padding: int | None,
        split: int | Sequence[int] | None,
    ) -> None:
        block = fields if isinstance(fields, bytes) else self.encode(fields)
        overhead = len(prefix)
        if padding is not None:
            flags |= FrameFlag.PADDED
            prefix = bytes([padding]) + prefix
            overhead += 1 + padding
        parts = split_block(block, split, self._limits.their_max_frame_size, overhead)
        frames = bytearray()
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            end = FrameFlag.END_HEADERS if last and end_headers else FrameFlag.NONE
            if number == 0:
                payload = prefix + part + bytes(padding or 0)
                frames += pack_frame(kind, flags | end, stream_id, payload)
            else:
                frames += pack_frame(FrameType.CONTINUATION, end, stream_id, part)
        await self.send_bytes(bytes(frames))

    async def _read_frame(self) -> Frame:
        """Reads a frame from the transport, past the queue."""
        with trio.move_on_after(self.timeout) as scope:
            # If the answer is cancelled the frame must not be lost: the next call begins with it.
            self._unanswered = frame = self._unanswered or await self._read_new()
            await self._answer(frame)
            self._unanswered = None
        if scope.cancelled_caught:
            raise AssertionError(f"nothing came within {self.timeout:g} seconds\n{self.history()}")
        return frame

    async def _read_new(self) -> Frame:
        frame = await self._receiver.receive()
        if isinstance(frame, SettingsFrame) and not frame.ack:
            # RFC 7541 §4.2: the encoder's table stays within what the other side allows.
            size = frame.settings.get(SettingCode.HEADER_TABLE_SIZE)
            if size is not None and size < self._encoder.header_table_size:
                self._encoder.header_table_size = size
        return frame

    async def _answer(self, frame: Frame) -> None:
        try:
            match frame:
                case SettingsFrame(ack=False) if self.auto_ack:
                    await self.send_settings(ack=True)
                case PingFrame(ack=False) if self.auto_ack:
                    await self.send_ping(frame.data, ack=True)
        except trio.BrokenResourceError:
            # The other side is gone already; whoever reads on will find that out.
            pass

    async def _expect(self, kind: type[FrameT], attributes: Mapping[str, object], *, strict: bool = False) -> FrameT:
        wanted = _describe(kind, attributes)
        while True:
            frame = await self._receive_for(wanted)
            if isinstance(frame, kind) and _matches(frame, attributes):
                return frame
            if strict or not self.is_routine(frame):
                raise AssertionError(f"expected {wanted}\nbut got  {frame!r}\n{self.history()}")

    async def _give_back(self, frame: DataFrame) -> None:
        await self.send_window_update(0, frame.flow_controlled_length)
        if not frame.end_stream:
            await self.send_window_update(frame.stream_id, frame.flow_controlled_length)

    async def _send_message(
        self, stream_id: int, pseudo: Mapping[str, str], headers: FieldsInput, body: bytes | None, end_stream: bool
    ) -> None:
        others = headers.items() if isinstance(headers, Mapping) else headers
        pairs: list[tuple[str | bytes, str | bytes]] = [*pseudo.items(), *others]
        await self.send_headers(stream_id, pairs, end_stream=end_stream and body is None)
        if body is not None:
            await self.send_body(stream_id, body, end_stream=end_stream)

    async def _receive_for(self, wanted: str, *, queued: bool = True) -> Frame:
        try:
            return await (self.receive_frame() if queued else self._read_frame())
        except PeerClosedError as exc:
            raise PeerClosedError(f"expected {wanted}\nbut {exc}", exc.partial) from exc.__cause__
        except AssertionError as exc:
            raise AssertionError(f"expected {wanted}\nbut {exc}") from exc.__cause__


def _given(**attributes: object) -> dict[str, object]:
    """Leaves out the attributes that the test doesn't care about."""
    return {name: value for name, value in attributes.items() if value is not None}


def _matches(frame: Frame, attributes: Mapping[str, object]) -> bool:
    for name, wanted in attributes.items():
        actual: object = getattr(frame, name)
        if isinstance(wanted, set | frozenset):
            if actual not in wanted:
                return False
        elif actual != wanted:
            return False
    return True


def _describe(kind: type[Frame], attributes: Mapping[str, object]) -> str:
    for name in attributes:
        if name not in {field.name for field in dataclasses.fields(kind)} and not hasattr(kind, name):
            raise TypeError(f"{kind.__name__} has no attribute {name!r}")
    return f"{kind.__name__}({', '.join(f'{name}={value!r}' for name, value in attributes.items())})"

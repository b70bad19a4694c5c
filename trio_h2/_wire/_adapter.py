"""h2, with its traps closed. The only module that imports it.

h2 keeps the HPACK state, the settings, the send windows and the state machine of every stream, and makes the frames.
What it must not do is decide: it answers many stream errors with the end of the connection, takes GOAWAY for the end,
sends resets of its own, and checks headers only while it already encodes them. So `Connection` hands every received
frame to the engine, which checks it first and then moves h2's state machines on; and everything sent was checked by
the engine before.

Private methods of h2 and hpack that are overridden or called here are covered by contract tests
(tests/wire/test_contract.py).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.exceptions
import h2.settings
from h2.connection import AllowedStreamIDs, ConnectionInputs, H2Connection
from h2.stream import StreamInputs, StreamState
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
)

from ._codes import ErrorCode, Role, SettingCode
from ._failure import SessionFaultError, StreamFaultError
from ._framing import FrameReader, frame_flags
from ._old_hpack import CappedEncoder, LinearDecoder
from ._padding import PaddingStrategy, padding_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from h2.stream import H2Stream

    from ._headers import RawField

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113 §3.4."""

DECODER_SLACK = 4
"""How far the decoder goes beyond the advertised header list size, so that a list which is only somewhat too large
can be answered with 431 instead of ending the session: a block that is not decoded leaves HPACK out of step."""


class Connection(H2Connection):
    """One HTTP/2 connection; see the module's docstring.

    Args:
        role: which end this is.
        local: our initial SETTINGS, by number; they are put into the output by `start`.
        max_encoder_table_size: bound of the HPACK table for what we send, octets.
        max_header_list_size: what the decoder must at least accept, octets.
        on_frame: called with every received frame, in order.
    """

    def __init__(
        self,
        role: Role,
        local: dict[int, int],
        *,
        max_encoder_table_size: int,
        max_header_list_size: int,
        on_frame: Callable[[Frame | StreamFaultError], None],
    ) -> None:
        client = role is Role.CLIENT
        super().__init__(
            h2.config.H2Configuration(
                client_side=client,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
            )
        )
        self._on_frame = on_frame
        self._initial = local
        self._chunks: list[bytes] = []
        self.output_size = 0
        self.output_frames = 0
        self.sent_on: set[int] = set()
        """Streams with frames in the output."""
        self.padding = PaddingStrategy.NONE
        self.reader = FrameReader(preface=b"" if client else PREFACE)
        self.incoming_buffer = self.reader  # type: ignore[assignment]  # has what h2 uses
        self._frame_dispatch_table = {}  # unused, and its bound methods would be a reference cycle
        self.encoder = CappedEncoder()
        self.encoder.max_table_size = max_encoder_table_size
        self.encoder.header_table_size = self.encoder.header_table.maxsize  # the cap may be below the default of 4096
        self.decoder = LinearDecoder()
        # Until the peer acknowledges, it may still act on the protocol's defaults, and they are h2's: what is
        # enforced is the laxer of both (RFC 9113 §6.5.3).
        self.local_settings = h2.settings.Settings(client=client, initial_values={})
        self.local_settings_sent(local)
        self.allow_header_list(max_header_list_size)

    # -- overridden ------------------------------------------------------------------------------------------------

    @property
    def open_outbound_streams(self) -> int:
        """Always 0: the engine counts and refuses; h2's own property scans every stream, and deletes some."""
        return 0

    def _receive_frame(self, frame: Frame) -> list[h2.events.Event]:
        """Hands the frame to the engine. h2 would format it for its log first, body and all."""
        self._on_frame(frame)
        return []

    def _terminate_connection(self, error_code: h2.errors.ErrorCodes) -> None:
        """Does nothing: GOAWAY is the engine's to send."""

    def _prepare_for_sending(self, frames: list[Frame]) -> None:
        """Queues frames for the transport, without copying bodies into one growing buffer."""
        for frame in frames:
            self.output_frames += 1
            self.sent_on.add(frame.stream_id)
            if isinstance(frame, DataFrame) and "PADDED" not in frame.flags:
                self._queue(_frame_header(frame, len(frame.data)))
                self._queue(frame.data)
            elif isinstance(frame, (HeadersFrame, PushPromiseFrame)):
                self._pad(frame)
                parts = _fit(frame, self.max_outbound_frame_size)
                self.output_frames += len(parts) - 1
                for part in parts:
                    self._queue(part.serialize())
            else:
                self._queue(frame.serialize())

    def _pad(self, frame: HeadersFrame | PushPromiseFrame) -> None:
        """Pads a frame that starts a field block; one that goes on in CONTINUATION leaves no room for it."""
        size = len(frame.data) + _fixed_octets(frame)
        extra = padding_for(self.padding, size, self.max_outbound_frame_size)
        if extra:
            frame.flags.add("PADDED")
            frame.pad_length = extra - 1

    def _queue(self, data: bytes) -> None:
        self._chunks.append(data)
        self.output_size += len(data)

    # -- for the engine --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Puts the preface and our initial SETTINGS into the output.

        h2's own way would send every default, and the old value of whatever was changed.
        """
        self.state_machine.process_input(ConnectionInputs.SEND_SETTINGS)
        if self.config.client_side:
            self._queue(PREFACE)
        self.send_settings(self._initial)

    def receive(self, data: bytes) -> None:
        """Reads bytes; every complete frame goes to ``on_frame``.

        Raises:
            SessionFaultError: a connection error.
        """
        try:
            self.receive_data(data)
        except h2.exceptions.ProtocolError as exc:  # a rule that only h2 knows
            raise SessionFaultError(ErrorCode(int(exc.error_code)), str(exc)) from exc

    @property
    def table_size(self) -> int:
        """Octets in both HPACK tables."""
        return self.encoder_table_size + self.decoder_table_size

    @property
    def encoder_table_size(self) -> int:
        """Octets in the HPACK table for what we send."""
        return int(self.encoder.header_table._current_size)

    @property
    def decoder_table_size(self) -> int:
        """Octets in the HPACK table for what we receive."""
        return int(self.decoder.header_table._current_size)

    def take_output(self) -> bytes:
        """Returns all queued output; it is owed to the wire from now on."""
        data = b"".join(self._chunks)
        self._chunks.clear()
        self.output_size = 0
        self.output_frames = 0
        return data

    def send_settings(self, values: dict[int, int]) -> None:
        """Queues a SETTINGS frame. hyperframe truncates numbers above 255, so the payload is made here."""
        payload = b"".join(code.to_bytes(2, "big") + value.to_bytes(4, "big") for code, value in values.items())
        self._queue(len(payload).to_bytes(3, "big") + b"\x04\x00" + bytes(4) + payload)
        self.output_frames += 1

    def local_settings_sent(self, values: dict[int, int]) -> None:
        """Enforces what is laxer in *values*, our newest SETTINGS: the peer may act on them before we see its
        answer.
        """
        window = values.get(SettingCode.INITIAL_WINDOW_SIZE, 0)
        if window > self.local_settings.initial_window_size:
            self._set_inbound_window(window)
        self.max_inbound_frame_size = max(self.max_inbound_frame_size, values.get(SettingCode.MAX_FRAME_SIZE, 0))
        table = values.get(SettingCode.HEADER_TABLE_SIZE, 0)
        self.decoder.max_allowed_table_size = max(self.decoder.max_allowed_table_size, table)

    def allow_header_list(self, size: int) -> None:
        """Makes reader and decoder accept header lists of *size* octets, and somewhat larger ones."""
        self.decoder.max_header_list_size = DECODER_SLACK * size + 65_536
        self.reader.allow_header_list(size)

    def local_settings_acknowledged(self, values: dict[int, int]) -> None:
        """*values*, which we sent, are in force from now on, the stricter ones too."""
        if SettingCode.INITIAL_WINDOW_SIZE in values:
            self._set_inbound_window(values[SettingCode.INITIAL_WINDOW_SIZE])
        if SettingCode.MAX_FRAME_SIZE in values:
            self.max_inbound_frame_size = values[SettingCode.MAX_FRAME_SIZE]
            self.reader.max_frame_size = self.max_inbound_frame_size  # h2 would wait for the next bytes
        if SettingCode.HEADER_TABLE_SIZE in values:
            self.decoder.max_allowed_table_size = values[SettingCode.HEADER_TABLE_SIZE]

    def _set_inbound_window(self, window: int) -> None:
        self._inbound_flow_control_change_from_settings(self.local_settings.initial_window_size, window)
        self.local_settings.initial_window_size = window
        self.local_settings.acknowledge()

    def consume_connection_window(self, size: int) -> None:
        """Books *size* received octets in h2's connection window, which the engine has checked."""
        self._inbound_flow_control_window_manager.window_consumed(size)

    def apply_remote_settings(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Puts the peer's SETTINGS (checked before) in force and queues their acknowledgement.

        Raises:
            SessionFaultError: FLOW_CONTROL_ERROR, a stream's window overflows.
        """
        for code, value in pairs:
            if code == SettingCode.HEADER_TABLE_SIZE:
                # RFC 7541 §4.2: if the size changes more than once, "the smallest maximum table size that occurs in
                # that interval MUST be signaled".
                self.encoder.header_table_size = value
        self.remote_settings.update(dict(pairs))
        try:
            frames = self._acknowledge_settings()
        except h2.exceptions.FlowControlError as exc:
            # RFC 9113 §6.9.2: "An endpoint MUST treat a change to SETTINGS_INITIAL_WINDOW_SIZE that causes any
            # flow-control window to exceed the maximum size as a connection error of type FLOW_CONTROL_ERROR."
            raise SessionFaultError(
                ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE overflows the window of a stream"
            ) from exc
        self._prepare_for_sending(frames)

    def block_size(self, fields: Sequence[RawField]) -> int:
        """Returns the octets of these fields as a field block; what the next one refers to stays as it is.

        A block that was encoded must be sent, else HPACK is out of step. So it is a copy of the encoder that tries.
        """
        return len(copy.deepcopy(self.encoder).encode(fields))

    def decode_block(self, block: bytes) -> list[RawField]:
        """Decodes a field block.

        Raises:
            SessionFaultError: it cannot be decoded, so the session cannot go on.
        """
        try:
            return self.decoder.decode(block, raw=True)  # type: ignore[return-value]  # raw=True means bytes
        except OversizedHeaderListError as exc:
            raise SessionFaultError(ErrorCode.ENHANCE_YOUR_CALM, f"header list far too large: {exc}") from exc
        except (HPACKError, IndexError, ValueError) as exc:
            # RFC 9113 §4.3: "A decoding error in a field block MUST be treated as a connection error of type
            # COMPRESSION_ERROR." hpack's own words name an address in memory, which is nobody's business: the reason
            # goes to the peer.
            reason = f"field block cannot be decoded ({type(exc).__name__})"
            raise SessionFaultError(ErrorCode.COMPRESSION_ERROR, reason) from exc

    def stream_opened_by_peer(self, stream_id: int, *, end_stream: bool) -> None:
        """Makes h2's stream for a received request."""
        self.state_machine.process_input(ConnectionInputs.RECV_HEADERS)
        self.highest_inbound_stream_id = stream_id - 1  # it was marked as used before the request was checked
        self._begin_new_stream(stream_id, AllowedStreamIDs.ODD)
        self.book_headers(stream_id, end_stream=end_stream)

    def promise(self, parent_id: int, promised_id: int, fields: Sequence[RawField]) -> None:
        """Queues PUSH_PROMISE and makes h2's stream for the response."""
        self.push_stream(parent_id, promised_id, fields)

    def begin_promised(self, stream_id: int) -> None:
        """The response on a promised stream begins; h2 knows no interim response there, which RFC 9113 allows."""
        self.streams[stream_id].state_machine.state = StreamState.HALF_CLOSED_REMOTE

    def stream_promised_by_peer(self, stream_id: int) -> None:
        """Makes h2's stream for a received promise, which was checked."""
        self.state_machine.process_input(ConnectionInputs.RECV_PUSH_PROMISE)
        self.highest_inbound_stream_id = stream_id - 1  # it was marked as used before the promise was checked
        stream = self._begin_new_stream(stream_id, AllowedStreamIDs.EVEN)
        stream.state_machine.process_input(StreamInputs.RECV_PUSH_PROMISE)

    def stream_id_used_by_peer(self, stream_id: int) -> None:
        """The id is used up, whether a stream is made for it or not (refused, malformed)."""
        self.highest_inbound_stream_id = stream_id

    def book_headers(self, stream_id: int, *, end_stream: bool) -> None:
        """Moves h2's stream on by a received, checked field section; interim responses change nothing.

        Its own method would police content-length, and knows neither HEAD nor 304 nor CONNECT well enough.
        """
        machine = self.streams[stream_id].state_machine
        machine.process_input(StreamInputs.RECV_HEADERS)
        if end_stream:
            machine.process_input(StreamInputs.RECV_END_STREAM)

    def book_data(self, stream_id: int, size: int, *, end_stream: bool) -> None:
        """Moves h2's stream on by received, checked DATA that counts *size* octets for flow control."""
        stream = self.streams[stream_id]
        stream.state_machine.process_input(StreamInputs.RECV_DATA)
        if size:  # h2 refuses even an empty frame when the window is negative (RFC 9113 §6.9 does not)
            stream._inbound_window_manager.window_consumed(size)
        if end_stream:
            stream.state_machine.process_input(StreamInputs.RECV_END_STREAM)

    @property
    def initial_inbound_window(self) -> int:
        """What the peer may at most believe to be the window of a stream that it has just opened, in octets."""
        return self.local_settings.initial_window_size

    def inbound_window(self, stream_id: int) -> int:
        """What the peer may still send on a stream, in octets; negative after we shrank its window."""
        return self.streams[stream_id].inbound_flow_control_window

    def stream(self, stream_id: int) -> H2Stream:
        """Returns h2's stream, for its outbound window."""
        return self.streams[stream_id]

    def forget(self, stream_id: int) -> None:
        """The stream has closed. h2 would remember 65 536 of them."""
        self.streams.pop(stream_id, None)

    def send_reset(self, stream_id: int, code: int) -> None:
        """Queues RST_STREAM, also for a stream that h2 never saw."""
        frame = RstStreamFrame(stream_id)
        frame.error_code = code
        self._prepare_for_sending([frame])

    def send_goaway(self, last_stream_id: int, code: int, debug_data: bytes) -> None:
        """Queues GOAWAY and nothing else: for h2 it would be the end."""
        self._prepare_for_sending([GoAwayFrame(0, last_stream_id, code, debug_data)])

    def release(self) -> None:
        """The session is over: drops the reference to the engine."""
        self._on_frame = _ignore

    def send_extension(self, frame: bytes) -> None:
        """Queues a frame that h2 does not know, or must not judge."""
        self._queue(frame)

    def send_ping(self, payload: bytes, *, ack: bool = False) -> None:
        """Queues PING, or the answer to one."""
        self._prepare_for_sending([PingFrame(0, payload, flags=("ACK",) if ack else ())])


def _ignore(frame: object) -> None:
    """Takes the frames of a session that is over."""


def _frame_header(frame: Frame, length: int) -> bytes:
    """Returns the 9 octets before a frame's payload (RFC 9113 §4.1)."""
    return length.to_bytes(3, "big") + bytes((frame.type or 0, frame_flags(frame))) + frame.stream_id.to_bytes(4, "big")


def _fixed_octets(frame: HeadersFrame | PushPromiseFrame) -> int:
    """Returns how many octets stand before the field block: the promised id, or a priority."""
    return 4 if isinstance(frame, PushPromiseFrame) else 5 if "PRIORITY" in frame.flags else 0


def _fit(frame: HeadersFrame | PushPromiseFrame, limit: int) -> list[Frame]:
    """Splits a first frame whose extra fields (priority, promised id) push it over the frame size.

    h2 cuts the field block into pieces of exactly the frame size, and adds those fields afterwards.
    """
    room = limit - _fixed_octets(frame)
    if len(frame.data) <= room:
        return [frame]
    rest = ContinuationFrame(frame.stream_id)
    rest.data = frame.data[room:]
    frame.data = frame.data[:room]
    if "END_HEADERS" in frame.flags:
        frame.flags.discard("END_HEADERS")
        rest.flags.add("END_HEADERS")
    return [frame, rest]

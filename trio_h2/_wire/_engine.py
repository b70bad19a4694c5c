"""The protocol engine of one session: bytes in, events out; commands in, bytes out.

Everything above speaks to this class. Its callers have checked what they ask for (fields, the state of the stream, the
windows); what comes from the peer is checked in `Receiver`. Nothing here waits, and nothing knows a clock.

An engine *has* its parts, each with a noun of its own: `output`, `reader`, `encoder` and `decoder`, `windows`, our
settings, `pushes`, `resets`, `guard`, `shutdown`, the `Receiver`, and the `WireStream`s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._codes import ErrorCode, Role, SettingCode
from ._config import MAX_WINDOW, ClientConfig, SessionConfig
from ._failure import Cause, OversizedSection, SessionFailure
from ._fields import field_section_size, request_origin
from ._frames import HIGHEST_STREAM_ID as HIGHEST_STREAM_ID
from ._frames import PREFACE
from ._guard import Guard
from ._hpack import Decoder, Encoder
from ._local_settings import LocalSettings
from ._output import Output
from ._padding import PaddingStrategy, padding_for
from ._pushes import Pushes
from ._reader import FrameReader
from ._receiver import LATE_FRAMES, SMALL_INCREMENT, Receiver
from ._resets import Resets
from ._shutdown import Shutdown
from ._stream import WireStream
from ._windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._events import Event
    from ._extframes import Dependency
    from ._headers import RawField

UPDATES_PER_FRAME = 2
"""WINDOW_UPDATE frames that a peer may honestly send per DATA frame: one for the stream, one for the session."""
DECODER_SLACK = 4
"""How far the decoder goes beyond the advertised header list size, so that a list which is only somewhat too large
can be answered with 431 instead of ending the session: a block that is not decoded leaves HPACK out of step."""


def nothing_else(scheme: bytes, authority: bytes) -> bool:
    """The server speaks for no other origin than that of the request which a push belongs to."""
    return False


def unheard(fields: list[RawField], status: int | None, code: ErrorCode | None, reason: str) -> None:
    """Nobody wants to know what was refused."""


class Engine:
    """One end of an HTTP/2 session, sans-IO.

    Args:
        role: which end.
        config: a `ClientConfig` or a `ServerConfig`, matching the role.
        on_closed: called with the id of a stream that a *command* has closed; those that received bytes close are
            reported as `StreamClosed` events, in their order.
        push: whether a client lets the server push (SETTINGS_ENABLE_PUSH).
        settings: what the first SETTINGS say beside or instead of what *config* does, by number.

    Raises:
        ValueError: the windows of pushed streams do not fit the receive budget, see `ClientConfig.check_push`.
    """

    def __init__(
        self,
        role: Role,
        config: SessionConfig,
        on_closed: Callable[[int], None],
        *,
        push: bool = False,
        settings: Mapping[int, int] | None = None,
    ) -> None:
        self.role = role
        self.config = config
        self._push = push
        max_pushes: int | None = None if role is Role.SERVER else 0
        if push and isinstance(config, ClientConfig):
            config.check_push()
            max_pushes = config.max_concurrent_pushes
        self.failure: SessionFailure | None = None
        self.streams: dict[int, WireStream] = {}
        """The streams that are not closed."""
        self.output: Output = Output(config.padding)
        self.reader: FrameReader = FrameReader(preface=b"" if role is Role.CLIENT else PREFACE, where=config.where)
        self.encoder: Encoder = Encoder(config.max_encoder_table_size)
        self.decoder: Decoder = Decoder()
        self.pushes: Pushes = Pushes(max_pushes)
        """Those of the streams that were pushed."""
        self.windows: Windows = Windows(config, self.output, self.streams, self.pushes)
        self.guard: Guard = Guard(config)
        self.shutdown: Shutdown = Shutdown()
        self.resets: Resets = Resets()
        self._settings = LocalSettings(config, push=push, given=settings)
        self.max_streams: int = self._settings.planned(SettingCode.MAX_CONCURRENT_STREAMS)
        """How many streams the peer may have open: requests, or pushes."""
        self.max_header_list_size: int = config.max_header_list_size
        """The largest header list we accept."""
        self.peer_settings: dict[int, int] = {}
        self.peer_settings_seen = False
        self.highest_inbound_id = 0
        """The newest stream id that the peer has used."""
        self.highest_outbound_id: int = 0
        """The newest stream id that we have used."""
        self.newest_received_id = 0
        """The stream of the newest HEADERS or DATA received."""
        self.authoritative: Callable[[bytes, bytes], bool] = nothing_else
        """Whether the server speaks for a ``:scheme`` and ``:authority``, beside the origin of the request that a
        push belongs to; set by those above (RFC 9113 §8.4, RFC 8336)."""
        self.touched: set[int] | None = None
        """Streams with a frame sent or received since somebody asked; collected once `watch_streams` was called."""
        self.on_refused: Callable[[list[RawField], int | None, ErrorCode | None, str], None] = unheard
        """Called with the fields of each request that is answered here, with what it was answered, and why; set by
        those above."""
        self.queued_body = 0
        """Bytes of bodies that the application has handed over and that are not framed yet; kept by those above."""
        self.copied_body = 0
        """Those of them that were copied, so that it is the session that holds them."""
        self.slots: set[int] = set()
        """Inbound streams that are open or promised, or whose handler has not ended."""
        self._running: set[int] = set()
        self._on_closed: Callable[[int], None] | None = on_closed
        self._receiving = False
        self._receiver = Receiver(self)
        # Until the peer acknowledges, it may still act on the protocol's defaults: what is enforced is the laxer of
        # both (RFC 9113 §6.5.3).
        self._enforce_laxer(self._settings.in_force)
        self._allow_header_list(config.max_header_list_size)

    # -- bytes -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Puts the preface, our SETTINGS and the session's receive window into the output."""
        if self.role is Role.CLIENT:
            self.output.preface(PREFACE)
        self.output.settings(self._settings.in_force)
        self.windows.give_back_connection()

    def receive_bytes(self, data: bytes, now: float) -> list[Event]:
        """Reads *data* from the peer at time *now* (seconds of any steady clock).

        A connection error ends the list with `SessionFailed`; what was complete before it is still reported.
        """
        if self.failure is not None or self._on_closed is None:
            return []
        self._receiving = True
        try:
            return self._receiver.receive(data, now)
        finally:
            self._receiving = False

    @property
    def mid_frame(self) -> bool:
        """Whether the end of the transport, now, would cut a frame."""
        return self.reader.mid_frame

    @property
    def output_size(self) -> int:
        """Bytes waiting in the output."""
        return self.output.size

    @property
    def output_frames(self) -> int:
        """Frames waiting in the output."""
        return self.output.frames

    @property
    def table_sizes(self) -> tuple[int, int]:
        """Bytes in the HPACK tables for what we send, and for what we receive."""
        return self.encoder.size, self.decoder.size

    def take_output(self) -> bytes:
        """Returns everything that is to be sent; the caller owes it to the wire."""
        output = self.output
        if self.touched is not None and output.sent_on is not None:
            self.touched |= output.sent_on
            output.sent_on.clear()
        self.guard.replies_taken()
        return output.take()

    def watch_streams(self) -> None:
        """Begins to collect in `touched` which streams frames are sent or received on."""
        if self.touched is None:
            self.touched = set()
            self.output.sent_on = set()

    # -- our settings ------------------------------------------------------------------------------------------------

    @property
    def local_settings(self) -> dict[int, int]:
        """Our settings in force: before the first acknowledgement, what we sent."""
        return self._settings.in_force

    @property
    def settings_pending(self) -> bool:
        """Whether SETTINGS of ours are not acknowledged yet."""
        return self._settings.pending

    @property
    def takes_pushes(self) -> bool:
        """Whether the server may push; from the acknowledgement of SETTINGS_ENABLE_PUSH 0 on it may not."""
        return self._push and self._settings.push_enforced

    def check_settings(self, values: dict[int, int]) -> None:
        """Checks an update of our settings, together with those that are not acknowledged yet.

        Raises:
            ValueError: the windows would not fit the receive budget, or extended CONNECT is withdrawn.
        """
        settings, budget = self._settings, self.windows.budget
        announced = settings.planned(SettingCode.ENABLE_CONNECT_PROTOCOL)
        if announced and not values.get(SettingCode.ENABLE_CONNECT_PROTOCOL, 1):
            # RFC 8441 §3: "a sender MUST NOT send a SETTINGS_ENABLE_CONNECT_PROTOCOL parameter with the value of 0
            # after previously sending a value of 1."
            raise ValueError("enable_connect_protocol cannot be withdrawn once it was announced (RFC 8441 §3)")
        if values.get(SettingCode.ENABLE_PUSH) and not self._push:
            # RFC 9113 §6.5.2: "A server MUST NOT explicitly set this value to 1." And a client needs somebody who takes
            # what is pushed.
            raise ValueError("enable_push cannot be turned on in a session that was started without push")
        window = settings.planned(SettingCode.INITIAL_WINDOW_SIZE, values)
        streams = self._guaranteed(values)
        if streams * window > budget.size:
            counted = "max_concurrent_streams" if self.role is Role.SERVER else "streams"
            raise ValueError(
                f"{counted} {streams} x initial_window_size {window} = {streams * window} bytes is more "
                f"than the receive_budget of {budget.size}"
            )
        if window + budget.extra > MAX_WINDOW:
            raise ValueError(f"initial_window_size {window} overflows the window of a stream that has grown")

    def _guaranteed(self, values: dict[int, int] | None = None) -> int:
        """How many windows there must be room for now, perhaps with a change of our settings."""
        allowed = self._settings.planned(SettingCode.MAX_CONCURRENT_STREAMS, values)
        if self.role is Role.SERVER:
            return allowed
        return max(1, self.windows.requests) + max(allowed if self._push else 0, len(self.pushes.open))

    def update_settings(self, values: dict[int, int]) -> None:
        """Sends new local settings when those before them are acknowledged. The caller has asked `check_settings`."""
        if self._settings.update(values) is not None:
            self._send_settings(values)
        self._settings_changed()

    def _send_settings(self, values: dict[int, int]) -> None:
        self.output.settings(values)
        self._enforce_laxer(values)

    def _enforce_laxer(self, values: dict[int, int]) -> None:
        """Enforces what is laxer in *values*, our newest SETTINGS, which the peer may act on at once."""
        self.windows.initial_sent(values.get(SettingCode.INITIAL_WINDOW_SIZE, 0))
        reader, decoder = self.reader, self.decoder
        reader.max_frame_size = max(reader.max_frame_size, values.get(SettingCode.MAX_FRAME_SIZE, 0))
        table = values.get(SettingCode.HEADER_TABLE_SIZE, 0)
        decoder.max_allowed_table_size = max(decoder.max_allowed_table_size, table)

    def settings_acknowledged(self) -> dict[int, int] | None:
        """The peer acknowledged SETTINGS: returns the values now in force, ``None`` if none were in flight.

        They are in force from now on, the stricter ones too.
        """
        acknowledged = self._settings.acknowledge()
        if acknowledged is None:
            return None
        values, following = acknowledged
        if SettingCode.INITIAL_WINDOW_SIZE in values:
            self.windows.initial_acknowledged(values[SettingCode.INITIAL_WINDOW_SIZE])
        if SettingCode.MAX_FRAME_SIZE in values:
            self.reader.max_frame_size = values[SettingCode.MAX_FRAME_SIZE]
        if SettingCode.HEADER_TABLE_SIZE in values:
            self.decoder.max_allowed_table_size = values[SettingCode.HEADER_TABLE_SIZE]
        if following is not None:
            self._send_settings(following)
        self._settings_changed()
        return values

    def _settings_changed(self) -> None:
        """Works out anew what depends on settings in force and under way."""
        settings, windows = self._settings, self.windows
        self.max_streams = settings.enforced(SettingCode.MAX_CONCURRENT_STREAMS)
        self._allow_header_list(settings.enforced(SettingCode.MAX_HEADER_LIST_SIZE))
        windows.largest_initial = settings.planned(SettingCode.INITIAL_WINDOW_SIZE)
        allowed = settings.planned(SettingCode.MAX_CONCURRENT_STREAMS)
        streams = allowed
        if self.role is Role.CLIENT:
            self.pushes.limit = allowed if self._push else 0
            streams = self.config.guaranteed_streams + self.pushes.windows
        windows.budget.reserve(min(streams * windows.largest_initial, windows.budget.size))

    def _allow_header_list(self, size: int) -> None:
        """Makes reader and decoder accept header lists of *size* bytes, and somewhat larger ones."""
        self.max_header_list_size = size
        self.decoder.max_list_size = DECODER_SLACK * size + 65_536
        self.reader.allow_header_list(size)

    def set_receive_budget(self, size: int) -> None:
        """Changes the session's receive budget, and with it its window.

        Raises:
            ValueError: the windows that are or may be in use do not fit *size*.
        """
        windows = self.windows
        window, budget = windows.largest_initial, windows.budget
        streams = self._guaranteed()
        if self.role is Role.SERVER:
            streams = max(1, windows.requests, streams)
        if streams * window + budget.extra + budget.stranded > size:
            raise ValueError(
                f"a receive window of {size} bytes is too small for {streams} streams x initial_window_size {window}, "
                f"{budget.extra} bytes that their windows have grown, and {budget.stranded} unread ones of closed "
                f"streams"
            )
        windows.resize(size)
        self._settings_changed()

    # -- the peer's settings -----------------------------------------------------------------------------------------

    def apply_peer_settings(self, values: dict[int, int]) -> None:
        """Puts settings of the peer, which were checked, in force and acknowledges them.

        Raises:
            SessionFaultError: FLOW_CONTROL_ERROR, a stream's window overflows.
        """
        window = values.get(SettingCode.INITIAL_WINDOW_SIZE)
        if window is not None:
            self.windows.peer_initial_changed(window)
        self.output.max_frame_size = values.get(SettingCode.MAX_FRAME_SIZE, self.output.max_frame_size)
        self.output.settings_acknowledgement()

    @property
    def peer_max_streams(self) -> int:
        """How many streams of ours the peer lets us have open; what is assumed counts until its SETTINGS name a number.

        A client's are its requests, a server's its pushes without those that are only promised.
        """
        return self.peer_settings.get(SettingCode.MAX_CONCURRENT_STREAMS, self.config.peer_max_concurrent_streams)

    @property
    def max_outbound_frame_size(self) -> int:
        """The largest payload that the peer accepts in one frame, in bytes."""
        return self.output.max_frame_size

    def section_too_large(self, fields: Sequence[RawField]) -> OversizedSection | None:
        """Returns both sizes if these fields are more than the peer's MAX_HEADER_LIST_SIZE, else ``None``."""
        limit = self.peer_settings.get(SettingCode.MAX_HEADER_LIST_SIZE)
        if limit is None:
            return None
        size = field_section_size(fields)
        return None if size <= limit else OversizedSection(size, limit)

    def block_too_large(self, fields: Sequence[RawField]) -> str | None:
        """Returns what is wrong if these fields, compressed, are more than we want to send, else ``None``."""
        limit = self.config.max_send_header_block_length
        if limit is None:
            return None
        size = self.encoder.block_size(fields)
        if size <= limit:
            return None
        return f"the header block has {size} bytes, max_send_header_block_length is {limit}"

    # -- streams -----------------------------------------------------------------------------------------------------

    @property
    def next_stream_id(self) -> int | None:
        """The id of the next stream of ours, or ``None`` when they are used up (RFC 9113 §5.1.1)."""
        highest = self.highest_outbound_id
        following = highest + 2 if highest else 1 if self.role is Role.CLIENT else 2
        return following if following <= HIGHEST_STREAM_ID else None

    def make_stream(self, stream_id: int, method: bytes) -> WireStream:
        """Returns a stream with the windows that hold now."""
        windows = self.windows
        return WireStream(
            stream_id,
            method,
            windows.initial,
            receive_window=windows.enforced_initial,
            send_window=windows.peer_initial,
        )

    def accept_stream(self, stream: WireStream) -> None:
        """A stream of the peer has opened, and its handler will run."""
        self.streams[stream.id] = stream
        self.handler_begins(stream.id)

    def handler_begins(self, stream_id: int) -> None:
        """A handler will run for a stream of the peer, a promised one perhaps; `handler_done` must follow."""
        self.slots.add(stream_id)
        self._running.add(stream_id)

    def handler_done(self, stream_id: int) -> None:
        """The handler of a peer's stream has ended."""
        self._running.discard(stream_id)
        if stream_id not in self.streams:
            self.slots.discard(stream_id)

    def remote_ended(self, stream_id: int) -> bool:
        """Whether the peer's side of a stream has ended."""
        stream = self.streams.get(stream_id)
        return stream is None or stream.remote_ended

    def close_stream(self, stream_id: int) -> None:
        """Forgets a stream both of whose sides have ended."""
        stream = self.streams.pop(stream_id)
        if not stream_id & 1:
            self.pushes.close(stream_id)
        self.windows.stream_closed(stream)
        if stream_id not in self._running:
            self.slots.discard(stream_id)
        if self._receiving:
            self._receiver.stream_closed(stream_id)
        elif self._on_closed is not None:
            self._on_closed(stream_id)

    # -- sending -----------------------------------------------------------------------------------------------------

    def has_slot(self) -> bool:
        """Whether a client may open a stream now: the peer allows it, and the budget has room for its window."""
        windows = self.windows
        return windows.requests < self.peer_max_streams and windows.fits(windows.open + 1)

    @property
    def free_slots(self) -> int:
        """How many streams a client may open now, see `has_slot`."""
        free, room = self.peer_max_streams - self.windows.requests, self.windows.room
        return max(0, free if room is None else min(free, room))

    def open_stream(
        self, method: bytes, fields: Sequence[RawField], *, end_stream: bool, dependency: Dependency | None = None
    ) -> int:
        """Sends a request; the caller has seen `has_slot` and `next_stream_id`. Returns the stream's id."""
        stream_id = self.next_stream_id
        assert stream_id is not None
        self.highest_outbound_id = stream_id
        self.output.headers(stream_id, self.encoder.encode(fields), end_stream=end_stream, dependency=dependency)
        stream = self.make_stream(stream_id, method)
        stream.sent_headers(end_stream=end_stream)
        if self._push:
            stream.origin = request_origin(fields)
        self.streams[stream_id] = stream
        self.guard.progress(LATE_FRAMES)
        return stream_id

    def send_informational(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Sends a 1xx response (RFC 9113 §8.1)."""
        stream = self.streams[stream_id]
        if stream.reserved:
            self.begin_push(stream)
        self.output.headers(stream_id, self.encoder.encode(fields))

    def send_response(self, stream_id: int, fields: Sequence[RawField], *, end_stream: bool) -> None:
        """Sends the final response headers."""
        stream = self.streams[stream_id]
        if stream.reserved:
            self.begin_push(stream)
        self._send_headers(stream, fields, end_stream=end_stream)

    def send_trailers(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Ends our side with trailers, or, if there are no fields, with an empty DATA frame."""
        if fields:
            self._send_headers(self.streams[stream_id], fields, end_stream=True)
        else:
            self.send_data(stream_id, b"", end_stream=True)

    def _send_headers(self, stream: WireStream, fields: Sequence[RawField], *, end_stream: bool) -> None:
        self.output.headers(stream.id, self.encoder.encode(fields), end_stream=end_stream)
        if stream.sent_headers(end_stream=end_stream):
            self.close_stream(stream.id)

    @property
    def connection_window(self) -> int:
        """What may be sent on all streams together, in bytes."""
        return self.windows.send_window

    def sendable(self, stream_id: int) -> int:
        """How many bytes the next DATA frame of a stream may have; never negative, though a window can be (§6.9.2)."""
        windows = self.windows
        size = min(self.streams[stream_id].send_window, windows.send_window, self.output.max_frame_size)
        return size if size > 0 else 0

    def stream_window(self, stream_id: int) -> int:
        """What may be sent on a stream, in bytes; negative after the peer shrank its window."""
        return self.streams[stream_id].send_window

    def inbound_window(self, stream_id: int) -> int:
        """What the peer may send on a stream, in bytes; negative after we shrank its window."""
        return self.streams[stream_id].receive_window

    def send_data(self, stream_id: int, data: bytes | memoryview, *, end_stream: bool) -> None:
        """Frames *data*, at most `sendable` bytes, and perhaps ends our side."""
        stream, windows = self.streams[stream_id], self.windows
        if not isinstance(data, bytes) and not isinstance(data.obj, bytes):
            data = bytes(data)  # what is below it may change until it is written
        size = len(data)
        if not size and end_stream and self.output.end_stream(stream_id):
            pass  # it is in the frame before this one
        elif size or end_stream:
            padding = 0
            if self.config.padding is not PaddingStrategy.NONE:
                padding = padding_for(self.config.padding, size, self.sendable(stream_id))
            self.output.data(stream_id, data, padding, end_stream=end_stream)
            stream.send_window -= size + padding
            windows.send_window -= size + padding
        guard = self.guard
        if guard.spent and size and stream.send_window >= SMALL_INCREMENT and windows.send_window >= SMALL_INCREMENT:
            # The frame is as large as the application wanted it, so the peer may return its window as it likes.
            guard.progress(UPDATES_PER_FRAME)
        if end_stream and stream.sent_end():
            self.close_stream(stream_id)

    def reset(self, stream_id: int, code: int) -> None:
        """Sends RST_STREAM, once; nothing if the stream has closed already."""
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        self.output.reset(stream_id, code)
        self.resets.add_ours(stream_id, stream.receive_window)
        stream.sent_reset()
        self.close_stream(stream_id)

    def send_extension(self, kind: int, stream_id: int, payload: bytes) -> None:
        """Sends a frame that moves no state machine: ALTSVC, ORIGIN, PRIORITY_UPDATE, PRIORITY."""
        self.output.extension(kind, stream_id, payload)

    def ping(self, payload: bytes) -> None:
        """Sends PING with 8 bytes."""
        self.output.ping(payload)

    def goaway(self, code: int, last_stream_id: int | None = None, debug_data: bytes = b"") -> None:
        """Sends GOAWAY and goes on (RFC 9113 §6.8). The last id defaults to the newest stream the peer opened."""
        if last_stream_id is None:
            last_stream_id = self.highest_inbound_id
        self.output.goaway(self.shutdown.send(last_stream_id), code, debug_data)

    def fail(self, failure: SessionFailure) -> None:
        """Ends the session for *failure*; GOAWAY goes out if the peer may still read it."""
        if self.failure is not None:
            return
        self.failure = failure
        if failure.cause not in (Cause.LOST, Cause.CLOSED, Cause.GOAWAY):
            self.goaway(failure.code or ErrorCode.NO_ERROR, debug_data=failure.reason.encode("utf-8", "replace")[:512])

    # -- credit ------------------------------------------------------------------------------------------------------

    def take(self, stream_id: int, size: int) -> None:
        """The application took *size* bytes of a stream's data; credit goes back when half a window is owed."""
        self.windows.take(stream_id, size)

    def discard(self, stream_id: int, size: int) -> None:
        """*size* bytes of a stream's unread data were thrown away; they are credited all the same."""
        self.windows.discard(stream_id, size)

    # -- pushes ------------------------------------------------------------------------------------------------------

    @property
    def push_allowed(self) -> bool:
        """Whether a server may promise streams now: the client's newest ENABLE_PUSH, and it is not leaving.

        Our own GOAWAY is about streams of the client (RFC 9113 §6.8); whether this side is leaving is known above.
        """
        return (
            self.role is Role.SERVER
            and self.failure is None
            and not self.shutdown.peer_is_leaving
            and bool(self.peer_settings.get(SettingCode.ENABLE_PUSH, 1))
            and self.next_stream_id is not None
        )

    def can_promise_on(self, parent_id: int) -> bool:
        """Whether a promise may be sent on a stream.

        RFC 9113 §6.6: "PUSH_PROMISE frames MUST only be sent on a peer-initiated stream that is in either the "open" or
        "half-closed (remote)" state."
        """
        parent = self.streams.get(parent_id)
        return parent is not None and parent_id % 2 == 1 and not parent.local_ended

    def has_push_slot(self) -> bool:
        """Whether the client lets us begin the response of one more promised stream now.

        RFC 9113 §8.4.2: "A client can use the SETTINGS_MAX_CONCURRENT_STREAMS setting to limit the number of responses
        that can be concurrently pushed by a server." Promises do not count (§5.1.2).
        """
        return len(self.pushes.open) < self.peer_max_streams

    def push(self, parent_id: int, method: bytes, fields: Sequence[RawField]) -> int:
        """Sends PUSH_PROMISE; the caller has seen `push_allowed`, and that our side of the parent has not ended.

        The promised stream takes the commands of a request's response; the first one needs `has_push_slot`.

        Returns:
            The id of the promised stream.
        """
        stream_id = self.next_stream_id
        assert stream_id is not None
        self.highest_outbound_id = stream_id
        self.output.push_promise(parent_id, stream_id, self.encoder.encode(fields))
        stream = self.make_stream(stream_id, method)
        stream.promised_by_us()
        self.add_promised(stream)
        self.guard.progress(LATE_FRAMES)
        return stream_id

    def add_promised(self, stream: WireStream) -> None:
        """A stream was promised, by either side."""
        self.streams[stream.id] = stream
        self.pushes.promise(stream.id)

    def begin_push(self, stream: WireStream) -> None:
        """The response of a promised stream begins, perhaps with an interim one: it counts as open from now on."""
        stream.leave_reserved()
        self.pushes.respond(stream.id)

    def has_room_for_push(self) -> bool:
        """Whether the response of one more promised stream may begin: our own limit, and the receive budget.

        The budget has room for all pushes we allow, unless closed streams still hold too many unread bytes.
        """
        streams = len(self.pushes.open) + 1
        return streams <= self.max_streams and self.windows.fits(self.windows.requests + streams)

    # -- the session -------------------------------------------------------------------------------------------------

    @property
    def memory(self) -> int:
        """An estimate of the bytes this session holds: unread bodies, bodies to send that were copied, frames that are
        unfinished or not written, header tables. A body that the application keeps itself is not counted.
        """
        held = self.windows.budget.ledger.held + self.copied_body
        return held + self.output.size + self.reader.buffered + self.encoder.size + self.decoder.size

    @property
    def memory_limit(self) -> int:
        """The bytes above which new streams are refused; unless a number was given, it moves with the budget."""
        if self.config.max_session_memory is not None:
            return self.config.max_session_memory
        return self.config.session_memory - self.config.receive_budget + self.windows.budget.size

    def release(self) -> None:
        """The session is over: lets go of what refers back, so that nothing waits for the garbage collector."""
        self._on_closed = None
        self.authoritative = nothing_else
        self.on_refused = unheard
        self._receiver.release()

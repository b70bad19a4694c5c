"""The protocol engine of one session: bytes in, events out; commands in, bytes out.

Everything above speaks to this class only. Its callers have checked what they ask for (fields, the state of the stream,
the windows); what comes from the peer is checked in `Receiver`. Nothing here waits, and nothing knows a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._adapter import Connection
from ._codes import ErrorCode, Role, SettingCode
from ._config import MAX_WINDOW, ClientConfig, ServerConfig, SessionConfig
from ._credit import CreditKeeper
from ._events import StreamClosed
from ._extframes import frame_octets
from ._failure import Cause, SessionFailure
from ._fields import field_section_size
from ._flow import StreamCredit
from ._guard import Guard
from ._local_settings import LocalSettings
from ._padding import padding_for
from ._receive import SMALL_INCREMENT, Receiver
from ._receive_messages import LATE_FRAMES
from ._shutdown import Shutdown
from ._state import Side, WireStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hyperframe.frame import Frame

    from ._events import Event
    from ._failure import StreamFaultError
    from ._headers import RawField

MAX_REMEMBERED_RESETS = 4096
"""Streams we reset whose late frames are dropped in silence; frames on older ones are answered with RST_STREAM."""
HIGHEST_STREAM_ID = 2**31 - 1
UPDATES_PER_FRAME = 2
"""WINDOW_UPDATE frames that a peer may honestly send per DATA frame: one for the stream, one for the session."""


class Engine(CreditKeeper):
    """One end of an HTTP/2 session, sans-IO.

    Args:
        role: which end.
        config: a `ClientConfig` or a `ServerConfig`, matching the role.
        on_closed: called with the id of a stream that a *command* has closed; those that received bytes close are
            reported as `StreamClosed` events, in their order.
    """

    def __init__(self, role: Role, config: SessionConfig, on_closed: Callable[[int], None]) -> None:
        super().__init__(config)
        self.role = role
        self.config = config
        self.guard = Guard(config)
        self.shutdown = Shutdown()
        self.failure: SessionFailure | None = None
        self._settings = LocalSettings(config)
        self.peer_settings: dict[int, int] = {}
        self.peer_settings_seen = False
        self.max_header_list_size = config.max_header_list_size
        """The largest header list we accept."""
        self.max_streams = config.max_concurrent_streams if isinstance(config, ServerConfig) else 0
        """How many streams the peer may have open."""
        self.touched: set[int] | None = None
        """Streams with a frame sent or received since somebody asked; collected for those above, if they want it."""
        self.queued_body = 0
        """Octets of bodies that the application has handed over and that are not framed yet; kept by those above."""
        self.newest_received_id = 0
        """The stream of the newest HEADERS or DATA received."""
        self.slots: set[int] = set()
        """Inbound streams that are open, or whose handler has not ended."""
        self.reset_by_us: dict[int, int] = {}
        """Streams that we reset or refused, and how many octets of DATA the peer may have under way for each."""
        self.conn = Connection(
            role,
            self._settings.in_force,
            max_encoder_table_size=config.max_encoder_table_size,
            max_header_list_size=config.max_header_list_size,
            on_frame=self._frame_received,
        )
        self.conn.padding = config.padding
        self._receiver = Receiver(self)
        self._running: set[int] = set()
        self._on_closed: Callable[[int], None] | None = on_closed
        self._receiving = False

    # -- bytes -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Puts the preface, our SETTINGS and the session's receive window into the output."""
        self.conn.start()
        self._give_back_connection()

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

    def _frame_received(self, frame: Frame | StreamFaultError) -> None:
        if self.touched is not None:
            self.touched.add(frame.stream_id)
        self._receiver.on_frame(frame)

    @property
    def mid_frame(self) -> bool:
        """Whether the end of the transport, now, would cut a frame."""
        return self.conn.reader.mid_frame

    @property
    def output_size(self) -> int:
        """Octets waiting in the output."""
        return self.conn.output_size

    @property
    def output_frames(self) -> int:
        """Frames waiting in the output."""
        return self.conn.output_frames

    @property
    def table_sizes(self) -> tuple[int, int]:
        """Octets in the HPACK tables for what we send, and for what we receive."""
        return self.conn.encoder_table_size, self.conn.decoder_table_size

    def take_output(self) -> bytes:
        """Returns everything that is to be sent; the caller owes it to the wire."""
        if self.touched is not None:
            self.touched |= self.conn.sent_on
        self.conn.sent_on.clear()
        self.guard.replies_taken()
        return self.conn.take_output()

    # -- sending ---------------------------------------------------------------------------------------------------

    @property
    def next_stream_id(self) -> int | None:
        """The id of the next stream of ours, or ``None`` when they are used up (RFC 9113 §5.1.1)."""
        highest = self.conn.highest_outbound_stream_id
        following = highest + 2 if highest else 1 if self.role is Role.CLIENT else 2
        return following if following <= HIGHEST_STREAM_ID else None

    @property
    def peer_max_streams(self) -> int:
        """How many streams the peer lets us have open; what is assumed counts until its SETTINGS name a number."""
        assumed = self.config.peer_max_concurrent_streams if isinstance(self.config, ClientConfig) else 0
        return self.peer_settings.get(SettingCode.MAX_CONCURRENT_STREAMS, assumed)

    def has_slot(self) -> bool:
        """Whether a client may open a stream now: the peer allows it, and the budget has room for its window."""
        streams = len(self.streams)
        return streams < self.peer_max_streams and self.budget.fits(streams + 1, self._largest_window)

    def section_too_large(self, fields: Sequence[RawField]) -> str | None:
        """Returns what is wrong if these fields are more than the peer's MAX_HEADER_LIST_SIZE, else ``None``."""
        limit = self.peer_settings.get(SettingCode.MAX_HEADER_LIST_SIZE)
        if limit is None:
            return None
        size = field_section_size(fields)
        if size <= limit:
            return None
        return f"the headers have {size} octets, the peer accepts at most {limit}"

    def block_too_large(self, fields: Sequence[RawField]) -> str | None:
        """Returns what is wrong if these fields, compressed, are more than we want to send, else ``None``."""
        limit = self.config.max_send_header_block_length
        size = 0 if limit is None else self.conn.block_size(fields)
        if limit is None or size <= limit:
            return None
        return f"the header block has {size} octets, max_send_header_block_length is {limit}"

    def open_stream(self, method: bytes, fields: Sequence[RawField], *, end_stream: bool) -> int:
        """Sends a request; the caller has seen `has_slot` and `next_stream_id`. Returns the stream's id."""
        stream_id = self.next_stream_id
        assert stream_id is not None
        self.conn.send_headers(stream_id, fields, end_stream=end_stream)
        stream = WireStream(stream_id, method, StreamCredit(self.initial_window))
        stream.local = Side.ENDED if end_stream else Side.OPEN
        self.add_stream(stream)
        self.guard.progress(LATE_FRAMES)
        return stream_id

    def send_informational(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Sends a 1xx response (RFC 9113 §8.1)."""
        self.conn.send_headers(stream_id, fields)

    def send_response(self, stream_id: int, fields: Sequence[RawField], *, end_stream: bool) -> None:
        """Sends the final response headers."""
        self.conn.send_headers(stream_id, fields, end_stream=end_stream)
        self._local_moved(stream_id, end_stream=end_stream)

    def send_trailers(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Ends our side with trailers; without any field, h2 cannot encode them: an empty DATA frame does."""
        if fields:
            self.conn.send_headers(stream_id, fields, end_stream=True)
        else:
            self.conn.end_stream(stream_id)
        self._local_moved(stream_id, end_stream=True)

    @property
    def connection_window(self) -> int:
        """What may be sent on all streams together, in octets."""
        return self.conn.outbound_flow_control_window

    def sendable(self, stream_id: int) -> int:
        """How many octets the next DATA frame of a stream may have; never negative, though a window can be (§6.9.2)."""
        window = self.conn.stream(stream_id).outbound_flow_control_window
        return max(0, min(window, self.conn.outbound_flow_control_window, self.conn.max_outbound_frame_size))

    @property
    def max_outbound_frame_size(self) -> int:
        """The largest payload that the peer accepts in one frame, in octets."""
        return self.conn.max_outbound_frame_size

    def stream_window(self, stream_id: int) -> int:
        """What may be sent on a stream, in octets; negative after the peer shrank its window."""
        return self.conn.stream(stream_id).outbound_flow_control_window

    def inbound_window(self, stream_id: int) -> int:
        """What the peer may send on a stream, in octets."""
        return self.conn.inbound_window(stream_id)

    def send_data(self, stream_id: int, data: bytes | memoryview, *, end_stream: bool) -> None:
        """Frames *data*, at most `sendable` octets, and perhaps ends our side."""
        room = min(self.stream_window(stream_id), self.connection_window, self.conn.max_outbound_frame_size)
        padding = padding_for(self.config.padding, len(data), room)
        if padding and (data or end_stream):
            self.conn.send_data(stream_id, data, end_stream=end_stream, pad_length=padding - 1)
        elif data:
            self.conn.send_data(stream_id, data, end_stream=end_stream)
        elif end_stream:
            self.conn.end_stream(stream_id)
        if data and min(self.stream_window(stream_id), self.connection_window) >= SMALL_INCREMENT:
            # The frame is as large as the application wanted it, so the peer may return its window as it likes.
            self.guard.progress(UPDATES_PER_FRAME)
        self._local_moved(stream_id, end_stream=end_stream)

    def reset(self, stream_id: int, code: int) -> None:
        """Sends RST_STREAM, once; nothing if the stream has closed already."""
        if stream_id not in self.streams:
            return
        self.conn.send_reset(stream_id, code)
        self.remember_reset(stream_id, self.conn.inbound_window(stream_id))
        self.close_stream(stream_id)

    def send_extension(self, kind: int, stream_id: int, payload: bytes) -> None:
        """Sends a frame that moves no state machine: ALTSVC, ORIGIN, PRIORITY_UPDATE, PRIORITY."""
        self.conn.send_extension(frame_octets(kind, stream_id, payload))

    def ping(self, payload: bytes) -> None:
        """Sends PING with 8 octets."""
        self.conn.send_ping(payload)

    def goaway(self, code: int, last_stream_id: int | None = None, debug_data: bytes = b"") -> None:
        """Sends GOAWAY and goes on (RFC 9113 §6.8). The last id defaults to the newest stream the peer opened."""
        if last_stream_id is None:
            last_stream_id = self.conn.highest_inbound_stream_id
        self.conn.send_goaway(self.shutdown.send(last_stream_id), code, debug_data)

    def fail(self, failure: SessionFailure) -> None:
        """Ends the session for *failure*; GOAWAY goes out if the peer may still read it."""
        if self.failure is not None:
            return
        self.failure = failure
        if failure.cause not in (Cause.LOST, Cause.CLOSED, Cause.GOAWAY):
            self.goaway(failure.code or ErrorCode.NO_ERROR, debug_data=failure.reason.encode("utf-8", "replace")[:512])

    # -- settings --------------------------------------------------------------------------------------------------

    @property
    def local_settings(self) -> dict[int, int]:
        """Our settings in force: before the first acknowledgement, what we sent."""
        return self._settings.in_force

    @property
    def settings_pending(self) -> bool:
        """Whether SETTINGS of ours are not acknowledged yet."""
        return self._settings.pending

    def check_settings(self, values: dict[int, int]) -> None:
        """Checks an update of our settings, together with those that are not acknowledged yet.

        Raises:
            ValueError: the windows would not fit the receive budget, or extended CONNECT is withdrawn.
        """
        settings = self._settings
        announced = settings.planned(SettingCode.ENABLE_CONNECT_PROTOCOL)
        if announced and not values.get(SettingCode.ENABLE_CONNECT_PROTOCOL, 1):
            # RFC 8441 §3: "a sender MUST NOT send a SETTINGS_ENABLE_CONNECT_PROTOCOL parameter with the value of 0
            # after previously sending a value of 1."
            raise ValueError("enable_connect_protocol cannot be withdrawn once it was announced (RFC 8441 §3)")
        window = settings.planned(SettingCode.INITIAL_WINDOW_SIZE, values)
        streams = max(1, len(self.streams))
        if self.role is Role.SERVER:
            streams = settings.planned(SettingCode.MAX_CONCURRENT_STREAMS, values)
        if streams * window > self.budget.size:
            raise ValueError(
                f"max_concurrent_streams {streams} x initial_window_size {window} = {streams * window} octets is more "
                f"than the receive_budget of {self.budget.size}"
            )
        if window + self.budget.extra > MAX_WINDOW:
            raise ValueError(f"initial_window_size {window} overflows the window of a stream that has grown")

    def update_settings(self, values: dict[int, int]) -> None:
        """Sends new local settings when those before them are acknowledged. The caller has asked `check_settings`."""
        if self._settings.update(values) is not None:
            self._send_settings(values)
        self._settings_changed()

    def _send_settings(self, values: dict[int, int]) -> None:
        self.conn.send_settings(values)
        self.conn.local_settings_sent(values)

    def settings_acknowledged(self) -> dict[int, int] | None:
        """The peer acknowledged SETTINGS: returns the values now in force, ``None`` if none were in flight."""
        acknowledged = self._settings.acknowledge()
        if acknowledged is None:
            return None
        values, following = acknowledged
        self.conn.local_settings_acknowledged(values)
        window = values.get(SettingCode.INITIAL_WINDOW_SIZE, self.initial_window)
        for stream in self.streams.values():
            stream.credit.target += window - self.initial_window
        self.initial_window = window
        if following is not None:
            self._send_settings(following)
        self._settings_changed()
        return values

    def _settings_changed(self) -> None:
        """Works out anew what depends on settings in force and under way."""
        settings = self._settings
        self.max_streams = settings.enforced(SettingCode.MAX_CONCURRENT_STREAMS)
        self.max_header_list_size = settings.enforced(SettingCode.MAX_HEADER_LIST_SIZE)
        self.conn.allow_header_list(self.max_header_list_size)
        self._largest_window = settings.planned(SettingCode.INITIAL_WINDOW_SIZE)
        streams = self.config.guaranteed_streams
        if self.role is Role.SERVER:
            streams = settings.planned(SettingCode.MAX_CONCURRENT_STREAMS)
        self.budget.reserve(min(streams * self._largest_window, self.budget.size))

    def set_receive_budget(self, size: int) -> None:
        """Changes the session's receive budget, and with it its window.

        Raises:
            ValueError: the windows that are or may be in use do not fit *size*.
        """
        window, budget = self._largest_window, self.budget
        streams = max(1, len(self.streams))
        if self.role is Role.SERVER:
            streams = max(streams, self._settings.planned(SettingCode.MAX_CONCURRENT_STREAMS))
        if streams * window + budget.extra + budget.stranded > size:
            raise ValueError(
                f"a receive window of {size} octets is too small for {streams} streams x initial_window_size {window}, "
                f"{budget.extra} octets that their windows have grown, and {budget.stranded} unread ones of closed "
                f"streams"
            )
        increment = budget.resize(size)
        if increment:
            self.conn.increment_flow_control_window(increment)
        self._settings_changed()

    # -- streams ---------------------------------------------------------------------------------------------------

    def add_stream(self, stream: WireStream) -> None:
        """A stream has opened."""
        self.streams[stream.id] = stream
        self.credits[stream.id] = stream.credit

    def accept_stream(self, stream: WireStream) -> None:
        """A stream of the peer has opened, and its handler will run."""
        self.add_stream(stream)
        self.slots.add(stream.id)
        self._running.add(stream.id)

    def handler_done(self, stream_id: int) -> None:
        """The handler of a peer's stream has ended."""
        self._running.discard(stream_id)
        if stream_id not in self.streams:
            self.slots.discard(stream_id)

    def remote_ended(self, stream_id: int) -> bool:
        """Whether the peer's side of a stream has ended."""
        stream = self.streams.get(stream_id)
        return stream is None or stream.remote is Side.ENDED

    def remember_reset(self, stream_id: int, window: int) -> None:
        """Late frames on this stream are to be dropped in silence; *window* octets of DATA may be under way."""
        self.reset_by_us[stream_id] = max(0, window)
        if len(self.reset_by_us) > MAX_REMEMBERED_RESETS:
            del self.reset_by_us[next(iter(self.reset_by_us))]

    def close_stream(self, stream_id: int) -> None:
        """Forgets a stream both of whose sides have ended."""
        stream = self.streams.pop(stream_id)
        stream.local = stream.remote = Side.ENDED
        self.conn.forget(stream_id)
        self.budget.close(stream.credit, self.initial_window)
        if not stream.credit.held:
            del self.credits[stream_id]
        if stream_id not in self._running:
            self.slots.discard(stream_id)
        if self._receiving:
            self._receiver.report(StreamClosed(stream_id))
        elif self._on_closed is not None:
            self._on_closed(stream_id)

    def _local_moved(self, stream_id: int, *, end_stream: bool) -> None:
        stream = self.streams[stream_id]
        if end_stream:
            stream.local = Side.ENDED
            if stream.closed:
                self.close_stream(stream_id)
        else:
            stream.local = Side.OPEN

    # -- the session -----------------------------------------------------------------------------------------------

    @property
    def memory(self) -> int:
        """An estimate of the octets this session holds: unread and queued bodies, unfinished frames, header tables."""
        conn = self.conn
        return self.budget.ledger.held + self.queued_body + conn.output_size + conn.reader.buffered + conn.table_size

    @property
    def memory_limit(self) -> int:
        """The octets above which new streams are refused; unless a number was given, it moves with the budget."""
        if self.config.max_session_memory is not None:
            return self.config.max_session_memory
        return self.config.session_memory - self.config.receive_budget + self.budget.size

    def release(self) -> None:
        """The session is over: lets go of what refers back, so that nothing waits for the garbage collector."""
        self._on_closed = None
        self._receiver.release()
        self.conn.release()

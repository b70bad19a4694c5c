"""One HTTP/2 connection by h2: its bytes, its tasks, and what it says about every stream.

The only module that imports h2, and only what h2 documents as its public API. h2's exceptions end here, too.

h2 is used as it is, but for four things that would keep a peer on it from being a useful one:

* **GOAWAY.** For h2 a GOAWAY, sent or received, is the end of the connection, so that no stream could finish after it
  as RFC 9113 §6.8 wants. Those frames are handled beside it: the bytes that come are cut into frames, and a correct
  GOAWAY does not reach h2; one that this side sends is put between h2's frames.
* **The first SETTINGS.** h2 enforces settings that are given to it beforehand from the first byte on, though the other
  side cannot know them yet. They are made an update, which h2 enforces from its acknowledgement on, and the frame of
  that update is sent as the first one.
* **Sizes of HPACK's table.** hpack signals every size that it was told, also those above the limit that holds by then,
  and none if the last one came twice: both are decoding errors (RFC 7541 §§4.2, 6.3). The smallest and the last one are
  kept for it, and that they are due.
* **Field sections after a reset.** A 1xx response that was under way when this side reset the stream would end h2's
  connection. What comes on such a stream is only decoded, so that HPACK stays in step.

h2 gives a connection up when it is asked for what the state of a stream does not allow, so the states are checked here
before it is asked.

Two tasks serve a link: one reads and hands frames to h2, one writes what h2 wants to send. Everything else is
synchronous: nothing waits between a look at h2's state and what is done because of it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack
import hyperframe.frame
import trio

import trio_h2

from .._frames import (
    CLIENT_PREFACE,
    FRAME_HEADER_LENGTH,
    FrameFlag,
    FrameType,
    GoAwayFrame,
    HeadersFrame,
    frame_length,
    parse_frame,
)
from ._ending import Ending
from ._inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")
P = ParamSpec("P")
Field = tuple[bytes, bytes]

_RECEIVE_BYTES = 65_536


class Link:
    """h2 on a transport.

    Args:
        transport: The stream below, which the link owns from now on.
        client: Whether this end is the client.
        settings: Values of the first SETTINGS that are not to be h2's defaults.
        accept: Called with what the other side has begun: a request, or a push.

    Attributes:
        goaway_received: The other side's last GOAWAY.
        ending: Why the session is over, None while it is not.
        told: Whether somebody was told why.
    """

    def __init__(
        self,
        transport: trio.abc.Stream,
        *,
        client: bool,
        settings: trio_h2.Settings,
        accept: Callable[[Inbox], None],
    ) -> None:
        self.goaway_received: GoAwayFrame | None = None
        self.ending: Ending | None = None
        self.told: bool = False
        self._transport = transport
        self._client = client
        self._accept = accept
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client, header_encoding=None))
        self._inboxes: dict[int, Inbox] = {}
        self._ended: set[int] = set()
        self._last_accepted: int | None = None
        self._remote_settings_seen = False
        self._settings_sent = self._settings_acknowledged = 0
        self._pings: dict[bytes, float | None] = {}
        self._next_ping = 0
        self._input = bytearray()
        self._in_block = False
        self._preface_left = 0 if client else len(CLIENT_PREFACE)
        self._output = bytearray()
        self._queued = self._written = 0
        self._changed = trio.lowlevel.ParkingLot()
        self._start(settings)

    def _start(self, settings: trio_h2.Settings) -> None:
        self._h2.initiate_connection()
        self._output += self._h2.data_to_send()[: len(CLIENT_PREFACE) if self._client else 0]
        values = {int(code): value for code, value in self._h2.local_settings.items()}
        self._call(self._h2.update_settings, {**values, **settings.as_dict()})
        self._settings_sent += 1
        self._collect()
        self._queued = len(self._output)

    # ---- The tasks ----

    async def read(self) -> None:
        """Reads until the other side or this one ends the session. Never raises what the network does."""
        while self.ending is None:
            try:
                data = await self._transport.receive_some(_RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._lost(exc)
                return
            if not data:
                self._lost(None)
                return
            self._received(bytes(data))

    async def write(self) -> None:
        """Writes until the session is over and its last bytes are out, then closes the transport."""
        try:
            while self._output or self.ending is None:
                if not self._output:
                    await self._changed.park()
                    continue
                data, self._output = bytes(self._output), bytearray()
                await self._transport.send_all(data)
                self._written += len(data)
                self.notify()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._lost(exc)
        finally:
            await trio.aclose_forcefully(self._transport)

    async def abandon(self) -> None:
        """Closes the transport at once."""
        await trio.aclose_forcefully(self._transport)

    # ---- Waiting ----

    def notify(self) -> None:
        """Lets all who wait look again at what they wait for."""
        self._changed.unpark_all()

    async def wait(self, ready: Callable[[], bool], inbox: Inbox | None = None) -> None:
        """Waits for a condition, which is looked at first; a checkpoint in any case.

        Raises:
            H2Error, trio.ClosedResourceError: The session, or the stream of *inbox*, is over without it.
        """
        await trio.lowlevel.checkpoint()
        while not ready():
            self.check(inbox)
            await self._changed.park()

    async def wait_over(self) -> None:
        """Waits until the session is over."""
        await self.wait(lambda: self.ending is not None)

    async def wait_change(self) -> None:
        """Waits until anything has happened."""
        await self._changed.park()

    async def flush(self) -> None:
        """Waits until everything that is to be sent now has been handed to the transport.

        Raises:
            H2Error, trio.ClosedResourceError: The session is over before that.
        """
        target = self._queued
        while self._written < target:
            self.check()
            await self._changed.park()

    def check(self, inbox: Inbox | None = None) -> None:
        """Raises why the stream of *inbox*, or the session, is over."""
        if inbox is not None and inbox.ending is not None:
            raise inbox.ending.error()
        if self.ending is not None:
            self.told = True
            raise self.ending.error()

    # ---- The session ----

    @property
    def started(self) -> bool:
        """Whether the other side's first SETTINGS have come."""
        return self._remote_settings_seen

    @property
    def local_settings(self) -> trio_h2.Settings:
        """This side's settings, as far as the other side has acknowledged them."""
        return trio_h2.Settings.from_dict({int(code): value for code, value in self._h2.local_settings.items()})

    @property
    def remote_settings(self) -> trio_h2.Settings:
        """The other side's settings."""
        return trio_h2.Settings.from_dict({int(code): value for code, value in self._h2.remote_settings.items()})

    @property
    def send_window(self) -> int:
        """What this side may still send on the connection."""
        return self._h2.outbound_flow_control_window

    @property
    def receive_window(self) -> int:
        """What the other side may still send on the connection."""
        return self._h2.inbound_flow_control_window

    async def update_settings(self, settings: trio_h2.Settings) -> None:
        """Sends SETTINGS and waits for the acknowledgement. One is under way at a time: h2 takes one for all."""
        await self.wait_settings_acknowledged()
        self.check()
        self._settings_sent += 1
        number = self._settings_sent
        self._call(self._h2.update_settings, dict(settings.as_dict()))
        self._send()
        await self.wait(lambda: self._settings_acknowledged >= number)

    async def wait_settings_acknowledged(self) -> None:
        """Waits until no SETTINGS of this side are under way."""
        await self.wait(lambda: self._settings_acknowledged >= self._settings_sent)

    async def ping(self) -> float:
        """Sends PING and returns the seconds until its acknowledgement."""
        await trio.lowlevel.checkpoint()
        self.check()
        self._next_ping += 1
        payload = struct.pack(">Q", self._next_ping)
        began = trio.current_time()
        self._pings[payload] = None
        try:
            self._call(self._h2.ping, payload)
            self._send()
            await self.wait(lambda: self._pings[payload] is not None)
        finally:
            came = self._pings.pop(payload)
        assert came is not None
        return came - began

    def goaway(self, code: int, last_stream_id: int | None, debug_data: bytes) -> None:
        """Sends GOAWAY; streams of the other side above *last_stream_id* are refused from now on."""
        self.check()
        if last_stream_id is None:
            last_stream_id = max((id for id in self._inboxes if id % 2 == (not self._client)), default=0)
            if self._last_accepted is not None:
                last_stream_id = min(last_stream_id, self._last_accepted)
        if self._last_accepted is not None and last_stream_id > self._last_accepted:
            # RFC 9113 §6.8: "Endpoints MUST NOT increase the value they send in the last stream identifier".
            raise trio_h2.LocalProtocolError(
                f"last_stream_id {last_stream_id} is higher than the {self._last_accepted} of an earlier GOAWAY"
            )
        self._last_accepted = last_stream_id
        frame = hyperframe.frame.GoAwayFrame(
            0, last_stream_id=last_stream_id, error_code=code, additional_data=debug_data
        )
        self._output += frame.serialize()
        self._queued += FRAME_HEADER_LENGTH + frame.body_len
        self.notify()

    def end(self, ending: Ending) -> None:
        """Ends the session, if it is not over yet: nothing more is read; what is to be sent still is."""
        if self.ending is None:
            self.ending = ending
            self.notify()

    # ---- Streams ----

    def may_open(self) -> bool:
        """Whether the other side allows another stream now.

        Raises:
            GoAwayError: It allows none any more.
        """
        if self.goaway_received is not None:
            raise trio_h2.GoAwayError(
                "the other side takes no new streams",
                code=self.goaway_received.code,
                initiator=trio_h2.Initiator.REMOTE,
                debug_data=self.goaway_received.debug,
                retryable=True,
            )
        limit = self._h2.remote_settings.max_concurrent_streams
        return self._remote_settings_seen and self._h2.open_outbound_streams < limit

    def open(self, fields: Sequence[Field], *, end_stream: bool) -> Inbox:
        """Sends a request on a new stream."""
        self.check()
        stream_id = self._call(self._h2.get_next_available_stream_id)
        inbox = self._inboxes[stream_id] = Inbox(stream_id, request=trio_h2.Headers.from_raw(list(fields)))
        self.send_headers(inbox, fields, end_stream=end_stream)
        return inbox

    def promise(self, parent: Inbox, fields: Sequence[Field]) -> Inbox:
        """Sends PUSH_PROMISE; the promised stream can be answered."""
        self.check_can_send(parent)
        if not self._h2.remote_settings.enable_push:
            raise trio_h2.LocalProtocolError(
                "the client allows no pushes (SETTINGS_ENABLE_PUSH)", stream_id=parent.stream_id
            )
        stream_id = self._call(self._h2.get_next_available_stream_id)
        self._call(self._h2.push_stream, parent.stream_id, stream_id, fields)
        self._send()
        request = trio_h2.Headers.from_raw(list(fields))
        inbox = self._inboxes[stream_id] = Inbox(stream_id, request=request, parent_id=parent.stream_id)
        inbox.ended = True
        return inbox

    def check_can_send(self, inbox: Inbox) -> None:
        """Raises what keeps this side from sending on a stream."""
        self.check(inbox)
        if inbox.stream_id in self._ended:
            raise trio.ClosedResourceError("this side of the stream has ended")

    def has_ended(self, inbox: Inbox) -> bool:
        """Whether this side has ended its half of a stream."""
        return inbox.stream_id in self._ended

    def send_headers(self, inbox: Inbox, fields: Sequence[Field], *, end_stream: bool) -> None:
        """Sends a field section, of whatever kind h2 takes it for: it knows what was sent before."""
        self.check_can_send(inbox)
        self._call(self._h2.send_headers, inbox.stream_id, fields, end_stream)
        self._sent(inbox, end_stream)

    def sendable(self, inbox: Inbox) -> int:
        """Returns how many bytes of DATA can be sent in one frame now."""
        self.check_can_send(inbox)
        return max(0, min(self._h2.local_flow_control_window(inbox.stream_id), self._h2.max_outbound_frame_size))

    def send_data(self, inbox: Inbox, data: bytes, *, end_stream: bool, pad_length: int | None = None) -> None:
        """Sends one DATA frame, for which there must be room."""
        self.check_can_send(inbox)
        if data or pad_length is not None:
            self._call(self._h2.send_data, inbox.stream_id, data, end_stream, pad_length)
        else:
            self._call(self._h2.end_stream, inbox.stream_id)
        self._sent(inbox, end_stream)

    def _sent(self, inbox: Inbox, end_stream: bool) -> None:
        if end_stream:
            self._ended.add(inbox.stream_id)
        self._send()

    def reset(self, inbox: Inbox, code: int) -> None:
        """Sends RST_STREAM, unless the stream is over already. What was received stays readable."""
        over = inbox.ended and inbox.stream_id in self._ended
        if over or inbox.ending is not None or self.ending is not None:
            return
        inbox.ending = Ending(
            kind=trio_h2.StreamResetError,
            message="this side has reset the stream",
            code=code,
            initiator=trio_h2.Initiator.LOCAL,
            stream_id=inbox.stream_id,
        )
        self._call(self._h2.reset_stream, inbox.stream_id, code)
        self._send()

    def credit(self, inbox: Inbox, size: int) -> None:
        """Gives the credit of bytes that were read back; h2 decides when it is time to say so."""
        if size and self.ending is None:
            self._call(self._h2.acknowledge_received_data, size, inbox.stream_id)
            self._send()

    def stream_send_window(self, inbox: Inbox) -> int:
        """Returns what may be sent on a stream, or the connection, whichever is less; 0 when it is over."""
        if inbox.ending is not None or self.ending is not None or inbox.stream_id in self._ended:
            return 0
        return self._h2.local_flow_control_window(inbox.stream_id)

    def stream_receive_window(self, inbox: Inbox) -> int:
        """Returns what the other side may send on a stream, or the connection, whichever is less."""
        if inbox.ending is not None or self.ending is not None or inbox.ended:
            return 0
        return self._h2.remote_flow_control_window(inbox.stream_id)

    def enlarge_window(self, size: int, inbox: Inbox | None = None) -> None:
        """Sends WINDOW_UPDATE of a stream, or of the connection."""
        self.check(inbox)
        if inbox is not None and inbox.ended:
            raise trio_h2.LocalProtocolError("the other side of the stream has ended", stream_id=inbox.stream_id)
        window = self.receive_window if inbox is None else self._h2.remote_flow_control_window(inbox.stream_id)
        if not 1 <= size <= self._h2.MAX_WINDOW_INCREMENT - window:
            raise ValueError(f"a window of {window} bytes cannot be enlarged by {size}")
        self._call(self._h2.increment_flow_control_window, size, None if inbox is None else inbox.stream_id)
        self._send()

    # ---- Beneath ----

    def _call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Asks h2 for something that it should not refuse; if it does, the connection is of no use any more.

        (h2 has then closed the stream or the whole connection, or its HPACK encoder is ahead of what was sent.)
        """
        try:
            return method(*args, **kwargs)
        except (h2.exceptions.H2Error, h2.exceptions.ProtocolError, ValueError, TypeError, KeyError) as exc:
            self._collect()
            self.end(Ending(kind=None, message=f"h2 refused to send what was asked for: {exc}", cause=exc))
            raise trio_h2.LocalProtocolError(f"h2 refuses that: {exc}") from exc

    def _collect(self) -> None:
        data = self._h2.data_to_send()
        self._output += data
        self._queued += len(data)

    def _send(self) -> None:
        self._collect()
        self.notify()

    def _lost(self, cause: BaseException | None) -> None:
        goaway = self.goaway_received
        if goaway is not None:
            self.end(
                Ending(
                    kind=trio_h2.GoAwayError,
                    message="the other side has ended the session",
                    code=goaway.code,
                    initiator=trio_h2.Initiator.REMOTE,
                    debug_data=goaway.debug,
                    cause=cause,
                )
            )
            return
        self.end(
            Ending(
                kind=trio_h2.TransportLostError,
                message="the other side closed the transport without GOAWAY",
                initiator=trio_h2.Initiator.REMOTE,
                cause=cause,
            )
        )

    def _received(self, data: bytes) -> None:
        self._input += data
        try:
            while self.ending is None:
                is_frame = not self._preface_left
                if not (piece := self._next_piece()):
                    break
                if not (is_frame and (self._is_goaway(piece) or self._is_late(piece))):
                    for event in self._h2.receive_data(piece):
                        self._dispatch(event)
        except h2.exceptions.ProtocolError as exc:
            self.end(
                Ending(
                    kind=trio_h2.RemoteProtocolError,
                    message=f"h2 says that the other side broke the protocol: {type(exc).__name__}: {exc}",
                    code=int(exc.error_code),
                    initiator=trio_h2.Initiator.LIBRARY,
                    cause=exc,
                )
            )
        self._send()

    def _next_piece(self) -> bytes:
        """Takes the preface, as far as it has come, or one whole frame; nothing if there is none yet.

        h2 forgets what it has understood before a mistake in the same piece, so it gets one frame at a time.
        """
        if self._preface_left:
            size = min(self._preface_left, len(self._input))
            self._preface_left -= size
        elif len(self._input) < FRAME_HEADER_LENGTH:
            return b""
        else:
            length = frame_length(bytes(self._input[:FRAME_HEADER_LENGTH]))
            if length > self._h2.max_inbound_frame_size:
                # h2 refuses it, but only when it has the whole of it: it need not be waited for.
                return bytes(self._input[:FRAME_HEADER_LENGTH]) + bytes(length)
            size = FRAME_HEADER_LENGTH + length
            if len(self._input) < size:
                return b""
        piece = bytes(self._input[:size])
        del self._input[:size]
        return piece

    def _is_goaway(self, frame: bytes) -> bool:
        """Handles a correct GOAWAY where one may come. All others are h2's to judge."""
        kind, flags = frame[3], frame[4]
        stream_id = int.from_bytes(frame[5:9], "big") & 0x7FFF_FFFF
        if kind in (FrameType.HEADERS, FrameType.PUSH_PROMISE, FrameType.CONTINUATION):
            self._in_block = not flags & FrameFlag.END_HEADERS
        length = len(frame) - FRAME_HEADER_LENGTH
        if kind != FrameType.GOAWAY or self._in_block or stream_id or length < 8:
            return False
        goaway = parse_frame(frame)
        assert isinstance(goaway, GoAwayFrame)
        self.goaway_received = goaway
        for inbox in self._inboxes.values():
            if inbox.stream_id > goaway.last_stream_id and inbox.stream_id % 2 == self._client and inbox.ending is None:
                self._refused(inbox, goaway.code, goaway.debug)
        return True

    def _is_late(self, frame: bytes) -> bool:
        """Decodes and drops a whole field section on a stream that this side has reset."""
        inbox = self._inboxes.get(int.from_bytes(frame[5:9], "big") & 0x7FFF_FFFF)
        if inbox is None or inbox.ending is None or frame[3] != FrameType.HEADERS:
            return False
        if inbox.ending.initiator is not trio_h2.Initiator.LOCAL or not frame[4] & FrameFlag.END_HEADERS:
            return False
        headers = parse_frame(frame)
        assert isinstance(headers, HeadersFrame)
        try:
            self._h2.decoder.decode(headers.fragment, raw=True)
        except hpack.HPACKError:
            return False  # h2 finds the same, and says so
        return True

    def _refused(self, inbox: Inbox, code: int, debug_data: bytes) -> None:
        # RFC 9113 §6.8: streams above the last id "might not have been" processed and can be retried.
        inbox.ending = Ending(
            kind=trio_h2.StreamRefusedError,
            message="the other side's GOAWAY says that it has not looked at the stream",
            code=code,
            initiator=trio_h2.Initiator.REMOTE,
            stream_id=inbox.stream_id,
            debug_data=debug_data,
        )
        if not (inbox.ended and inbox.stream_id in self._ended):
            self._call(self._h2.reset_stream, inbox.stream_id, int(trio_h2.ErrorCode.CANCEL))

    # ---- h2's events ----

    def _dispatch(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._began(Inbox(event.stream_id, request=_headers(event.headers)))
            case h2.events.PushedStreamReceived():
                assert event.pushed_stream_id is not None
                request = _headers(event.headers or ())
                inbox = Inbox(event.pushed_stream_id, request=request, parent_id=event.parent_stream_id)
                self._ended.add(event.pushed_stream_id)
                self._began(inbox)
                if event.parent_stream_id in self._inboxes:
                    self._inboxes[event.parent_stream_id].pushes.append(inbox)
            case h2.events.InformationalResponseReceived():
                self._inboxes[event.stream_id].informational.append(_headers(event.headers))
            case h2.events.ResponseReceived():
                self._inboxes[event.stream_id].response = _headers(event.headers)
            case h2.events.TrailersReceived():
                self._inboxes[event.stream_id].trailers = _headers(event.headers)
            case h2.events.DataReceived():
                inbox = self._inboxes[event.stream_id]
                padding = event.flow_controlled_length - len(event.data)
                if inbox.discarding:
                    self.credit(inbox, event.flow_controlled_length)
                    if event.stream_ended is None:
                        self.reset(inbox, trio_h2.ErrorCode.CANCEL)
                else:
                    inbox.body += event.data
                    self.credit(inbox, padding)
            case h2.events.StreamEnded():
                self._inboxes[event.stream_id].ended = True
            case h2.events.StreamReset():
                self._was_reset(event)
            case h2.events.RemoteSettingsChanged():
                self._remote_settings_seen = True
                self._settle_table_size()
            case h2.events.SettingsAcknowledged():
                self._settings_acknowledged += 1
            case h2.events.PingAckReceived():
                if event.ping_data in self._pings:
                    self._pings[event.ping_data] = trio.current_time()
            case _:
                pass  # windows are h2's own business, and extensions nobody's

    def _settle_table_size(self) -> None:
        encoder = self._h2.encoder
        changes = encoder.table_size_changes
        if changes:
            # RFC 7541 §4.2: "the smallest maximum table size that occurs in that interval MUST be signaled in a dynamic
            # table size update. The final maximum size is always signaled, resulting in at most two".
            changes[:] = sorted({min(changes), changes[-1]})
            encoder.header_table.resized = True

    def _began(self, inbox: Inbox) -> None:
        self._inboxes[inbox.stream_id] = inbox
        if self._last_accepted is not None and inbox.stream_id > self._last_accepted:
            self.reset(inbox, trio_h2.ErrorCode.REFUSED_STREAM)
        else:
            self._accept(inbox)

    def _was_reset(self, event: h2.events.StreamReset) -> None:
        inbox = self._inboxes.get(event.stream_id)
        if inbox is None:
            return
        code = int(event.error_code)
        if event.remote_reset:
            inbox.reset_code = code
        if inbox.ending is not None or (inbox.ended and event.stream_id in self._ended):
            return
        refused = code == trio_h2.ErrorCode.REFUSED_STREAM and event.remote_reset
        if event.remote_reset:
            message = "the other side has reset the stream"
        else:
            message = "h2 has reset the stream: the other side broke the protocol on it"
        inbox.ending = Ending(
            kind=trio_h2.StreamRefusedError if refused else trio_h2.StreamResetError,
            message=message,
            code=code,
            initiator=trio_h2.Initiator.REMOTE if event.remote_reset else trio_h2.Initiator.LIBRARY,
            stream_id=event.stream_id,
        )


def _headers(fields: Iterable[tuple[bytes | str, bytes | str]]) -> trio_h2.Headers:
    """Returns received fields as they came: nothing is checked, joined or changed."""
    raw: list[Field] = []
    for field in fields:
        name, value = (part.encode("latin-1") if isinstance(part, str) else bytes(part) for part in field)
        never_indexed = isinstance(field, hpack.NeverIndexedHeaderTuple)
        raw.append(hpack.NeverIndexedHeaderTuple(name, value) if never_indexed else (name, value))
    return trio_h2.Headers.from_raw(raw)

"""The inner side of a client's session: opening streams, and what servers say of themselves."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

import trio

from .._errors import (
    ExtendedConnectError,
    GoAwayError,
    LocalProtocolError,
    SessionError,
    from_failure,
    headers_too_large,
)
from .._stream._core import StreamCore
from .._stream._priority import check_not_itself
from .._stream._response import ResponseInbox
from .._util import Signal, construct
from .._wire._codes import Initiator, Role, SettingCode
from .._wire._events import AltSvcAnnounced, InformationalReceived, OriginsAnnounced, PushPromised, ResponseReceived
from ._client import ClientSession
from ._core import SessionCore
from ._extensions import AltSvcReceived, OriginReceived, OriginSet
from ._pushes import ReceivedPushes
from ._reader import RULES
from ._reset_pace import ResetPace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._stream._pushed import PushHandler
    from .._wire._config import ClientConfig
    from .._wire._extframes import Dependency
    from ._base import Session
    from ._core import Rules
    from ._request import RequestHead


class ClientCore(SessionCore):
    """The inner side of a `ClientSession`."""

    role = Role.CLIENT
    session: ClientSession

    def __init__(
        self,
        below: trio.abc.Stream,
        config: ClientConfig,
        *,
        label: str,
        scheme: str,
        authority: str,
        push_handler: PushHandler | None = None,
        settings: Mapping[int, int] | None = None,
    ) -> None:
        push = push_handler is not None
        super().__init__(below, config, label=label, push=push, settings=settings, authority=authority)
        self._expect_continue_timeout = config.expect_continue_timeout
        self._reset_pace = ResetPace(config.cancel_burst, config.cancel_rate)
        self.scheme = scheme
        self.authority = authority
        self.origins: OriginSet = OriginSet(f"{scheme}://{authority}")
        # RFC 8336 §2.3 speaks of certificates and of the name in the TLS handshake: no origin set without TLS.
        self.has_origin_set: bool = isinstance(below, trio.SSLStream)
        self.engine.authoritative = self.origins.speaks_for
        self.pushes: ReceivedPushes | None = None if push_handler is None else ReceivedPushes(push_handler)
        self.session = construct(ClientSession, self)
        self.whose: weakref.ref[Session] = weakref.ref(self.session)

    # -- opening streams -------------------------------------------------------------------------------------------

    async def open(
        self, head: RequestHead, body: bytes, *, end_stream: bool, hold: bool, dependency: Dependency | None
    ) -> StreamCore:
        """Sends a request in its turn: see `ClientSession.open_stream`."""
        if head.extends_connect:
            await self.peer_settings_known.wait()
            self._check_extended_connect()
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._may_open():
            # All tasks that are about to send a request do so in this pass of the scheduler, and the writer sends all
            # of them at once.
            stream = self._open(head, body, end_stream=end_stream, hold=hold, dependency=dependency)
            await trio.lowlevel.cancel_shielded_checkpoint()
            return stream
        ticket = Signal()
        try:
            with self.watcher.waiting():
                await self.slots.wait_turn(ticket, self._has_slot, self._check_can_open, self._pause)
            return self._open(head, body, end_stream=end_stream, hold=hold, dependency=dependency)
        finally:
            self.slots.leave(ticket)

    def open_nowait(
        self, head: RequestHead, body: bytes, *, end_stream: bool, hold: bool, dependency: Dependency | None
    ) -> StreamCore:
        """Sends a request at once: see `ClientSession.open_stream_nowait`."""
        waits_for_settings = head.extends_connect and not self.peer_settings_known.is_set
        if waits_for_settings or not self._may_open():
            self._check_can_open()
            raise trio.WouldBlock
        if head.extends_connect:
            self._check_extended_connect()
        if self.trace is None:
            return self._open(head, body, end_stream=end_stream, hold=hold, dependency=dependency)
        with self.trace.outgoing(head.headers) as request:
            return self._open(head.seen_as(request), body, end_stream=end_stream, hold=hold, dependency=dependency)

    def _may_open(self) -> bool:
        """Whether a request can be sent now; nobody waits, so nobody is overtaken."""
        return (
            not self.slots.line
            and not self.ending.draining.is_set()
            and self.engine.next_stream_id is not None
            and self._has_slot()
        )

    async def open_traced(
        self, head: RequestHead, body: bytes, *, end_stream: bool, hold: bool, dependency: Dependency | None
    ) -> StreamCore:
        """The same with instruments, which may add fields to the request."""
        assert self.trace is not None
        with self.trace.outgoing(head.headers) as request:
            seen = head.seen_as(request)
            return await self.open(seen, body, end_stream=end_stream, hold=hold, dependency=dependency)

    def _open(
        self, head: RequestHead, body: bytes, *, end_stream: bool, hold: bool, dependency: Dependency | None
    ) -> StreamCore:
        """Sends a request now. Nothing waits in here, so the ids are on the wire in the order of the turns."""
        engine = self.engine
        fields = head.fields
        if dependency is not None:
            check_not_itself(dependency, engine.next_stream_id)
        too_large = engine.section_too_large(fields)
        if too_large is not None:
            raise headers_too_large(too_large, None, session=self.whose())
        reason = engine.block_too_large(fields)
        if reason is not None:
            self.frame_not_sent(None, reason)
            raise LocalProtocolError(reason, session=self.whose())
        ends_now = end_stream and not body
        method = fields[0][1]  # comes first
        stream = StreamCore(self, engine.open_stream(method, fields, end_stream=ends_now, dependency=dependency))
        stream.sent_headers = head.headers
        stream.response = ResponseInbox(stream.inbox)
        if dependency is not None:
            stream.weight = dependency.weight
            self.weigh(stream.id, dependency.weight)
        self.stream_opened(stream)
        if head.request is not None and self.trace is not None:
            self.trace.has_stream(head.request, stream.id)
        outbox = stream.outbox
        if ends_now:
            outbox.end_with_headers()
        else:
            if hold:
                outbox.held = True
                # RFC 9110 §10.1.1: a client "MAY proceed to send the content without waiting for a 100 response, since
                # a server might not understand the expectation" and "SHOULD NOT wait for an indefinite period".
                self.watcher.holds(stream.id, self._expect_continue_timeout)
            if body and end_stream and not hold:
                outbox.send_whole(body, head.length)
            else:
                outbox.promise(head.length)
                outbox.queue(body)
                if end_stream:
                    outbox.finish()
        self.wake_writer()
        return stream

    def _check_extended_connect(self) -> None:
        """Raises unless the server's SETTINGS offer extended CONNECT."""
        self._check_can_open()
        if not self.engine.peer_settings.get(SettingCode.ENABLE_CONNECT_PROTOCOL):
            # RFC 8441 §3: "Upon receipt of SETTINGS_ENABLE_CONNECT_PROTOCOL with a value of 1, a client MAY use the
            # Extended CONNECT".
            raise ExtendedConnectError("the server does not offer extended CONNECT (RFC 8441)", session=self.whose())

    @property
    def free_streams(self) -> int:
        """How many requests could be sent at once now."""
        engine = self.engine
        if self.ending.draining.is_set() or engine.next_stream_id is None or not self._has_slot():
            return 0
        return max(0, engine.free_slots - len(self.slots))

    def _has_slot(self) -> bool:
        return (
            self.engine.has_slot()
            and self.engine.output.size <= self.config.max_queued_control
            and not (self._reset_pace.spent and self._reset_pace.seconds(trio.current_time()))
        )

    def _pause(self) -> float:
        """After how many seconds it is worth asking for a slot again."""
        return self._reset_pace.seconds(trio.current_time()) or math.inf

    def stream_closed(self, stream_id: int) -> None:
        """A stream has ended on the wire, in both directions."""
        if stream_id & 1 and stream_id in self.engine.resets.by_us:
            self._reset_pace.count(trio.current_time())
        super().stream_closed(stream_id)

    def _check_can_open(self) -> bool:
        """Raises what keeps new streams from being opened, now and later; else a request wants to be sent."""
        if self.ending.failure is not None:
            raise from_failure(
                replace(self.ending.failure, retryable=True), session=self.whose()
            )  # nothing of it was sent
        if self.ending.leaving:
            raise trio.ClosedResourceError("this session is being closed on this side")
        leaving = self.engine.shutdown
        if leaving.peer_is_leaving:
            raise GoAwayError(
                "the server takes no new streams on this session",
                code=leaving.received_code,
                initiator=Initiator.REMOTE,
                debug_data=leaving.received_debug,
                retryable=True,
                session=self.whose(),
            )
        if self.engine.next_stream_id is None:
            # RFC 9113 §5.1.1: "A client that is unable to establish a new stream identifier can establish a new
            # connection for new streams."
            raise SessionError(
                "the stream ids of this session are used up, connect again",
                initiator=Initiator.LIBRARY,
                retryable=True,
                session=self.whose(),
            )
        return True

    # -- the rules of a client -------------------------------------------------------------------------------------

    def _response(self, event: ResponseReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        sent = stream.sent_headers
        if event.headers.status == 421 and sent is not None:
            # RFC 8336 §2.3: clients "MUST create the ASCII serialization of the corresponding request's origin"
            # and "remove it from the connection's Origin Set, if present."
            self.origins.misdirected(f"{sent.get(':scheme')}://{sent.get(':authority')}")
        stream.response_received(event.headers, end_stream=event.end_stream)
        if event.end_stream:
            stream.remote_ended()

    def _informational(self, event: InformationalReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.informational_received(event.headers)

    def _push_promised(self, event: PushPromised) -> None:
        assert self.pushes is not None  # else the engine takes no promises
        self.pushes.take(self, event)

    def _altsvc(self, event: AltSvcAnnounced) -> None:
        self.events.tell(AltSvcReceived(event.alt, event.origin, event.stream_id))

    def _origins(self, event: OriginsAnnounced) -> None:
        if self.has_origin_set:
            self.origins.add(event.origins)
            self.events.tell(OriginReceived(event.origins))

    rules: ClassVar[Rules] = cast(  # each rule gets the events of its own type only
        "Rules",
        {
            **RULES,
            ResponseReceived: _response,
            InformationalReceived: _informational,
            PushPromised: _push_promised,
            AltSvcAnnounced: _altsvc,
            OriginsAnnounced: _origins,
        },
    )

    def release(self) -> None:
        """Everything has ended: lets go of what refers back here."""
        super().release()
        if self.pushes is not None:
            self.pushes.nursery = None

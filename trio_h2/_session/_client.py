"""Sessions that open streams."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import trio

from .._checks import view_of
from .._errors import ExtendedConnectError, GoAwayError, LocalProtocolError, SessionError, from_failure
from .._stream._client import ClientStream
from .._stream._priority import check_not_itself, check_priority, dependency_of
from .._stream._response import ResponseStream
from .._util import Signal, construct
from .._wire._codes import Initiator, SettingCode
from .._wire._headers import Headers
from .._wire._outbound import content_length_of, request_fields
from ._extensions import OriginReceived
from ._push_in import PushTakingSession
from ._slots import SlotLine

if TYPE_CHECKING:
    from types import TracebackType

    from .._stream._port import SessionPort
    from .._wire._config import ClientConfig
    from .._wire._events import InformationalReceived, OriginsAnnounced, ResponseReceived
    from .._wire._extframes import Dependency
    from .._wire._headers import HeadersInput, RawField
    from .._wire._schedule import Priority
    from ._push_in import PushHandler

_EXPECT_CONTENT = frozenset({"POST", "PUT", "PATCH"})
"""RFC 9110 §8.6: methods whose requests carry content-length even when they have no content."""


class ClientSession(PushTakingSession):
    """A session on the client's side; made by `connect`."""

    def __init__(
        self,
        transport: trio.abc.Stream,
        config: ClientConfig,
        *,
        label: str,
        scheme: str,
        authority: str,
        push_handler: PushHandler | None = None,
    ) -> None:
        super().__init__(transport, config, label=label, origin=f"{scheme}://{authority}", push_handler=push_handler)
        self._scheme = scheme
        self._authority = authority
        self._slots = SlotLine()
        self._settings_known = trio.Event()
        """The server's first SETTINGS came, or never will."""
        # RFC 8336 §2.3 speaks of certificates and of the name in the TLS handshake: no origin set without TLS.
        self._has_origin_set = isinstance(transport, trio.SSLStream)

    @property
    def origin_set(self) -> list[str] | None:
        """For which origins the server says it answers on this session (RFC 8336); ``None`` without TLS.

        Starts with the session's own origin and grows with every ORIGIN frame; at most 1000 are kept. A response with
        status 421 takes the origin of its request away (RFC 8336 §2.3).
        """
        return self._origins.as_list() if self._has_origin_set else None

    def request(
        self,
        method: str,
        path: str = "/",
        *,
        headers: HeadersInput | None = None,
        body: bytes | bytearray | memoryview = b"",
        end_stream: bool = True,
        expect_continue: bool = False,
        priority: Priority | None = None,
        weight: int | None = None,
        depends_on: int | None = None,
        exclusive: bool = False,
        protocol: str | None = None,
    ) -> Request:
        """Prepares a request; ``async with`` sends it and gives its `ClientStream`.

        Waits, first come first served, while the server allows no further stream. Leaving the block before both sides
        have ended resets the stream with CANCEL; the session stays usable.

        Args:
            method: the request method, e.g. ``"GET"``.
            path: path and query.
            headers: a mapping or pairs; ``":scheme"`` and ``":authority"`` override those of the session.
            body: octets that are sent while the response is already being read.
            end_stream: whether the request ends with *body*; ``False`` leaves the send side open for `Stream.send_all`.
            expect_continue: sends ``expect: 100-continue`` and holds the body, also that of `Stream.send_all`, until
                the server answers 100 or finally (RFC 9110 §10.1.1). After a final status from 400 on it is never
                sent: what is held or handed over later is dropped, and the stream reset when the response has ended.
            priority: how much the response matters; adds the ``priority`` field (RFC 9218 §5).
            weight: 1 … 256, for servers that know RFC 7540 only; 16 if another of these three is given. They are sent
                with the HEADERS frame (RFC 7540 §6.2), which RFC 9113 §5.3.2 deprecates.
            depends_on: the id of the parent stream; 0 if another of these three is given.
            exclusive: whether the stream becomes the parent of its parent's other streams.
            protocol: what an extended CONNECT asks for, like ``"websocket"`` (RFC 8441). Entering the block then waits
                for the server's SETTINGS first, which must offer it. You will want ``end_stream=False``.

        Returns:
            A block; nothing has been sent yet.

        Raises:
            TypeError, ValueError: an argument is not allowed.

        Entering the block raises what `open_stream` raises.
        """
        content = bytes(view_of("body", body))  # a snapshot: content-length is settled now
        fields = self._fields(
            method, path, headers, len(content), end_stream=end_stream, priority=priority, protocol=protocol
        )
        if expect_continue:
            _expect_continue(fields, has_body=bool(content) or not end_stream)
        dependency = dependency_of(weight, depends_on, exclusive)
        return Request(self, fields, content, end_stream, expect_continue, dependency)

    async def open_stream(
        self,
        method: str,
        path: str = "/",
        *,
        headers: HeadersInput | None = None,
        body: bytes | bytearray | memoryview = b"",
        end_stream: bool = True,
        expect_continue: bool = False,
        priority: Priority | None = None,
        weight: int | None = None,
        depends_on: int | None = None,
        exclusive: bool = False,
        protocol: str | None = None,
    ) -> ClientStream:
        """Sends a request and returns its stream, which the caller must close.

        Waits, first come first served, while the server allows no further stream. Cancelled: nothing is sent.

        Args:
            method: as in `request`, like the other arguments.
            path: path and query.
            headers: a mapping or pairs.
            body: octets that the writer sends.
            end_stream: whether the request ends with *body*.
            expect_continue: whether the body waits for the server's 100.
            priority: how much the response matters.
            weight: for servers that know RFC 7540 only, like the next two.
            depends_on: the id of the parent stream.
            exclusive: whether the stream becomes the parent of its parent's other streams.
            protocol: what an extended CONNECT asks for; it waits for the server's SETTINGS.

        Raises:
            TypeError, ValueError: an argument is not allowed, or the stream would depend on itself.
            ExtendedConnectError: the server does not offer extended CONNECT; nothing was sent.
            LocalProtocolError: the headers are larger than the server accepts, or than
                ``max_send_header_block_length``; nothing was sent.
            GoAwayError: the server takes no new streams, ``retryable`` on a new session.
            SessionError: the session broke, or its stream ids are used up (``retryable``).
            trio.ClosedResourceError: this side closed the session.
        """
        request = self.request(
            method,
            path,
            headers=headers,
            body=body,
            end_stream=end_stream,
            expect_continue=expect_continue,
            priority=priority,
            weight=weight,
            depends_on=depends_on,
            exclusive=exclusive,
            protocol=protocol,
        )
        return await request._send()

    def _fields(
        self,
        method: str,
        path: str,
        headers: HeadersInput | None,
        length: int,
        *,
        end_stream: bool,
        priority: Priority | None,
        protocol: str | None,
    ) -> list[RawField]:
        connect = method == "CONNECT"
        if protocol is not None:
            headers = _with_protocol(protocol, headers)
        elif connect:
            headers = Headers({} if headers is None else headers)
        if connect and isinstance(headers, Headers) and ":protocol" not in headers:
            # RFC 9113 §8.5: no ':scheme', no ':path', and the authority is the target, not this server.
            fields = request_fields(method, path, None, None, headers)
        else:
            fields = request_fields(method, path, self._scheme, self._authority, headers)
        if priority is not None:
            check_priority(priority)
            if any(name == b"priority" for name, _ in fields):
                raise ValueError("header field 'priority' and the argument priority exclude each other")
            fields.append((b"priority", str(priority).encode("ascii")))
        named = content_length_of(fields)
        if named is None:
            if end_stream and not connect and (length or method in _EXPECT_CONTENT):
                fields.append((b"content-length", b"%d" % length))
        elif length > named or (end_stream and length != named):
            raise ValueError(f"content-length is {named}, the body has {length} octets")
        return fields

    async def _open(
        self, fields: list[RawField], body: bytes, end_stream: bool, hold: bool, dependency: Dependency | None
    ) -> ClientStream:
        if fields[0][1] == b"CONNECT" and any(name == b":protocol" for name, _ in fields):
            await self._wait_extended_connect()
        ticket = Signal()
        try:
            await self._slots.wait_turn(ticket, self._has_slot, self._check_can_open)
            # From here on nothing waits, so the id is on the wire in the order of the turns.
            check_not_itself(dependency, self._engine.next_stream_id)
            too_large = self._engine.section_too_large(fields)
            if too_large is None:
                too_large = self._engine.block_too_large(fields)
                if too_large is not None:
                    self._frame_not_sent(None, too_large)
            if too_large is not None:
                raise LocalProtocolError(too_large)
            ends_now = end_stream and not body
            method = fields[0][1]  # comes first
            stream_id = self._engine.open_stream(method, fields, end_stream=ends_now, dependency=dependency)
            stream = construct(ClientStream, cast("SessionPort", self), stream_id, Headers.from_raw(fields))
            if dependency is not None:
                stream._weight = dependency.weight
            self._stream_opened(stream)
            outbox = stream._outbox
            if ends_now:
                outbox.end_with_headers()
            else:
                outbox.held = hold
                outbox.promise(content_length_of(fields))
                outbox.queue(body)
                if end_stream:
                    outbox.finish()
            self._wake_writer()
            return stream
        finally:
            self._slots.leave(ticket)

    async def _wait_extended_connect(self) -> None:
        """Waits for the server's SETTINGS, which must offer extended CONNECT."""
        await self._settings_known.wait()
        self._check_can_open()
        if not self._engine.peer_settings.get(SettingCode.ENABLE_CONNECT_PROTOCOL):
            # RFC 8441 §3: "Upon receipt of SETTINGS_ENABLE_CONNECT_PROTOCOL with a value of 1, a client MAY use the
            # Extended CONNECT".
            raise ExtendedConnectError("the server does not offer extended CONNECT (RFC 8441)")

    def _has_slot(self) -> bool:
        return self._engine.has_slot() and self._engine.output_size <= self._config.max_queued_control

    def _check_can_open(self) -> bool:
        """Raises what keeps new streams from being opened, now and later; else a request wants to be sent."""
        if self._failure is not None:
            raise from_failure(replace(self._failure, retryable=True))  # nothing of it was sent
        if self._leaving:
            raise trio.ClosedResourceError("this session is being closed on this side")
        leaving = self._engine.shutdown
        if leaving.peer_is_leaving:
            raise GoAwayError(
                "the server takes no new streams on this session",
                code=leaving.received_code,
                initiator=Initiator.REMOTE,
                debug_data=leaving.received_debug,
                retryable=True,
            )
        if self._engine.next_stream_id is None:
            # RFC 9113 §5.1.1: "A client that is unable to establish a new stream identifier can establish a new
            # connection for new streams."
            raise SessionError(
                "the stream ids of this session are used up, connect again", initiator=Initiator.LIBRARY, retryable=True
            )
        return True

    @property
    def _waiting_for_slot(self) -> int:
        return len(self._slots)

    def _settings_changed(self) -> None:
        self._settings_known.set()
        super()._settings_changed()

    def _slots_changed(self, *, for_ever: bool = False) -> None:
        if for_ever:
            self._settings_known.set()
            self._slots.wake_all()
        else:
            self._slots.wake()

    def _response_received(self, event: ResponseReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if isinstance(stream, ResponseStream):
            if event.headers.status == 421 and isinstance(stream, ClientStream):
                # RFC 8336 §2.3: clients "MUST create the ASCII serialization of the corresponding request's origin"
                # and "remove it from the connection's Origin Set, if present."
                sent = stream.sent_headers
                self._origins.misdirected(f"{sent.get(':scheme')}://{sent.get(':authority')}")
            stream._response_received(event.headers, end_stream=event.end_stream)
            if event.end_stream:
                stream._remote_ended()

    def _origins_announced(self, event: OriginsAnnounced) -> None:
        if self._has_origin_set:
            self._origins.add(event.origins)
            self._happenings.tell(OriginReceived(event.origins))

    def _informational_received(self, event: InformationalReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if isinstance(stream, ResponseStream):
            stream._informational_received(event.headers)


def _with_protocol(protocol: str, headers: HeadersInput | None) -> Headers:
    """Returns *headers* with ``:protocol`` in front.

    Raises:
        TypeError: *protocol* is no str.
        ValueError: there is one already.
    """
    if not isinstance(protocol, str):
        raise TypeError(f"protocol must be a str, not {type(protocol).__name__}")
    given = Headers({} if headers is None else headers)
    if ":protocol" in given:
        raise ValueError("':protocol' in the headers and the argument protocol exclude each other")
    return Headers([(":protocol", protocol), *given.raw], sensitive=given.sensitive)


def _expect_continue(fields: list[RawField], *, has_body: bool) -> None:
    """Adds the expectation, unless it is there.

    Raises:
        ValueError: there is another one, or no body that could be held.
    """
    if fields[0][1] == b"CONNECT":
        raise ValueError("expect_continue: a CONNECT has no body that could wait")
    if not has_body:
        # RFC 9110 §10.1.1: "A client MUST NOT generate a 100-continue expectation in a request that does not include
        # content."
        raise ValueError("expect_continue: the request has no body that could wait")
    given = [value.lower() for name, value in fields if name == b"expect"]
    if not given:
        fields.append((b"expect", b"100-continue"))
    elif given != [b"100-continue"]:
        raise ValueError("expect_continue: the header field 'expect' says something else")


class Request:
    """The block of one request: ``async with session.request(…) as stream``. Use it once."""

    def __init__(
        self,
        session: ClientSession,
        fields: list[RawField],
        body: bytes,
        end_stream: bool,
        hold: bool,
        dependency: Dependency | None,
    ) -> None:
        self._session = session
        self._fields = fields
        self._body = body
        self._end_stream = end_stream
        self._hold = hold
        self._dependency = dependency
        self._stream: ClientStream | None = None
        self._id: int | None = None
        self._used = False

    @property
    def pending(self) -> bool:
        """Whether the request has no stream id yet: it is not sent, or waits for the server to allow a stream."""
        return self.id is None

    @property
    def id(self) -> int | None:
        """The identifier of its stream, ``None`` while the request is `pending`."""
        return self._id

    async def __aenter__(self) -> ClientStream:
        """Sends the request, see `ClientSession.open_stream`."""
        if self._used:
            raise RuntimeError("a request block can be entered only once; call request() again")
        self._used = True
        self._stream = await self._send()
        self._id = self._stream.id
        return self._stream

    async def _send(self) -> ClientStream:
        return await self._session._open(self._fields, self._body, self._end_stream, self._hold, self._dependency)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Resets the stream with CANCEL unless both sides have ended; never waits for the server."""
        assert self._stream is not None
        self._stream._abandon()
        self._stream = None
        if exc is None:
            await trio.lowlevel.checkpoint()

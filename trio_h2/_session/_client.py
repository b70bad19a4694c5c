"""Sessions that open streams, as applications see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._checks import snapshot_of
from .._stream._client import ClientStream
from .._stream._priority import check_signalled, dependency_of
from .._util import construct, interrupt_safe
from ._base import Session
from ._request import ClientRequest, RequestHead, add_expectation, fields_of, request_head

if TYPE_CHECKING:
    from .._wire._extframes import Dependency
    from .._wire._headers import HeadersInput
    from .._wire._schedule import Priority
    from ._client_core import ClientCore


@interrupt_safe
class ClientSession(Session):
    """A session on the client's side; made by `connect`."""

    def __init__(self, core: ClientCore) -> None:
        super().__init__(core)
        self._core: ClientCore = core

    @property
    def origin_set(self) -> list[str] | None:
        """For which origins the server says it answers on this session (RFC 8336); ``None`` without TLS.

        Starts with the session's own origin and grows with every ORIGIN frame; at most 1000 are kept. A response with
        status 421 takes the origin of its request away (RFC 8336 §2.3).
        """
        return self._core.origins.as_list() if self._core.has_origin_set else None

    @property
    def origin_received(self) -> bool:
        """Whether the server has sent an ORIGIN frame: then it answers for no origin that `origin_set` has not."""
        return self._core.origins.received

    @property
    def free_streams(self) -> int:
        """How many requests can be sent now without waiting for a slot; 0 if the session takes no new ones.

        That is what the server's limit leaves (SETTINGS_MAX_CONCURRENT_STREAMS), or our own ``receive_budget``,
        whichever is less, without those that wait already. A response keeps its room until it has ended and is read.
        It is 0, too, while too many requests were given up (``cancel_burst``).
        """
        return self._core.free_streams

    def request(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: HeadersInput | None = None,
        body: bytes | bytearray | memoryview | None = b"",
        end_stream: bool = True,
        expect_continue: bool = False,
        priority: Priority | None = None,
        weight: int | None = None,
        depends_on: int | None = None,
        exclusive: bool = False,
        protocol: str | None = None,
    ) -> ClientRequest:
        """Prepares a request; ``async with`` sends it and gives its `ClientStream`.

        Waits, first come first served, while the server allows no further stream, or our own receive budget has no room
        for another response: by default for 128 at once, until they have ended and are read, or are reset (see
        `free_streams`). Leaving the block before both sides have ended resets the stream with CANCEL; the session stays
        usable.

        Args:
            method: the request method, ``"GET"`` by default.
            path: path and query, ``"/"`` by default.
            headers: a mapping or pairs; ``":scheme"`` and ``":authority"`` override those of the session.
            body: bytes that are sent while the response is already being read; ``None`` is none. What is not sent when
                the response has ended is left out, and the stream reset with NO_ERROR.
            end_stream: whether the request ends with *body*; ``False`` leaves the send side open for `Stream.send_all`.
                What is sent there after a complete response with status 300 or more is dropped, see
                `Stream.send_unwanted`; after a 2xx it still goes out.
            expect_continue: sends ``expect: 100-continue`` and holds the body, also that of `Stream.send_all`, until
                the server answers 100 or finally (RFC 9110 §10.1.1), or for ``expect_continue_timeout`` of the
                configuration, since many servers never send a 100. After a final status from 400 on it is never
                sent: what is held or handed over later is dropped, and the stream reset when the response has ended.
            priority: how much the response matters; adds the ``priority`` field (RFC 9218 §5).
            weight: 1 … 256, for servers that know RFC 7540 only; 16 if another of these three is given. They are sent
                with the HEADERS frame (RFC 7540 §6.2), which RFC 9113 §5.3.2 deprecates, and need
                ``ClientConfig(rfc7540_priorities=True)``. The weight also says what share of the session the body gets.
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
        head, content, dependency = self._prepare(
            method,
            path,
            headers,
            body,
            end_stream,
            expect_continue,
            priority,
            weight,
            depends_on,
            exclusive,
            protocol,
        )
        return construct(ClientRequest, self._core, head, content, end_stream, expect_continue, dependency)

    def _prepare(
        self,
        method: str,
        path: str,
        headers: HeadersInput | None,
        body: bytes | bytearray | memoryview | None,
        end_stream: bool,
        expect_continue: bool,
        priority: Priority | None,
        weight: int | None,
        depends_on: int | None,
        exclusive: bool,
        protocol: str | None,
    ) -> tuple[RequestHead, bytes, Dependency | None]:
        """Returns the head of a request, its body, and what it depends on; raises what `request` raises."""
        # A snapshot of what may change, since content-length is settled now.
        content = b"" if body is None else snapshot_of("body", body)
        core = self._core
        arguments = (core.scheme, core.authority, method, path, headers, len(content))
        if priority is None and protocol is None and not expect_continue:
            head = request_head(*arguments, end_stream=end_stream)
        else:
            fields = fields_of(*arguments, end_stream=end_stream, priority=priority, protocol=protocol)
            if expect_continue:
                add_expectation(fields, has_body=bool(content) or not end_stream)
            head = RequestHead(fields)
        dependency = None
        if weight is not None or depends_on is not None or exclusive is not False:
            dependency = dependency_of(weight, depends_on, exclusive)
            if dependency is not None:
                check_signalled(core.config)
        return head, content, dependency

    async def open_stream(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: HeadersInput | None = None,
        body: bytes | bytearray | memoryview | None = b"",
        end_stream: bool = True,
        expect_continue: bool = False,
        priority: Priority | None = None,
        weight: int | None = None,
        depends_on: int | None = None,
        exclusive: bool = False,
        protocol: str | None = None,
    ) -> ClientStream:
        """Sends a request and returns its stream, which the caller must close.

        Waits, first come first served, while the server allows no further stream, or our own receive budget has no room
        for another response, as in `request`. Cancelled: nothing is sent.

        Args:
            method: as in `request`, like the other arguments.
            path: path and query.
            headers: a mapping or pairs.
            body: bytes that the writer sends.
            end_stream: whether the request ends with *body*.
            expect_continue: whether the body waits for the server's 100, for a second by default.
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
        return await request.__aenter__()

    def open_stream_nowait(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: HeadersInput | None = None,
        body: bytes | bytearray | memoryview | None = b"",
        end_stream: bool = True,
        expect_continue: bool = False,
        priority: Priority | None = None,
        weight: int | None = None,
        depends_on: int | None = None,
        exclusive: bool = False,
        protocol: str | None = None,
    ) -> ClientStream:
        """Sends a request and returns its stream, which the caller must close, if that can be done without waiting.

        Args:
            method: as in `open_stream`, like all others.
            path: path and query.
            headers: a mapping or pairs.
            body: bytes that the writer sends.
            end_stream: whether the request ends with *body*.
            expect_continue: whether the body waits for the server's 100, for a second by default.
            priority: how much the response matters.
            weight: for servers that know RFC 7540 only, like the next two.
            depends_on: the id of the parent stream.
            exclusive: whether the stream becomes the parent of its parent's other streams.
            protocol: what an extended CONNECT asks for.

        Raises:
            trio.WouldBlock: `open_stream` would wait; nothing was sent.
            TypeError, ValueError, ExtendedConnectError, LocalProtocolError, GoAwayError, SessionError,
                trio.ClosedResourceError: as from `open_stream`.
        """
        head, content, dependency = self._prepare(
            method,
            path,
            headers,
            body,
            end_stream,
            expect_continue,
            priority,
            weight,
            depends_on,
            exclusive,
            protocol,
        )
        stream = self._core.open_nowait(
            head, content, end_stream=end_stream, hold=expect_continue, dependency=dependency
        )
        return construct(ClientStream, stream)

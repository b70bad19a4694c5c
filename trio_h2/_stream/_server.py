"""A stream that a client opened: one request, and the response the handler makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias, cast

from .._checks import NO_CONTENT, check_hook, snapshot_of
from .._errors import LocalProtocolError, headers_too_large
from .._util import construct, http_date, interrupt_safe
from .._wire._codes import ErrorCode
from .._wire._config import ServerConfig
from .._wire._headers import Headers
from .._wire._outbound import informational_fields
from ._base import Stream
from ._port import PUSH_PROMISE
from ._promise import promise_fields
from ._response_head import response_head

if TYPE_CHECKING:
    from trio_h2 import ServerSession

    from .._wire._headers import HeadersInput, RawField
    from .._wire._schedule import Priority
    from ._core import StreamCore
    from ._forwarded import ForwardedClient
    from ._port import PushPort
    from ._proxied import Address


@interrupt_safe
class ServerStream(Stream):
    """The server's side of one exchange; given to the handler."""

    def __init__(self, core: StreamCore, pushes: PushPort | None) -> None:
        super().__init__(core)
        assert core.request is not None
        self._request = core.request
        self._view = core.port.transport
        self._pushes = pushes
        self._no_trailers = False

    @property
    def session(self) -> ServerSession:
        """The session that the request came on: how a handler learns that it drains, for instance.

        Over HTTP/1.1 it is the `Http1Connection`, which has what `StreamSession` names. It stays the same when the
        stream or the session is over, though there is nothing left to do with it then.
        """
        return cast("ServerSession", self._core.session)

    # -- the request -----------------------------------------------------------------------------------------------

    @property
    def headers(self) -> Headers:
        """The request headers, pseudo-headers included."""
        return self._request.headers

    @property
    def method(self) -> str:
        """The request method."""
        return self._request.method

    @property
    def path(self) -> str:
        """Path and query as they came, but for bytes beyond ASCII, which are percent-encoded; empty for CONNECT."""
        return self._request.path

    @property
    def scheme(self) -> str:
        """``"https"`` or ``"http"``; empty for CONNECT.

        What the client has spoken with the first of ``ServerConfig.trusted_proxies``, if one of them tells.
        """
        scheme = self._request.scheme
        return scheme and (self._forwarded.scheme or scheme)

    @property
    def peer_address(self) -> Address | None:
        """The client's address: ``(host, port, …)``, a Unix path, or ``None`` where there is no socket.

        If the peer of the connection is one of ``ServerConfig.trusted_proxies``, it is the address for which the proxy
        has sent the request, ``(host, port)`` with port 0 where it is not told; else that of the transport.
        """
        return self._forwarded.address or self._view.peer_address

    @property
    def _forwarded(self) -> ForwardedClient:
        return self._view.forwarded_client(self._request.headers)

    @property
    def authority(self) -> str:
        """The host (and port) that was asked for: ``:authority``, else the ``host`` field."""
        return self._request.authority

    @property
    def parent_id(self) -> int | None:
        """The id of the stream that this one was pushed from by `push`; ``None`` for a stream of the client."""
        return None if self._core.promise is None else self._core.promise.parent_id

    @property
    def http_version(self) -> str:
        """Always ``"2.0"``; other `ServerExchange` objects have other versions."""
        return "2.0"

    @property
    def protocol(self) -> str | None:
        """What an extended CONNECT (RFC 8441) asks for, like ``"websocket"``; ``None`` for every other request."""
        return self._request.headers.get(":protocol")

    @property
    def expects_continue(self) -> bool:
        """Whether the client asked for 100 before it sends the body (RFC 9110 §10.1.1).

        The first wait for the body sends it, unless the handler decided before: by `send_continue`, or by responding,
        with 417 for example. With ``ServerConfig(auto_continue=False)`` only `send_continue` does.
        """
        expectations = str(self._request.headers.get("expect", "")).lower().split(",")
        return not self._core.end_after_headers and "100-continue" in (one.strip() for one in expectations)

    def call_when_prioritized(self, hook: Callable[[Priority], object] | None) -> None:
        """Lets *hook* be called whenever the client says anew how much the response matters (RFC 9218 §7.1).

        It is called from a task of the session, must not wait, and should be quick. What it raises is logged.
        `priority` is what the client has said last, before as well. Over HTTP/1.1 nobody can say that.

        Args:
            hook: A function that gets the `Priority`; it takes the place of an earlier one. ``None`` for none.

        Raises:
            TypeError: *hook* is no function.
        """
        check_hook("hook", hook)
        if not self._core.over.is_set:
            self._core.on_priority = hook

    @property
    def headers_sent(self) -> bool:
        """Whether the final response headers were sent."""
        return self._core.sent_headers is not None

    @property
    def sent_status(self) -> int | None:
        """The status of the final response that was sent; ``None`` before."""
        sent = self._core.sent_headers
        return None if sent is None else sent.status

    def _announced_length(self) -> int | None:
        # RFC 9110 §9.3.6: a CONNECT has no content, so nobody has looked whether this is a number.
        return None if self._request.method == "CONNECT" else super()._announced_length()

    # -- responding ------------------------------------------------------------------------------------------------

    def _check_can_respond(self) -> None:
        sent = self._core.sent_headers
        if sent is not None:
            reason = f"the response headers, with status {sent.status}, have been sent already"
            raise LocalProtocolError(reason, stream_id=self._core.id, stream=self)
        self._core.outbox.check()

    async def respond(
        self,
        headers: HeadersInput | int | None = None,
        *,
        body: bytes | bytearray | memoryview | None = None,
        end_stream: bool = False,
        send_date: bool = True,
    ) -> None:
        """Sends the final response headers; with *body*, the whole response as one unit.

        Never waits for the peer, only for room among the queued control bytes; on a stream from `push` also until the
        client allows another one (RFC 9113 §5.1.2), first come, first served. Cancelled: nothing was sent.

        Example::

            await stream.respond(405, body=b"")  # a status alone
            await stream.respond({":status": 503, "retry-after": 5}, body=b"later\\n")  # a status among headers

        Args:
            headers: a mapping or pairs, ``":status"`` among them, or just the status: 200 … 999, though 600 and more
                mean nothing (RFC 9110 §15) and are for gateways; 200 by default. ``date`` is added unless it is given
                or turned off.
            body: the whole body, bytes; sets ``content-length`` and ends the stream. Not sent in answer to HEAD.
            end_stream: whether the response ends with its headers, as it does anyway in answer to HEAD and with
                status 204, 205 and 304.
            send_date: whether ``date`` may be added; ``False`` turns it off for this response alone.

        Raises:
            TypeError, ValueError: a header or the status is not allowed, or ``content-length`` contradicts *body* or
                *end_stream*.
            LocalProtocolError: the headers were sent before, or they are larger than the client accepts; content with
                status 204, 205 or 304.
            StreamResetError: the client reset the stream. After a complete request and RST_STREAM(NO_ERROR) the
                response is silently dropped instead: the client does not want it.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream.
        """
        content = None if body is None else snapshot_of("body", body)
        core, outbox, port = self._core, self._core.outbox, self._core.port
        method = self._request.method
        head = method == "HEAD"
        response = response_head(
            headers,
            None if content is None else len(content),
            end_stream=end_stream,
            head=head,
            date=http_date() if send_date and isinstance(port.config, ServerConfig) and port.config.send_date else None,
            stream_id=core.id,
            stream=self,
        )
        status = response.status
        # RFC 9110 §9.3.6: "Any 2xx (Successful) response indicates that the sender […] will switch to tunnel mode".
        tunnel = method == "CONNECT" and status < 300
        no_content = status in NO_CONTENT and not tunnel
        # RFC 9110 §9.3.2: the answer to HEAD ends with its headers, whatever content-length they name.
        ends_now = head or no_content or (not content and (end_stream or content is not None))
        with outbox.turn:
            self._check_can_respond()
            if core.promise is not None and self._pushes is not None:
                await self._pushes.wait_push_turn(core)
            else:
                await port.control_room()
            self._check_can_respond()
            self._check_section(response.fields)
            core.sent_headers = response.headers
            # RFC 9113 §8.5: in the tunnel of a CONNECT, HEADERS "MUST NOT be sent".
            self._no_trailers = tunnel
            if outbox.ended:
                return  # the client's RST_STREAM(NO_ERROR) after its request: it wants no response
            port.engine.send_response(core.id, response.fields, end_stream=ends_now)
            if head:
                outbox.drop_content()
            elif no_content:
                outbox.forbid_content(status)
            elif ends_now:
                outbox.end_with_headers()
            else:
                if content:
                    outbox.send_whole(content, response.length)
                else:
                    outbox.promise(response.length)
            port.wake_writer()

    async def send_informational(self, status: int, headers: HeadersInput | None = None) -> None:
        """Sends a 1xx response before the final one (RFC 9110 §15.2).

        Waits as `respond` does. Cancelled: nothing was sent.

        Args:
            status: 100 … 199; 101 does not exist in HTTP/2 (RFC 9113 §8.6).
            headers: further fields.

        Raises:
            ValueError: the status or a field is not allowed.
            LocalProtocolError: the final headers were sent before, or these are larger than the client accepts.
            StreamResetError: the client reset the stream; as in `respond`.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream.
        """
        fields = informational_fields(status, headers)
        core = self._core
        with core.outbox.turn:
            self._check_can_respond()
            if core.promise is not None and self._pushes is not None:
                await self._pushes.wait_push_turn(core)
            else:
                await core.port.control_room()
            self._check_can_respond()
            self._check_section(fields)
            self._send_informational(fields)

    async def send_continue(self) -> None:
        """Sends 100 to a client that waits for it before it sends the body (RFC 9110 §10.1.1); to others, nothing.

        So it does nothing if the client did not ask (`expects_continue`), was answered already, or has begun to send
        the body. Waits as `respond` does. Cancelled: nothing was sent.

        Raises:
            StreamResetError: the client reset the stream.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream.
        """
        core = self._core
        with core.outbox.turn:
            if core.sent_headers is None:
                core.outbox.check()
            await core.port.control_room()
            if core.sent_headers is None:
                core.outbox.check()
                if self._waits_for_continue():
                    self._send_informational(informational_fields(100, None))

    def _about_to_wait(self) -> None:
        core = self._core
        if not self._waits_for_continue() or not core.alive or core.outbox.closed:
            return
        if isinstance(core.port.config, ServerConfig) and core.port.config.auto_continue:
            self._send_informational(informational_fields(100, None))

    def _waits_for_continue(self) -> bool:
        """Whether the client still waits for 100."""
        core = self._core
        wire = core.port.engine.streams.get(core.id)
        if wire is None or wire.received_length or not self.expects_continue:
            return False  # RFC 9110 §10.1.1: 100 may be omitted if "some or all of the content" has come already
        return core.sent_headers is None and all(sent.status != 100 for sent in self.sent_info_headers)

    def _send_informational(self, fields: list[RawField]) -> None:
        core = self._core
        if core.sent_informational is None:
            core.sent_informational = []
        core.sent_informational.append(Headers.from_raw(fields))
        if core.outbox.ended:
            return  # as in respond()
        core.port.engine.send_informational(core.id, fields)
        core.port.wake_writer()

    # -- the end ---------------------------------------------------------------------------------------------------

    def reset(self, code: int = ErrorCode.NO_ERROR, *, cancel_handler: bool = False) -> None:
        """Ends both sides at once, see `Stream.reset`.

        Args:
            code: an error code, 0 … 2³²-1.
            cancel_handler: for those who find out, beside the handler, that its client is lost: the handler is
                cancelled as well, as it is when the client resets, and under the same condition
                (``cancel_handler_on_reset``).

        Raises:
            TypeError: *code* is no int.
            ValueError: *code* is out of range.
        """
        alive = self._core.alive
        super().reset(code)
        if cancel_handler and alive and self._core.cancel_on_reset:
            self._core.cancel()

    # -- pushing ---------------------------------------------------------------------------------------------------

    @property
    def push_allowed(self) -> bool:
        """Whether `push` would be let through now.

        The client allows it (its latest ENABLE_PUSH; browsers do not any more), neither side is leaving, and the
        response has not ended. Never on a pushed stream.
        """
        if not self._core.alive or self._core.outbox.closed or self._push_objection() is not None:
            return False
        return self._pushes is not None and self._pushes.push_obstacle() is None

    async def push(self, headers: HeadersInput | None = None) -> ServerStream:
        """Promises the response to a request that the client has not made (RFC 9113 §8.4); returns its stream.

        ::

            async def page(stream: trio_h2.ServerStream) -> None:
                if stream.push_allowed:
                    style = await stream.push({":path": "/style.css"})
                    with contextlib.suppress(trio_h2.StreamResetError):  # the client has it already
                        await style.respond({"content-type": "text/css"}, body=STYLE)
                await stream.respond({"content-type": "text/html"}, body=PAGE)

        Legacy: browsers have dropped server push; `send_informational` with status 103 (RFC 8297) lets the client
        fetch what it lacks. Push before you send what refers to the promised resource, or the client asks for it.

        What nobody can foresee is no error: if either side is leaving, the client has withdrawn its permission, or the
        stream ids are used up, nothing is promised, and the stream is over (`closed`, id 0). Whatever is sent there is
        silently dropped, as if the client did not want it.

        The stream is answered like any other; its request is complete, so `receive_some` returns ``b""``. Promises are
        not limited, but responses to them are, by the client's MAX_CONCURRENT_STREAMS: `respond` waits its turn.

        It belongs to this handler, which may answer it in a nursery of its own. When the handler returns, its pushes
        end as its own response does, but those without a response, or with a short body, are reset with CANCEL; when it
        raises or is cancelled, all unfinished ones are. ``async with`` ends one earlier. Cancelled: nothing was sent.

        Args:
            headers: the promised request; by default GET of ``/``, with the scheme and authority of this one. Clients
                refuse an authority that the server does not answer for.

        Raises:
            TypeError, ValueError: a field is not allowed, the method is neither GET nor HEAD, or the request would have
                content.
            LocalProtocolError: the client has never allowed a push, the response has ended, this stream was pushed
                itself or is a tunnel, or the headers are larger than the client accepts; nothing was sent.
            StreamResetError: this stream was reset. SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream.
        """
        fields = promise_fields(headers, self._request.scheme, self.authority)
        core, port = self._core, self._core.port
        self._check_can_push()
        await port.control_room()
        pushes = self._check_can_push()
        too_large = port.engine.section_too_large(fields)
        if too_large is not None:
            raise headers_too_large(too_large, core.id, stream=self)
        reason = port.engine.block_too_large(fields)
        if reason is not None:
            port.frame_not_sent(None, reason, PUSH_PROMISE)  # no stream is lost
            raise LocalProtocolError(reason, stream_id=core.id, stream=self)
        return construct(ServerStream, pushes.push(core, fields), pushes)

    def _check_can_push(self) -> PushPort:
        outbox = self._core.outbox
        if outbox.closed or not outbox.ended:
            outbox.check()
        reason = self._push_objection()
        if reason is not None:
            raise LocalProtocolError(reason, stream_id=self._core.id, stream=self)
        assert self._pushes is not None
        return self._pushes

    def _push_objection(self) -> str | None:
        """Returns why it is a mistake to push from this stream, if it has not ended by a reset or a close."""
        if self._pushes is None:
            return f"HTTP/{self.http_version} has no server push"
        if self._core.promise is not None:
            # RFC 9113 §8.4: PUSH_PROMISE frames are "sent on a stream that the client has opened".
            return "a pushed stream cannot push: use the stream of the request"
        if self._core.outbox.ended:
            # RFC 9113 §6.6: "PUSH_PROMISE frames MUST only be sent on a peer-initiated stream that is in either the
            # "open" or "half-closed (remote)" state."
            return "the response has ended: push before that"
        if self.method == "CONNECT":
            return "a tunnel carries nothing but DATA, so it cannot push (RFC 9113 §8.5)"
        return None if self._pushes.pushes_were_allowed else "the client allows no pushes (SETTINGS_ENABLE_PUSH)"

    # -- inside ----------------------------------------------------------------------------------------------------

    def _check_can_send(self) -> None:
        super()._check_can_send()
        if self._core.sent_headers is None:
            raise LocalProtocolError("respond() must come before the body", stream_id=self._core.id, stream=self)

    def _check_can_send_trailers(self) -> None:
        if self._no_trailers:
            raise LocalProtocolError("a tunnel has no trailers", stream_id=self._core.id, stream=self)
        super()._check_can_send_trailers()

    def _signal_priority(self, priority: Priority, *, silent: bool) -> None:
        self._core.priority_fixed = True


Handler: TypeAlias = Callable[[ServerStream], Awaitable[object]]
"""What servers run for every request: an async function, or an object with such a ``__call__``."""

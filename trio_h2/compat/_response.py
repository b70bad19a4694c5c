"""A response: what is sent before it, its body in pieces or as a whole, its end.

Nothing is sent before the first `Response.write`, `Response.flush_headers` or `Response.end`. It belongs to the task
that runs the handler.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from typing import TYPE_CHECKING, Self

import trio

from trio_h2 import Headers, LocalProtocolError, SessionError, StreamError

from .._util import NoPublicConstructor, construct, interrupt_safe, plain_interrupt
from ._fields import check_field, check_fields, check_links, check_name, check_status, check_trailers
from ._head import ResponseHead
from ._text import encode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trio_h2 import HeadersInput, ServerExchange, ServerStream, TransportView

    from ._fields import HeaderValue
    from ._request import Request

_NO_MESSAGE = "HTTP/2 has no status message, and clients of HTTP/1.1 ignore it: it is not sent"
_REDIRECTIONS = (300, 301, 302, 303, 307, 308)


@interrupt_safe
class Response(metaclass=NoPublicConstructor):
    """The response to a `Request`, over HTTP/2 or HTTP/1.1. Made by `request_handler`.

    `end` is due on every response; what the handler forgets is ended when it returns. A response of which nothing was
    set or sent becomes a 500 then: somebody forgot all of it.

    May be subclassed; `__init__` gets what it must pass on.
    """

    _made_by = "request_handler() makes it for each request"

    def __init__(self, exchange: ServerExchange, request: Request) -> None:
        self._exchange = exchange
        self._request = request
        self._head = ResponseHead()
        self._head_written = False
        self.send_date = True
        """Whether ``date`` is added, unless it is set. Without effect where the server's configuration has it off."""
        self._ended = False
        self._finished = False
        self._over = trio.Event()
        self._pushed: list[Response] = []

    def __repr__(self) -> str:
        state = "ended" if self._ended else "headers sent" if self.headers_sent else "not sent"
        return f"<{type(self).__name__} {self._head.status}, {state}>"

    @property
    def request(self) -> Request:
        """What this is the response to."""
        return self._request

    @property
    def stream(self) -> ServerStream | None:
        """The HTTP/2 stream, that of the request; ``None`` over HTTP/1.1."""
        return self._request.stream

    @property
    def transport(self) -> TransportView:
        """The transport, to look at: addresses, the client's certificate, what TLS agreed on."""
        return self._exchange.transport

    # -- its head --------------------------------------------------------------------------------------------------

    @property
    def status_code(self) -> int:
        """The status, 200 … 999; 200 unless it is set. 600 and more mean nothing, and are for gateways.

        Setting it raises TypeError or ValueError if it is no such number, LocalProtocolError after the headers.
        """
        return self._head.status

    @status_code.setter
    def status_code(self, status: int) -> None:
        checked = check_status(status)
        self._check_headers_open()
        self._head.set_status(checked)

    @property
    def status_message(self) -> str:
        """Always empty. Setting it warns: HTTP/2 has no such thing (RFC 9113 §8.3.2)."""
        return ""

    @status_message.setter
    def status_message(self, message: str) -> None:
        warnings.warn(_NO_MESSAGE, stacklevel=2)

    @property
    def headers_sent(self) -> bool:
        """Whether nothing can be set any more: `write_head` was called, or the headers were sent."""
        return self._head_written or self._exchange.headers_sent

    def set_header(self, name: str, value: HeaderValue) -> None:
        """Sets a header field, in place of one that was set before.

        Args:
            name: in any case.
            value: `str` (latin-1) or `int`; a list stands for several fields.

        Raises:
            TypeError: the name or the value has the wrong type.
            ValueError: the name or the value has characters that it may not have; or the field is a pseudo-header, or
                is about the connection.
            LocalProtocolError: the headers have been sent.
        """
        lower, checked = check_field(name, value)
        self._check_headers_open()
        self._head.set(lower, checked)

    def append_header(self, name: str, value: HeaderValue) -> None:
        """Adds a header field to those of this name that were set before, for ``set-cookie`` above all.

        Raises:
            TypeError, ValueError, LocalProtocolError: as `set_header`.
        """
        lower, checked = check_field(name, value)
        self._check_headers_open()
        self._head.append(lower, checked)

    def get_header(self, name: str) -> HeaderValue | None:
        """Returns what a header field was set to, ``None`` if it was not."""
        return self._head.fields.get(name.lower())

    def get_header_names(self) -> list[str]:
        """Returns the names of the header fields that were set, in lower case."""
        return list(self._head.fields)

    def get_headers(self) -> dict[str, HeaderValue]:
        """Returns the header fields that were set: a copy, though its lists are not."""
        return self._head.fields.copy()

    def has_header(self, name: str) -> bool:
        """Returns whether a header field was set."""
        return name.lower() in self._head.fields

    def remove_header(self, name: str) -> None:
        """Takes a header field back; does nothing if it was not set.

        Raises:
            TypeError, ValueError: *name* cannot be one.
            LocalProtocolError: the headers have been sent.
        """
        lower = check_name(name)
        self._check_headers_open()
        self._head.fields.pop(lower, None)

    def write_head(
        self, status: int, headers: HeadersInput | None = None, *, status_message: str | None = None
    ) -> Self:
        """Settles status and headers, which win over what was set before. They go out with the first bytes.

        Args:
            status: 200 … 999.
            headers: a mapping or pairs, in addition to what was set, or in place of it.
            status_message: not sent, and warned about: HTTP/2 has none (RFC 9113 §8.3.2).

        Returns:
            The response, for ``await response.write_head(404).end()``.

        Raises:
            TypeError, ValueError: the status or a header is not allowed.
            LocalProtocolError: it was called before, or the headers have been sent.
        """
        checked = check_status(status)
        fields = check_fields({} if headers is None else headers)
        self._check_headers_open()
        if status_message:
            warnings.warn(_NO_MESSAGE, stacklevel=2)
        self._head.update(checked, fields, headers.sensitive if isinstance(headers, Headers) else frozenset())
        self._head_written = True
        return self

    def add_trailers(self, headers: HeadersInput) -> None:
        """Adds trailers, which `end` sends; dropped where a response has no body.

        Raises:
            TypeError, ValueError: a field is not allowed (RFC 9110 §6.5.1).
            LocalProtocolError: the response has ended.
        """
        fields = check_trailers(headers)
        self._check_open()
        self._head.add_trailers(fields)

    def _check_headers_open(self) -> None:
        if self.headers_sent:
            raise self._misuse("the headers of the response have been sent already")
        if self._ended:
            raise self._misuse("the response has ended")

    def _check_open(self) -> None:
        if self._ended:
            raise self._misuse("the response has ended")

    def _misuse(self, reason: str) -> LocalProtocolError:
        return LocalProtocolError(reason, stream_id=self._exchange.id, stream=self._exchange)

    @property
    def _bodiless(self) -> bool:
        """Whether a body is dropped."""
        return self._head.no_content or self._exchange.method == "HEAD"

    # -- before the response ---------------------------------------------------------------------------------------

    async def write_continue(self) -> None:
        """Sends 100, on which a client may wait before it sends the body (RFC 9110 §10.1.1).

        Only a ``check_continue`` hook needs it: else the first wait for the body sends it. Cancelled: nothing was sent.

        Raises:
            LocalProtocolError: the headers have been sent.
            StreamError, SessionError, trio.ClosedResourceError: the exchange is over.
        """
        await self._exchange.send_informational(100)

    async def write_early_hints(self, links: str | Sequence[str], headers: HeadersInput | None = None) -> None:
        """Sends 103 with links to what the response will need (RFC 8297). Cancelled: nothing was sent.

        Args:
            links: such as ``"</style.css>; rel=preload; as=style"``, one or several.
            headers: further fields.

        Raises:
            TypeError, ValueError: a link or a field is not allowed.
            LocalProtocolError: the headers have been sent.
            StreamError, SessionError, trio.ClosedResourceError: the exchange is over.
        """
        fields = [("link", link) for link in check_links(links)]
        further = Headers([] if headers is None else check_fields(headers))
        await self._exchange.send_informational(103, Headers([*fields, *further.raw]))

    @property
    def push_allowed(self) -> bool:
        """Whether `push` would be let through now; never over HTTP/1.1, and browsers do not allow it any more."""
        stream = self._request.stream
        return stream is not None and stream.push_allowed

    async def push(self, headers: HeadersInput | None = None) -> Self:
        """Promises the response to a request that the client has not made (RFC 9113 §8.4), and returns it.

        It is sent like any other, though its headers wait their turn as long as the client takes no more of them. It
        ends with the handler, too: what was set or begun is ended then, the rest is reset. Where it comes too late,
        as `trio_h2.ServerStream.push` says, it goes nowhere. Cancelled: nothing was sent.

        Args:
            headers: the promised request; by default GET of ``/``, with the scheme and authority of this one.

        Raises:
            TypeError, ValueError: a field is not allowed, or the method is neither GET nor HEAD.
            LocalProtocolError: the client has never allowed a push, the response has ended, or it was pushed itself;
                there is no push over HTTP/1.1.
            StreamError, SessionError, trio.ClosedResourceError: the exchange is over.
        """
        stream = self._request.stream
        if stream is None:
            raise self._misuse("there is no push over HTTP/1.1")
        exchange = await stream.push(headers)
        request = construct(type(self._request), exchange, self._request.max_body_size)
        response = construct(type(self), exchange, request)
        self._pushed.append(response)
        return response

    # -- the body --------------------------------------------------------------------------------------------------

    async def flush_headers(self) -> None:
        """Sends the headers now, without waiting for the first bytes; a second call does nothing.

        Cancelled: nothing was sent.

        Raises:
            ValueError: ``content-length`` contradicts the status.
            LocalProtocolError: the headers are larger than the client accepts.
            StreamError, SessionError, trio.ClosedResourceError: the exchange is over.
        """
        if self._exchange.headers_sent:
            await trio.lowlevel.checkpoint()
            return
        await self._exchange.respond(self._head.headers(), end_stream=self._bodiless, send_date=self.send_date)
        self._head_written = True

    async def write(self, data: bytes | bytearray | memoryview | str) -> None:
        """Sends bytes of the body, and before the first of them the headers.

        Waits as long as the client does not take them. Dropped where a response has no body: in answer to HEAD, and
        with status 204, 205 and 304. Cancelled: if none was framed, none was sent, and it can be repeated; otherwise
        the body is torn, and the exchange will be reset.

        Args:
            data: bytes, or text, which is sent in UTF-8.

        Raises:
            LocalProtocolError: the response has ended, or ``content-length`` would be exceeded.
            StreamError, SessionError, trio.ClosedResourceError: the exchange is over.
            trio.BusyResourceError: another task is writing.
        """
        body = _encoded(data)
        self._check_open()
        wanted = bool(body) and not self._bodiless
        if not self._exchange.headers_sent:
            await self.flush_headers()
        elif not wanted:
            await trio.lowlevel.checkpoint()
        if wanted:
            await self._exchange.send_all(body)

    async def end(self, data: bytes | bytearray | memoryview | str = b"") -> None:
        """Ends the response, after *data*. Due on every response; again and without data, it does nothing.

        Where nothing was sent before, all goes out as one unit, with its ``content-length``, and nothing waits for the
        client. Otherwise waits as `write` does. Cancelled: as `write`; it can be repeated, without *data* if that is
        sent already (`writable_ended` says whether it is over).

        Raises:
            ValueError: *data* contradicts the ``content-length`` that was set.
            LocalProtocolError: the response has ended, or the body does not have its ``content-length``.
            StreamError, SessionError, trio.ClosedResourceError: the exchange is over.
            trio.BusyResourceError: another task is writing.
        """
        body = _encoded(data)
        if self._ended and not body:
            await trio.lowlevel.checkpoint()
            return
        self._check_open()
        self._ended = True
        try:
            await self._end(body)
        except (StreamError, SessionError, trio.ClosedResourceError):
            self._over.set()
            raise
        except BaseException:  # nothing of the end is sent
            self._ended = False
            raise
        self._finished = True
        self._over.set()

    async def _end(self, body: bytes | bytearray | memoryview) -> None:
        exchange = self._exchange
        if self._head.trailers and not self._bodiless:
            await self.flush_headers()
            if body:
                await exchange.send_all(body)
            await exchange.send_trailers(list(self._head.trailers.items()))
        elif not exchange.headers_sent:
            await self._respond(body)
        elif self._bodiless:
            await trio.lowlevel.checkpoint()  # it has ended with its headers
        else:
            if body:
                await exchange.send_all(body)
            await exchange.send_eof()

    async def _respond(self, body: bytes | bytearray | memoryview) -> None:
        """Sends the whole response."""
        # In answer to HEAD, the length is that of the body which GET would have had, if it is known.
        counts = not self._bodiless or (body and not self._head.no_content)
        content = bytes(body) if counts else None
        await self._exchange.respond(
            self._head.headers(), body=content, end_stream=content is None, send_date=self.send_date
        )
        self._head_written = True

    # -- whole responses -------------------------------------------------------------------------------------------

    async def send_text(self, text: str) -> None:
        """Ends the response with text, as ``text/plain; charset=utf-8`` unless ``content-type`` is set. As `end`.

        Raises:
            ValueError: *text* has a lone surrogate.
        """
        encoded = encode_text(text)
        self._default_type("text/plain; charset=utf-8")
        await self.end(encoded)

    async def send_json(self, value: object) -> None:
        """Ends the response with JSON, as ``application/json`` unless ``content-type`` is set. As `end`.

        Raises:
            TypeError, ValueError: *value* has something that JSON cannot say, or a lone surrogate.
        """
        text = encode_text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        self._default_type("application/json")
        await self.end(text)

    async def redirect(self, location: str, status: int = 303) -> None:
        """Ends the response by sending the client to another URL. As `end`.

        Args:
            location: a URL, absolute or relative, percent-encoded.
            status: 303 tells the client to GET it; 307 and 308 keep method and body.

        Raises:
            ValueError: *status* is not that of a redirection, or *location* has characters that a URL may not have.
        """
        if check_status(status) not in _REDIRECTIONS:
            raise ValueError(f"the status of a redirection must be in {_REDIRECTIONS}, not {status}")
        if not location.isascii() or " " in location:
            raise ValueError("location must be percent-encoded")
        self.set_header("location", location)
        self.status_code = status
        await self.end()

    def _default_type(self, kind: str) -> None:
        if not self.headers_sent and not self.has_header("content-type"):
            self.set_header("content-type", kind)

    # -- its end ---------------------------------------------------------------------------------------------------

    @property
    def writable_ended(self) -> bool:
        """Whether `end` was called, even if it still waits."""
        return self._ended

    @property
    def writable_finished(self) -> bool:
        """Whether all of the response is handed over: `end` has returned."""
        return self._finished

    async def wait_finished(self) -> None:
        """Waits until all of the response is handed over. Cancelled: nothing happened.

        Raises:
            StreamError, SessionError: the exchange broke before.
            trio.ClosedResourceError: this side destroyed it.
        """
        await trio.lowlevel.checkpoint()
        if not self._over.is_set():
            with plain_interrupt():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._notice_abort)
                    await self._over.wait()
                    nursery.cancel_scope.cancel()
        if not self._finished:
            if self._exchange.closed:
                await self._exchange.wait_closed()
            raise trio.ClosedResourceError("the response was given up on this side")

    @trio.lowlevel.enable_ki_protection
    async def _notice_abort(self) -> None:
        await self._request.wait_aborted()
        if self._exchange.aborted:
            self._over.set()

    @property
    def destroyed(self) -> bool:
        """Whether the exchange is over and given up on this side."""
        return self._exchange.destroyed

    @property
    def closed(self) -> bool:
        """Whether the exchange is over, in both directions."""
        return self._exchange.closed

    def destroy(self, error: BaseException | None = None) -> None:
        """Ends the exchange at once, request and response. Never blocks; a second call does nothing.

        Args:
            error: why; it is the cause of what later operations raise.
        """
        self._exchange.destroy(error)
        self._over.set()

    async def wait_closed(self) -> None:
        """Waits until the exchange is over, in both directions. Cancelled: nothing happened.

        Raises:
            StreamError, SessionError: it broke.
        """
        await self._exchange.wait_closed()

    @property
    def idle_timeout(self) -> float:
        """The same as `Request.idle_timeout`."""
        return self._request.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self._request.idle_timeout = seconds

    def set_idle_timeout(self, seconds: float | None, on_idle: Callable[[], object] | None = None) -> None:
        """The same as `Request.set_idle_timeout`."""
        self._request.set_idle_timeout(seconds, on_idle)

    # -- for request_handler ---------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """The handler has returned: ends what it has begun. What it has not is left to the server, which says 500."""
        if not self._ended and (self._head.touched or self.headers_sent) and not self._exchange.destroyed:
            await self.end()
        for pushed in self._pushed:
            with contextlib.suppress(StreamError):  # the client does not want it
                await pushed._settle()

    def _handler_over(self) -> None:
        """The handler is over: what is not sent now will not be."""
        self._over.set()
        for pushed in self._pushed:
            pushed._handler_over()


def _encoded(data: bytes | bytearray | memoryview | str) -> bytes | bytearray | memoryview:
    if isinstance(data, str):
        return encode_text(data)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"the body of a response is made of bytes or str, not {type(data).__name__}")
    return data

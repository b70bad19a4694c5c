"""A request: its headers, and its body as a stream or as a whole.

It belongs to the task that runs the handler; what is received and not read waits in the exchange below.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qsl

import trio

from trio_h2 import BodyError, Headers, ServerExchange, ServerStream, SessionError, StreamError, TransportView

from .._checks import check_int
from .._content import DEFAULT_MAX_BODY_SIZE, check_encoding
from .._util import NoPublicConstructor, construct, interrupt_safe, percent_encoded
from ._errors import HTTPError
from ._form import MULTIPART, URLENCODED, Form, boundary_of, decode_urlencoded, kind_of
from ._multipart import FormReader, PartParser

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from trio_h2 import JSONValue

    from ._spool import Spool

T = TypeVar("T")

_CLOSING: Final = 5.0
"""Seconds that the handler's end waits for temporary files to be removed; the thread that does it goes on."""


@interrupt_safe
class Request(metaclass=NoPublicConstructor):
    """A request, over HTTP/2 or HTTP/1.1. Made by `request_handler`.

    The body is read once: in pieces, by `receive_some` or ``async for``, which have no limit but flow control; or as a
    whole, by `read`, `text`, `json` or `form`, which take `max_body_size` bytes. If the client goes away before the
    response has ended, the handler is cancelled (`serve_tcp` tells how to turn that off).

    May be subclassed; `__init__` gets what it must pass on.
    """

    _made_by = "request_handler() makes it for each request"

    def __init__(self, exchange: ServerExchange, max_body_size: int = DEFAULT_MAX_BODY_SIZE) -> None:
        self._exchange = exchange
        self._read_to_end = False
        self._body: bytes | None = None
        self._form: Form | None = None
        self._spools: list[Spool] = []
        self.headers: Headers = exchange.headers
        """The header fields, pseudo-headers included. A mapping that cannot be altered, but replaced, for whoever comes
        after; nothing else here looks at it."""
        self.method: str = exchange.method
        """The method, ``"GET"`` for example. May be replaced, by what a proxy says, for instance."""
        self.url: str = exchange.path
        """Path and query as they came, but for bytes beyond ASCII, which are percent-encoded; empty for CONNECT. May be
        replaced, by a router for instance."""
        self.max_body_size: int = max_body_size
        """Bytes that `read`, `text`, `json` and `form` take, and of text in a form."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.url or self.authority}>"

    # -- its headers -----------------------------------------------------------------------------------------------

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The header fields as pairs of bytes, in order, with duplicates and pseudo-headers; over HTTP/1.1 with names
        in the case in which the client sent them.
        """
        return self._exchange.raw_headers

    @property
    def path(self) -> str:
        """The path in `url`, percent-encoded also where the client did not, without the query."""
        return percent_encoded(self.url.partition("?")[0])

    @property
    def query(self) -> list[tuple[str, str]]:
        """The names and values in the query of `url`, decoded, in order; ``dict(…)`` of it has the last of each."""
        return parse_qsl(percent_encoded(self.url.partition("?")[2]), keep_blank_values=True)

    @property
    def authority(self) -> str:
        """The host (and port) the client asked for."""
        return self._exchange.authority

    @property
    def scheme(self) -> str:
        """``"https"`` or ``"http"``, see `ServerStream.scheme`; empty for CONNECT."""
        return self._exchange.scheme

    @property
    def peer_address(self) -> tuple[str, int] | tuple[str, int, int, int] | str | bytes | None:
        """The client's address, see `ServerStream.peer_address`."""
        return self._exchange.peer_address

    @property
    def http_version(self) -> str:
        """``"2.0"``, ``"1.1"`` or ``"1.0"``."""
        return self._exchange.http_version

    @property
    def http_version_major(self) -> int:
        """The number before the dot of `http_version`."""
        return int(self.http_version.partition(".")[0])

    @property
    def http_version_minor(self) -> int:
        """The number after the dot of `http_version`."""
        return int(self.http_version.partition(".")[2])

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for 100 before it sends the body; the first wait for the body sends it."""
        return self._exchange.expects_continue

    # -- what it runs on -------------------------------------------------------------------------------------------

    @property
    def stream(self) -> ServerStream | None:
        """The HTTP/2 stream; ``None`` over HTTP/1.1."""
        exchange = self._exchange
        return exchange if isinstance(exchange, ServerStream) and exchange.http_version == "2.0" else None

    @property
    def transport(self) -> TransportView:
        """The transport, to look at: addresses, the client's certificate, what TLS agreed on."""
        return self._exchange.transport

    @property
    def draining(self) -> bool:
        """Whether the session, or over HTTP/1.1 the connection, has begun to shut down: this request is still answered,
        but a response without end, such as server-sent events, should come to one.
        """
        return self._exchange.session.draining

    async def wait_draining(self) -> None:
        """Waits until the session, or the connection, begins to shut down, or is over. Cancelled: nothing happened."""
        await self._exchange.session.wait_draining()

    @property
    def idle_timeout(self) -> float:
        """Seconds without a byte in either direction after which the exchange is reset; 0 and ``None`` turn
        it off, which reads as `math.inf`.

        Set at any time, it counts anew from then.
        """
        return self._exchange.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self._exchange.idle_timeout = seconds

    def set_idle_timeout(self, seconds: float | None, on_idle: Callable[[], object] | None = None) -> None:
        """Sets `idle_timeout`; *on_idle*, a plain function, is called instead of the reset, and the time begins anew.

        Raises:
            TypeError, ValueError: *seconds* is no number, or negative; *on_idle* is no function.
        """
        self._exchange.set_idle_timeout(seconds, on_idle)

    # -- its body as a stream --------------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives bytes of the body, giving the client credit for them.

        Cancelled: nothing is lost.

        Args:
            max_bytes: at most this many bytes; ``None``: what is buffered, up to 64 KiB.

        Returns:
            At least one byte, or ``b""`` at the end of the body.

        Raises:
            StreamError, SessionError: the exchange broke.
            trio.ClosedResourceError: this side destroyed it. trio.BusyResourceError: another task is receiving.
        """
        data = await self._exchange.receive_some(max_bytes)
        if not data:
            self._read_to_end = True
        return data

    def __aiter__(self) -> Request:
        return self

    async def __anext__(self) -> bytes:
        data = await self.receive_some()
        if not data:
            raise StopAsyncIteration
        return data

    async def receive_trailers(self) -> Headers:
        """Discards what is unread of the body, waits for its end and returns `trailers`.

        Cancelled: the body that arrived so far is gone; the call can be repeated.

        Raises:
            StreamError, SessionError: the exchange broke.
            trio.ClosedResourceError: this side destroyed it. trio.BusyResourceError: another task is receiving.
        """
        await self._exchange.receive_trailers()
        self._read_to_end = True
        return self.trailers

    @property
    def trailers(self) -> Headers:
        """The trailers; empty until the body has been read to its end, even if they have come."""
        return (self._exchange.trailers if self._read_to_end else None) or Headers()

    @property
    def raw_trailers(self) -> list[tuple[bytes, bytes]]:
        """The trailers as pairs of bytes, in order, with duplicates, and over HTTP/1.1 in their case; empty until the
        body has been read.
        """
        return self._exchange.raw_trailers if self._read_to_end else []

    # -- its body as a whole ---------------------------------------------------------------------------------------

    async def read(self, *, max_size: int | None = None) -> bytes:
        """Returns the body, or what is left of it; another call returns the same.

        A body that is too large by its ``content-length`` is refused before any of it is read. Cancelled: nothing is
        lost, the call can be repeated.

        Args:
            max_size: bytes that are not too many; `max_body_size` by default.

        Raises:
            HTTPError: 413, the body is too large.
            StreamError, SessionError: the exchange broke.
            trio.ClosedResourceError: this side destroyed it. trio.BusyResourceError: another task is receiving.
        """
        self._body = await _as_response(self._exchange.read(max_size=self._limit(max_size)))
        self._read_to_end = True
        return self._body

    async def text(self, *, max_size: int | None = None, encoding: str | None = None) -> str:
        """Returns the body as text. Cancelled: as `read`.

        Args:
            max_size: bytes that are not too many; `max_body_size` by default.
            encoding: the charset of the text; by default the one that ``content-type`` names, UTF-8 if it names none.

        Raises:
            HTTPError: 413, the body is too large; 415, the charset is not known; 400, the body is not in it.
            TypeError, ValueError: *encoding* is no codec of text.
            StreamError, SessionError, trio.ClosedResourceError, trio.BusyResourceError: as `read`.
        """
        if encoding is not None:
            check_encoding(encoding)
        await self.read(max_size=max_size)
        return await _as_response(self._exchange.text(max_size=self._limit(max_size), encoding=encoding))

    async def json(self, *, max_size: int | None = None) -> JSONValue:
        """Returns what the body says as JSON, whatever its ``content-type`` is. Cancelled: as `read`.

        Raises:
            HTTPError: 413, the body is too large; 400, it is not JSON (RFC 8259).
            StreamError, SessionError, trio.ClosedResourceError, trio.BusyResourceError: as `read`.
        """
        await self.read(max_size=max_size)
        return await _as_response(self._exchange.json(max_size=self._limit(max_size)))

    async def form(self, *, max_size: int | None = None, max_fields: int = 1000, max_files: int = 100) -> Form:
        """Returns the form in the body; another call returns the same. With files, it needs the extra ``forms``.

        Files are written to temporary files, off the Trio thread, unless they are small; they are closed when the
        handler is over. Cancelled: what was read of the form is gone.

        Args:
            max_size: bytes of the whole body; `max_body_size` by default. Text may not have more than
                `max_body_size` in any case, for that is in memory.
            max_fields: fields and files together.
            max_files: files.

        Raises:
            HTTPError: 413, something is too large or too many; 415, the ``content-type`` is not that of a form; 400, it
                is malformed.
            ImportError: there are files, and python-multipart is not installed.
            OSError: a temporary file cannot be written.
            StreamError, SessionError, trio.ClosedResourceError, trio.BusyResourceError: as `read`.
        """
        limit = self._limit(max_size)
        if self._form is not None:
            await trio.lowlevel.checkpoint()
            return self._form
        headers = self._exchange.headers
        content_type = kind_of(headers)
        kind = content_type.get_content_type()
        if kind == URLENCODED:
            body = await self.read(max_size=min(limit, self.max_body_size))
            self._form = construct(Form, decode_urlencoded(body, max_fields))
        elif kind == MULTIPART:
            self._refuse_announced(limit)
            parser = PartParser(boundary_of(content_type), max_parts=max_fields)
            reader = FormReader(parser, self._spools.append, max_text=self.max_body_size, max_files=max_files)
            await self._read_form(reader, limit)
            self._form = construct(Form, reader.fields, reader.files)
        else:
            raise HTTPError(415, f"a form must be {MULTIPART} or {URLENCODED}\n")
        return self._form

    async def _read_form(self, reader: FormReader, limit: int) -> None:
        size = 0
        if self._body is not None:
            await reader.feed(self._body)
        while chunk := await self.receive_some():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            await reader.feed(chunk)
        reader.finish()

    def _limit(self, max_size: int | None) -> int:
        if max_size is None:
            return self.max_body_size
        return check_int("max_size", max_size, 0)

    def _refuse_announced(self, limit: int) -> None:
        """Refuses a body that is too large before the client has sent it, or 100 has asked for it."""
        length = self._exchange.headers.get("content-length")
        # RFC 9110 §9.3.6: a CONNECT has no content, so nobody has looked whether this is a number.
        if length is not None and self._exchange.method != "CONNECT" and int(length) > limit:
            raise _too_large(limit)

    # -- its end ---------------------------------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether no more of it will come: read to its end, aborted, or destroyed."""
        exchange = self._exchange
        return self._read_to_end or exchange.end_after_headers or exchange.aborted or exchange.closed

    @property
    def aborted(self) -> bool:
        """Whether the exchange broke before the response had ended."""
        return self._exchange.aborted

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

    async def wait_closed(self) -> None:
        """Waits until the exchange is over, in both directions. Cancelled: nothing happened.

        Raises:
            StreamError, SessionError: it broke.
        """
        await self._exchange.wait_closed()

    async def wait_aborted(self) -> bool:
        """Waits until the exchange is over; returns whether it broke before the response had ended.

        For servers that do not cancel the handler then. Cancelled: nothing happened.
        """
        with contextlib.suppress(StreamError, SessionError, trio.ClosedResourceError):
            await self._exchange.wait_closed()
        return self._exchange.aborted

    # -- for request_handler ---------------------------------------------------------------------------------------

    async def _close(self) -> None:
        """The handler is over: uploaded files go."""
        spools = [spool for spool in self._spools if not spool.closed]
        if not any(spool.on_disk for spool in spools):
            _close_all(spools)
            return
        with trio.move_on_after(_CLOSING, shield=True):
            # A limiter of its own: whoever keeps all threads busy must not keep the files open.
            await trio.to_thread.run_sync(_close_all, spools, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1))


def _close_all(spools: Sequence[Spool]) -> None:
    for spool in spools:
        spool.close()


def _too_large(limit: int) -> HTTPError:
    return HTTPError(413, f"the body has more than {limit} bytes\n")


async def _as_response(body: Awaitable[T]) -> T:
    """Makes what is wrong with the body of a request the response to it."""
    try:
        return await body
    except BodyError as exc:
        raise HTTPError(exc.status, f"{exc.reason}\n") from exc

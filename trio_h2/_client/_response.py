"""A response: its head, and its body piece by piece or as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .. import BodyTooLargeError
from .._checks import check_int
from .._content import DEFAULT_MAX_BODY_SIZE, charset_of, check_encoding, decode_json, decode_text
from .._util import NoPublicConstructor, construct, interrupt_safe
from ._errors import StatusError
from ._lines import LineIterator
from ._server_sent import EventIterator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .. import Headers, JSONValue
    from ._decoded import Decoded
    from ._incoming import Incoming
    from ._outgoing import Outgoing


@interrupt_safe
class Response(metaclass=NoPublicConstructor):
    """A response; made by the requests of a `Client`.

    That of ``await client.get(…)`` and its like has been read whole: `content`, `text` and `json` are there. Inside the
    block of ``async with client.request(…)``, the body is still to come: `read` takes all of it, ``async for`` and
    `receive_some` piece by piece.
    """

    _made_by = "the requests of a Client make it"

    def __init__(
        self,
        incoming: Incoming,
        request: Outgoing,
        headers: Headers,
        history: tuple[Response, ...],
        decoded: Decoded | None = None,
    ) -> None:
        self._incoming = incoming
        self._body = decoded or incoming
        self._request = request
        self._headers = headers
        self._history = history
        self._content: bytes | None = None
        self._parts: list[bytes] = []
        """What `read` has taken so far."""
        self._size = 0

    def __repr__(self) -> str:
        return f"<Response {self.status} of {self._request.method} {self._request.url}>"

    # -- the head --------------------------------------------------------------------------------------------------

    @property
    def status(self) -> int:
        """The status code, 200 … 999."""
        return self._headers.status

    @property
    def ok(self) -> bool:
        """Whether the status is from 200 to 299."""
        return 200 <= self.status < 300

    @property
    def headers(self) -> Headers:
        """The header fields as they were received, ``:status`` among them.

        If the body was decoded, ``content-encoding`` and ``content-length`` still tell what was sent.
        """
        return self._headers

    @property
    def trailers(self) -> Headers | None:
        """The trailers, when the body has been read to its end and has some."""
        return self._incoming.trailers

    @property
    def informational(self) -> list[Headers]:
        """The 1xx responses that came before (RFC 9110 §15.2)."""
        return self._incoming.informational

    @property
    def http_version(self) -> str:
        """``"2"`` or ``"1.1"``."""
        return self._incoming.http_version

    @property
    def method(self) -> str:
        """The method of the request that was answered."""
        return self._request.method

    @property
    def url(self) -> str:
        """The URL that was answered: where the last redirect led, if some were followed."""
        return self._request.url

    @property
    def history(self) -> tuple[Response, ...]:
        """The redirects that led here, in order, without their bodies."""
        return self._history

    def raise_for_status(self) -> Response:
        """Raises if the request was not answered as asked; returns the response itself otherwise.

        Raises:
            StatusError: the status is 300 or more.
        """
        if self.status >= 300:
            raise StatusError(
                f"{self.method} {self.url} was answered with status {self.status}", status=self.status, response=self
            )
        return self

    # -- the body as a whole ---------------------------------------------------------------------------------------

    async def read(self, *, max_size: int = DEFAULT_MAX_BODY_SIZE) -> bytes:
        """Waits for the whole body, and returns it; another call returns the same again.

        Cancelled: what has come is kept for another call.

        Args:
            max_size: the bytes, after decoding, that are not too many; 1 MiB by default.

        Raises:
            BodyTooLargeError: there are more. What has come is kept, for a call with a larger *max_size*.
            BodyDecodeError: it is broken, or cut off, as ``content-encoding`` goes.
            RequestTimeoutError: nothing came for ``Timeouts.idle``.
            StreamError, SessionError: the body broke off.
            trio.ClosedResourceError: the block of the request has been left.
        """
        check_int("max_size", max_size, 0)
        if self._content is None:
            self._check_size(max_size)
            body, incoming = self._body, self._incoming
            while part := await body.receive_some():
                self._add(part, max_size)
                if body is incoming and incoming.ended:
                    break  # it would say so, too, after other tasks had their turn
            return self._whole()
        await trio.lowlevel.checkpoint()
        return self._content

    def read_nowait(self, *, max_size: int = DEFAULT_MAX_BODY_SIZE) -> bytes:
        """Returns the whole body, if all of it is here already.

        Args:
            max_size: the bytes that are not too many; 1 MiB by default.

        Raises:
            trio.WouldBlock: `read` would wait, be it for its turn to decode; nothing is lost.
            BodyTooLargeError, StreamError, SessionError, trio.ClosedResourceError: as from `read`.
        """
        check_int("max_size", max_size, 0)
        if self._content is not None:
            return self._content
        incoming = self._incoming
        if self._body is not incoming:
            raise trio.WouldBlock
        self._check_size(max_size)
        while not incoming.ended:
            self._add(incoming.receive_some_nowait(), max_size)
        return self._whole()

    def _add(self, part: bytes, max_size: int) -> None:
        self._parts.append(part)
        self._size += len(part)
        self._check_size(max_size)

    def _check_size(self, max_size: int) -> None:
        if self._size > max_size:
            raise BodyTooLargeError(f"the response is larger than max_size={max_size} bytes")

    def _whole(self) -> bytes:
        parts, self._parts = self._parts, []
        self._content = parts[0] if len(parts) == 1 else b"".join(parts)
        return self._content

    @property
    def content(self) -> bytes:
        """The whole body, once it was read."""
        if self._content is None:
            raise RuntimeError("the body has not been read: `await response.read()` first")
        return self._content

    @property
    def text(self) -> str:
        """The whole body as text, in the charset that ``content-type`` names, UTF-8 if it names none.

        Raises:
            BodyDecodeError: the charset is not known, or the body is not in it.
            RuntimeError: the body has not been read.
        """
        return decode_text(self.content, self._headers, None, None)

    def decode(self, encoding: str) -> str:
        """Returns the whole body as text in another *encoding* than the one that it says it has.

        Raises:
            BodyDecodeError: the body is not in it.
            TypeError, ValueError: it is no codec of text.
            RuntimeError: the body has not been read.
        """
        return decode_text(self.content, self._headers, check_encoding(encoding), None)

    def json(self) -> JSONValue:
        """Returns what the whole body says as JSON, whatever ``content-type`` says.

        Raises:
            BodyDecodeError: it is not JSON (RFC 8259).
            RuntimeError: the body has not been read.
        """
        return decode_json(self.content, None)

    # -- the body piece by piece -----------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives bytes of the body, decoded, ``b""`` at its end. Cancelled: nothing is lost.

        Args:
            max_bytes: at most so many; ``None``: what is there.

        Raises:
            BodyDecodeError: it is broken, or cut off, as ``content-encoding`` goes.
            RequestTimeoutError: nothing came for ``Timeouts.idle``.
            StreamError, SessionError: the body broke off.
            trio.ClosedResourceError: the block of the request has been left.
        """
        if max_bytes is not None:
            check_int("max_bytes", max_bytes, 1)
        if self._content is not None:
            await trio.lowlevel.checkpoint()
            return b""
        return await self._body.receive_some(max_bytes)

    def iter_lines(self, *, max_line: int = 64 * 1024, encoding: str | None = None) -> LineIterator:
        """Returns the lines of the body that is still to come, as text: ``async for line in response.iter_lines()``.

        Args:
            max_line: characters that are not too many for one line; 65 536 by default.
            encoding: instead of the charset that ``content-type`` names, or else UTF-8.

        Raises:
            BodyDecodeError: the charset is not known.
            TypeError, ValueError: an argument is not allowed.
        """
        check_int("max_line", max_line, 1)
        codec = charset_of(self._headers, None) if encoding is None else check_encoding(encoding)
        if codec in ("utf-8", "utf8"):
            codec = "utf-8-sig"  # a byte order mark is no text
        return construct(LineIterator, self, codec, max_line)

    def iter_events(self, *, max_size: int = DEFAULT_MAX_BODY_SIZE) -> EventIterator:
        """Returns the server-sent events of the body that is still to come: ``async for event in …``.

        Ask for them with ``accept: text/event-stream``, and look at the status first: 204 means not to connect again.

        Args:
            max_size: characters that are not too many for one event; 1 048 576 by default.

        Raises:
            TypeError, ValueError: an argument is not allowed.
        """
        check_int("max_size", max_size, 1)
        return construct(EventIterator, self, max_size)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._content is None:
            body, incoming = self._body, self._incoming
            if body is incoming and incoming.ended:
                raise StopAsyncIteration  # at once: each piece before was a checkpoint, or else the wait for the head
            data = await body.receive_some()
            if data:
                return data
        raise StopAsyncIteration

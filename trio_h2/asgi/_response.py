"""The messages with which an application responds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, cast

import trio

import trio_h2
from trio_h2 import files

from .._util import interrupt_safe
from ._errors import ClientDisconnectedError

if TYPE_CHECKING:
    from ._push import Pusher
    from ._types import Message

logger = logging.getLogger("trio_h2.asgi")

GONE: Final = (trio_h2.StreamError, trio_h2.SessionError, trio.ClosedResourceError)
"""What says that the exchange has ended under the application."""

_Fields = list[tuple[str, str | int | bytes]]

# The connection manages these by itself. ASGI has applications that were made for HTTP/1.1 servers set some of them.
DROPPED: Final = frozenset(
    ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings")
)
"""Fields of applications that are left out."""
_NO_CONTENT: Final = frozenset((204, 205, 304))


@interrupt_safe
class ResponseMessages:
    """What has become of a response so far; and what each message of the application makes of it.

    The start of a response waits for the first part of its body, as ASGI has it: "The protocol server must not start
    sending the response to the client until it has received at least one Response Body event." So a response that comes
    in one piece goes out in one piece, and an application that fails between the two still gets its 500.
    """

    __slots__ = (
        "_head",
        "_late",
        "_no_content",
        "_on_complete",
        "_stream",
        "_trailers",
        "_trailers_next",
        "complete",
        "pusher",
        "told_gone",
    )

    def __init__(self, stream: trio_h2.ServerStream, on_complete: Callable[[], object] | None = None) -> None:
        self._stream = stream
        self._head: _Fields | None = None  # told by the application, and not sent
        self._trailers: _Fields | None = None  # what was told of the trailers, if there will be some
        self._trailers_next = False  # the body has ended
        self._on_complete = on_complete
        self._late = False
        self._no_content = False  # whatever the application sends as its body
        self.complete = False
        """Whether the application has told all of it."""
        self.told_gone = False
        """Whether the application knows that its client has left before that."""
        self.pusher: Pusher | None = None

    @property
    def begun(self) -> bool:
        """Whether the application has said how the response starts."""
        return self._head is not None or self._stream.headers_sent

    async def send(self, message: Message) -> None:
        """Takes one message; what ``send`` is to the application."""
        await self.take(message, kind_of(message))

    async def take(self, message: Message, kind: str) -> None:
        """Takes a message of some *kind*.

        Raises:
            ClientDisconnectedError: the client has left.
            LocalProtocolError: the message is out of order.
            TypeError, ValueError: something in it is not allowed.
        """
        if self.complete:
            # ASGI: "any further messages on the channel will be ignored".
            if not self._late:
                self._late = True
                logger.warning("%s: %s came after the end of the response, and is ignored", self._name(), kind)
            return
        if self.told_gone:
            raise ClientDisconnectedError("the client has left")
        try:
            if kind == "http.response.body":
                await self._body(message)
            elif kind == "http.response.start":
                self._start(message)
            else:
                await self._other(message, kind)
        except GONE as exc:
            self.told_gone = True
            raise ClientDisconnectedError(f"the client has left: {exc}") from exc

    def check_complete(self) -> None:
        """The application has returned.

        Raises:
            LocalProtocolError: without having told all of its response.
        """
        if self.complete or self.told_gone or self._stream.aborted:
            return
        if not self.begun:
            raise self._misuse("the application returned without a response")
        last = "http.response.trailers" if self._trailers_next else "http.response.body"
        raise self._misuse(f"the application returned before the end of its response: the last {last} is missing")

    # -- start -----------------------------------------------------------------------------------------------------

    def _start(self, message: Message) -> None:
        if self.begun:
            raise self._misuse("http.response.start came twice")
        status = message.get("status")
        if not isinstance(status, int) or isinstance(status, bool):
            raise TypeError(f"the status of http.response.start must be an int, not {status!r}")
        head: _Fields = [(":status", status)]
        for name, value in fields_of(message, "http.response.start"):
            if name in DROPPED or (status in (204, 205) and name == "content-length"):
                continue
            head.append((name, value))
        self._no_content = status in _NO_CONTENT
        self._trailers = [] if message.get("trailers") and not self._no_content else None
        if self._stream.closed:
            raise trio.ClosedResourceError("the exchange is over")
        self._head = head

    # -- body ------------------------------------------------------------------------------------------------------

    async def _body(self, message: Message) -> None:
        stream, head = self._stream, self._head
        body = message.get("body", b"")
        if not isinstance(body, bytes | bytearray | memoryview):
            raise TypeError(f"the body of http.response.body must be bytes, not {type(body).__name__}")
        more = bool(message.get("more_body", False))
        if self._trailers_next:
            raise self._misuse("http.response.body came after the end of the body, where http.response.trailers is due")
        if self._no_content:
            await self._without_content(len(body), more=more)
            return
        if head is None:
            self._check_begun("http.response.body")
            if body:
                await stream.send_all(body)
            if not more:
                await self._end_of_body()
            return
        self._head = None  # if it is refused, the application may begin anew
        if more or self._trailers is not None:
            await stream.respond(head)
            if body:
                await stream.send_all(body)
            if not more:
                await self._end_of_body()
        elif not body and stream.method == "HEAD":
            # Nobody has said how long the body would be.
            await stream.respond(head, end_stream=True)
            self._completed()
        else:
            await stream.respond(head, body=body)
            self._completed()

    async def _without_content(self, left_out: int, *, more: bool) -> None:
        """Sends a response that has no body, whatever the application says; frameworks give 204 one now and then.

        RFC 9110 §15.3.5, and §15.4.5 likewise: "A 204 response is terminated by the end of the header section; it
        cannot contain content or trailers."
        """
        head, self._head = self._head, None
        if head is not None:
            await self._stream.respond(head, end_stream=True)
        else:
            await trio.lowlevel.checkpoint()
        if left_out:
            logger.info("%s: the body of %s is left out: %d bytes", self._name(), self._stream.sent_status, left_out)
        if not more:
            self._completed()

    async def _end_of_body(self) -> None:
        if self._trailers is None:
            await self._stream.send_eof()
            self._completed()
        else:
            self._trailers_next = True

    async def _path(self, message: Message) -> None:
        stream, head = self._stream, self._head
        path = message.get("path")
        if not isinstance(path, str):
            raise TypeError(f"the path of http.response.pathsend must be a str, not {path!r}")
        if head is None:
            self._check_begun("http.response.pathsend")
            raise self._misuse("http.response.pathsend came after a http.response.body")
        self._head = None
        # Without `on_error` the exchange would be given up, and not answered with 500.
        await files.respond_with_file(stream, path, head, on_error=_again, end_stream=self._trailers is None)
        if self._trailers is None:
            self._completed()
        else:
            self._trailers_next = True

    # -- trailers, hints, pushes -----------------------------------------------------------------------------------

    async def _other(self, message: Message, kind: str) -> None:
        if kind == "http.response.pathsend":
            await self._path(message)
        elif kind == "http.response.trailers":
            await self._take_trailers(message)
        elif kind == "http.response.early_hint":
            await self._hint(message)
        elif kind == "http.response.push":
            await trio.lowlevel.checkpoint()
            if self.pusher is not None:
                await self.pusher.push(message)
        else:
            raise self._misuse(f"there is no message {kind!r} for what this scope is about")

    async def _take_trailers(self, message: Message) -> None:
        stream, trailers = self._stream, self._trailers
        if trailers is None or not self._trailers_next:
            raise self._misuse(
                "http.response.trailers needs an http.response.start with trailers=True, and comes after the body"
            )
        trailers += fields_of(message, "http.response.trailers")
        if message.get("more_trailers", False):
            await trio.lowlevel.checkpoint()
            return
        # ASGI: "The ASGI server will only send the trailing headers in case the client has sent the TE: trailers header
        # in the request."
        if trailers and "trailers" in str(stream.headers.get("te", "")).lower():
            await stream.send_trailers(trailers)
        else:
            await stream.send_eof()
        self._completed()

    async def _hint(self, message: Message) -> None:
        links = message.get("links", ())
        if isinstance(links, bytes | str) or not isinstance(links, Iterable):
            raise TypeError("the links of http.response.early_hint must be an iterable of bytes")
        fields = [("link", cast("bytes", link)) for link in links]
        stream = self._stream
        if fields and not stream.headers_sent and not isinstance(stream, trio_h2.Http1Exchange):
            await stream.send_informational(103, fields)
        else:  # ASGI: "The server may decide to ignore this message"
            await trio.lowlevel.checkpoint()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _completed(self) -> None:
        self.complete = True
        if self._on_complete is not None:
            self._on_complete()

    def _check_begun(self, kind: str) -> None:
        if not self._stream.headers_sent:
            raise self._misuse(f"{kind} came before http.response.start")

    def _misuse(self, reason: str) -> trio_h2.LocalProtocolError:
        return trio_h2.LocalProtocolError(reason, stream_id=self._stream.id, stream=self._stream)

    def _name(self) -> str:
        return f"{self._stream.method} {self._stream.path}"


def _again(error: Exception) -> None:
    raise error


def kind_of(message: Message) -> str:
    """Returns the type of a message.

    Raises:
        TypeError: it is none.
    """
    given: object = message
    kind = given.get("type") if type(given) is dict or isinstance(given, Mapping) else None
    if not isinstance(kind, str):
        raise TypeError(f"send() takes a dict with a 'type', not {message!r:.100}")
    return kind


def fields_of(message: Message, kind: str) -> _Fields:
    """Returns the fields that a message names, with names in lower case.

    Raises:
        TypeError: they are no pairs of bytes.
    """
    headers = message.get("headers", ())
    fields: _Fields = []
    try:
        for name, value in cast("Iterable[tuple[bytes, bytes]]", headers):
            fields.append((name.decode("latin-1").lower(), value if type(value) is bytes else bytes(memoryview(value))))
    except (TypeError, ValueError, AttributeError):
        raise TypeError(f"the headers of {kind} must be pairs of bytes, not {headers!r:.100}") from None
    return fields

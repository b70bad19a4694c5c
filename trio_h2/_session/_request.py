"""A request of a client: its fields, and the block in which its stream lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._stream._client import ClientStream
from .._stream._priority import check_priority
from .._util import NoPublicConstructor, construct, interrupt_safe
from .._wire._headers import Headers
from .._wire._outbound import content_length_of, may_be_remembered, plain_key, request_fields

if TYPE_CHECKING:
    from types import TracebackType

    from .._stream._core import StreamCore
    from .._trace._outgoing import OutgoingRequest
    from .._wire._extframes import Dependency
    from .._wire._headers import HeadersInput, RawField
    from .._wire._schedule import Priority
    from ._client_core import ClientCore

_EXPECT_CONTENT = frozenset({"POST", "PUT", "PATCH"})
"""RFC 9110 §8.6: methods whose requests carry content-length even when they have no content."""


_MAX_REMEMBERED = 256


class RequestHead:
    """The header section of one request. Equal requests share one, so nothing may change it."""

    __slots__ = ("extends_connect", "fields", "headers", "length", "request")

    def __init__(self, fields: list[RawField], request: OutgoingRequest | None = None) -> None:
        self.fields: tuple[RawField, ...] = tuple(fields)
        """What is sent: the same object for equal requests, which header compression recognises."""
        self.headers: Headers = Headers.from_raw(fields)
        self.length: int | None = content_length_of(fields)
        """The bytes that the body must have, if they are known."""
        self.extends_connect: bool = fields[0][1] == b"CONNECT" and any(name == b":protocol" for name, _ in fields)
        """Whether it asks for what the server must offer first (RFC 8441)."""
        self.request: OutgoingRequest | None = request
        """The one request that has this head, as instruments know it; ``None`` if there are none."""

    def seen_as(self, request: OutgoingRequest) -> RequestHead:
        """Returns the head of one request, with what instruments have added to it."""
        return RequestHead([*self.fields, *request.added], request)


_remembered: dict[tuple[object, ...], RequestHead] = {}


def request_head(
    scheme: str,
    authority: str,
    method: str,
    path: str,
    headers: HeadersInput | None,
    length: int,
    *,
    end_stream: bool,
) -> RequestHead:
    """Returns the header section of an ordinary request, as `fields_of` makes it.

    Programs send the same few requests again and again, so the newest are remembered: not long ones, and none with a
    secret in it.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """
    key = plain_key(headers)
    whole_key = (scheme, authority, method, path, key, length, end_stream)
    usable = key is not None and type(method) is str and type(path) is str
    found = _remembered.get(whole_key) if usable else None
    if found is None:
        fields = fields_of(
            *(scheme, authority, method, path, headers, length), end_stream=end_stream, priority=None, protocol=None
        )
        found = RequestHead(fields)
        if usable and may_be_remembered(fields):
            if len(_remembered) >= _MAX_REMEMBERED:
                _remembered.clear()
            _remembered[whole_key] = found
    return found


def fields_of(
    scheme: str,
    authority: str,
    method: str,
    path: str,
    headers: HeadersInput | None,
    length: int,
    *,
    end_stream: bool,
    priority: Priority | None,
    protocol: str | None,
) -> list[RawField]:
    """Returns the fields of a request; *length* is that of its body, as far as it is known.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """
    connect = method == "CONNECT"
    if protocol is not None:
        headers = _with_protocol(protocol, headers)
    elif connect:
        headers = Headers({} if headers is None else headers)
    if connect and isinstance(headers, Headers) and ":protocol" not in headers:
        # RFC 9113 §8.5: no ':scheme', no ':path', and the authority is the target, not this server.
        fields = request_fields(method, path, None, None, headers)
    else:
        fields = request_fields(method, path, scheme, authority, headers)
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
        raise ValueError(f"content-length is {named}, the body has {length} bytes")
    return fields


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


def add_expectation(fields: list[RawField], *, has_body: bool) -> None:
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


@interrupt_safe
class ClientRequest(metaclass=NoPublicConstructor):
    """The block of one request: ``async with session.request(…) as stream``. Use it once."""

    _made_by = "ClientSession.request() makes it"

    def __init__(
        self,
        core: ClientCore,
        head: RequestHead,
        body: bytes,
        end_stream: bool,
        hold: bool,
        dependency: Dependency | None,
    ) -> None:
        self._core = core
        self._head = head
        self._body = body
        self._end_stream = end_stream
        self._hold = hold
        self._dependency = dependency
        self._stream: StreamCore | None = None
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
        core = self._core
        send = core.open if core.trace is None else core.open_traced
        self._stream = await send(
            self._head, self._body, end_stream=self._end_stream, hold=self._hold, dependency=self._dependency
        )
        self._id = self._stream.id
        return construct(ClientStream, self._stream)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Resets the stream with CANCEL unless both sides have ended; never waits. Entering was the checkpoint."""
        assert self._stream is not None
        self._stream.discard()
        self._stream = None

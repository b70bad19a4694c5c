"""One request of a client, checked and ready to be sent, perhaps several times."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote, urlencode

from .. import Headers, HeadersInput
from .._address import Origin, parse_url
from .._url import request_target, shown_url, url_text
from ._stored_body import StoredBody

if TYPE_CHECKING:
    from .. import Priority
    from .._url import Url
    from ._timeouts import Timeouts

RequestBody: TypeAlias = (
    bytes
    | bytearray
    | memoryview
    | os.PathLike[str]
    | IO[bytes]
    | AsyncIterable[bytes]
    | Callable[[], AsyncIterable[bytes]]
)
"""What a request can carry: bytes; a file, as its path (a `pathlib.Path`; no `str`) or opened to read bytes; what makes
them piece by piece, once; or a function that returns such a thing each time it is needed."""

Body: TypeAlias = bytes | StoredBody | AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]
"""The same, looked at."""

FileContent: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes]
"""What is in a file of a form: bytes, a text, a path (as a `pathlib.Path`; a `str` is a text), or an open binary
file."""

FilePart: TypeAlias = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, HeadersInput]
)
"""A file of a form: its content; or with its file name (``None``: no file, but a field), its content type (``None``: by
the file name), and further header fields of this part."""

Files: TypeAlias = Mapping[str, FilePart | Sequence[FilePart]] | Sequence[tuple[str, FilePart]]
"""The files of a form by the names of their fields, as requests and httpx have them; a list repeats its name."""

Params: TypeAlias = Mapping[str, object] | Sequence[tuple[str, object]]
"""What goes into the query of a URL."""

# RFC 3986 §2: what may stand in a path or query as it is, and the sign of what is encoded already.
_AS_IT_IS: Final = "!#$%&'()*+,/:;=?@[]~"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]").search
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]+").fullmatch
_PLAIN: Final = re.compile(r"[!-~]*").fullmatch


@dataclass(slots=True)
class Outgoing:
    """One request."""

    method: str
    url: str
    """Whole, as it was asked for."""
    origin: Origin
    target: str
    """Path and query."""
    headers: HeadersInput
    body: Body
    expect_continue: bool
    priority: Priority | None
    number: int
    """Its place among all requests of the client."""
    timeouts: Timeouts | None = field(default=None)
    """Those of this request, if it has its own."""
    without_cookies: HeadersInput | None = None
    """The headers as they were asked for, if those of a jar were added."""
    started: bool = field(default=False)
    """Something of a body that comes once only was taken."""
    protocol: str | None = None
    """What is to be spoken instead of HTTP, if the server agrees: by an extended CONNECT, or an upgrade."""

    @property
    def switches(self) -> bool:
        """Whether it asks for a stream of bytes in both directions, instead of a response: a tunnel or a protocol."""
        return self.protocol is not None or self.method == "CONNECT"

    def switched(self, status: int, http_version: str) -> bool:
        """Whether a final response to it, or 101, opens that stream.

        RFC 9110 §9.3.6: "Any 2xx (Successful) response indicates that the sender (and all inbound proxies) will switch
        to tunnel mode"; so it is with RFC 8441 §4. HTTP/1.1 changes the protocol by 101 alone.

        Args:
            status: of the response.
            http_version: in which it came.
        """
        if self.protocol is not None and http_version != "2":
            return status == 101
        return self.switches and status < 300

    @property
    def content(self) -> bytes | None:
        """The body, if it is all there."""
        body = self.body
        return body if isinstance(body, bytes) else None

    @property
    def replayable(self) -> bool:
        """Whether it can be sent once more."""
        return not self.started

    def of_size(self, size: int | None) -> Outgoing:
        """Returns it with ``content-length``, if its body has a size, and it does not name one itself."""
        given = Headers(self.headers)
        if size is None or "content-length" in given:
            return self
        headers = Headers([*given.raw, (b"content-length", b"%d" % size)], sensitive=given.sensitive)
        return replace(self, headers=headers)

    def pieces(self) -> AsyncIterable[bytes]:
        """Returns what makes the body, from its beginning."""
        body = self.body
        if isinstance(body, bytes):
            return _one(body)
        if isinstance(body, StoredBody):
            self.started = not body.replayable
            return body.pieces()
        if isinstance(body, AsyncIterable):
            self.started = True
            return body
        assert callable(body)
        return body()


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


@lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[Origin, str]:
    target = request_target(text)
    if _PLAIN(target):
        return parse_url(text), target
    if _CONTROL(target):
        raise ValueError(f"bad URL {shown_url(text)}: control characters are not allowed")
    whole = text.rstrip().partition("#")[0]
    before = whole[: len(whole) - len(target)] if whole.endswith(target) else whole
    return parse_url(before), quote(target, safe=_AS_IT_IS)


def where(url: Url, params: Params | None) -> tuple[str, Origin, str]:
    """Returns a URL as text, its origin, and what a request to it names.

    Raises:
        TypeError, ValueError: the URL is not right.
    """
    text = url_text(url)
    if params:
        query = urlencode(params, doseq=True)
        text, hash_sign, fragment = text.partition("#")
        text += ("&" if "?" in text else "?") + query + hash_sign + fragment
    origin, target = _parsed(text)
    return text, origin, target


def check_protocol(protocol: str, method: str) -> None:
    """Raises if a request cannot ask for a protocol.

    Raises:
        TypeError, ValueError: *protocol* is no name, or *method* not the right one.
    """
    if not isinstance(protocol, str):
        raise TypeError(f"protocol must be a str, not {protocol!r}")
    if not _TOKEN(protocol):
        raise ValueError(f"protocol must be a name like 'websocket', not {protocol!r}")
    if method != "GET":
        # RFC 6455 §4.1: "The method of the request MUST be GET"; that of an extended CONNECT is always the same.
        raise ValueError(f"another protocol is asked for with GET, not with {method}")


def plain_names(headers: HeadersInput | None) -> list[str] | None:
    """Returns the names of a request's fields if they are few, and in lower case already; else ``None``."""
    if headers is None:
        return []
    if type(headers) is dict:
        names = list(headers)
    elif type(headers) is list and all(type(pair) is tuple and len(pair) == 2 for pair in headers):
        names = [name for name, _ in headers]
    else:
        return None
    return names if len(names) <= 30 and all(type(name) is str and name.islower() for name in names) else None


def merged(defaults: dict[str, str], headers: HeadersInput | None, names: list[str] | None) -> HeadersInput:
    """Returns the fields of a request, with those *defaults* that it does not name itself.

    Args:
        defaults: what is added.
        headers: what the request has; it may be changed later, so this returns something new.
        names: what `plain_names` says of them.

    Raises:
        TypeError, ValueError: a field is not allowed.
    """
    if headers is None:
        return defaults
    if names is not None:
        if isinstance(headers, dict):
            return {**defaults, **headers}
        assert isinstance(headers, list)
        return [*headers, *[(name, value) for name, value in defaults.items() if name not in names]]
    given = headers if isinstance(headers, Headers) else Headers(headers)
    missing = [(name, value) for name, value in defaults.items() if name not in given]
    return Headers([*given.raw, *missing], sensitive=given.sensitive) if missing else given

"""httpx and httpx2, those that are installed: one library under two names, as far as transports can see."""

from __future__ import annotations

import functools
import importlib
import operator
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Final, TypeAlias, overload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import ModuleType

    import httpx
    import httpx2

    AnyRequest: TypeAlias = httpx.Request | httpx2.Request
    """A request of one of the libraries."""
    AnyResponse: TypeAlias = httpx.Response | httpx2.Response
    """A response of the same."""

    class AnyTransport(httpx.AsyncBaseTransport, httpx2.AsyncBaseTransport):
        """The base of a transport for both libraries."""

        @overload
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response: ...
        @overload
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response: ...
        async def handle_async_request(self, request: AnyRequest) -> AnyResponse: ...

    class AnyByteStream(httpx.AsyncByteStream, httpx2.AsyncByteStream):
        """The base of a body for both libraries."""

        def __aiter__(self) -> AsyncIterator[bytes]: ...

    Extensions: TypeAlias = dict[str, object]


class Library:
    """httpx or httpx2."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.transport: type = module.AsyncBaseTransport
        self.byte_stream: type = module.AsyncByteStream
        self.request: type = module.Request
        self.made_response: type = module.Response

    def has_made(self, request: object) -> bool:
        """Whether a request is one of its."""
        return isinstance(request, self._module.Request)

    def content_of(self, request: AnyRequest) -> bytes | None:
        """Returns the body of a request, ``None`` if it comes piece by piece."""
        try:
            return request.content
        except self._module.RequestNotRead:
            return None

    def stream_of(self, request: AnyRequest) -> AsyncIterable[bytes]:
        """Returns what makes the body of a request; httpx sees to it that it is asynchronous."""
        assert isinstance(request.stream, AsyncIterable)
        return request.stream

    def response(
        self, status: int, headers: list[tuple[bytes, bytes]], body: AnyByteStream, extensions: Extensions
    ) -> AnyResponse:
        """Makes a response."""
        made: AnyResponse = self._module.Response(status, headers=headers, stream=body, extensions=extensions)
        return made

    def fields(self, fields: list[tuple[bytes, bytes]]) -> object:
        """Makes what it has header fields in."""
        made: object = self._module.Headers(fields)
        return made

    def error(self, name: str, message: str) -> Exception:
        """Makes one of its exceptions."""
        made: Exception = getattr(self._module, name)(message)
        return made


def _installed() -> Iterator[ModuleType]:
    for name in "httpx", "httpx2":
        try:
            yield importlib.import_module(name)
        except ImportError:
            continue


# `httpx2.alias_httpx` can make them one.
LIBRARIES: Final = tuple(Library(module) for module in dict.fromkeys(_installed()))

if not TYPE_CHECKING:
    AnyTransport = type("AnyTransport", tuple(library.transport for library in LIBRARIES), {"__module__": __name__})
    AnyByteStream = type("AnyByteStream", tuple(library.byte_stream for library in LIBRARIES), {"__module__": __name__})
    # For `typing.get_type_hints`.
    AnyRequest = functools.reduce(operator.or_, [library.request for library in LIBRARIES] or [object])
    AnyResponse = functools.reduce(operator.or_, [library.made_response for library in LIBRARIES] or [object])
    Extensions = dict


def library_of(request: object) -> Library:
    """Returns the library that has made a request.

    Raises:
        TypeError: it is none of either.
    """
    for library in LIBRARIES:
        if library.has_made(request):
            return library
    raise TypeError(f"request must be a Request of httpx or httpx2, not {request!r}")

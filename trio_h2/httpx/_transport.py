"""A transport for the clients of httpx and httpx2."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, overload

import trio

from .. import Client, Timeouts
from .._util import interrupt_safe
from ._body import ResponseBody
from ._carrier import Carrier
from ._libraries import LIBRARIES, AnyRequest, AnyResponse, AnyTransport, library_of
from ._limits import timeouts_of
from ._pieces import Pieces
from ._sending import PIECE, fields_of, url_of
from ._upload_carrier import UploadCarrier

if TYPE_CHECKING:
    import os
    import ssl
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    import httpx
    import httpx2

    from .. import ClientConfig, ClientStatistics, Proxy, Retry, Url
    from ._libraries import Library

_FOREVER: Final = Timeouts(connect=math.inf, slot=math.inf, response=math.inf, idle=math.inf, send=math.inf)
_CHANGES_THE_REQUEST: Final = ("sni_hostname", "target")
"""Extensions of httpx that must not be passed over in silence."""


@interrupt_safe
class Transport(AnyTransport):
    """What ``httpx.AsyncClient(transport=…)`` and ``httpx2.AsyncClient(transport=…)`` send requests through.

    It has the connections of a `Client`: one session per origin, requests that wait in line for a stream, and are sent
    again where the server has not processed them. `retry` says more of that. Bodies are streamed in both directions, at
    the same time if need be. httpx does what it does above transports: redirects, cookies, decompression.

    The client must be a block, ``async with httpx.AsyncClient(transport=Transport()) as client``: connections live in
    it. ``client.aclose()`` closes them before its end. One transport is for one client.

    * httpx's ``timeout``: ``connect`` is how long a request waits for a connection that is being opened, ``pool`` how
      long for a place, or a stream; ``write`` is for each piece of a body that is larger than 64 KiB or comes piece by
      piece, ``read`` for the head of the response and for each piece of its body.
    * Exceptions are httpx's; ours is the ``__cause__``. What the maker of a body raises comes out as it is.
    * ``response.extensions`` has ``http_version``, and ``trailers``, as ``Headers``, when the body has been read to
      its end and has some.
    * Of the extensions of requests, ``timeout`` counts; ``sni_hostname`` and ``target`` are refused.
    * ``http1=``, ``http2=``, ``verify=``, ``cert=``, ``limits=`` and ``proxy=`` of httpx's client are for its own
      transport; here they have no effect.

    Args:
        ssl_context: for ``https``, as in `Client`; `client_ssl_context` with ``allow_http1=True`` makes one.
        config: limits and timeouts of sessions.
        retry: what is sent again; by default what servers have not processed, and failed connects.
        proxy: a proxy that all requests go through, as in `Client`.
        trust_env: whether proxies are taken from the environment, as in `Client`.
        transport: an async function that makes what is used instead of TCP connections, for an origin.
        unix_path: a Unix socket that all requests go to.
        http1: whether HTTP/1.1 may be spoken.
        http2: whether HTTP/2 may be spoken; without HTTP/1.1 in clear text as well.
        prior_knowledge: whether ``http://`` means HTTP/2 in clear text.
        max_sessions: connections to all origins together.
        max_sessions_per_origin: sessions to one origin, where more than one is opened when streams run short.
        max_http1_per_origin: connections of HTTP/1.1 to one origin.
        idle_timeout: seconds after which a connection that has no request is closed.

    Raises:
        ImportError: neither httpx nor httpx2 is installed.
        TypeError, ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        config: ClientConfig | None = None,
        retry: Retry | None = None,
        proxy: Url | Proxy | None = None,
        trust_env: bool = False,
        transport: Callable[[str], Awaitable[trio.abc.Stream]] | None = None,
        unix_path: str | bytes | os.PathLike[str] | None = None,
        http1: bool = True,
        http2: bool = True,
        prior_knowledge: bool = False,
        max_sessions: int = 100,
        max_sessions_per_origin: int = 1,
        max_http1_per_origin: int = 10,
        idle_timeout: float = 60.0,
    ) -> None:
        if not LIBRARIES:
            raise ImportError("trio_h2.httpx needs httpx or httpx2: pip install 'trio-h2[httpx]' or 'trio-h2[httpx2]'")
        self._client = Client(
            default_headers=False,
            timeouts=_FOREVER,
            ssl_context=ssl_context,
            config=config,
            retry=retry,
            proxy=proxy,
            trust_env=trust_env,
            transport=transport,
            unix_path=unix_path,
            http1=http1,
            http2=http2,
            prior_knowledge=prior_knowledge,
            max_sessions=max_sessions,
            max_sessions_per_origin=max_sessions_per_origin,
            max_http1_per_origin=max_http1_per_origin,
            idle_timeout=idle_timeout,
        )
        self._block: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None
        self._closed = False
        self._closing = trio.Event()
        self._over = trio.Event()

    # -- the block -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._block is not None or self._closed:
            raise RuntimeError("a transport can be entered only once, by one client; make another Transport")
        self._block = trio.open_nursery()
        self._nursery = await self._block.__aenter__()
        try:
            await self._nursery.start(self._serve)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if self._nursery is None:
            await trio.lowlevel.checkpoint()
            return
        if exc_value is not None:
            self._nursery.cancel_scope.cancel()
        try:
            await self.aclose()
        finally:
            await self._end()

    async def _serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            async with self._client:
                task_status.started()
                await self._closing.wait()
        finally:
            self._over.set()

    async def _end(self) -> None:
        """Ends all tasks. What the block was left by goes its own way, so nothing wraps it."""
        assert self._block is not None
        assert self._nursery is not None
        self._closed = True
        self._nursery.cancel_scope.cancel()
        await self._block.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """Closes all connections, even if it is cancelled. What is under way is given up."""
        self._closed = True
        if self._nursery is None:
            await trio.lowlevel.checkpoint()
            return
        if self._client.statistics().requests:
            self._nursery.cancel_scope.cancel()
        self._closing.set()
        try:
            await self._over.wait()
        except BaseException:
            self._nursery.cancel_scope.cancel()
            raise

    def statistics(self) -> ClientStatistics:
        """Returns what there is at this moment."""
        return self._client.statistics()

    # -- requests --------------------------------------------------------------------------------------------------

    @overload
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response: ...
    @overload
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response: ...
    async def handle_async_request(self, request: AnyRequest) -> AnyResponse:
        """Sends a request; for httpx. Returns when the head of the response is here, whose stream must be closed.

        Raises:
            RuntimeError: the transport was not entered, or is closed.
            TypeError: the request is none of httpx's.
            ValueError: it has an extension that would change it, and is not known here.
            httpx.HTTPError: it failed: ``TimeoutException``, ``NetworkError`` or ``ProtocolError``.
        """
        library = library_of(request)
        for name in _CHANGES_THE_REQUEST:
            if name in request.extensions:
                raise ValueError(f"the extension {name!r} of a request is not known to trio_h2.httpx.Transport")
        if request.url.scheme not in ("http", "https"):
            message = f"the URL must begin with http:// or https://, not {request.url.scheme!r}"
            raise library.error("UnsupportedProtocol", message)
        carrier = self._carrier(library, request)
        try:
            response = await carrier.send()
        except Exception as exc:
            error = carrier.translated(exc)
            if error is exc:
                raise
            raise error from exc
        body = ResponseBody(library, carrier, response)
        fields = [field for field in response.headers.raw if field[0] != b":status"]
        version = b"HTTP/2" if response.http_version == "2" else b"HTTP/1.1"
        made = library.response(response.status, fields, body, {"http_version": version})
        body.extensions = made.extensions
        return made

    def _carrier(self, library: Library, request: AnyRequest) -> Carrier | UploadCarrier:
        if self._nursery is None or self._closed:
            why = "is closed" if self._closed else "was not entered: `async with` the client that has it, or itself"
            raise RuntimeError(f"this transport {why}")
        url = url_of(request)
        headers, expects = fields_of(request)
        timeouts = timeouts_of(request.extensions.get("timeout"))
        content = library.content_of(request)
        whole = content is not None and len(content) <= PIECE
        pieces = Pieces(library.stream_of(request) if content is None else content, PIECE)
        body = content if content is not None and whole else pieces.body
        try:
            block = self._client.request(
                request.method, url, headers=headers, body=body, expect_continue=expects, timeouts=timeouts
            )
        except ValueError as exc:
            raise library.error("LocalProtocolError", str(exc)) from exc
        return Carrier(library, block) if whole else UploadCarrier(library, block, pieces, self._nursery)

"""The HTTP client for Trio: one hands it URLs."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import trio

from .. import ClientConfig, Headers, __version__
from .._checks import bytes_of, check_bool, check_int, check_seconds
from .._content import DEFAULT_MAX_BODY_SIZE
from .._util import construct, interrupt_safe, unwrap_body_error
from ._attempts import Attempts
from ._content import content_of
from ._decoded import codings
from ._dialer import Dialer
from ._exchange_block import ExchangeBlock
from ._handling import Handling
from ._outgoing import Outgoing, check_protocol, merged, plain_names, where
from ._pool import Pool
from ._proxy import Proxy
from ._request_block import RequestBlock
from ._retry import Retry
from ._timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self, Unpack

    from .. import ClientSession, HeadersInput, JSONValue, Priority
    from .._url import Url
    from ._cookie_jar import CookieJarLike
    from ._cookies import Cookies
    from ._options import RequestOptions
    from ._outgoing import Body, Files, Params, RequestBody
    from ._response import Response
    from ._statistics import ClientStatistics


@interrupt_safe
class Client:
    """An HTTP client: ``async with Client(…) as client``, then ``await client.get(url)``, from any number of tasks.

    It keeps one session of HTTP/2 for each origin, or some connections of HTTP/1.1 where the server speaks no HTTP/2,
    and sends again what a server has not processed. Leaving the block closes them: what is under way when it is left by
    an exception, or cancelled, is given up.

    ``http://`` URLs mean HTTP/1.1, unless *prior_knowledge* says otherwise; for ``https://`` the server chooses.

    Args:
        headers: fields of every request that does not name them itself, beside ``user-agent`` and ``accept``.
        default_headers: whether requests that do not name ``user-agent`` and ``accept`` get those of this library.
        ssl_context: for ``https``; by default one that verifies against the system's CAs. One of your own should offer
            ``h2`` and ``http/1.1`` (`client_ssl_context` with ``allow_http1=True``).
        config: limits and timeouts of sessions.
        timeouts: how long each part of a request may take.
        retry: what is sent again.
        follow_redirects: whether redirects are followed. Off, they are returned like any other response.
        max_redirects: redirects that are followed, one after the other, before `TooManyRedirectsError`.
        decode: whether content codings are undone: gzip, deflate, and with the extra ``client`` br and zstd.
            ``accept-encoding`` asks for what is there. Off, nothing is asked for, and bodies are as received. ``None``
            is on, unless *default_headers* is off.
        cookies: whether cookies are kept and sent, in a jar of the client's own (``True``) or an
            `http.cookiejar.CookieJar` that is given, whose policy counts, too. None are taken for public suffixes
            (needs the extra ``client``), and of too many (180 of a site, 3000 in all) some are forgotten. A request
            that has a ``cookie`` field gets no others.
        transport: an async function that is called with the origin of each new connection, and returns the stream to
            use instead of a TCP connection; for ``https``, TLS is spoken over it.
        proxy: the proxy that all connections go through, as a URL with user and password if need be, or a `Proxy`. A
            *transport* is called with its origin then. Entering the block of a request raises `ProxyError` if it
            refuses, or cannot be reached.
        trust_env: whether the environment names proxies: ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``ALL_PROXY``, and in
            ``NO_PROXY`` the hosts that are connected to directly; each in upper or lower case. It is read at once.
        unix_path: a Unix socket that all requests go to instead, whatever their hosts.
        http1: whether HTTP/1.1 may be spoken.
        http2: whether HTTP/2 may be spoken.
        prior_knowledge: whether ``http://`` means HTTP/2 in clear text (RFC 9113 §3.3), as it does with
            ``http1=False``.
        max_sessions: connections to all origins together; who needs a further one waits, and is not overtaken.
        max_sessions_per_origin: sessions to one origin, where more than one is opened when streams run short.
        max_http1_per_origin: connections of HTTP/1.1 to one origin, each of which carries one request at a time.
        idle_timeout: seconds after which a connection that has no request is closed.
        coalesce: whether requests to an ``https`` origin that has no session yet may go over that with another origin:
            if its certificate is valid for the host, and either the server has named the origin (ORIGIN, RFC 8336), or
            has named none and the host has the same address (RFC 9113 §9.1.1). After a 421 the origin gets a session
            of its own.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        *,
        headers: HeadersInput | None = None,
        default_headers: bool = True,
        ssl_context: ssl.SSLContext | None = None,
        config: ClientConfig | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        follow_redirects: bool = False,
        max_redirects: int = 10,
        decode: bool | None = None,
        cookies: bool | CookieJarLike = False,
        transport: Callable[[str], Awaitable[trio.abc.Stream]] | None = None,
        proxy: Url | Proxy | None = None,
        trust_env: bool = False,
        unix_path: str | bytes | os.PathLike[str] | None = None,
        http1: bool = True,
        http2: bool = True,
        prior_knowledge: bool = False,
        max_sessions: int = 100,
        max_sessions_per_origin: int = 1,
        max_http1_per_origin: int = 10,
        idle_timeout: float = 60.0,
        coalesce: bool = False,
    ) -> None:
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise TypeError(f"ssl_context must be an ssl.SSLContext, not {ssl_context!r}")
        if transport is not None and not callable(transport):
            raise TypeError(f"transport must be an async function, not {transport!r}")
        if unix_path is not None:
            if transport is not None:
                raise ValueError("transport and unix_path exclude each other")
            if proxy is not None or trust_env:
                raise ValueError("unix_path excludes proxies: all requests go to that socket")
            transport = _UnixSocket(unix_path)
        check_bool("trust_env", trust_env)
        check_bool("default_headers", default_headers)
        check_bool("coalesce", coalesce)
        if proxy is not None and trust_env:
            raise ValueError("proxy and trust_env exclude each other")
        if proxy is not None and not isinstance(proxy, Proxy):
            proxy = Proxy(proxy)
        for name, flag in (
            ("trust_env", trust_env),
            ("http1", http1),
            ("http2", http2),
            ("prior_knowledge", prior_knowledge),
            ("follow_redirects", follow_redirects),
            ("decode", default_headers if decode is None else decode),
        ):
            check_bool(name, flag)
        if not (http1 or http2):
            raise ValueError("http1 and http2 are both off: nothing is left to speak")
        if prior_knowledge and not http2:
            raise ValueError("prior_knowledge is about HTTP/2, which http2=False turns off")
        check_int("max_redirects", max_redirects, 1)
        check_int("max_sessions", max_sessions, 1)
        check_int("max_sessions_per_origin", max_sessions_per_origin, 1)
        check_int("max_http1_per_origin", max_http1_per_origin, 1)
        check_seconds("idle_timeout", idle_timeout)
        config = config or ClientConfig()
        self._timeouts = timeouts or Timeouts()
        self._retry = retry or Retry()
        self._max_redirects = max_redirects
        self._cookies = _cookies(cookies)
        self._handling = Handling(
            max_redirects if follow_redirects else 0, default_headers if decode is None else decode, self._cookies
        )
        self._headers = {"user-agent": f"trio-h2/{__version__}", "accept": "*/*"} if default_headers else {}
        if headers is not None:
            self._headers = dict(_pairs(merged(self._headers, headers, None)))
        self._asking = self._headers
        """The same with ``accept-encoding``, for requests whose responses are decoded."""
        if "accept-encoding" not in self._headers:
            self._asking = {**self._headers, "accept-encoding": codings().accepted}
        proxies = None
        if proxy is not None or trust_env:
            # Imported when they are needed, which makes `import trio_h2` quicker.
            from ._environment import Environment
            from ._proxies import Proxies

            environment = Environment() if trust_env else None
            proxies = Proxies(proxy, environment, config, self._timeouts, transport, max_sessions=max_sessions)
        self._pool = Pool(
            Dialer(
                config,
                ssl_context,
                transport,
                http1=http1,
                http2=http2,
                prior_knowledge=prior_knowledge,
                proxies=proxies,
            ),
            config,
            self._timeouts,
            max_sessions=max_sessions,
            max_sessions_per_origin=max_sessions_per_origin,
            max_http1_per_origin=max_http1_per_origin,
            idle_timeout=idle_timeout,
            coalesce=coalesce,
        )
        self._block: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._used = False

    # -- the block -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._used:
            raise RuntimeError("the block of a client can be entered only once; make another Client")
        self._used = True
        self._block = trio.open_nursery()
        self._pool.begin(await self._block.__aenter__())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._block is not None
        assert self._pool.nursery is not None
        if exc is not None:
            self._pool.nursery.cancel_scope.cancel()
        self._pool.leave()
        try:
            return await self._block.__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, exc)
        finally:
            del exc, traceback

    # -- what is there ---------------------------------------------------------------------------------------------

    @property
    def cookies(self) -> CookieJarLike | None:
        """The jar with the cookies, to look at or to clear; ``None`` if they are not kept."""
        return None if self._cookies is None else self._cookies.jar

    @property
    def sessions(self) -> list[ClientSession]:
        """The sessions of HTTP/2 that are open now, those that are about to end included."""
        return self._pool.sessions

    def statistics(self) -> ClientStatistics:
        """Returns what there is at this moment."""
        return self._pool.statistics()

    # -- requests --------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        url: Url,
        *,
        params: Params | None = None,
        headers: HeadersInput | None = None,
        body: RequestBody | None = b"",
        json: JSONValue = None,
        data: Params | None = None,
        files: Files | None = None,
        follow_redirects: bool | None = None,
        decode: bool | None = None,
        expect_continue: bool = False,
        priority: Priority | None = None,
        timeouts: Timeouts | None = None,
    ) -> RequestBlock:
        """Prepares a request; ``async with`` sends it and gives its `Response` when the head of that is here.

        Leaving the block gives up what has not ended, and keeps the connection for others.

        Args:
            method: the request method, e.g. ``"GET"``.
            url: whole, with its scheme; what URLs cannot hold in its path and query is percent-encoded.
            params: what is added to the query: a mapping, or pairs; a list of values repeats its name.
            headers: a mapping or pairs.
            body: bytes, or ``None`` for none; a file, as a `pathlib.Path` or opened to read bytes; an async iterable of
                bytes, which can be sent once only; or a function that returns such a thing, and is called again when
                the request is sent again.
            json: what is sent as JSON instead of a *body*; ``None`` is nothing, for JSON's null write ``body=b"null"``.
            data: the fields of a form that is sent instead of a *body*, URL-encoded: a mapping, or pairs.
            files: the files of a form (`Files`), which is sent as ``multipart/form-data`` then, with *data*: names of
                fields with an open file, a `pathlib.Path` or bytes, or a tuple of file name, one of these, content type
                and headers. They are read while they are sent.
            follow_redirects: whether redirects are followed; ``None``: what the client was told.
            decode: whether content codings are asked for and undone; ``None``: what the client was told.
            expect_continue: holds the body until the server asks for it, or for a moment (RFC 9110 §10.1.1).
            priority: how much the response matters (RFC 9218); over HTTP/2 only.
            timeouts: how long each part of this request may take, instead of what the client was told. ``connect`` is
                how long it waits for a connection that is being opened, which the client's own ``connect`` ends as
                well. What takes longer fails, and is not tried again.

        Returns:
            A block; nothing has been sent yet.

        Raises:
            TypeError, ValueError: an argument is not allowed.

        Entering the block raises `OSError` or `HandshakeError` if no connection can be opened, `RequestTimeoutError` if
        something took too long, `StreamError` or `SessionError` if the request failed, each only after it was sent
        as often as `Retry` allows, and `TooManyRedirectsError`. A body that comes piece by piece is sent by a task of
        the block; what its maker raises comes out of the block.

        A file is sent from where it stands to its end, with ``content-length`` if it can tell that, and read again when
        the request is sent again, if it can seek. It is opened, or measured, when the block is entered, which raises
        `OSError` with a ``filename`` if that cannot be done; `LocalProtocolError` comes out of the block if it has
        become longer or shorter until it was sent. An open one stays open, and belongs to the request until then.

        A redirect that is followed goes where ``location`` says. 303 makes a GET of everything but HEAD; 301 and 302
        make one of POST, as in browsers; else method and body stay. ``authorization``, ``cookie`` and
        ``proxy-authorization`` go to no other origin. A redirect that may not be followed is returned: one from
        ``https`` to ``http``, to something else or nowhere, or for a body that can be made only once.
        """
        content, media_type = content_of(body, json, data, files)
        return self._prepare(
            method,
            url,
            params,
            headers,
            content,
            media_type,
            follow_redirects,
            decode,
            expect_continue,
            priority,
            timeouts,
        )

    def _prepare(
        self,
        method: str,
        url: Url,
        params: Params | None,
        headers: HeadersInput | None,
        body: Body,
        media_type: str | None,
        follow_redirects: bool | None,
        decode: bool | None,
        expect_continue: bool,
        priority: Priority | None,
        timeouts: Timeouts | None,
    ) -> RequestBlock:
        text, origin, target = where(url, params)
        handling = self._handling
        if follow_redirects is not None or decode is not None:
            handling = Handling(
                handling.max_redirects
                if follow_redirects is None
                else self._max_redirects * check_bool("follow_redirects", follow_redirects),
                handling.decode if decode is None else check_bool("decode", decode),
                handling.cookies,
            )
        names = plain_names(headers)
        # RFC 9110 §14.2: the part of an encoded body could not be decoded.
        ranged = "range" in (Headers(headers) if names is None and headers is not None else names or ())
        defaults = self._asking if handling.decode and not ranged else self._headers
        if media_type is not None:
            if media_type[:10] == "multipart/" and headers is not None and "content-type" in Headers(headers):
                raise ValueError("files make content-type by themselves: it says where each of them ends")
            defaults = {**defaults, "content-type": media_type}
        fields = merged(defaults, headers, names)
        number = self._pool.number()
        outgoing = Outgoing(method, text, origin, target, fields, body, expect_continue, priority, number, timeouts)
        attempts = Attempts(outgoing, self._pool, self._timeouts, self._retry)
        return construct(RequestBlock, attempts, handling)

    def exchange(
        self,
        method: str,
        url: Url,
        *,
        params: Params | None = None,
        headers: HeadersInput | None = None,
        body: bytes | bytearray | memoryview = b"",
        end_stream: bool = False,
        own_headers: bool = True,
        priority: Priority | None = None,
        timeouts: Timeouts | None = None,
        protocol: str | None = None,
        whole_server: bool = False,
    ) -> ExchangeBlock:
        """Prepares a request whose body you send yourself, while the response comes; ``async with`` sends its head.

        For bodies of both sides at the same time, trailers of a request, and 1xx responses as they come. It knows no
        redirects, cookies and content codings. Leaving the block gives up what has not ended, and keeps the connection
        for others.

        Args:
            method: the request method; ``"CONNECT"`` asks for a tunnel, to the ``:authority`` in *headers*.
            url: whole, with its scheme; with CONNECT that of the proxy, without a path.
            params: what is added to the query.
            headers: a mapping or pairs; ``expect: 100-continue`` is left to you, as is the wait for the answer.
            body: the beginning of the body.
            end_stream: whether the request ends with it. If not, HTTP/1.1 sends it in chunks, unless *headers* have
                ``content-length``.
            own_headers: whether fields that the client was made with, and ``user-agent`` and ``accept``, are added.
            priority: how much the response matters (RFC 9218); over HTTP/2 only.
            timeouts: as in `request`.
            protocol: what to speak instead of HTTP, like ``"websocket"``: with an extended CONNECT (RFC 8441) over
                HTTP/2, and an upgrade over HTTP/1.1, which is spoken, too, if a server of HTTP/2 does not offer
                extended CONNECT. *method* is ``"GET"``. `ClientExchange.switched` tells whether the server agrees, and
                then bytes go both ways. The key of a WebSocket's handshake is made and checked here.
            whole_server: with ``"OPTIONS"``: asks about the whole server (``OPTIONS *``), whatever the path of *url*.

        Returns:
            A block; nothing has been sent yet. Entering it gives a `ClientExchange` when the head is on its way.

        Raises:
            TypeError, ValueError: an argument is not allowed.

        Entering the block raises `OSError`, `HandshakeError`, `RequestTimeoutError`, `StreamError` or `SessionError` as
        that of a `request` does, if no connection takes the request.
        """
        content = bytes_of("body", body)
        if protocol is not None:
            check_protocol(protocol, method)
        if check_bool("whole_server", whole_server) and method != "OPTIONS":
            raise ValueError(f"whole_server is for OPTIONS, not for {method}")
        if (method == "CONNECT" or protocol is not None) and (content or end_stream):
            raise ValueError("a tunnel, or another protocol, begins after the response: there is no body before")
        check_bool("end_stream", end_stream)
        check_bool("own_headers", own_headers)
        text, origin, target = where(url, params)
        fields = merged(self._headers if own_headers else {}, headers, plain_names(headers))
        if method == "CONNECT" and ":authority" not in Headers(fields):
            raise ValueError("a CONNECT needs the ':authority' that it asks for, host and port, in headers")
        number = self._pool.number()
        outgoing = Outgoing(method, text, origin, target, fields, content, False, priority, number, timeouts)
        outgoing.protocol = protocol
        if whole_server:
            outgoing.target = "*"  # RFC 9110 §9.3.7
        attempts = Attempts(outgoing, self._pool, self._timeouts, self._retry)
        return construct(ExchangeBlock, attempts, content, end_stream=end_stream)

    async def fetch(
        self,
        method: str,
        url: Url,
        *,
        params: Params | None = None,
        headers: HeadersInput | None = None,
        body: RequestBody | None = b"",
        json: JSONValue = None,
        data: Params | None = None,
        files: Files | None = None,
        max_size: int = DEFAULT_MAX_BODY_SIZE,
        follow_redirects: bool | None = None,
        decode: bool | None = None,
        expect_continue: bool = False,
        priority: Priority | None = None,
        timeouts: Timeouts | None = None,
    ) -> Response:
        """Sends a request, and returns its response when the whole body is here.

        Cancelled: it is given up, and its connection kept for others.

        Args:
            method: as in `request`, like all others but *max_size*.
            url: whole, with its scheme.
            params: what is added to the query.
            headers: a mapping or pairs.
            body: what is sent.
            json: what is sent as JSON instead.
            data: the fields of a form that is sent instead.
            files: the files of the form.
            max_size: the bytes of the response, after decoding, that are not too many; 1 MiB by default.
            follow_redirects: whether redirects are followed.
            decode: whether content codings are asked for and undone.
            expect_continue: holds the body until the server asks for it, or for a moment.
            priority: how much the response matters.
            timeouts: how long each part of this request may take.

        Raises:
            BodyTooLargeError: there are more.
            BodyDecodeError: the body is broken, or cut off, as ``content-encoding`` goes.
            TypeError, ValueError, OSError, HandshakeError, RequestTimeoutError, StreamError, SessionError,
                TooManyRedirectsError: as in `request`.
        """
        check_int("max_size", max_size, 0)
        content, media_type = content_of(body, json, data, files)
        async with self._prepare(
            method,
            url,
            params,
            headers,
            content,
            media_type,
            follow_redirects,
            decode,
            expect_continue,
            priority,
            timeouts,
        ) as response:
            try:
                response.read_nowait(max_size=max_size)  # the wait for the head was a checkpoint
            except trio.WouldBlock:
                await response.read(max_size=max_size)
        return response

    async def get(self, url: Url, **options: Unpack[RequestOptions]) -> Response:
        """Sends GET; returns the response with its whole body: `fetch` has the options."""
        return await self.fetch("GET", url, **options)

    async def head(self, url: Url, **options: Unpack[RequestOptions]) -> Response:
        """Sends HEAD, which is answered without a body: `fetch` has the options."""
        return await self.fetch("HEAD", url, **options)

    async def options(self, url: Url, **options: Unpack[RequestOptions]) -> Response:
        """Sends OPTIONS; returns the response with its whole body: `fetch` has the options."""
        return await self.fetch("OPTIONS", url, **options)

    async def post(self, url: Url, **options: Unpack[RequestOptions]) -> Response:
        """Sends POST; returns the response with its whole body: `fetch` has the options."""
        return await self.fetch("POST", url, **options)

    async def put(self, url: Url, **options: Unpack[RequestOptions]) -> Response:
        """Sends PUT; returns the response with its whole body: `fetch` has the options."""
        return await self.fetch("PUT", url, **options)

    async def patch(self, url: Url, **options: Unpack[RequestOptions]) -> Response:
        """Sends PATCH; returns the response with its whole body: `fetch` has the options."""
        return await self.fetch("PATCH", url, **options)

    async def delete(self, url: Url, **options: Unpack[RequestOptions]) -> Response:
        """Sends DELETE; returns the response with its whole body: `fetch` has the options."""
        return await self.fetch("DELETE", url, **options)

    async def download(
        self,
        url: Url,
        path: str | os.PathLike[str],
        *,
        resume: bool = False,
        retries: int = 0,
        progress: Callable[[int, int | None], object] | None = None,
        params: Params | None = None,
        headers: HeadersInput | None = None,
        follow_redirects: bool | None = None,
        decode: bool | None = None,
        priority: Priority | None = None,
        timeouts: Timeouts | None = None,
    ) -> Response:
        """Downloads to a file, in bounded memory; returns the response when the whole file is in its place.

        What comes is written to a file beside it, which gets its name only when it is whole: until then, an older file
        of that name stays as it is. Cancelled, or failed: nothing is left, but with *resume*.

        Only bytes of the same state of the file are put together: the server must have given it a strong validator (an
        ``etag`` that is not weak, or a ``last-modified`` a minute ago or more) and no ``content-encoding``; then
        ``if-range`` asks for the whole file if it has changed. Else it is begun anew. The codings that a server uses
        unasked are undone.

        Args:
            url: whole, with its scheme.
            path: the file; a symbolic link stays one.
            resume: goes on with what an earlier download of this URL to this file, in whatever program, has left:
                ``PATH.part``, with notes in ``PATH.part.json``. If it fails or is cancelled, it leaves them in turn, if
                the server allows to go on with them. Two downloads to the same file at the same time fail (not on
                Windows).
            retries: how often it is tried again after it broke off, for the rest if that can be had; 0 by default. How
                long it waits before that, `Retry.backoff` says. What `Retry` does for each request comes on top.
            progress: is called with the bytes that are there, and those of the whole file (``None``: not known), once
                when the response has begun and after each piece. When it begins anew, the first number falls.
            params: what is added to the query.
            headers: a mapping or pairs.
            follow_redirects: whether redirects are followed; ``None``: what the client was told.
            decode: ``True`` asks for content codings, and undoes them; what came so cannot be gone on with. ``False``
                saves what comes as it is.
            priority: how much the response matters.
            timeouts: how long each part of each request may take.

        Returns:
            The last response: 206 if it went on, 416 if nothing was missing any more. Its body is in the file.

        Raises:
            StatusError: the status is not from 200 to 299.
            DownloadError: the server has sent another part of the file than it was asked for.
            OSError: the file cannot be written (`PermissionError`, `IsADirectoryError`, the disk is full, another
                download writes it …), and ``filename`` names it; or no connection can be opened, without ``filename``.
            HandshakeError, RequestTimeoutError, StreamError, SessionError, TooManyRedirectsError: as in `request`.
            BodyDecodeError: the body is broken, or cut off, as ``content-encoding`` goes.
            TypeError, ValueError: an argument is not allowed, or *path* names a device or the like.
        """
        # Imported when they are needed, which makes `import trio_h2` quicker.
        from ._download import Download, download_headers
        from ._part import Part

        check_bool("resume", resume)
        check_int("retries", retries, 0)
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be a function, not {progress!r}")
        name = os.fspath(path)
        if not os.path.basename(name):
            raise ValueError(f"path must be the name of a file, not {path!r}")
        fields = download_headers(headers, encoded=decode is True)

        def ask(these: Headers) -> RequestBlock:
            return self._prepare(
                "GET", url, params, these, b"", None, follow_redirects, decode, False, priority, timeouts
            )

        part = Part(name, ask(fields).url, keep=resume)
        try:
            await part.open()
            return await Download(part, ask, fields, retries, self._retry, progress).run()
        finally:
            await part.close()


class _UnixSocket:
    """Connects to a Unix socket instead of hosts."""

    def __init__(self, path: str | bytes | os.PathLike[str]) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            raise TypeError(f"unix_path must be a str, bytes or path, not {path!r}")
        self._path = path

    async def __call__(self, _origin: str) -> trio.abc.Stream:
        return await trio.open_unix_socket(self._path)


def _cookies(wanted: bool | CookieJarLike) -> Cookies | None:
    """Returns what keeps cookies, if that is wanted; its libraries are imported only then."""
    if wanted is False:
        return None
    from http.cookiejar import CookieJar

    if wanted is not True and not isinstance(wanted, CookieJar):
        raise TypeError(f"cookies must be True, False or an http.cookiejar.CookieJar, not {wanted!r}")
    try:
        from ._cookies import Cookies
    except ModuleNotFoundError as exc:
        raise RuntimeError("cookies need a list of public suffixes: pip install 'trio-h2[client]'") from exc
    return Cookies(None if wanted is True else wanted)


def _pairs(headers: HeadersInput) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in Headers(headers).raw]

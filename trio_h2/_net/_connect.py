"""Client sessions over TCP, TLS, Unix sockets or any Trio stream."""

from __future__ import annotations

import os
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from .._address import Origin, parse_url
from .._util import NoPublicConstructor, construct, interrupt_safe, unwrap_body_error
from .._wire._config import ClientConfig
from .._wire._first_settings import with_settings
from ._contexts import client_ssl_context
from ._transport import transport_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from .._session._client import ClientSession
    from .._stream._pushed import PushHandler
    from .._url import Url
    from .._wire._settings import Settings
    from ._transport import Transport


def connect(
    url: Url,
    *,
    transport: Transport | None = None,
    unix_path: str | bytes | os.PathLike[str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    scheme: str = "https",
    config: ClientConfig | None = None,
    settings: Settings | None = None,
    push_handler: PushHandler | None = None,
) -> Connect:
    """Prepares a client session; ``async with`` connects it and gives a `ClientSession`.

    ``https://`` is HTTP/2 over TLS, agreed on by ALPN; ``http://`` is HTTP/2 with prior knowledge (RFC 9113 §3.3).
    Leaving the block resets the streams that are still open, sends GOAWAY and closes the transport, within about a
    second. An exception of the block's body leaves it as it is, not wrapped in a group.

    Args:
        url: whom to talk to, ``"https://host:port"``, ``"http://…"`` or ``"host:port"``; user-info, path, query and
            fragment are ignored. Also an object with a ``scheme`` that is a URL: its ``geturl()``, if it has one
            (`urllib.parse.urlsplit`), else its ``str()`` (``yarl.URL``, ``httpx.URL``).
        transport: any stream to use instead of a new TCP connection (a tunnel, one end of a pair), or an async
            function that is called once, with the origin of the URL, and returns one. The session owns it. It is used
            as it is; with *ssl_context*, TLS is spoken over it.
        unix_path: the path of a Unix socket to connect to instead of the URL's host.
        ssl_context: for ``https``; by default one that verifies against the system's CAs. Never changed.
        server_hostname: the name the certificate must have; the URL's host by default.
        scheme: the scheme of a *url* that has none.
        config: limits and timeouts.
        settings: what the first SETTINGS frame says; goes before what *config* says of the same, and may have custom
            settings. ``max_concurrent_streams`` is for pushes.
        push_handler: lets the server push (RFC 9113 §8.4), which is off without one: an async function that is called
            with a `PushedStream` for every promise, in a task of its own inside the block. It belongs to the session,
            not to the request that was pushed on. When it returns before the end of the response, the stream is reset
            with CANCEL. That its own stream was reset, or the session ended, may escape it; any other exception comes
            out of the block, in a group. Leaving the block cancels it. Promises for other origins than that of the
            request, the session and its ``origin_set`` are refused. Legacy: servers rather send 103 (Early Hints).

    Returns:
        A block; nothing has been done yet.

    Raises:
        TypeError, ValueError: an argument is not allowed; with a *push_handler*, also if the receive budget of *config*
            has no room for the windows of ``max_concurrent_pushes``.

    Entering the block raises `OSError` if the TCP connection fails, and `HandshakeError` if TLS or ALPN does.
    Cancelled: the transport is closed.
    """
    origin = parse_url(url, default_scheme=scheme)
    if transport is not None and unix_path is not None:
        raise ValueError("transport and unix_path exclude each other")
    if transport is not None and not isinstance(transport, trio.abc.Stream) and not callable(transport):
        raise TypeError(f"transport must be a trio.abc.Stream or an async function, not {transport!r}")
    if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {ssl_context!r}")
    if ssl_context is not None and origin.scheme == "http":
        raise ValueError("an http:// URL takes no ssl_context; did you mean https://?")
    if server_hostname is not None and not isinstance(server_hostname, str):
        raise TypeError(f"server_hostname must be a str, not {server_hostname!r}")
    if unix_path is not None and not isinstance(unix_path, (str, bytes, os.PathLike)):
        raise TypeError(f"unix_path must be a str, bytes or path, not {unix_path!r}")
    if config is not None and not isinstance(config, ClientConfig):
        raise TypeError(f"config must be a ClientConfig, not {config!r}")
    if push_handler is not None and not callable(push_handler):
        raise TypeError(f"push_handler must be an async function, not {push_handler!r}")
    config, first = with_settings(config or ClientConfig(), settings, push=push_handler is not None)
    if push_handler is not None:
        config.check_push()
    if origin.scheme == "https" and transport is None and ssl_context is None:
        ssl_context = client_ssl_context()
    hostname = server_hostname or origin.host
    return construct(Connect, origin, transport, unix_path, ssl_context, hostname, config, first, push_handler)


@interrupt_safe
class Connect(metaclass=NoPublicConstructor):
    """The block of one client session: ``async with connect(…) as session``. Use it once."""

    _made_by = "connect() makes it"

    def __init__(
        self,
        origin: Origin,
        transport: Transport | None,
        unix_path: str | bytes | os.PathLike[str] | None,
        ssl_context: ssl.SSLContext | None,
        server_hostname: str,
        config: ClientConfig,
        settings: Mapping[int, int],
        push_handler: PushHandler | None,
    ) -> None:
        self._origin = origin
        self._transport = transport
        self._unix_path = unix_path
        self._ssl_context = ssl_context
        self._server_hostname = server_hostname
        self._config = config
        self._settings = settings
        self._push_handler = push_handler
        self._block: AbstractAsyncContextManager[ClientSession] | None = None

    async def __aenter__(self) -> ClientSession:
        """Connects."""
        if self._block is not None:
            raise RuntimeError("a connect block can be entered only once; call connect() again")
        self._block = self._run()
        return await self._block.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Ends the session."""
        assert self._block is not None
        try:
            return await self._block.__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, exc)
        finally:
            del exc, traceback

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[ClientSession, None]:
        # The protocol is imported when the first session needs it, which makes `import trio_h2` quicker.
        from .._session._client_core import ClientCore
        from .._session._services import run_services

        origin = self._origin
        transport = await transport_to(
            origin,
            self._config,
            transport=self._transport,
            unix_path=self._unix_path,
            ssl_context=self._ssl_context,
            server_hostname=self._server_hostname,
        )
        core = ClientCore(
            transport,
            self._config,
            label=str(origin),
            scheme=origin.scheme,
            authority=origin.authority,
            push_handler=self._push_handler,
            settings=self._settings,
        )
        async with trio.open_nursery() as nursery:
            if core.pushes is not None:
                core.pushes.nursery = nursery
            nursery.start_soon(run_services, core, name=f"trio_h2 session {origin}")
            try:
                yield core.session
            finally:
                core.ending.discard()

"""What all servers have in common: one object for it, checked in one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import trio

from .._checks import check_bool, check_handler
from .._session._extensions import encode_origins
from .._session._server import ServerSession
from .._values import Value
from .._wire._config import ServerConfig
from .._wire._first_settings import with_settings
from ._contexts import check_server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping, Sequence

    from .._session._extensions import OriginLike
    from .._session._server import SessionHook
    from .._stream._server import Handler
    from .._wire._settings import Settings

ErrorHook: TypeAlias = Callable[[ServerSession | None, Exception], object]
"""What servers call with the error that ended a connection, and its session if it had one."""
UnknownProtocolHook: TypeAlias = Callable[[trio.SSLStream[trio.abc.Stream]], Awaitable[object]]
"""What servers run for a client with which ALPN gave no protocol of theirs: an async function."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ServerOptions(Value):
    """The arguments of the ``serve_*`` functions, as they say there."""

    handler: Handler
    config: ServerConfig
    ssl_context: ssl.SSLContext | None
    on_session: SessionHook | None
    on_session_error: ErrorHook | None
    on_unknown_protocol: UnknownProtocolHook | None
    cancel_handler_on_reset: bool
    allow_http1: bool
    proxy_protocol: bool
    origins: Sequence[bytes]
    settings: Mapping[int, int]


def checked_options(
    handler: Handler,
    *,
    config: ServerConfig | None = None,
    settings: Settings | None = None,
    ssl_context: ssl.SSLContext | None = None,
    on_session: SessionHook | None = None,
    on_session_error: ErrorHook | None = None,
    on_unknown_protocol: UnknownProtocolHook | None = None,
    cancel_handler_on_reset: bool = True,
    allow_http1: bool = False,
    proxy_protocol: bool = False,
    origins: Iterable[OriginLike] = (),
) -> ServerOptions:
    """Checks the arguments and fills in what was left out.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: *settings* do not fit, an entry of *origins* is no URL, or *ssl_context* does not offer HTTP/2
            by ALPN, or HTTP/1.1 where it is not served, or the other way round.
    """
    check_handler(handler)
    hooks: dict[str, object] = {
        "on_session": on_session,
        "on_session_error": on_session_error,
        "on_unknown_protocol": on_unknown_protocol,
    }
    for name, hook in hooks.items():
        if hook is not None and not callable(hook):
            raise TypeError(f"{name} must be a function, not {hook!r}")
    if config is not None and not isinstance(config, ServerConfig):
        raise TypeError(f"config must be a ServerConfig, not {config!r}")
    for name, flag in (("allow_http1", allow_http1), ("proxy_protocol", proxy_protocol)):
        check_bool(name, flag)
    named = encode_origins(origins)
    merged, first = with_settings(ServerConfig() if config is None else config, settings)
    options = ServerOptions(
        handler=handler,
        config=merged,
        ssl_context=ssl_context,
        on_session=on_session,
        on_session_error=on_session_error,
        on_unknown_protocol=on_unknown_protocol,
        cancel_handler_on_reset=cancel_handler_on_reset,
        allow_http1=allow_http1,
        proxy_protocol=proxy_protocol,
        origins=named,
        settings=first,
    )
    if ssl_context is not None:
        check_context(ssl_context, options)
    return options


def check_context(context: ssl.SSLContext, options: ServerOptions) -> None:
    """Checks that *context* offers what is served, see `check_server_context`.

    Raises:
        TypeError: it is no `ssl.SSLContext`.
        ValueError: it does not.
    """
    others_welcome = options.on_unknown_protocol is not None
    check_server_context(context, allow_http1=options.allow_http1, others_welcome=others_welcome)

"""One call for a program that does nothing but serve an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

import trio_h2

from ._handler import DEFAULT_MAX_MESSAGE_SIZE, handler
from ._lifespan import DEFAULT_TIMEOUT, lifespan

if TYPE_CHECKING:
    import ssl

    from ._lifespan import LifespanMode
    from ._types import Application


@trio.lowlevel.enable_ki_protection
async def serve(
    app: Application,
    port: int,
    *,
    host: str | bytes | None = "localhost",
    ssl_context: ssl.SSLContext | None = None,
    backlog: int | None = None,
    root_path: str = "",
    lifespan_mode: LifespanMode = "auto",
    startup_timeout: float | None = DEFAULT_TIMEOUT,
    shutdown_timeout: float | None = DEFAULT_TIMEOUT,
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
    config: trio_h2.ServerConfig | None = None,
    cancel_handler_on_reset: bool = True,
    allow_http1: bool = True,
    proxy_protocol: bool = False,
    task_status: trio.TaskStatus[trio_h2.Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Starts an ASGI 3 application, serves it over HTTP/2 and HTTP/1.1 until it is shut down, and shuts it down.

    ::

        await asgi.serve(app, 8080)

    Returns after `Server.shutdown` or `Server.aclose`, when the last connection has ended and the application has shut
    down. Cancelled: open requests end at once, and the application has *shutdown_timeout* to shut down.

    Whatever else can be served on goes with `lifespan` and `handler`.

    Args:
        app: the application, see `handler`.
        port: the TCP port; 0 binds a free one, as for `serve_tcp`.
        host: a name or address; ``None`` listens on every interface.
        ssl_context: speaks TLS with it: made by ``server_ssl_context(…, allow_http1=True)``, see `serve_ssl_over_tcp`;
            ``None`` serves cleartext.
        backlog: connections that wait to be accepted.
        root_path: where the application is mounted, for one behind a proxy that takes this prefix away from paths.
        lifespan_mode: whether the application has a lifespan, as for `lifespan`, like the next two.
        startup_timeout: seconds in which it must have started.
        shutdown_timeout: seconds in which it must have shut down.
        max_message_size: the bytes of the largest message that a WebSocket receives.
        config: limits and timeouts; by default those of `ServerConfig`, with ``enable_connect_protocol``, which
            WebSockets over HTTP/2 need.
        cancel_handler_on_reset: ``False`` lets the application run on when its client has left; it is told by
            ``http.disconnect`` then.
        allow_http1: whether HTTP/1.1 is served, too.
        proxy_protocol: whether every connection begins with a header of the PROXY protocol, see `serve_tcp`.
        task_status: ``started(server)`` is called with a `Server` when the application has started and connections are
            accepted.

    Raises:
        TypeError, ValueError: an argument is not allowed.
        OSError: the port cannot be bound.
        LifespanError: the application could not start or shut down.
        AsyncioNeededError: it needs asyncio to start.
    """
    block = lifespan(app, mode=lifespan_mode, startup_timeout=startup_timeout, shutdown_timeout=shutdown_timeout)
    handler(app, root_path=root_path, max_message_size=max_message_size)  # checks them before anything is started
    if config is None:
        config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with block as state:
        handle = handler(app, root_path=root_path, state=state, max_message_size=max_message_size)
        if ssl_context is None:
            await trio_h2.serve_tcp(
                handle,
                port,
                host=host,
                backlog=backlog,
                config=config,
                cancel_handler_on_reset=cancel_handler_on_reset,
                allow_http1=allow_http1,
                proxy_protocol=proxy_protocol,
                task_status=task_status,
            )
        else:
            await trio_h2.serve_ssl_over_tcp(
                handle,
                port,
                ssl_context,
                host=host,
                backlog=backlog,
                config=config,
                cancel_handler_on_reset=cancel_handler_on_reset,
                allow_http1=allow_http1,
                proxy_protocol=proxy_protocol,
                task_status=task_status,
            )

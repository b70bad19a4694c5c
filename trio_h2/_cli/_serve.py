"""`trio-h2 serve`: a server for a directory or an app, until it is told to stop."""

from __future__ import annotations

import logging
import signal
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

import trio_h2
from trio_h2.access_log import access_log
from trio_h2.files import DirectoryHandler

from ._app import load_app
from ._certs import throwaway_authority
from ._errors import CommandError, UsageError, describe, reason
from ._health import Health
from ._output import Output
from ._renewal import RENEW, Renewal
from ._request_limit import RequestLimit
from ._service_manager import ServiceManager
from ._sockets import ListeningSockets, listeners_of
from ._status_pages import status_pages
from ._trace import open_trace

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from trio_h2.access_log import Format
    from trio_h2.testing import ThrowawayAuthority

    from ._app import Handler
    from ._args import ListenOptions, ServeOptions


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be served, and where."""

    handler: Handler
    listening: ListenOptions
    ssl_context: ssl.SSLContext | None
    config: trio_h2.ServerConfig | None = None
    allow_http1: bool = False
    proxy_protocol: bool = False
    renewal: Renewal | None = None
    """Reads the certificate again; ``None`` if there is none in files."""
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """Makes the block in which it can be served."""
    limit: RequestLimit | None = None
    """After how many requests something new is to serve."""


def prepare(options: ServeOptions) -> Service:
    """Loads what is to be served, before anything is listened on.

    Raises:
        CommandError: it cannot be loaded.
    """
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    if options.app is not None:
        handler = load_app(options.app, options.app_dir)
    elif options.asgi is not None:
        from ._asgi import AsgiService  # which takes time to load, and most commands do without it

        service = AsgiService(options)
        handler, lifespan = service.handler, service.lifespan
    elif options.gateway:
        from ._gateway import GatewayService

        gateway = GatewayService(options)
        handler, lifespan = gateway.handler, gateway.lifespan
    else:
        assert options.directory is not None
        handler = _directory(options.directory, options)
    limit: RequestLimit | None = None
    if options.max_requests is not None:
        handler = limit = RequestLimit(handler, options.max_requests, options.max_requests_jitter)
    if options.access_log != "off":
        handler = _logged(handler, options.access_log)
    try:
        websockets = options.asgi is not None or options.gateway
        config = trio_h2.ServerConfig(
            trusted_proxies=options.trusted_proxies,
            enable_connect_protocol=websockets,
            drain_timeout=options.graceful_timeout,
        )
        config = traced(config, options, "trio-h2 gateway" if options.gateway else "trio-h2 serve")
    except ValueError as exc:
        raise UsageError(str(exc).replace("trusted_proxies", "--trusted-proxy")) from exc
    return Service(
        *(handler, options, tls_context(options, allow_http1=options.allow_http1), config),
        allow_http1=options.allow_http1,
        proxy_protocol=options.proxy_protocol,
        renewal=renewal(options, allow_http1=options.allow_http1),
        lifespan=lifespan,
        limit=limit,
    )


def traced(config: trio_h2.ServerConfig, options: ListenOptions, title: str) -> trio_h2.ServerConfig:
    """Returns *config* with the instruments of `--trace` and `--metrics-bind`, if those were asked for.

    Raises:
        CommandError: the file cannot be made, or nothing that counts is installed.
    """
    instruments: list[trio_h2.Instrument] = []
    if options.trace is not None:
        instruments.append(open_trace(options.trace, title))
    if options.metrics_bind is not None:
        from . import _metrics  # most servers do without

        instruments.append(_metrics.instrument())
    return config.evolve(instruments=instruments) if instruments else config


def _logged(handler: Handler, format: Format) -> Handler:
    """Logs each request on stderr, where the lines of apps go, too: stdout is for `Listening on`."""
    lines = logging.StreamHandler()
    # The other formats say it themselves.
    line = "%(asctime)s %(message)s" if format == "text" else "%(message)s"
    lines.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S%z"))
    log = logging.getLogger("trio_h2.access")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.handlers = [lines]
    return access_log(handler, format=format)


def _directory(path: str, options: ServeOptions) -> DirectoryHandler:
    try:
        return DirectoryHandler(path, hidden=options.hidden, listing=options.listing, fallback=options.fallback)
    except (NotADirectoryError, FileNotFoundError):
        raise UsageError(f"cannot serve {path}: it is not a directory") from None
    except OSError as exc:
        raise UsageError(f"cannot serve {path}: {reason(exc)}") from exc
    except ValueError as exc:
        raise UsageError(str(exc).replace("fallback", "--fallback")) from exc


def tls_context(options: ListenOptions, *, allow_http1: bool = False) -> ssl.SSLContext | None:
    """Makes the context for `--cert` and `--self-signed`, ``None`` without either.

    Args:
        options: what was asked for.
        allow_http1: whether ALPN offers HTTP/1.1, too.

    Raises:
        CommandError: the certificate is no good, or none can be made.
    """
    if options.cert is not None:
        try:
            password = None if options.key_password is None else _password(options.key_password)
            return trio_h2.server_ssl_context(options.cert, options.key, password=password, allow_http1=allow_http1)
        except ValueError as exc:
            raise CommandError(str(exc).replace("give its password=", "give --key-password FILE")) from exc
        except OSError as exc:
            raise CommandError(f"cannot read the certificate: {describe(exc)}") from exc
    alpn = ["h2", "http/1.1"] if allow_http1 else ["h2"]
    return None if not options.self_signed else self_signed(options).server_context(alpn)


def _password(path: str) -> bytes:
    """Returns the first line of a file: a password on the command line could be read by everybody on the machine."""
    with open(path, "rb") as file:
        return file.readline().rstrip(b"\r\n")


def renewal(options: ListenOptions, *, allow_http1: bool) -> Renewal | None:
    """Returns what makes the context again; ``None`` if there is nothing to read again."""
    if options.cert is None:
        return None
    return Renewal(partial(tls_context, options, allow_http1=allow_http1))


def self_signed(options: ListenOptions) -> ThrowawayAuthority:
    """Makes the certificate of `--self-signed`, and writes the file of `--write-ca`.

    Raises:
        CommandError: that cannot be done.
    """
    authority = throwaway_authority(*(bind.host for bind in options.binds if bind.host is not None))
    if options.write_ca is not None:
        try:
            authority.write_ca(options.write_ca)
        except OSError as exc:
            raise CommandError(f"cannot write to {options.write_ca}: {reason(exc)}") from exc
    return authority


async def serve(service: Service) -> int:
    """Serves until SIGINT or SIGTERM, then lets running requests finish; a second signal ends them.

    Returns:
        The exit code: 0 after the first signal, 128 + its number after a second one.

    Raises:
        CommandError: the port cannot be bound.
    """

    manager, health = ServiceManager.take(), Health()
    sockets = ListeningSockets()
    await sockets.open_all(service.listening)

    async def start(nursery: trio.Nursery) -> trio_h2.Server:
        return await start_on(service, listeners_of(sockets.sets[0]), nursery)

    async def announce(_server: trio_h2.Server) -> None:
        health.ready()
        await say_listening(sockets.urls, pages)
        await manager.ready()

    metrics: Handler | None = None
    if service.listening.metrics_bind is not None:
        from ._metrics import handler

        metrics = handler()
    try:
        async with status_pages(service.listening, health, metrics) as pages:
            return await serve_until_told(
                *(start, announce),
                renewal=service.renewal,
                lifespan=service.lifespan,
                manager=manager,
                health=health,
            )
        raise AssertionError("nothing is suppressed")
    finally:
        sockets.close()


async def start_on(service: Service, listeners: Sequence[trio.SocketListener], nursery: trio.Nursery) -> trio_h2.Server:
    """Starts a server on open sockets."""
    server: trio_h2.Server = await nursery.start(
        partial(
            trio_h2.serve_listeners,
            service.handler,
            listeners,
            ssl_context=service.ssl_context,
            config=service.config,
            allow_http1=service.allow_http1,
            proxy_protocol=service.proxy_protocol,
        )
    )
    return server


async def say_listening(urls: Sequence[str], pages: Sequence[str] = ()) -> None:
    """Tells the user, or the program that started us, that connections are accepted; a line for each place.

    Args:
        urls: the places.
        pages: more lines, on what else there is.
    """
    lines = [*(f"Listening on {url}" for url in urls), *pages]
    await Output().say("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


async def serve_until_told(
    start: Callable[[trio.Nursery], Awaitable[trio_h2.Server]],
    announce: Callable[[trio_h2.Server], Awaitable[None]],
    orphaned: Callable[[], Awaitable[None]] = trio.sleep_forever,
    *,
    renewal: Renewal | None = None,
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    manager: ServiceManager | None = None,
    health: Health | None = None,
) -> int:
    """Runs a server until a signal, or until nobody is there any more to send one; then lets requests finish.

    Args:
        start: starts the server in the nursery it gets.
        announce: called when connections are accepted.
        orphaned: returns when the server has to end without a signal.
        renewal: reads the certificate again on SIGHUP; without one, that signal does what it always does.
        lifespan: makes the block in which the server runs. Signals mean what they always do while it is entered and
            left.
        manager: is told of renewals, and of the end.
        health: is told of the end.

    Returns:
        The exit code, as for `serve`.
    """
    # What goes wrong in an app is shown with its traceback: it is the user's own.
    logging.basicConfig(format="trio-h2: %(message)s", level=logging.WARNING)
    async with lifespan():
        return await _until_told(start, announce, orphaned, renewal, manager or ServiceManager(), health or Health())


async def _until_told(
    start: Callable[[trio.Nursery], Awaitable[trio_h2.Server]],
    announce: Callable[[trio_h2.Server], Awaitable[None]],
    orphaned: Callable[[], Awaitable[None]],
    renewal: Renewal | None,
    manager: ServiceManager,
    health: Health,
) -> int:
    code = 0
    expected = (signal.SIGINT, signal.SIGTERM, *(() if renewal is None else RENEW))
    with trio.open_signal_receiver(*expected) as signals:
        async with trio.open_nursery() as nursery:
            server = await start(nursery)
            await announce(server)
            nursery.start_soon(manager.keep_watching)

            async def told_to_end() -> int:
                async for number in signals:
                    if number not in RENEW:
                        return number
                    assert renewal is not None
                    await manager.reloading()
                    renewal.renew(server)
                    await manager.ready()
                raise AssertionError("signals never end")

            await _either(told_to_end, orphaned)

            async def end_at_once() -> None:
                nonlocal code
                code = 128 + await told_to_end()
                nursery.cancel_scope.cancel()

            nursery.start_soon(end_at_once)
            health.draining()
            await manager.stopping()
            await server.aclose()
            nursery.cancel_scope.cancel()
    return code


async def _either(*waits: Callable[[], Awaitable[object]]) -> None:
    """Waits until one of these returns; the others are cancelled."""
    async with trio.open_nursery() as nursery:

        async def wait(one: Callable[[], Awaitable[object]]) -> None:
            await one()
            nursery.cancel_scope.cancel()

        for one in waits:
            nursery.start_soon(wait, one)

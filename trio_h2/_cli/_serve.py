"""`trio-h2 serve`: a server for a directory or an app, until it is told to stop."""

from __future__ import annotations

import logging
import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

import trio_h2
from trio_h2.files import DirectoryHandler

from ._app import load_app
from ._certs import throwaway_authority
from ._errors import CommandError, UsageError, describe, reason
from ._output import Output

if TYPE_CHECKING:
    import ssl

    from ._app import Handler
    from ._args import ServeOptions


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be served, and where."""

    handler: Handler
    host: str
    port: int
    ssl_context: ssl.SSLContext | None


def prepare(options: ServeOptions) -> Service:
    """Loads what is to be served, before anything is listened on.

    Raises:
        CommandError: it cannot be loaded.
    """
    if options.app is not None:
        handler = load_app(options.app)
    else:
        assert options.directory is not None
        handler = _directory(options.directory)
    return Service(handler, options.host, options.port, _ssl_context(options))


def _directory(path: str) -> DirectoryHandler:
    try:
        return DirectoryHandler(path)
    except (NotADirectoryError, FileNotFoundError):
        raise UsageError(f"cannot serve {path}: it is not a directory") from None
    except OSError as exc:
        raise UsageError(f"cannot serve {path}: {reason(exc)}") from exc


def _ssl_context(options: ServeOptions) -> ssl.SSLContext | None:
    if options.cert is not None:
        try:
            return trio_h2.server_ssl_context(options.cert, options.key)
        except ValueError as exc:
            raise CommandError(str(exc)) from exc
        except OSError as exc:
            raise CommandError(f"cannot read the certificate: {describe(exc)}") from exc
    if not options.self_signed:
        return None
    authority = throwaway_authority(options.host)
    if options.write_ca is not None:
        try:
            authority.write_ca(options.write_ca)
        except OSError as exc:
            raise CommandError(f"cannot write to {options.write_ca}: {reason(exc)}") from exc
    return authority.server_context()


async def serve(service: Service) -> int:
    """Serves until SIGINT or SIGTERM, then lets running requests finish; a second signal ends them.

    Returns:
        The exit code: 0 after the first signal, 128 + its number after a second one.

    Raises:
        CommandError: the port cannot be bound.
    """
    # What goes wrong in an app is shown with its traceback: it is the user's own.
    logging.basicConfig(format="trio-h2: %(message)s", level=logging.WARNING)
    code = 0
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            server = await _start(service, nursery)
            await Output().say(f"Listening on {server.urls[0]}\n".encode("ascii"))
            await anext(signals)

            async def end_at_once() -> None:
                nonlocal code
                code = 128 + await anext(signals)
                nursery.cancel_scope.cancel()

            nursery.start_soon(end_at_once)
            await server.aclose()
            nursery.cancel_scope.cancel()
    return code


async def _start(service: Service, nursery: trio.Nursery) -> trio_h2.Server:
    start = (
        partial(trio_h2.serve_tcp, service.handler, service.port, host=service.host)
        if service.ssl_context is None
        else partial(trio_h2.serve_ssl_over_tcp, service.handler, service.port, service.ssl_context, host=service.host)
    )
    try:
        server: trio_h2.Server = await nursery.start(start)
    except OSError as exc:
        raise CommandError(f"cannot listen on {service.host}, port {service.port}: {reason(exc)}") from exc
    return server

"""Health and figures, on ports of their own: `--health-bind` and `--metrics-bind`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

import trio_h2

from ._sockets import ListeningSockets, listeners_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ._app import Handler
    from ._args import ListenOptions
    from ._health import Health

_CONFIG: Final = trio_h2.ServerConfig(max_connections=64, handler_timeout=30.0, idle_timeout=60.0)
"""Who asks is a load balancer, or Prometheus."""


class StatusPages:
    """A handler with one page, or two.

    Args:
        pages: what answers, by path.
    """

    def __init__(self, pages: dict[str, Handler]) -> None:
        self._pages = pages

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        """Answers a request."""
        page = self._pages.get((stream.path or "").partition("?")[0])
        if page is None:
            await stream.respond(404, body=f"there is {' and '.join(self._pages)}\n".encode())
        elif stream.method not in ("GET", "HEAD"):
            await stream.respond({":status": 405, "allow": "GET, HEAD"})
        else:
            await page(stream)


@asynccontextmanager
async def status_pages(options: ListenOptions, health: Health, metrics: Handler | None) -> AsyncGenerator[list[str]]:
    """Serves in this block what *options* ask for, over HTTP/1.1 and HTTP/2.

    Args:
        options: say where.
        health: answers at ``/healthz``, everywhere.
        metrics: answers at ``/metrics`` of `--metrics-bind`.

    Returns:
        Lines that tell where the pages are.

    Raises:
        CommandError: a port cannot be bound.
    """
    lines: list[str] = []
    async with trio.open_nursery() as nursery:
        for bind, page, answers in (
            (options.health_bind, "Health", {"/healthz": health}),
            (options.metrics_bind, "Metrics", {"/metrics": metrics, "/healthz": health}),
        ):
            if bind is None:
                continue
            sockets = ListeningSockets()
            await sockets.open([bind], "http")
            handler = StatusPages({path: answer for path, answer in answers.items() if answer is not None})
            await nursery.start(
                partial(
                    trio_h2.serve_listeners, handler, listeners_of(sockets.sets[0]), config=_CONFIG, allow_http1=True
                )
            )
            lines += [f"{page} at {url}{next(iter(answers))}" for url in sockets.urls]
        yield lines
        nursery.cancel_scope.cancel()

"""The ASGI application that `trio-h2 serve --asgi` names: its handler, and its lifespan."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from trio_h2 import asgi

from ._errors import CommandError, UsageError, one_line
from ._loading import load

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import trio_h2

    from ._args import ServeOptions

logger = logging.getLogger("trio_h2.asgi")


class AsgiService:
    """One application. Its handler is made before it starts, and gets the state that it has then.

    Args:
        options: what was asked for.
        mount: the beginning of the paths of its requests, which it need not know of; ``""`` for nothing.
    """

    def __init__(self, options: ServeOptions, mount: str = "") -> None:
        assert options.asgi is not None
        self._mode = options.lifespan
        self._app = _load(options.asgi, options)
        self._state: asgi.State = {}
        try:
            handler = asgi.handler(self._app, root_path=options.root_path, state=self._state)
            if mount:
                handler = asgi.handler(_mounted(self._app, mount), state=self._state)
            self.handler: trio_h2.Handler = handler
        except TypeError as exc:
            raise UsageError(str(exc).replace("app", options.asgi, 1)) from exc
        except ValueError as exc:
            raise UsageError(str(exc).replace("root_path", "--root-path")) from exc

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None, None]:
        """In this block the application has started.

        Raises:
            CommandError: it could not start or shut down, or it failed in between.
        """
        inside: BaseException | None = None
        try:
            async with asgi.lifespan(self._app, mode=self._mode) as state:
                self._state.update(state)
                try:
                    yield
                except BaseException as exc:
                    inside = exc
                    raise
        except ExceptionGroup as group:
            if group is inside:
                raise
            logger.error("the application failed while it ran", exc_info=group)
            raise CommandError("the application failed while it ran") from group
        except (asgi.LifespanError, asgi.AsyncioNeededError) as exc:
            if exc.__cause__ is not None:  # the user's own, with its traceback
                logger.error("%s", exc, exc_info=exc.__cause__)
            raise CommandError(str(exc)) from exc


def _mounted(app: asgi.Application, mount: str) -> asgi.Application:
    """Returns an application that is told where it is mounted: its paths have that, as ``path`` always has."""

    run = cast("Callable[[asgi.Scope, asgi.Receive, asgi.Send], Awaitable[None]]", app)  # as its handler has checked

    async def mounted(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        await run({**scope, "root_path": mount}, receive, send)

    return mounted


def _load(spec: str, options: ServeOptions) -> asgi.Application:
    found, name, where = load(spec, "--asgi", options.app_dir)
    if options.factory:
        if not callable(found):
            raise UsageError(f"{name!r} in {where} is no function, which --factory needs")
        try:
            found = found()
        except Exception as exc:
            words = one_line(f"{type(exc).__name__}: {exc}")
            raise UsageError(f"{name!r} in {where} could not make the application: {words}") from exc
    return cast("asgi.Application", found)  # which is checked when its handler is made

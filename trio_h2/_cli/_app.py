"""Loading the handler that `trio-h2 serve --app` names."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, cast

from .._checks import takes
from ._errors import UsageError
from ._loading import load

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_h2 import ServerStream, compat

    Handler = Callable[[ServerStream], Awaitable[object]]
    RequestHandler = Callable[[compat.Request, compat.Response], Awaitable[object]]


def load_app(spec: str, directory: str | None = None) -> Handler:
    """Loads a file or module, and returns the handler in it.

    A function of two arguments, a request and a response, is made a handler of.

    Args:
        spec: ``FILE.py:NAME`` or ``MODULE:NAME``.
        directory: where modules are looked for first.

    Raises:
        UsageError: it cannot be loaded, or NAME in it is no async function of one or two arguments.
    """
    handler, name, where = load(spec, "--app", directory)
    if not _is_async(handler):
        raise UsageError(f"{name!r} in {where} must be an async function: async def {name}(stream)")
    if takes(handler, 1):
        return cast("Handler", handler)
    if takes(handler, 2):
        from trio_h2 import compat  # which takes time to load, and most commands do without it

        return cast("Handler", compat.request_handler(cast("RequestHandler", handler)))
    hint = "; it looks like an ASGI app, which is for --asgi" if takes(handler, 3) else ""
    raise UsageError(
        f"{name!r} in {where} must take a stream, or a request and a response: "
        f"async def {name}(stream) or async def {name}(request, response){hint}"
    )


def _is_async(handler: object) -> bool:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler) or (
        not inspect.isclass(handler) and inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004 - its kind matters
    )

"""Loading the handler that `trio-h2 serve --app FILE.py:NAME` names."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

from .._checks import takes
from ._errors import UsageError, describe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType

    from trio_h2 import ServerStream, compat

    Handler = Callable[[ServerStream], Awaitable[object]]
    RequestHandler = Callable[[compat.Request, compat.Response], Awaitable[object]]


def load_app(spec: str) -> Handler:
    """Runs the file and returns the handler.

    A function of two arguments, a request and a response, is made a handler of.

    Args:
        spec: ``FILE.py:NAME``.

    Raises:
        UsageError: the file cannot be run, or NAME in it is no async function of one or two arguments.
    """
    file, colon, name = spec.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise UsageError(f"--app must look like FILE.py:NAME, not {spec!r}")
    module = _run_file(Path(file))
    try:
        handler: object = getattr(module, name)
    except AttributeError:
        raise UsageError(f"{file} has no {name!r}") from None
    if not _is_async(handler):
        raise UsageError(f"{name!r} in {file} must be an async function: async def {name}(stream)")
    if takes(handler, 1):
        return cast("Handler", handler)
    if takes(handler, 2):
        from trio_h2 import compat  # which takes time to load, and most commands do without it

        return cast("Handler", compat.request_handler(cast("RequestHandler", handler)))
    hint = "; it looks like an ASGI app, which is for an ASGI server" if takes(handler, 3) else ""
    raise UsageError(
        f"{name!r} in {file} must take a stream, or a request and a response: "
        f"async def {name}(stream) or async def {name}(request, response){hint}"
    )


def _run_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise UsageError(f"cannot load the app: there is no file {file}")
    # No name that an import statement, here or in the app, could mean.
    spec = importlib.util.spec_from_file_location(f"_trio_h2_app_{file.stem}", file.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"cannot load the app: {file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses and pickle look there
    sys.path.insert(0, str(file.resolve().parent))  # as for `python FILE.py`
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # SystemExit, too: a script that is no module
        raise UsageError(f"cannot load the app: {_place(exc, file)}: {type(exc).__name__}: {_message(exc)}") from exc
    return module


def _place(exc: BaseException, file: Path) -> str:
    """Returns where in the app it went wrong."""
    if isinstance(exc, SyntaxError) and exc.lineno is not None:
        return f"{exc.filename}, line {exc.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(exc.__traceback__) if f.filename == str(file.resolve())]
    return f"{file}, line {lines[-1]}" if lines else str(file)


def _message(exc: BaseException) -> str:
    if isinstance(exc, SyntaxError):
        return exc.msg
    return describe(exc) if isinstance(exc, OSError) else str(exc)


def _is_async(handler: object) -> bool:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler) or (
        not inspect.isclass(handler) and inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004 - its kind matters
    )

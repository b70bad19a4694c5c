"""Finding what the user names: something in a file, `FILE.py:NAME`, or in a module, `MODULE:NAME`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from ._errors import UsageError, describe

if TYPE_CHECKING:
    from types import ModuleType


def load(spec: str, option: str, directory: str | None = None) -> tuple[object, str, str]:
    """Runs the file, or imports the module, and returns what is named.

    Args:
        spec: ``FILE.py:NAME`` or ``MODULE:NAME``.
        option: what the user has named it with, for errors.
        directory: where modules are looked for first; by default in the current directory.

    Returns:
        The object, its name, and where it is, for errors.

    Raises:
        UsageError: the file cannot be run, the module cannot be imported, or there is no such name.
    """
    where, colon, name = spec.rpartition(":")
    in_module = _is_module(where)
    if not colon or not where or not all(map(str.isidentifier, name.split(".") if in_module else [name])):
        raise UsageError(f"{option} must look like FILE.py:NAME or MODULE:NAME, not {spec!r}")
    if directory is not None and not Path(directory).is_dir():
        raise UsageError(f"--app-dir {directory} is not a directory")
    if in_module or directory is not None:
        sys.path.insert(0, os.path.abspath(directory or os.curdir))
    module = _import(where) if in_module else _run_file(Path(where))
    found: object = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UsageError(f"{where} has no {name!r}") from None
    return found, name, where


def directories_of(spec: str, directory: str | None = None) -> list[str]:
    """Returns where `load` would look for the user's own files."""
    where = spec.rpartition(":")[0]
    own = [] if _is_module(where) else [os.path.dirname(os.path.abspath(where))]
    return [*own, os.path.abspath(directory or os.curdir)] if directory is not None or not own else own


def _is_module(where: str) -> bool:
    """Whether it is the name of a module: words with dots between them, and the last one is not ``py``."""
    return all(map(str.isidentifier, where.split("."))) and not where.endswith(".py")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise UsageError(f"cannot load the app: there is no module {exc.name!r} in {sys.path[0]}") from exc
        raise UsageError(f"cannot load the app: {_place_of_import(exc, name)}: {_words(exc)}") from exc
    except BaseException as exc:
        raise UsageError(f"cannot load the app: {_place_of_import(exc, name)}: {_words(exc)}") from exc


def _place_of_import(exc: BaseException, name: str) -> str:
    """Returns where it went wrong, as far as that was in the user's own files."""
    if isinstance(exc, SyntaxError) and exc.lineno is not None:
        return f"{exc.filename}, line {exc.lineno}"
    own = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else name


def _words(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {_message(exc)}"


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
        raise UsageError(f"cannot load the app: {_place(exc, file)}: {_words(exc)}") from exc
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

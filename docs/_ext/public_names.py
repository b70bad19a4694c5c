"""What is public: read from the sources, so that what the reference must have does not depend on the reference."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil

import trio_h2

GATHERED = ["trio_h2._names", "trio_h2._client"]
"""Where the names of `trio_h2` come from."""
NOT_FOR_USERS = {"logger", "TYPE_CHECKING"}


def public_modules() -> list[str]:
    """Returns `trio_h2` and the modules under it that users may import by name."""
    found = pkgutil.walk_packages(trio_h2.__path__, prefix="trio_h2.")
    return ["trio_h2", *(one.name for one in found if not any(part.startswith("_") for part in one.name.split(".")))]


def public_names(module: str) -> list[str]:
    """Returns the names that a module defines or exports (``import X as X``), without those with an underscore.

    A name that a module of a lower layer exports as well belongs there; `trio_h2.constants` repeats some.
    """
    sources = GATHERED if module == "trio_h2" else [module]
    names = [
        name
        for source in sources
        for name in _names(_source(source))
        if not name.startswith("_") and name not in NOT_FOR_USERS
    ]
    return names if module == "trio_h2" else [name for name in names if not _same(module, name)]


def _source(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def _same(module: str, name: str) -> bool:
    """Whether `trio_h2` has the same object under the same name."""
    nothing = object()
    return getattr(trio_h2, name, nothing) is getattr(importlib.import_module(module), name)


def _names(source: ast.Module) -> list[str]:
    names: list[str] = []
    for statement in source.body:
        match statement:
            case ast.ImportFrom():
                names += [one.name for one in statement.names if one.asname == one.name]
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names.append(statement.name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case ast.Assign():
                names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
            case _:
                pass
    return names

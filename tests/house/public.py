"""The public modules, and what is in them: what users may import by name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import FunctionType
from typing import TYPE_CHECKING

import trio_h2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PACKAGE = "trio_h2"


def public_modules() -> list[ModuleType]:
    """Returns `trio_h2` and the modules under it that users may import by name."""
    found = pkgutil.walk_packages(trio_h2.__path__, prefix=f"{PACKAGE}.")
    names = [info.name for info in found if not any(part.startswith("_") for part in info.name.split("."))]
    return [trio_h2, *(importlib.import_module(name) for name in names)]


def public_names(module: ModuleType) -> list[str]:
    """Returns the names that a public module lists; `test_public.py` looks whether it lists all."""
    names: list[str] = module.__all__
    return names


def is_ours(thing: object) -> bool:
    """Whether a class or function is of this library."""
    return (getattr(thing, "__module__", None) or "").partition(".")[0] == PACKAGE


def public_things() -> Iterator[tuple[str, type | FunctionType]]:
    """Yields each public class and function once, with the dotted name of its home; nested classes as well."""
    seen: set[type | FunctionType] = set()
    for module in public_modules():
        for name in public_names(module):
            thing = getattr(module, name)
            if isinstance(thing, (type, FunctionType)) and is_ours(thing) and thing not in seen:
                seen.add(thing)
                yield f"{module.__name__}.{name}", thing
                if isinstance(thing, type):
                    yield from _nested(f"{module.__name__}.{name}", thing)


def _nested(path: str, cls: type) -> Iterator[tuple[str, type]]:
    for name, member in vars(cls).items():
        if name.startswith("_") or not isinstance(member, type):
            continue
        if member.__qualname__ == f"{cls.__qualname__}.{name}":
            yield f"{path}.{name}", member
            yield from _nested(f"{path}.{name}", member)


def functions_of(cls: type) -> Iterator[tuple[str, FunctionType]]:
    """Yields the functions behind the public members of a class, those of its bases of ours included.

    The constructor counts if it can be called, the other special methods always.
    """
    for base in cls.__mro__:
        if not is_ours(base):
            continue
        for name, member in vars(base).items():
            special = name.startswith("__") and name.endswith("__")
            if (name.startswith("_") and not special) or (name == "__init__" and not has_constructor(cls)):
                continue
            for function in _behind(member):
                yield name, inspect.unwrap(function)


def has_constructor(cls: type) -> bool:
    """Whether users may make objects of a class."""
    return type(cls).__name__ != "NoPublicConstructor"


def _behind(member: object) -> Iterator[FunctionType]:
    if isinstance(member, property):
        for accessor in (member.fget, member.fset):
            yield from _behind(accessor)
    elif isinstance(member, (classmethod, staticmethod)):
        yield from _behind(member.__func__)
    elif isinstance(member, FunctionType):
        yield member

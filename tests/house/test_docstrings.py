"""Every public name says what it does: the reference is made from the docstrings."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import sys
import types
from typing import TYPE_CHECKING

import trio_h2

if TYPE_CHECKING:
    import pytest

_PACKAGE = "trio_h2"


def _public_modules() -> list[types.ModuleType]:
    """Returns `trio_h2` and the modules under it that users may import by name."""
    found = pkgutil.walk_packages(trio_h2.__path__, prefix=f"{_PACKAGE}.")
    names = [info.name for info in found if not any(part.startswith("_") for part in info.name.split("."))]
    return [trio_h2, *(importlib.import_module(name) for name in names)]


def _is_ours(thing: object, package: str) -> bool:
    return (getattr(thing, "__module__", None) or "").split(".")[0] == package


def _undocumented(module: types.ModuleType, package: str = _PACKAGE) -> list[str]:
    """Returns the public classes, functions, methods and properties of *module* that have no docstring."""
    missing = [] if module.__doc__ else [module.__name__]
    names: list[str] = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
    for name in names:
        thing = getattr(module, name)
        if not _is_ours(thing, package):
            continue
        if inspect.isclass(thing):
            missing += [f"{module.__name__}.{name}{rest}" for rest in _undocumented_in_class(thing, package)]
        elif inspect.isfunction(thing) and not thing.__doc__:
            missing.append(f"{module.__name__}.{name}")
    return missing


def _undocumented_in_class(cls: type, package: str) -> list[str]:
    """Returns "" if the class itself lacks a docstring, and ".name" for each public method that does.

    A method that overrides one of our own may leave the description to it. What another library says about a
    method that we override does not count: what cancellation does, for example, is ours to say.
    """
    ours = [base for base in cls.__mro__ if _is_ours(base, package)]
    missing = [] if _has_own_docstring(cls) else [""]
    for name in sorted({name for base in ours for name in vars(base) if not name.startswith("_")}):
        members = [vars(base)[name] for base in ours if name in vars(base)]
        if _is_method(members[0]) and not any(getattr(member, "__doc__", None) for member in members):
            missing.append(f".{name}")
    return missing


def _is_method(member: object) -> bool:
    return inspect.isfunction(member) or isinstance(member, (property, classmethod, staticmethod))


def _has_own_docstring(cls: type) -> bool:
    """Whether somebody wrote a docstring for this class; `@dataclass` makes up one from the signature."""
    doc = ("__doc__" in vars(cls) and cls.__doc__) or ""
    return bool(doc) and not (dataclasses.is_dataclass(cls) and doc.startswith(f"{cls.__name__}("))


def test_public_names_have_docstrings() -> None:
    assert [missing for module in _public_modules() for missing in _undocumented(module)] == []


def test_missing_docstrings_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", module)  # where @dataclass looks
    source = '''
import dataclasses

def bare(): ...

def described():
    """Says something."""

@dataclasses.dataclass
class Bare:
    number: int

class Base:
    """Says something."""

    def told(self):
        """Says something."""

    def untold(self): ...

    @property
    def quiet(self): ...

class Child(Base):
    """Says something."""

    def told(self): ...
'''
    exec(source, vars(module))
    assert _undocumented(module, package="planted") == [
        "planted",
        "planted.bare",
        "planted.Bare",
        "planted.Base.quiet",
        "planted.Base.untold",
        "planted.Child.quiet",
        "planted.Child.untold",
    ]

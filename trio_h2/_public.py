"""Makes what a public package gathers from private modules look like its own: `publish`, at the end of its `__init__`.
And `lazily`, which gathers only when the first of the names is used.

Tracebacks, pickles, `help` and the pages made of docstrings then say ``trio_h2.StreamResetError``, in whatever file it
is. And `typing.get_type_hints` works: annotations name types that their module imports for type checkers only, because
it imports nothing from a layer above its own, and nothing that it does not run. Once all is there, these names are
filled in.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Final, ForwardRef

if TYPE_CHECKING:
    from collections.abc import Callable

_LIBRARY: Final = __name__.partition(".")[0]
_BUILTINS: Final = frozenset(vars(builtins))
# Where names in annotations are looked for that are none of ours; after these, among the imported modules.
_STANDARD: Final = ("collections.abc", "typing", "types", "contextlib", "pathlib")
# A name that is looked up by itself: none of a string of `Literal`, and no attribute of something else.
_NAME: Final = re.compile(r"(?<![\w.'\"])[A-Za-z_]\w*")
DEFINED_IN: Final[dict[type, str]] = {}
"""The modules that the source of published classes is in, for tools that read it."""


def publish(namespace: dict[str, object], *, into: str | None = None) -> None:
    """Makes the public names in the *namespace* of a package its own, and lists them in its ``__all__``.

    Public are names without underscore, but for modules, and for classes and functions of other libraries. Where
    that is not what a module wants, it has an ``__all__`` already.

    Args:
        namespace: the ``globals()`` of a module.
        into: the package that gets the names, and is said to be their home; ``None``: the module itself.
    """
    names = namespace.setdefault("__all__", [name for name, thing in namespace.items() if _is_public(name, thing)])
    assert isinstance(names, list)
    home = namespace if into is None else vars(sys.modules[into])
    if home is not namespace:
        home.update({name: namespace[name] for name in names})
    if home["__name__"] != _LIBRARY:
        importlib.import_module(f"{_LIBRARY}._names")  # whose types stand in the annotations of the others
    package = _Package(home)
    for name in names:
        package.take(namespace[name])


def lazily(namespace: dict[str, object], *parts: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Returns ``__getattr__`` and ``__dir__`` of a package whose public names come from its private *parts* (PEP 562).

    They are imported in this order until one of them has the name that is asked for; each ends with `publish` into the
    package. From then on the names are ordinary ones.

    Args:
        namespace: the ``globals()`` of the package.
        parts: modules, from a dot on.
    """
    package = str(namespace["__name__"])

    def find(name: str) -> object:
        if name == "__all__":
            return namespace.setdefault("__all__", listed())
        # `from trio_h2 import websocket` asks here first, and goes on to the module if there is no such name.
        if name.isidentifier() and not name.startswith("_") and not is_module(name):
            for part in parts:
                importlib.import_module(part, package)
                if name in namespace:
                    return namespace[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules[package])

    def is_module(name: str) -> bool:
        from importlib.util import find_spec

        return find_spec(f"{package}.{name}") is not None

    def listed() -> list[str]:
        return [name for part in parts for name in importlib.import_module(part, package).__all__]

    def names() -> list[str]:
        return sorted({*namespace, *listed()})

    return find, names


def _is_public(name: str, thing: object) -> bool:
    if name.startswith("_") or name in ("TYPE_CHECKING", "annotations"):
        return False
    if isinstance(thing, (type, FunctionType)):
        return _is_ours(thing)
    if type(thing).__module__ == "typing":
        return hasattr(thing, "__args__")  # an alias of the package, and no `Final`
    return not isinstance(thing, ModuleType)


def _is_ours(thing: type | FunctionType) -> bool:
    return thing.__module__.partition(".")[0] == _LIBRARY


class _Package:
    """A public package, which takes classes and functions out of private modules."""

    def __init__(self, namespace: dict[str, object]) -> None:
        self._namespace = namespace
        self._name = str(namespace["__name__"])
        self._classes: set[type] = set()
        self._hints: dict[str, set[str]] = {}  # what is completed, by module

    def take(self, thing: object) -> None:
        """Makes a class, with all that is in it, or a function look like one of this package."""
        if isinstance(thing, type):
            for cls in thing.__mro__:
                if cls not in self._classes and _is_ours(cls):
                    self._classes.add(cls)
                    self._complete_class(cls)
        elif isinstance(thing, FunctionType):
            self._complete_function(thing)
        else:
            return
        if _is_private(thing.__module__):
            if isinstance(thing, type):
                DEFINED_IN[thing] = thing.__module__
                self._move_members(thing)
            thing.__module__ = self._name

    def _move_members(self, cls: type) -> None:
        module = cls.__module__
        for name, member in vars(cls).items():
            for function in _functions(member):
                if function.__module__ == module:
                    function.__module__ = self._name
            if isinstance(member, type) and not name.startswith("_") and member.__module__ == module:
                self.take(member)

    def _complete_class(self, cls: type) -> None:
        if cls.__module__ != self._name and not _is_private(cls.__module__):
            return  # another public package has done it
        for member in vars(cls).values():
            for function in _functions(member):
                self._complete_function(function)
        scope = vars(sys.modules[cls.__module__])
        for name, hint in cls.__annotations__.items():
            text = hint.__forward_arg__ if isinstance(hint, ForwardRef) else hint
            if not isinstance(text, str):
                continue
            self._complete(text, scope)
            # It will be looked up where the class seems to be: what is not there, or is another thing, is needed now.
            if any(self._namespace.get(part) is not scope.get(part) for part in _NAME.findall(text)):
                cls.__annotations__[name] = eval(text, scope)

    def _complete_function(self, function: FunctionType) -> None:
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        for hint in function.__annotations__.values():
            if isinstance(hint, str):
                self._complete(hint, function.__globals__)

    def _complete(self, hint: str, scope: dict[str, object]) -> None:
        """Fills in what an annotation names and its module lacks."""
        known = self._hints.setdefault(str(scope["__name__"]), set())
        if hint in known:
            return
        known.add(hint)
        for name in _NAME.findall(hint):
            if name not in scope and name not in _BUILTINS:
                found = self._find(name)
                if found is not None:
                    scope[name] = found

    def _find(self, name: str) -> object:
        """Returns what type checkers know by a name, ``None`` if that is nowhere to be found."""
        for namespace in (self._namespace, vars(sys.modules[_LIBRARY])):
            if name in namespace:
                return namespace[name]
        for module in _STANDARD:
            if hasattr(sys.modules.get(module), name):
                found: object = getattr(sys.modules[module], name)
                return found
        return sys.modules.get(name)


def _is_private(module: str) -> bool:
    return module.startswith(_LIBRARY) and "._" in module


def _functions(member: object) -> tuple[FunctionType, ...]:
    """Returns the functions of a member of a class: itself, or those of a property or a class method."""
    if isinstance(member, FunctionType):
        return (member,)
    if isinstance(member, property):
        return tuple(one for one in (member.fget, member.fset) if isinstance(one, FunctionType))
    if isinstance(member, (classmethod, staticmethod)):
        return _functions(member.__func__)
    return ()

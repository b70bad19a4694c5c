"""What users see of a public name: where it says it is from, what its signature names, and what `help` shows of it.

`trio_h2/_public.py` sees to that for every public name of a module that ends with ``_publish(globals())``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import pydoc
import sys
import traceback
import types
import typing
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.house.public import (
    PACKAGE,
    functions_of,
    has_constructor,
    is_ours,
    public_modules,
    public_names,
    public_things,
)
from trio_h2 import websocket

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULES = public_modules()
_THINGS = list(public_things())
# Where the names of `trio_h2` come from.
_GATHERED = [importlib.import_module(f"trio_h2.{name}") for name in ("_names", "_client")]


def _tree(module: ModuleType) -> ast.Module:
    assert module.__file__ is not None
    return ast.parse(Path(module.__file__).read_text(encoding="utf-8"))


def _reexported(module: ModuleType) -> set[str]:
    """Returns the names that type checkers take for public: those imported `as` themselves."""
    trees = map(_tree, _GATHERED) if module is trio_h2 else [_tree(module)]
    imports = [node for tree in trees for node in tree.body if isinstance(node, ast.ImportFrom)]
    aliases = [alias for node in imports for alias in node.names]
    return {alias.name for alias in aliases if alias.asname == alias.name and not alias.name.startswith("_")}


@pytest.mark.parametrize("module", _MODULES, ids=lambda module: module.__name__)
def test_a_public_module_lists_its_names(module: ModuleType) -> None:
    hint = f"end {module.__name__} with `_publish(globals())`, from trio_h2._public"
    assert hasattr(module, "__all__"), hint
    missing = _reexported(module) - set(public_names(module))
    assert not missing, f"{hint}; not published: {missing}"


def test_public_names_say_where_they_are_imported_from() -> None:
    wrong = []
    for path, thing in _THINGS:
        home = thing.__module__
        if (home, thing.__qualname__) != (path[: -len(thing.__qualname__) - 1], thing.__qualname__):
            wrong.append(f"{path} says {home}.{thing.__qualname__}")
        members = vars(thing).values() if isinstance(thing, type) else ()
        wrong += [
            f"{path}.{member.__name__} says {member.__module__}"
            for member in members
            if isinstance(member, FunctionType) and is_ours(member) and member.__module__ != home
        ]
    assert not wrong, "import it `as` itself into one public module, above its `_publish(globals())`"


@pytest.mark.parametrize("module", _MODULES, ids=lambda module: module.__name__)
def test_help_names_everything(module: ModuleType) -> None:
    text = pydoc.plain(pydoc.render_doc(module))
    missing = []
    for name in public_names(module):
        thing = getattr(module, name)
        if isinstance(thing, type):
            shown = f"    class {name}("
        elif isinstance(thing, FunctionType):
            shown = f"    {'async ' if inspect.iscoroutinefunction(thing) else ''}{name}("
        else:
            shown = f"    {name} = "
        if f"\n{shown}" not in text:
            missing.append(name)
    assert missing == []


def _signatures() -> Iterator[tuple[str, type | FunctionType]]:
    """Yields all that has annotations which users read: functions, methods, accessors of properties, classes."""
    for path, thing in _THINGS:
        if isinstance(thing, FunctionType):
            yield path, thing
            continue
        for base in thing.__mro__:
            if is_ours(base):
                yield path, base
        for name, function in functions_of(thing):
            if is_ours(function):
                yield f"{path}.{name}", function


def test_type_hints_can_be_resolved() -> None:
    broken = []
    for path, thing in _signatures():
        try:
            typing.get_type_hints(thing, include_extras=True)
        except Exception as exc:
            broken.append(f"{path}: {exc}")
    assert broken == [], "import the type at run time, or give it a public name, which is filled in"


def _named(annotation: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(f"[{annotation}]", mode="eval")) if isinstance(node, ast.Name)}


def _parts(hint: object) -> Iterator[object]:
    """Yields a resolved hint and all that is in it."""
    yield hint
    for part in typing.get_args(hint):
        for one in part if isinstance(part, list) else [part]:
            yield from _parts(one)


def test_signatures_name_public_types_only() -> None:
    """So that users can write them down: in annotations of their own, and for `isinstance`."""
    public = {id(getattr(module, name)) for module in _MODULES for name in public_names(module)}
    public |= {id(thing) for _, thing in _THINGS}
    private = set()
    for path, thing in _signatures():
        if isinstance(thing, FunctionType):
            for annotation in thing.__annotations__.values():
                for name in _named(annotation) if isinstance(annotation, str) else ():
                    named = thing.__globals__.get(name)
                    generic = isinstance(named, (typing.TypeVar, typing.TypeVarTuple, typing.ParamSpec, ModuleType))
                    if named is not None and not generic and not _is_foreign(named) and id(named) not in public:
                        private.add(f"{path} names {name}")
        hints = typing.get_type_hints(thing)
        for name, hint in hints.items():
            if name.startswith("_"):
                continue
            for part in _parts(hint):
                if isinstance(part, type) and is_ours(part) and id(part) not in public:
                    private.add(f"{path} names {part.__name__}")
    assert sorted(private) == [], "import each `as` itself into the public module it belongs to"


def _is_foreign(named: object) -> bool:
    """Whether a name means what another library has by that name."""
    if isinstance(named, type):
        return not is_ours(named)
    module = getattr(named, "__module__", None)
    name = getattr(named, "__name__", getattr(named, "_name", None))
    found = getattr(sys.modules.get(str(module)), str(name), None)
    return found is named and not is_ours(named)


def _for_type_checkers() -> Iterator[tuple[ModuleType, str, object]]:
    """Yields the names that modules of ours import for type checkers only and have all the same, and what they mean (or
    ``None``).
    """
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == PACKAGE and module.__file__]
    for module in modules:
        for block in _tree(module).body:
            if not (isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"):
                continue
            for statement in block.body:
                if isinstance(statement, ast.ImportFrom):
                    source = "." * statement.level + (statement.module or "")
                    for alias in statement.names:
                        package = module.__spec__.parent if module.__spec__ else None
                        name = alias.asname or alias.name
                        if name not in vars(module):  # it may be of a library that is not installed
                            continue
                        meant = getattr(importlib.import_module(source, package), alias.name, None)
                        yield module, name, meant


def test_what_is_filled_in_is_what_type_checkers_know_by_that_name() -> None:
    wrong = [
        f"{module.__name__}: {name} is {vars(module)[name]!r}, and should be {meant!r}"
        for module, name, meant in _for_type_checkers()
        if vars(module)[name] is not meant
    ]
    assert wrong == [], "two types of this library have the same name: rename one, or import it at run time"


_EXAMPLES: dict[object, object] = {
    int: 403,
    str: "reason",
    bytes: b"debug",
    bool: True,
    trio_h2.Headers: trio_h2.Headers({":status": "403"}),
    trio_h2.ErrorCode: trio_h2.ErrorCode.CANCEL,
    trio_h2.Initiator: trio_h2.Initiator.REMOTE,
}


def _example(cls: type[BaseException]) -> BaseException:
    """Returns an exception with something in every field that its constructor takes."""
    hints = typing.get_type_hints(cls.__init__)
    positional, named = [], {}
    for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        hint = hints[name]
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        example = next((_EXAMPLES[option] for option in options if option in _EXAMPLES), None)
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[name] = example
        else:
            positional.append(example)
    return cls(*positional, **named)


_ERRORS = [
    (path, thing)
    for path, thing in _THINGS
    if isinstance(thing, type) and issubclass(thing, BaseException) and has_constructor(thing)
]


@pytest.mark.parametrize(("path", "cls"), _ERRORS, ids=[path for path, _ in _ERRORS])
def test_errors_can_be_pickled_with_all_their_fields(path: str, cls: type[BaseException]) -> None:
    error = _example(cls)
    data = pickle.dumps(error, protocol=2)
    assert path.rpartition(".")[0].encode() in data
    assert b"trio_h2._" not in data
    twin = pickle.loads(data)
    assert (type(twin), twin.args, str(twin)) == (cls, error.args, str(error))
    assert {name: repr(value) for name, value in vars(twin).items()} == {
        name: repr(value) for name, value in vars(error).items()
    }


def test_tracebacks_say_the_public_name() -> None:
    [line] = traceback.format_exception_only(trio_h2.StreamResetError("gone"))
    assert line == "trio_h2.StreamResetError: gone\n"
    [line] = traceback.format_exception_only(websocket.WebSocketBrokenError("gone"))
    assert line.startswith("trio_h2.websocket.WebSocketBrokenError: ")


def test_sessions_of_streams_have_their_own_types() -> None:
    def session(cls: type) -> object:
        return typing.get_type_hints(vars(cls)["session"].fget)["return"]

    assert session(trio_h2.ServerStream) is trio_h2.ServerSession
    assert session(trio_h2.ClientStream) is trio_h2.ClientSession
    assert session(trio_h2.PushedStream) is trio_h2.ClientSession
    assert session(trio_h2.Http1Exchange) is trio_h2.Http1Connection
    assert session(trio_h2.Stream) is session(trio_h2.ServerExchange) is trio_h2.StreamSession


def test_star_import_takes_the_public_names() -> None:
    namespace: dict[str, object] = {}
    exec("from trio_h2 import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(public_names(trio_h2))
    assert {"connect", "serve_tcp", "Handler", "StreamResetError"} <= set(namespace)

"""The tables of `docs/coming-from-node.md`: their rows, whether names exist, and which tests carry which marks."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import enum
import importlib
import inspect
import re
import sys
import types
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trio_h2._public import DEFINED_IN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROW_ID = re.compile(r"[A-Z]\d+[a-z]?")
_CODE = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"([A-Za-z_][\w.]*?)(?:\(([a-z_]\w*)=\))?")
_TEST = re.compile(r"(tests/[\w/]+\.py)((?:::\w+)+)")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a capability, what Node calls it, what we call it, and the tests that show it."""

    id: str
    node: str
    ours: str
    tests: str

    @property
    def names(self) -> list[str]:
        """Our names, without their backticks."""
        return _CODE.findall(self.ours)

    @property
    def test_ids(self) -> list[str]:
        """The ids of the tests, without their backticks."""
        return _CODE.findall(self.tests)


def rows_of(page: str) -> list[Row]:
    """Returns every line of a table that begins with a row id; a `\\|` in a cell is no border."""
    rows = []
    for line in page.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and _ROW_ID.fullmatch(cells[0]):
            if len(cells) != 4:
                raise ValueError(f"row {cells[0]} has {len(cells)} cells, not 4")
            rows.append(Row(*cells))
    return rows


def group(letter: str, numbers: str) -> list[str]:
    """Returns row ids: `group("D", "1-3 3b")` is D1, D2, D3 and D3b."""
    ids = []
    for part in numbers.split():
        first, _, last = part.partition("-")
        ids += [f"{letter}{n}" for n in range(int(first), int(last) + 1)] if last else [f"{letter}{part}"]
    return ids


# -- names -------------------------------------------------------------------------------------------------------------


def name_problem(name: str, package: str = "trio_h2") -> str | None:
    """Returns what is wrong with one of our names, or `None`.

    A name is dotted and begins in *package*: `Session.ping`, `testing.session_pair`; `connect(scheme=)` is a parameter.
    Names of Trio begin with `trio.`, exceptions of Python are as they are.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return f"{name!r} is no name: write `Class.attribute` or `function(parameter=)`"
    path, parameter = match[1].split("."), match[2]
    if any(part.startswith("_") for part in path):
        return f"{name} is private"
    if path[0] == "trio" and len(path) > 1:
        package = path.pop(0)
    owner: object = builtins if _is_builtin_error(path[0]) else importlib.import_module(package)
    found: object = owner
    for index, part in enumerate(path):
        owner = found
        try:
            found = _attribute(owner, part)
        except AttributeError:
            # Perhaps only instances have it.
            if not inspect.isclass(owner) or index < len(path) - 1 or parameter or part not in _declared(owner):
                return f"{name}: there is no {'.'.join(path[: index + 1])}"
    if parameter is not None:
        return _parameter_problem(name, found, parameter)
    if inspect.isclass(owner) and path[-1] in _declared(owner):
        return None if _declared(owner)[path[-1]] else f"{name}: the attribute has no docstring"
    if owner is builtins or isinstance(found, enum.Enum) or not _can_have_docstring(found):
        return None
    return None if _docstring(owner, path[-1], found) else f"{name}: no docstring"


def _is_builtin_error(name: str) -> bool:
    thing: object = getattr(builtins, name, None)
    return inspect.isclass(thing) and issubclass(thing, Exception)


def _attribute(owner: object, name: str) -> object:
    try:
        value: object = inspect.getattr_static(owner, name) if inspect.isclass(owner) else getattr(owner, name)
    except AttributeError:
        if not isinstance(owner, types.ModuleType):
            raise
        try:
            return importlib.import_module(f"{owner.__name__}.{name}")
        except ModuleNotFoundError:
            raise AttributeError(name) from None
    return value


def _can_have_docstring(thing: object) -> bool:
    return (
        inspect.isclass(thing)
        or inspect.isroutine(thing)
        or isinstance(thing, (property, classmethod, staticmethod, types.ModuleType))
    )


def _docstring(owner: object, name: str, found: object) -> str:
    """Returns the docstring; that of a method may be the one of a base class, if the base is ours."""
    if dataclasses.is_dataclass(found) and (getattr(found, "__doc__", None) or "").startswith(f"{name}("):
        return ""  # made up by @dataclass
    candidates = [found]
    if inspect.isclass(owner):
        package = owner.__module__.partition(".")[0]
        bases = [base for base in owner.__mro__ if base.__module__.partition(".")[0] == package]
        candidates += [vars(base)[name] for base in bases if name in vars(base)]
    return next((doc for thing in candidates if (doc := getattr(thing, "__doc__", None))), "")


def _parameter_problem(name: str, function: object, parameter: str) -> str | None:
    called = function.__func__ if isinstance(function, (classmethod, staticmethod)) else function
    if not callable(called) or parameter not in inspect.signature(called).parameters:
        return f"{name}: no such parameter"
    texts = [called.__doc__ or ""]
    if isinstance(called, type):
        texts.append(inspect.getattr_static(called, "__init__").__doc__ or "")
        if _declared(called).get(parameter):
            return None
    entry = re.compile(rf"^\s+{parameter}: \S", re.MULTILINE)
    return None if any(entry.search(text) for text in texts) else f"{name}: the docstring does not describe it"


def _declared(cls: type) -> dict[str, bool]:
    """Returns the attributes that the instances of a class have by declaration, and whether they are described.

    That is: `name: type` in the class, or `self.name: type` in its `__init__`, with a docstring below it or an entry
    `name: …` in the docstring of the class.
    """
    declared: dict[str, bool] = {}
    for base in reversed(inspect.getmro(cls)):
        file = getattr(sys.modules.get(DEFINED_IN.get(base, base.__module__)), "__file__", None) or ""
        tree = _classes(file).get(base.__qualname__) if file.endswith(".py") else None
        if tree is None:
            continue  # not written in Python, or inside of something
        text = base.__doc__ or ""
        for name, described in _annotated(tree):
            declared[name] = described or re.search(rf"^\s+{name}: \S", text, re.MULTILINE) is not None
    return declared


@cache
def _classes(file: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _annotated(tree: ast.ClassDef) -> Iterator[tuple[str, bool]]:
    bodies = [tree.body]
    bodies += [node.body for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    for body in bodies:
        for node, after in zip(body, [*body[1:], None], strict=True):
            if not isinstance(node, ast.AnnAssign):
                continue
            name = ast.unparse(node.target).removeprefix("self.")
            described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if name.isidentifier() and not name.startswith("_"):
                yield name, described and isinstance(getattr(getattr(after, "value", None), "value", None), str)


# -- tests and their marks ---------------------------------------------------------------------------------------------


def marks_of(source: str) -> dict[str, set[str]]:
    """Returns the row ids in the parity marks of each test of a module: `test_it`, or `TestClass::test_it`.

    Marks stand above the function or its class, or in the module's `pytestmark`.
    """
    tree = ast.parse(source)
    whole = set().union(
        *(_rows_in([node.value]) for node in tree.body if isinstance(node, ast.Assign) and _is_pytestmark(node))
    )
    found: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[node.name] = whole | _rows_in(node.decorator_list)
        elif isinstance(node, ast.ClassDef):
            above = whole | _rows_in(node.decorator_list)
            for method in node.body:
                if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found[f"{node.name}::{method.name}"] = above | _rows_in(method.decorator_list)
    return found


def all_marks(source: str) -> set[str]:
    """Returns every row id in a parity mark anywhere in a module."""
    return _rows_in([ast.parse(source)])


def _is_pytestmark(node: ast.Assign) -> bool:
    return [ast.unparse(target) for target in node.targets] == ["pytestmark"]


def _rows_in(nodes: Iterable[ast.AST]) -> set[str]:
    rows = set()
    for call in (inner for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Call)):
        if ast.unparse(call.func) == "pytest.mark.parity":
            for argument in call.args:
                if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
                    raise ValueError(f"line {call.lineno}: parity marks take row ids as they are")
                rows.add(argument.value)
    return rows


def id_problem(row: str, test_id: str, root: Path) -> str | None:
    """Returns what is wrong with the id of a test that is to show *row*, or `None`."""
    match = _TEST.fullmatch(test_id)
    if match is None:
        return f"{row}: {test_id!r} is no test id"
    path, function = match[1], match[2].removeprefix("::")
    if not (root / path).is_file():
        return f"{row}: there is no file {path}"
    marks = _marks_of_file(root / path)
    if function not in marks or not function.rpartition("::")[2].startswith("test_"):
        return f"{row}: there is no test {test_id}"
    return None if row in marks[function] else f"{row}: {test_id} has no mark parity({row!r})"


@cache
def _marks_of_file(path: Path) -> dict[str, set[str]]:
    return marks_of(path.read_text(encoding="utf-8"))

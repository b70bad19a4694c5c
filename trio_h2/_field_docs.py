"""What `help()` says of the fields of a dataclass: their docstrings and defaults, which have one home, the class body.

Python forgets the string after a field; Sphinx and editors read it in the source. `describe_fields` does so for
``__doc__``, when somebody asks for that, and not before: nobody else pays for it.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import sys
import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

_T = TypeVar("_T")
_WIDTH = 100


def describe_fields(cls: type[_T]) -> type[_T]:
    """Makes the docstring of a dataclass list its fields under "Attributes". Stands above ``@dataclass``."""
    summary = vars(cls).get("__doc__")
    if isinstance(summary, str):  # not with python -OO
        type.__setattr__(cls, "__doc__", _FieldDocs(summary, cls))
    return cls


class _FieldDocs:
    """The docstring of a class, a descriptor: for ``cls.__doc__``, Python asks it."""

    def __init__(self, summary: str, cls: type) -> None:
        self._summary = summary
        self._module = cls.__module__  # where its source is; public classes are said to be elsewhere later
        self._name = cls.__name__
        self._whole: str | None = None

    def __get__(self, instance: object, owner: type) -> str:
        if self._whole is None:
            self._whole = self._describe(owner)
        return self._whole

    def _describe(self, owner: type) -> str:
        import inspect

        docs: dict[str, str] = {}
        for base in reversed(owner.__mro__):
            described = vars(base).get("__doc__")
            if isinstance(described, _FieldDocs):
                docs |= described.own_fields()
        lines = [inspect.cleandoc(self._summary), "", "Attributes:"]
        for field in dataclasses.fields(owner):
            if field.name in docs:
                text = f"{field.name}: {docs[field.name]}{_default(field)}"
                lines += textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent=" " * 8)
        return "\n".join(lines if len(lines) > 3 else lines[:1])

    def own_fields(self) -> dict[str, str]:
        """Returns the strings after the fields in the source of the class; none where that is not at hand."""
        import ast
        import inspect

        try:
            module = ast.parse(inspect.getsource(sys.modules[self._module]))
        except (OSError, TypeError, KeyError):
            return {}
        for node in module.body:
            if isinstance(node, ast.ClassDef) and node.name == self._name:
                return dict(_documented(node.body))
        return {}


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yields the names of fields, and the string after each."""
    for field, after in pairwise(body):
        name = getattr(getattr(field, "target", None), "id", None)
        text = getattr(getattr(after, "value", None), "value", None)
        if isinstance(name, str) and isinstance(text, str):
            yield name, " ".join(text.split())


def _default(field: dataclasses.Field[object]) -> str:
    """Returns what is said of a field's default."""
    value = field.default
    if value is dataclasses.MISSING or not field.init:
        return ""
    if isinstance(value, float) and value == math.inf:
        return " Default: math.inf."
    shown = f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)
    return f" Default: {shown}."

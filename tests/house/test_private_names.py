"""Names with an underscore belong to the module that defines them: what others need has a public name.

``obj._name`` counts where *obj* is not ``self`` or ``cls`` and the module does not define ``_name`` itself, whichever
class it stands in. A few uses are tolerated: where two classes are one thing in two files.
"""

from __future__ import annotations

import ast
from pathlib import Path

_ROOT = Path(__file__).parents[2] / "trio_h2"
_PER_1000_LINES = 2


def _defined(tree: ast.Module) -> set[str]:
    """Returns the names that a module gives to functions, classes, variables and attributes of its own objects."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), ctx=ast.Store()):
                names.add(node.attr)
    return names


def _foreign(source: str) -> list[tuple[int, str]]:
    """Returns (line, name) for each use of another module's private name."""
    tree = ast.parse(source)
    own = _defined(tree)
    return [
        (node.lineno, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in own
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
        and not (
            isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "super"
        )
    ]


def test_modules_use_their_own_private_names() -> None:
    lines, uses = 0, []
    for path in sorted(_ROOT.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        lines += source.count("\n")
        uses += [f"{path.relative_to(_ROOT)}:{line}: {name}" for line, name in _foreign(source)]
    assert lines > 10_000, "the package has moved: this test looks at nothing"
    assert len(uses) * 1000 <= _PER_1000_LINES * lines, "\n".join(uses)


_SAMPLE = """
class A:
    def __init__(self, b):
        self._b = b

    def f(self, other):
        return other._b, self._b._c
"""


def test_a_foreign_private_name_is_found() -> None:
    assert _foreign(_SAMPLE) == [(7, "_c")]

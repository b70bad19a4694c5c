"""The table in README.md and the tests of this folder say the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_FOLDER = Path(__file__).parent
_TABLE = (_FOLDER / "README.md").read_text(encoding="utf-8")


def _tests_by_file() -> dict[str, list[str]]:
    """Returns the names of the test functions in each file."""
    found = {}
    for path in sorted(_FOLDER.glob("test_*.py")):
        nodes = ast.parse(path.read_text(encoding="utf-8")).body
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        found[path.name] = [node.name for node in functions if node.name.startswith("test_")]
    return found


def _named() -> set[str]:
    """Returns the names of tests in the rows of the table."""
    rows = "\n".join(line for line in _TABLE.splitlines() if line.startswith("|"))
    return set(re.findall(r"`(test_\w+)`", rows))


def test_every_test_is_in_the_table() -> None:
    assert len(_named()) > 150, "the table was not found"
    assert [name for names in _tests_by_file().values() for name in names if name not in _named()] == []


def test_every_test_of_the_table_exists() -> None:
    assert sorted(_named() - {name for names in _tests_by_file().values() for name in names}) == []


def test_every_file_is_named_after_its_section() -> None:
    """And no name is used twice, so that the table means one test by it."""
    names = [name for names in _tests_by_file().values() for name in names]
    assert len(names) == len(set(names))
    for file, tests in _tests_by_file().items():
        section = re.match(r"test_s(\d)_", file)
        if section is not None:
            assert [name for name in tests if not re.match(rf"test_({section[1]}|8_4)_", name)] == [], file

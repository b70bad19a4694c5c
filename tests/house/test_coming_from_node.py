"""`docs/coming-from-node.md` names every capability, under names that exist, with tests that show it.

The list of capabilities is here, not on the page, so that none can get lost there: whoever builds one moves its id from
`LATER` to `ROWS` and writes its line on the page.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.house.parity import all_marks, group, id_problem, marks_of, name_problem, rows_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coming-from-node.md"

ROWS = [
    *group("A", "1-11"),
    *group("B", "0-24"),
    *group("C", "1-7"),
    *group("D", "1-7 7b 8-11"),
    *group("E", "1-6"),
    *group("F", "1-5"),
    *group("G", "1-6"),
    *group("H", "1-11"),
    *group("I", "1-8"),
    *group("J", "1-8"),
    *group("K", "1-5"),
    *group("L", "1-4"),
]
LATER = [
    *group("M", "1-8"),
]
"""Rows that are not promised yet; tests may show parts of them."""
DOCS_ONLY: Mapping[str, str] = {"B19": "What replaces ref and unref"}
"""Rows that no test can show, with the section of the page that explains them."""


def problems(
    page: str, rows: Collection[str], *, root: Path = ROOT, docs_only: Mapping[str, str] = DOCS_ONLY
) -> list[str]:
    """Returns everything that is wrong with the tables of a page that should have these rows."""
    table = rows_of(page)
    counts = Counter(row.id for row in table)
    found = [f"{row}: missing" for row in rows if row not in counts]
    found += [f"{row}: on the page, not in the list" for row in counts if row not in rows]
    found += [f"{row}: {count} times" for row, count in counts.items() if count > 1]
    for row in table:
        if not row.node.strip("` –"):
            found.append(f"{row.id}: does not say what Node has")
        if row.id in docs_only:
            if row.tests != "docs only":
                found.append(f"{row.id}: its test is not 'docs only'")
            if f"\n## {docs_only[row.id]}\n" not in page:
                found.append(f"{row.id}: there is no section {docs_only[row.id]!r}")
            continue
        if not row.names:
            found.append(f"{row.id}: has no name")
        if not row.test_ids:
            found.append(f"{row.id}: has no test")
        found += [f"{row.id}: {problem}" for name in row.names if (problem := name_problem(name))]
        found += [problem for test in row.test_ids if (problem := id_problem(row.id, test, root))]
    return found


def test_the_list_is_whole() -> None:
    assert len(ROWS) == len(set(ROWS))
    assert not set(ROWS) & set(LATER)
    assert len(ROWS) + len(LATER) == 116


def test_the_page_has_every_row_and_every_name_and_test_exists() -> None:
    assert problems(PAGE.read_text(encoding="utf-8"), ROWS) == []


def test_the_marks_of_the_tests_name_rows_that_exist() -> None:
    known = {*ROWS, *LATER}
    unknown = {
        f"{path.relative_to(ROOT)}: {row}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for row in all_marks(path.read_text(encoding="utf-8")) - known
    }
    assert unknown == set()


# -- the check itself can fail -----------------------------------------------------------------------------------------

_SHOWN = """
import pytest

@pytest.mark.parity("X1", "X2")
def test_shown(): ...

@pytest.mark.trivial
@pytest.mark.parity("X3")
async def test_other(): ...

def test_bare(): ...

def helper(): ...

@pytest.mark.parity("X4")
class TestClass:
    @pytest.mark.parity("X5")
    def test_it(self): ...
"""
_GOOD = """
## Why

| row | Node's name | ours | test |
|---|---|---|---|
| X1 | `a` | `Session.ping`, `connect(scheme=)` | `tests/test_fake.py::test_shown` |
| X2 | `a \\| b` | `Headers` | `tests/test_fake.py::test_shown` |
| X5 | `c` | `testing.session_pair` | `tests/test_fake.py::TestClass::test_it` |
| X9 | `d` | no name | docs only |
"""
_FAKE_ROWS = ["X1", "X2", "X5", "X9"]


@pytest.fixture
def fake_root(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_fake.py").write_text(_SHOWN, encoding="utf-8")
    return tmp_path


def test_a_good_page_has_no_problems(fake_root: Path) -> None:
    assert problems(_GOOD, _FAKE_ROWS, root=fake_root, docs_only={"X9": "Why"}) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("| X2 |", "| X3 |", "X2: missing"),
        ("| X2 |", "| X3 |", "X3: on the page, not in the list"),
        ("| X2 |", "| X1 |", "X1: 2 times"),
        ("`a`", "–", "X1: does not say what Node has"),
        ("`Headers`", "headers", "X2: has no name"),
        ("`Headers`", "`Header`", "X2: Header: there is no Header"),
        ("Session.ping", "Session.pong", "X1: Session.pong: there is no Session.pong"),
        ("Session.ping", "Session.ping.pong", "X1: Session.ping.pong: there is no Session.ping.pong"),
        (
            "testing.session_pair",
            "testing.nothing",
            "X5: testing.nothing: there is no testing.nothing",
        ),
        ("Session.ping", "Session._engine", "X1: Session._engine is private"),
        ("connect(scheme=)", "connect(skeme=)", "X1: connect(skeme=): no such parameter"),
        ("connect(scheme=)", "await connect()", "X1: 'await connect()' is no name: write `Class.attribute` or "),
        ("::TestClass::test_it", "::test_bare", "X5: tests/test_fake.py::test_bare has no mark parity('X5')"),
        ("::TestClass::test_it", "::test_shown", "X5: tests/test_fake.py::test_shown has no mark parity('X5')"),
        ("::TestClass::test_it", "::test_gone", "X5: there is no test tests/test_fake.py::test_gone"),
        ("::TestClass::test_it", "::helper", "X5: there is no test tests/test_fake.py::helper"),
        ("tests/test_fake.py::TestClass", "tests/test_gone.py::TestClass", "X5: there is no file tests/test_gone.py"),
        ("`tests/test_fake.py::TestClass::test_it`", "", "X5: has no test"),
        ("`tests/test_fake.py::TestClass::test_it`", "`test_it`", "X5: 'test_it' is no test id"),
        ("docs only", "", "X9: its test is not 'docs only'"),
        ("## Why", "## What", "X9: there is no section 'Why'"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(old: str, new: str, problem: str, fake_root: Path) -> None:
    assert old in _GOOD
    found = problems(_GOOD.replace(old, new, 1), _FAKE_ROWS, root=fake_root, docs_only={"X9": "Why"})
    assert any(line.startswith(problem) for line in found), found


def test_a_row_has_four_cells() -> None:
    with pytest.raises(ValueError, match="row X1 has 3 cells"):
        rows_of("| X1 | `a` | `Session.ping` |")


def test_marks_are_found_wherever_they_stand() -> None:
    assert marks_of(_SHOWN) == {
        "test_shown": {"X1", "X2"},
        "test_other": {"X3"},
        "test_bare": set(),
        "helper": set(),
        "TestClass::test_it": {"X4", "X5"},
    }
    assert marks_of('pytestmark = pytest.mark.parity("X6")\ndef test_it(): ...') == {"test_it": {"X6"}}
    assert marks_of('pytestmark = [pytest.mark.parity("X6")]\ndef test_it(): ...') == {"test_it": {"X6"}}
    assert all_marks('ROWS = [pytest.param(1, marks=pytest.mark.parity("X7"))]') == {"X7"}
    with pytest.raises(ValueError, match="line 1"):
        all_marks("pytest.mark.parity(row)")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Told", None),
        ("Told.method", None),
        ("Told.inherited", None),
        ("Told.fact", None),
        ("Told.made", None),
        ("Told.number", None),
        ("Told.listed", None),
        ("Told(listed=)", None),
        ("Told.method(size=)", None),
        ("Colour.RED", None),
        ("LIMIT", None),
        ("ExceptionGroup", None),
        ("trio.BrokenResourceError", None),
        ("trio.Nothing", "trio.Nothing: there is no Nothing"),
        ("Untold", "Untold: no docstring"),
        ("Untold.method", "Untold.method: no docstring"),
        ("Untold.fact", "Untold.fact: no docstring"),
        ("Untold.number", "Untold.number: the attribute has no docstring"),
        ("Untold.made", "Untold.made: the attribute has no docstring"),
        ("Untold.gone", "Untold.gone: there is no Untold.gone"),
        ("Untold.method(size=)", "Untold.method(size=): the docstring does not describe it"),
        ("Told.method(weight=)", "Told.method(weight=): no such parameter"),
        ("untold", "untold: no docstring"),
    ],
)
def test_names_and_their_docstrings(
    name: str, problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted_names.py").write_text(_PLANTED, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert name_problem(name, "planted_names") == problem


_PLANTED = '''
import dataclasses, enum

LIMIT = 3

class Colour(enum.Enum):
    """Says something."""
    RED = 1

class Base:
    """Says something."""
    def inherited(self):
        """Says something."""

@dataclasses.dataclass(slots=True)
class Told(Base):
    """Says something.

    Attributes:
        listed: says something.
    """
    number: int
    """Says something."""
    listed: int
    def __post_init__(self): ...
    def inherited(self): ...
    def method(self, size):
        """Says something.

        Args:
            size: says something.
        """
    @property
    def fact(self):
        """Says something."""
    made: int = 3
    """Says something."""

@dataclasses.dataclass
class Untold:
    number: int
    def method(self, size):
        ...
    @property
    def fact(self): ...
    made: int = 3

def untold(): ...
'''

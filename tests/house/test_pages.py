"""Nothing on a page is untested: where its programs run, and what its commands are."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from trio_h2._cli._args import parse

ROOT = Path(__file__).parents[2]
CODE = ROOT / "docs" / "code"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ROW_OF_EXTRA = re.compile(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
INLINE = {
    "README.md": "tests/house/test_readme.py",
    "coming-from-node.md": "tests/house/test_node_idioms.py",
}
"""Pages with programs that are no files of `docs/code`, and what runs each of their blocks."""
SHELL = {"python3 -m venv .venv", ". .venv/bin/activate", "kill -USR1 %1"}
"""What only a shell can do; tests make environments, and send signals, in their own way."""
_FENCE = re.compile(r"^( *)(`{3,}|:{3,})(\S*)[^\n]*\n(.*?)^\1\2$", re.DOTALL | re.MULTILINE)
_NOX = re.compile(r"(?:python3 -m pip install nox && )?python3 -m nox -s ([\w ]+?)(?: -- .*)?")
_INSTALL = re.compile(r"python3 -m pip install (?:-e )?'?\.(?:\[([\w,]+)\])?'?")
_PROGRAM = re.compile(r"python3 (\w+\.py)(?: .*)?")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def blocks(page: str, text: str) -> list[Block]:
    """Returns the fenced blocks of a page."""
    return [Block(page, match[3], match[4]) for match in _FENCE.finditer(text)]


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks(page.name, page.read_text(encoding="utf-8"))]


def commands(text: str) -> list[str]:
    """Returns the commands of a console block, which have a prompt if anything is printed; comments are left out."""
    lines = text.replace("\\\n", "").splitlines()
    prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [re.sub(r"  +# .*| &$", "", line).strip() for line in prompted or lines]


@cache
def strings_of_tests() -> frozenset[str]:
    """Returns every string in a test, one that is a command among them."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return frozenset(found)


@cache
def sessions() -> frozenset[str]:
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^@nox\.session.*?\ndef (\w+)", noxfile, flags=re.MULTILINE | re.DOTALL))


@cache
def extras() -> frozenset[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return frozenset(project["optional-dependencies"])


def command_problem(command: str) -> str | None:
    """Returns what is wrong with a command of a page, or ``None``."""
    if command in SHELL or command in strings_of_tests():
        return None
    if command.startswith("trio-h2 "):
        try:
            parse(shlex.split(command)[1:])
        except SystemExit:
            return f"trio-h2 does not understand it: {command}"
        return None
    if (match := _NOX.fullmatch(command)) is not None:
        return None if set(match[1].split()) <= sessions() else f"there is no such session: {command}"
    if (match := _INSTALL.fullmatch(command)) is not None:
        known = set((match[1] or "testing").split(",")) <= extras()
        return None if known else f"there is no such extra: {command}"
    if (match := _PROGRAM.fullmatch(command)) is not None and (CODE / match[1]).exists():
        return None
    return f"no test runs it: {command}"


def test_no_page_has_programs_that_nothing_runs() -> None:
    languages = {(block.page, block.language) for block in all_blocks()}
    assert {page for page, language in languages if language in ("python", "py", "python3")} <= INLINE.keys()
    assert {page for page, language in languages if language in ("sh", "bash", "shell", "")} == set()
    for test in INLINE.values():
        assert (ROOT / test).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_right(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CODE)  # where files are that pages show
    found = blocks(page.name, page.read_text(encoding="utf-8"))
    lines = [command for block in found if block.language == "console" for command in commands(block.text)]
    assert [problem for line in lines if (problem := command_problem(line)) is not None] == []


def test_every_program_is_on_a_page_and_in_a_test() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    helpers = "".join(path.read_text(encoding="utf-8") for path in CODE.glob("*.py"))
    for program in CODE.glob("*.py"):
        name = re.escape(program.stem)
        imported = rf"^ *(?:import {name}\b|from {name} import)"
        assert f"code/{program.name}" in pages or re.search(imported, helpers, re.MULTILINE), f"{program.name}: no page"
        assert re.search(rf"{imported}|\b{name}\.py\b|import_module\(\"{name}\"\)", tests, re.MULTILINE), (
            f"{program.name}: no test"
        )


# -- the check itself can fail -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "trio-h2 serve --no-such-option",
        "python3 -m nox -s nothing",
        "python3 -m pip install '.[nothing]'",
        "python3 nothing.py",
        "make coffee",
    ],
)
def test_wrong_commands_are_found(command: str) -> None:
    assert command_problem(f"{command} " if command in strings_of_tests() else command) is not None


def test_commands_of_a_block() -> None:
    assert commands("$ one  # first\nprinted\n$ two \\\n  three\n") == ["one", "two   three"]
    assert commands("one\ntwo &\n") == ["one", "two"]


def test_blocks_of_a_page() -> None:
    text = "a\n```python\nx\n```\n\n- b\n\n  ```console\n  y\n  ```\n"
    assert [(block.language, block.text.strip()) for block in blocks("page", text)] == [
        ("python", "x"),
        ("console", "y"),
    ]


def test_the_table_of_extras_is_complete() -> None:
    """Each extra of `pyproject.toml`, with the extras and packages that it brings."""
    page = (ROOT / "docs" / "quick-start.md").read_text(encoding="utf-8")
    table = {extra: set(re.findall(r"`([\w.-]+)`", brings)) for extra, brings in ROW_OF_EXTRA.findall(page)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {extra: set[str]() for extra in project["optional-dependencies"]}
    for extra, requirements in project["optional-dependencies"].items():
        for requirement in requirements:
            own = re.fullmatch(r"trio-h2\[([\w,-]+)\]", requirement)
            extras[extra] |= set(own[1].split(",")) if own else {re.split(r"[^\w.-]", requirement)[0]}
    extras["dev"] &= set(extras)  # its tools are in `pyproject.toml`
    assert table == extras

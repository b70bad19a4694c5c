"""The Python examples in `docs/coming-from-node.md` print what stands below them; its errors exist."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import trio

import trio_h2
from tests.house.parity import name_problem
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[trio_h2.ServerStream], Awaitable[object]]

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from-node.md").read_text(encoding="utf-8")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def sections() -> dict[str, tuple[str, str]]:
    """Returns program and output of every section with Python in it, by the heading."""
    found = {}
    for part in re.split(r"^#{2,3} ", PAGE, flags=re.MULTILINE):
        blocks = _FENCE.findall(part)
        program = "".join(text for language, text in blocks if language == "python")
        if program:
            found[part.splitlines()[0]] = (program, "".join(text for language, text in blocks if language == "text"))
    return found


SECTIONS = sections()
OVER_TCP = {name for name, (program, _) in SECTIONS.items() if re.search("serve_tcp|open_server", program)}


async def default_handler(stream: trio_h2.ServerStream) -> None:
    """The server of the examples that bring none."""
    if stream.path == "/refused":
        stream.reset(trio_h2.ErrorCode.REFUSED_STREAM)
    elif stream.path == "/slow":
        await trio.sleep_forever()
    elif stream.path == "/upload":
        size = sum([len(chunk) async for chunk in stream])
        await stream.respond(body=b"%d bytes" % size)
    else:
        await stream.respond(body=b"hello")


async def run(program: str, names: dict[str, object]) -> None:
    """Runs a program that may `await` outside of functions."""
    code = compile(program, "coming-from-node.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result: object = eval(code, names)
    if inspect.isawaitable(result):
        await result


def test_the_page_has_idioms() -> None:
    assert len(SECTIONS) >= 10
    assert len(OVER_TCP) >= 2
    assert all(output for _, output in SECTIONS.values())


@pytest.mark.parametrize("name", sorted(SECTIONS.keys() - OVER_TCP))
async def test_what_the_examples_print(name: str, autojump_clock: object, capsys: pytest.CaptureFixture[str]) -> None:
    program, output = SECTIONS[name]
    names: dict[str, object] = {"trio": trio, "trio_h2": trio_h2}
    handler: Handler = default_handler
    if "async def handler" in program:
        definition, program = split_handler(program)
        await run(definition, names)
        handler = cast("Handler", names["handler"])
    async with session_pair(handler) as (session, _):
        names["session"] = session
        await run(program, names)
    assert capsys.readouterr().out == output


def split_handler(program: str) -> tuple[str, str]:
    """Returns the function that a program begins with, and the rest."""
    function, *_ = ast.parse(program).body
    lines = program.splitlines(keepends=True)
    return "".join(lines[: function.end_lineno]), "".join(lines[function.end_lineno :])


@pytest.mark.parametrize("name", sorted(OVER_TCP))
async def test_what_the_examples_with_servers_print(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, output = SECTIONS[name]
    with trio.fail_after(30):
        await run(program, {"trio": trio, "trio_h2": trio_h2})
    assert capsys.readouterr().out == output


def test_the_errors_of_the_table_exist() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| `E")]
    assert len(lines) >= 20
    names = {name for line in lines for name in re.findall(r"`([^`]+)`", line.split("|")[2])}
    assert {"StreamResetError", "LocalProtocolError", "ValueError", "trio.ClosedResourceError"} <= names
    assert [problem for name in sorted(names) if (problem := name_problem(name))] == []

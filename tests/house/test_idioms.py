"""The programs of docs/coming-from-node.md, as `nox -s types` checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.house.idioms import modules, write
from tests.house.test_node_idioms import SECTIONS

if TYPE_CHECKING:
    from pathlib import Path


def test_every_program_becomes_a_module() -> None:
    found = modules()
    assert len(found) == len(SECTIONS)
    for name, text in found.items():
        compile(text, name, "exec")
        assert "async def main(session: trio_h2.ClientSession)" in text
    assert "async def handler(" in found["node_trailers"]


def test_modules_are_written(tmp_path: Path) -> None:
    write(tmp_path / "new")
    assert {path.stem for path in (tmp_path / "new").iterdir()} == modules().keys()

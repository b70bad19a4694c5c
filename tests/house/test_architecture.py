"""ARCHITECTURE.md names every module of the library."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_module_has_its_line() -> None:
    lines = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()
    chapters: dict[str, set[str]] = {}
    chapter = ""
    for line in lines:
        if line.startswith("#"):
            chapter = line.lstrip("# ").split(":")[0].strip("`")
        if line.startswith("| `"):
            chapters.setdefault(chapter, set()).update(re.findall(r"`(\w+)`", line.split("|")[1]))
    for package in ("_wire", "_wire/_hpack", "_stream", "_session", "_http1", "_net", "files"):
        modules = {path.stem for path in (ROOT / "trio_h2" / package).glob("*.py")} - {"__init__"}
        assert chapters[package] == modules

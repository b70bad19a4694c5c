"""The programs of docs/coming-from-node.md as modules, so that type checkers can look at them.

`python -m tests.house.idioms FOLDER` writes a module for each section of the page. The statements that await outside of
functions stand in one there.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

from tests.house.test_node_idioms import SECTIONS, split_handler

HEAD = "from __future__ import annotations\n\nimport trio\n\nimport trio_h2\n\n\n"


def modules() -> dict[str, str]:
    """Returns the modules, by their names."""
    found: dict[str, str] = {}
    for heading, (program, _) in SECTIONS.items():
        name = "node_" + re.sub(r"\W+", "_", heading.lower()).strip("_")
        handler, rest = split_handler(program) if program.startswith("async def handler") else ("", program)
        main = "async def main(session: trio_h2.ClientSession) -> None:\n" + textwrap.indent(rest.strip("\n"), "    ")
        found[name] = f"{HEAD}{handler}\n\n{main}\n"
    return found


def write(folder: Path) -> None:
    """Writes the modules into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in modules().items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))

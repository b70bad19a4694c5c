"""Runs the benchmarks: `python -m tests.benchmarks`.

Each module `bench_NAME.py` beside this one has a docstring and a function `rows(options)` that yields `Row`s.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from tests.benchmarks._options import HERE, ROOT, Options, note, versions
from tests.benchmarks._result import Row, as_json, as_svg, as_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DOCUMENT = ROOT / "docs" / "benchmarks.md"
_CHART = ROOT / "docs" / "benchmarks.svg"
_JSON = ROOT / "docs" / "benchmarks.json"
_LIBRARIES = ["trio", "h2", "hypercorn", "anycorn", "granian", "uvicorn", "httpx", "httpx2"]
_PROGRAMS = {"Node": ["node", "--version"], "nghttp2": ["h2load", "--version"]}


class Module(Protocol):
    """A benchmark module."""

    def rows(self, options: Options) -> Iterable[Row]:
        """Measures, and yields what was measured."""


def groups() -> list[str]:
    """Returns the names of the benchmark modules."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmarks, prints the table, and writes the files that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measures trio_h2 and its peers.")
    parser.add_argument("--only", nargs="+", choices=groups(), metavar="GROUP", help=f"of {', '.join(groups())}")
    parser.add_argument("--quick", action="store_true", help="a rough look, in a few minutes")
    parser.add_argument("--against", metavar="REF", help="measure the commit REF of trio_h2, too, as 'trio_h2 before'")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the values to FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the chart to FILE")
    parser.add_argument("--write-docs", action="store_true", help="put the results at the top of docs/benchmarks.md")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    with versions(options.against) as found:
        for name in options.only or groups():
            note(f"# {name}")
            module = cast("Module", importlib.import_module(f"tests.benchmarks.bench_{name}"))
            for row in module.rows(Options(found, quick=options.quick)):
                note(f"{row.group}: {row.who}: {row.value:,.6g} {row.unit}")
                rows.append(row)
    about = _about(quick=options.quick, against=options.against)
    sys.stdout.write("\n".join(f"{key}: {value}" for key, value in about.items()) + f"\n\n{as_table(rows)}")
    if options.json:
        options.json.write_text(as_json(rows, about), encoding="utf-8")
    if options.svg:
        options.svg.write_text(as_svg(rows), encoding="utf-8")
    if options.write_docs:
        write_docs(rows, about)


def _about(*, quick: bool, against: str | None) -> dict[str, str]:
    """Returns what a reader must know of a run: when, of what, with what, on what."""
    about = {"date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(), "trio_h2": _commit("HEAD")}
    if against is not None:
        about["trio_h2 before"] = _commit(against)
    about["mode"] = "quick" if quick else "full"
    about["Python"] = platform.python_version()
    for library in _LIBRARIES:
        try:
            about[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            about[library] = "missing"
    for name, command in _PROGRAMS.items():
        about[name] = _version(command)
    about["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return about


def _commit(ref: str) -> str:
    done = subprocess.run(["git", "rev-parse", "--short", ref], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no checkout"


def _version(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "missing"
    match = re.search(r"\d+(\.\d+)+", done.stdout)
    return match[0] if match else "unknown"


def write_docs(rows: Sequence[Row], about: dict[str, str]) -> None:
    """Puts a new entry under the heading "Results", above the older ones, and replaces chart and JSON."""
    head, mark, rest = _DOCUMENT.read_text(encoding="utf-8").partition("\n## Results\n")
    if not mark:
        raise SystemExit(f"{_DOCUMENT.name} has no heading 'Results'")
    told = ", ".join(f"{key} {value}" for key, value in about.items() if key != "date")
    entry = f"\n### {about['date']}\n\n{told}.\n\n{as_table(rows)}"
    _DOCUMENT.write_text(f"{head}{mark}{entry}{rest}", encoding="utf-8")
    _CHART.write_text(as_svg(rows), encoding="utf-8")
    _JSON.write_text(as_json(rows, about), encoding="utf-8")


if __name__ == "__main__":
    main()

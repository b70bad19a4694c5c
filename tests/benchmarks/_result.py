"""Measured values, and how they are written down: one table, JSON, and a chart as SVG.

A ratio says how many times better trio_h2 is than the other one, in the same group and unit: above 1, trio_h2 is
faster, smaller or cheaper, whichever way the unit counts.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OURS: Final = "trio_h2"
BEFORE: Final = "trio_h2 before"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value."""

    group: str
    """What was measured: "small responses, h2c, 10×10"."""
    who: str
    """Who was measured: `OURS`, `BEFORE`, "Node http2" …"""
    value: float
    unit: str
    better: Literal["higher", "lower"]
    """Whether more is better, or less."""


def median(values: Iterable[float]) -> float:
    """Returns the middle value, of an even number the lower of the two: a value that was really measured."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


def blocks(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Returns the rows by group and unit, both in the order in which they first appear."""
    units: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        units.setdefault(row.group, {}).setdefault(row.unit, []).append(row)
    return {(group, unit): block for group, by_unit in units.items() for unit, block in by_unit.items()}


def ratio(row: Row, block: Sequence[Row]) -> float | None:
    """Returns how many times better trio_h2 is than this row; None if trio_h2 was not measured, or a value is 0."""
    ours = next((other for other in block if other.who == OURS), None)
    if ours is None or not ours.value or not row.value:
        return None
    return ours.value / row.value if row.better == "higher" else row.value / ours.value


def as_table(rows: Iterable[Row]) -> str:
    """Returns a Markdown table that can be read as it stands."""
    lines = [("benchmark", "who", "value", "unit", "ratio")]
    for (group, unit), block in blocks(rows).items():
        for number, row in enumerate(block):
            times = ratio(row, block)
            told = "" if row.who == OURS or times is None else f"{times:.2f} ×"
            lines.append((group if number == 0 else "", row.who, _value(row.value), unit, told))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    rule = [f"{'-' * (width - 1)}{':' if column in (2, 4) else '-'}" for column, width in enumerate(widths)]
    texts = [_line(lines[0], widths), f"| {' | '.join(rule)} |", *(_line(line, widths) for line in lines[1:])]
    return "\n".join(texts) + "\n"


def as_json(rows: Iterable[Row], about: Mapping[str, str]) -> str:
    """Returns the rows, and what is to be said about the run (date, versions), as JSON."""
    return json.dumps({"about": dict(about), "rows": [dataclasses.asdict(row) for row in rows]}, indent=1) + "\n"


def from_json(text: str) -> tuple[list[Row], dict[str, str]]:
    """Reads back what `as_json` has written."""
    read = json.loads(text)
    return [Row(**row) for row in read["rows"]], read["about"]


_LEFT, _PLOT, _RIGHT, _STEP, _MAX_TIMES = 380, 560, 20, 20, 32
_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#aa4499",
    "#b8860b",
    "#56707f",
    "#cc3311",
    "#4477aa",
    "#117733",
    "#882255",
)
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #222 }
  .mark { font-size: 9px; font-weight: bold; fill: #fff; text-anchor: middle }
  .axis { text-anchor: middle; fill: #555 }
  .rule { stroke: #8884 } .one { stroke: #888; stroke-width: 2 }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .axis { fill: #aaa } .mark { fill: #fff } }
"""


def as_svg(rows: Iterable[Row]) -> str:
    """Returns a chart: one line for each group and unit, one numbered dot for each peer at its ratio.

    Dots to the right of the line "1 ×" are peers that trio_h2 beats. The axis is logarithmic; dots beyond its ends are
    drawn at the end.
    """
    charted = [(key, dots) for key, block in blocks(rows).items() if (dots := _dots(block))]
    names = list(dict.fromkeys(who for _, dots in charted for who, _ in dots))
    legend_rows = math.ceil(len(names) / 4)
    top = 44 + 18 * legend_rows
    width, height = _LEFT + _PLOT + _RIGHT, top + _STEP * len(charted) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{_STYLE}</style>",
        '<text x="8" y="16">how many times better trio_h2 is than each peer: right of “1 ×” trio_h2 wins</text>',
    ]
    for number, name in enumerate(names):
        left, y = 16 + 235 * (number % 4), 34 + 18 * (number // 4)
        parts += [_dot(left, y, number, name), f'<text x="{left + 12}" y="{y + 4}">{escape(name)}</text>']
    for power in range(-5, 6):
        x = _x(2.0**power)
        label = f"{2**power} ×" if power >= 0 else f"1/{2**-power} ×"
        kind = "one" if power == 0 else "rule"
        parts.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top}" y2="{height - 8}"/>')
        parts.append(f'<text class="axis" x="{x}" y="{top - 6}">{label}</text>')
    for line, ((group, unit), dots) in enumerate(charted):
        y = top + _STEP * line + 14
        parts.append(f'<line class="rule" x1="8" x2="{_LEFT + _PLOT}" y1="{y + 6}" y2="{y + 6}"/>')
        parts.append(f'<text x="8" y="{y}">{escape(group)}: {escape(unit)}</text>')
        for who, times in dots:
            parts.append(_dot(_x(times), y - 4, names.index(who), f"{who}: {times:.2f} ×"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column in (2, 4) else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _value(value: float) -> str:
    """Returns a number with at least three digits that count."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def _dots(block: Sequence[Row]) -> list[tuple[str, float]]:
    return [(row.who, times) for row in block if row.who != OURS and (times := ratio(row, block)) is not None]


def _x(times: float) -> float:
    end = math.log2(_MAX_TIMES)
    place = min(max(math.log2(times), -end), end)
    return round(_LEFT + 20 + (place + end) / (2 * end) * (_PLOT - 40), 1)


def _dot(x: float, y: float, number: int, title: str) -> str:
    colour = _COLOURS[number % len(_COLOURS)]
    return (
        f'<g><title>{escape(title)}</title><circle cx="{x}" cy="{y}" r="7" fill="{colour}"/>'
        f'<text class="mark" x="{x}" y="{y + 3}">{number + 1}</text></g>'
    )

"""The table, the JSON and the chart say what was measured."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.benchmarks._result import BEFORE, OURS, Row, as_json, as_svg, as_table, blocks, from_json, median, ratio

ROWS = [
    Row("small, h2c", OURS, 2000.0, "requests/s", "higher"),
    Row("small, h2c", "Node <http2>", 4000.0, "requests/s", "higher"),
    Row("small, h2c", OURS, 50.0, "CPU µs per request", "lower"),
    Row("small, h2c", "Node <http2>", 25.0, "CPU µs per request", "lower"),
    Row("import", OURS, 0.125, "s", "lower"),
    Row("import", BEFORE, 0.25, "s", "lower"),
    Row("alone", "floor", 12.345, "MB/s", "higher"),
]


def test_table() -> None:
    assert as_table(ROWS) == (
        "| benchmark  | who            | value | unit               |  ratio |\n"
        "| ---------- | -------------- | ----: | ------------------ | -----: |\n"
        "| small, h2c | trio_h2        | 2,000 | requests/s         |        |\n"
        "|            | Node <http2>   | 4,000 | requests/s         | 0.50 × |\n"
        "| small, h2c | trio_h2        |  50.0 | CPU µs per request |        |\n"
        "|            | Node <http2>   |  25.0 | CPU µs per request | 0.50 × |\n"
        "| import     | trio_h2        | 0.125 | s                  |        |\n"
        "|            | trio_h2 before | 0.250 | s                  | 2.00 × |\n"
        "| alone      | floor          |  12.3 | MB/s               |        |\n"
    )


def test_rows_of_one_block_need_not_come_together() -> None:
    assert as_table([ROWS[0], ROWS[2], ROWS[4], ROWS[1], ROWS[3], ROWS[5], ROWS[6]]) == as_table(ROWS)


@pytest.mark.parametrize(("better", "expected"), [("higher", 0.5), ("lower", 2.0)])
def test_a_ratio_above_one_is_good_news(better: str, expected: float) -> None:
    block = [
        Row("g", who, value, "u", "higher" if better == "higher" else "lower") for who, value in ((OURS, 2), ("x", 4))
    ]
    assert ratio(block[1], block) == expected


@pytest.mark.parametrize("block", [[Row("g", "x", 4, "u", "higher")], [Row("g", OURS, 0, "u", "higher")] * 2])
def test_there_is_no_ratio_without_both_values(block: list[Row]) -> None:
    assert ratio(block[0], block) is None


def test_json_can_be_read_back() -> None:
    about = {"date": "2030-01-02", "Python": "3.11"}
    assert from_json(as_json(ROWS, about)) == (ROWS, about)


def test_chart() -> None:
    tree = ElementTree.fromstring(as_svg(ROWS))
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    titles = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert {"small, h2c: requests/s", "small, h2c: CPU µs per request", "import: s"} <= set(texts)
    assert "alone: MB/s" not in texts, "without trio_h2 there is nothing to compare"
    assert titles == ["Node <http2>", BEFORE, "Node <http2>: 0.50 ×", "Node <http2>: 0.50 ×", f"{BEFORE}: 2.00 ×"]


def test_dots_stay_on_the_chart_and_keep_their_order() -> None:
    rows = [
        row
        for value in (1, 2, 1e9)
        for row in (Row(f"g{value}", OURS, value, "u", "higher"), Row(f"g{value}", "x", 1.5, "u", "higher"))
    ]
    svg = as_svg(rows)
    width = float(re.findall(r'width="(\d+)"', svg)[0])
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg)[1:]]
    assert len(places) == 3
    assert places == sorted(set(places))
    assert places[-1] < width


def test_nothing_measured() -> None:
    assert as_table([]).count("\n") == 2
    ElementTree.fromstring(as_svg([]))


def test_median_is_a_measured_value() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.0


def test_blocks_keep_the_order() -> None:
    assert list(blocks(ROWS)) == [
        ("small, h2c", "requests/s"),
        ("small, h2c", "CPU µs per request"),
        ("import", "s"),
        ("alone", "MB/s"),
    ]

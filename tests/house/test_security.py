"""`docs/security.md` names every limit with its default, and quotes the log as it is."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import pytest

from trio_h2 import ClientConfig, ServerConfig, SessionConfig
from trio_h2.websocket import WebSocketConfig

_ROOT = Path(__file__).parents[2]
_NUMBERS = {"int", "int | None", "float", "float | None"}


def _rows() -> list[list[str]]:
    """Returns the cells of the table: option, default, what it bounds, the peer, the log, attacks."""
    lines = (_ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert all(len(row) == 6 for row in rows)
    return rows[1:]


def _limits(config: SessionConfig) -> dict[str, object]:
    fields = [field for field in dataclasses.fields(config) if field.init and field.type in _NUMBERS]
    return {field.name: getattr(config, field.name) for field in fields}


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "inf" if value == math.inf else f"{value:g}"
    return str(value)


def test_every_limit_is_there_with_its_default() -> None:
    server, client = _limits(ServerConfig()), _limits(ClientConfig())
    wanted = {}
    for name in {**server, **client}:
        values = [_shown(limits[name]) for limits in (server, client) if name in limits]
        wanted[f"`{name}`"] = ", ".join(dict.fromkeys(values))
    for field in dataclasses.fields(WebSocketConfig):
        if field.name != "close_on_drain":
            wanted[f"`WebSocketConfig.{field.name}`"] = _shown(field.default)
    found = {row[0]: row[1] for row in _rows()}
    assert {name: found.get(name) for name in wanted} == wanted
    assert all("=)`" in name or name.startswith("(") for name in found.keys() - wanted.keys())


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0])
def test_the_log_is_quoted_as_it_is(row: list[str]) -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((_ROOT / "trio_h2").rglob("*.py")))
    assert row[3], "what the peer sees is missing"
    for quoted in re.findall(r"(?:DEBUG|INFO|WARNING|once) `([^`]+)`", row[4]):
        for piece in quoted.split("…"):
            assert len(piece) < 5 or piece.strip() in source, piece

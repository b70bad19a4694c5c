"""`help()` shows every field of the dataclasses that users meet: configurations, statistics, events, settings."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import pydoc
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.house.test_docstrings import _public_modules
from trio_h2 import ClientConfig, ServerConfig, SessionConfig, SessionStatistics
from trio_h2._field_docs import describe_fields
from trio_h2.websocket import WebSocketConfig

if TYPE_CHECKING:
    from types import ModuleType


def _dataclasses(module: ModuleType) -> list[type]:
    names: list[str] = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    found = [getattr(module, name) for name in names]
    return [cls for cls in found if inspect.isclass(cls) and dataclasses.is_dataclass(cls)]


CLASSES = sorted({cls for module in _public_modules() for cls in _dataclasses(module)}, key=lambda cls: cls.__name__)
CONFIGS = [ServerConfig, ClientConfig, WebSocketConfig]


def _entries(cls: type) -> dict[str, str]:
    """Returns what the docstring of a class says of each field, on one line."""
    _, _, section = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    entries: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            name, _, text = line.strip().partition(": ")
            entries[name] = text
        elif name:
            entries[name] += f" {line.strip()}"
    return entries


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__qualname__)
def test_every_field_is_told(cls: type) -> None:
    fields = {field.name for field in dataclasses.fields(cls) if field.init and not field.name.startswith("_")}
    entries = _entries(cls)
    assert fields - entries.keys() == set()
    assert [name for name, text in entries.items() if len(text) < 5] == []


@pytest.mark.parametrize("config", CONFIGS, ids=lambda cls: cls.__qualname__)
def test_every_option_has_its_default_and_its_unit(config: type) -> None:
    entries = _entries(config)
    for field in dataclasses.fields(config):
        if not field.init:
            continue
        text = entries[field.name]
        _, _, default = text.rpartition(" Default: ")
        if field.type == "float":
            assert ast.literal_eval(default.removesuffix(".").replace("math.inf", "1e999")) == field.default
        elif field.type in ("int", "int | None", "bool", "float | None", "str | None"):
            assert ast.literal_eval(default.removesuffix(".")) == field.default
        words = text.lower()
        if field.name.endswith(("timeout", "interval", "idle")):
            assert "second" in words, field.name
        elif field.name.endswith("rate"):
            assert "per second" in words, field.name
        elif field.name.endswith(("window", "budget", "size", "memory", "bytes", "length", "control")):
            assert "byte" in words, field.name


def test_help_shows_them() -> None:
    text = pydoc.plain(pydoc.render_doc(SessionStatistics))
    assert "waiting_for_slot: Requests (client), or responses to pushes (server)" in text


def test_a_field_that_a_subclass_changes_has_its_own_default() -> None:
    assert _entries(SessionConfig)["ping_interval"].endswith("Default: 60.0.")
    assert _entries(ServerConfig)["ping_interval"].endswith("Default: 60.0.")
    assert _entries(ClientConfig)["ping_interval"].endswith("Default: 300.0.")
    assert "Default: PaddingStrategy.NONE." in _entries(ClientConfig)["padding"]
    assert ClientConfig().__doc__ == ClientConfig.__doc__


def test_a_name_for_the_public_changes_nothing() -> None:
    """The source is where the class was written, not where it is said to be."""

    @describe_fields
    @dataclasses.dataclass(frozen=True)
    class Elsewhere(SessionStatistics):
        """Says something."""

    Elsewhere.__module__ = "trio_h2"
    assert "open_streams: Streams that are open on the wire." in (Elsewhere.__doc__ or "")


def test_without_docstrings_all_works_as_well() -> None:
    program = (
        "import trio_h2; print(trio_h2.ServerConfig().body_timeout, isinstance(trio_h2.ServerConfig.__doc__, str))"
    )
    command = [sys.executable, "-OO", "-c", program]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "120.0 True\n"


def test_without_the_source_the_summary_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_source(thing: object) -> str:
        raise OSError

    monkeypatch.setattr(inspect, "getsource", no_source)

    @describe_fields
    @dataclasses.dataclass
    class Alone:
        """Says something."""

        number: int = 0
        """Five."""

    assert Alone.__doc__ == "Says something."
    assert trio_h2.ServerConfig.__doc__

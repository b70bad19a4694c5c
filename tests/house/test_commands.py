"""The commands a newcomer reads are the commands that continuous integration runs."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_TEST_COMMAND = "python3 -m pip install nox && python3 -m nox -s tests"
_DEMO_COMMAND = "python3 -m pip install nox && python3 -m nox -s demo"


def _lines(name: str) -> list[str]:
    return [line.strip() for line in (_ROOT / name).read_text(encoding="utf-8").splitlines()]


def _sessions_of_noxfile() -> set[str]:
    text = (_ROOT / "noxfile.py").read_text(encoding="utf-8")
    return set(re.findall(r"^@nox\.session(?:\(.*\))?\ndef (\w+)", text, flags=re.MULTILINE))


def test_readme_names_both_commands() -> None:
    assert _TEST_COMMAND in _lines("README.md")
    assert _DEMO_COMMAND in _lines("README.md")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert _TEST_COMMAND in _lines(".ci/run")


def test_ci_runs_every_check() -> None:
    run = " ".join(line for line in _lines(".ci/run") if not line.startswith("#"))
    named = {word for names in re.findall(r"nox -s ([\w ]+)", run) for word in names.split()}
    assert _sessions_of_noxfile() - {"demo", "bench"} <= named


def test_ci_script_is_executable() -> None:
    assert os.access(_ROOT / ".ci" / "run", os.X_OK)


def test_documents_name_existing_sessions() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (_ROOT / name).read_text(encoding="utf-8")
        assert set(re.findall(r"nox -s (\w+)", text)) <= _sessions_of_noxfile(), name


def test_the_command_line_brings_no_test_tools() -> None:
    """What it needs beside the library: parsers of forms and WebSockets, and certificates for `--self-signed`."""
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert [re.split(r"[<>=]", needed)[0] for needed in extras["cli"]] == ["trio-h2[forms,websocket]", "trustme"]
    assert [re.split(r"[<>=]", needed)[0] for needed in extras["forms"]] == ["python-multipart"]
    assert [re.split(r"[<>=]", needed)[0] for needed in extras["websocket"]] == ["wsproto"]


def test_what_an_installation_brings() -> None:
    """Trio, h2 with its hpack, h11 and idna; everything else is behind an extra."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [re.split(r"[<>=]", needed)[0] for needed in project["dependencies"]] == [
        "trio",
        "h2",
        "h11",
        "hpack",
        "idna",
    ]


def test_the_oldest_python_is_the_same_everywhere() -> None:
    """What is required is the first version that the classifiers name, and what mypy and ruff check for."""
    whole = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = re.findall(r"Python :: (3\.\d+)", " ".join(whole["project"]["classifiers"]))
    assert whole["project"]["requires-python"] == f">={named[0]}"
    assert whole["tool"]["mypy"]["python_version"] == named[0]
    assert whole["tool"]["ruff"]["target-version"] == f"py{named[0].replace('.', '')}"
    assert named == [f"3.{minor}" for minor in range(11, 11 + len(named))]


def test_every_dependency_has_an_oldest_release() -> None:
    """`nox -s oldest` tests with it."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [needed for extra, needed in project["optional-dependencies"].items() if extra not in ("dev", "docs")]
    for needed in [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]:
        assert re.fullmatch(r"[\w.-]+>=[\w.]+(,<[\w.]+)?(; .+)?|trio-h2\[[\w,-]+\]", needed), needed

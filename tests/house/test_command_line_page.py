"""The page about the command line has every option that ``trio-h2 COMMAND --help`` knows."""

from __future__ import annotations

import re

import pytest

from docs._ext.command_line import page, prose
from trio_h2._cli._args import parse

_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(argv)
    assert ended.value.code == 0
    return capsys.readouterr().out


def sections() -> dict[str, str]:
    parts = re.split(r"^\.\. program:: trio-h2 (\w+)$", page(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_has_a_section(capsys: pytest.CaptureFixture[str]) -> None:
    listed = re.findall(r"^    (\w+)  ", printed(capsys, "--help"), re.MULTILINE)
    assert list(sections()) == listed == ["serve", "gateway", "get", "proxy", "view", "demo"]


@pytest.mark.parametrize("command", ["serve", "gateway", "get", "proxy", "view", "demo"])
def test_every_option_has_an_entry(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    # What stands at the beginning of a line of the help, up to where its text begins.
    heads = re.findall(r"^  (-[^ ].*?)(?:   ?|$)", printed(capsys, command, "--help"), re.MULTILINE)
    offered = {option for head in heads for option in _OPTION.findall(head)} - {"-h", "--help"}
    entries = re.findall(r"^\.\. option:: (-.+)$", sections()[command], re.MULTILINE)
    assert {option for entry in entries for option in _OPTION.findall(entry)} == offered
    assert (offered == set()) == (command == "demo")


def test_every_entry_says_something() -> None:
    entries = re.split(r"^\.\. option:: ", page(), flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if re.match(r".+\n\n   \S", entry) is None] == []


def test_what_an_entry_says() -> None:
    get = sections()["get"]
    assert ".. option:: --http1\n\n   Speak HTTP/1.1, also to ``http://``. Excludes ``--http2``.\n" in get
    assert ".. option:: URL\n\n   Where to: " in get
    assert "``trio-h2 get [OPTION …] URL [URL …]``" in get
    assert "keeps the order of the URLs (default: 1).\n" in get
    assert ".. option:: --access-log {off,text,json,common,combined}\n" in sections()["serve"]
    assert "Must be given." in sections()["proxy"]
    for command in ("serve", "gateway", "proxy"):
        entries = re.split(r"^\.\. option:: ", sections()[command], flags=re.MULTILINE)[1:]
        without = [entry.partition("\n")[0] for entry in entries if "Variable: ``TRIO_H2_" not in entry]
        assert without == ["--print-config"]
    assert "Default: ``30.0``" not in sections()["serve"]
    assert "Variable: ``TRIO_H2_ACCESS_LOG``." in sections()["serve"]
    assert "Variable" not in get


def test_marks_of_the_page_language_are_taken_as_they_stand() -> None:
    assert prose("a*b, --x-y of trio_h2.tls and x_") == r"a\*b, ``--x-y`` of ``trio_h2.tls`` and x\_"
    assert prose("trio-h2, 1-2") == "trio-h2, 1-2"

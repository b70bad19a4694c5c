"""`import trio_h2` is quick: the names are imported with the first of them, what only sessions need with a session."""

from __future__ import annotations

import subprocess
import sys

import pytest

import trio_h2
from tests.house.public import public_names

_LOADED = """
import sys
import trio
before = set(sys.modules)
import trio_h2
{use}
print(*sorted(set(sys.modules) - before))
"""
# What is slow to import, and where it is used.
_LATER = {
    "email": "`date` fields and content types",
    "h11": "connections of HTTP/1.1",
    "h2": "the engine of a session",
    "http": "the words for a status",
    "json": "bodies of JSON",
    "trio_h2._http1._core": "connections of HTTP/1.1",
    "trio_h2._session._core": "sessions",
    "trio_h2._wire._engine": "sessions",
    "urllib": "static files and multipart bodies",
}


def _loaded(use: str) -> set[str]:
    """Returns the modules that a program has imported which does this, without those of Trio."""
    code = _LOADED.format(use=use)
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_the_import_alone_imports_nothing() -> None:
    assert _loaded("") == {"trio_h2", "trio_h2._public", "trio_h2._version"}
    assert _loaded("trio_h2.__version__, trio_h2.__doc__, hasattr(trio_h2, '_nothing')") == _loaded("")


def test_servers_do_not_import_the_client() -> None:
    loaded = _loaded("trio_h2.connect, trio_h2.open_server, trio_h2.StreamResetError")
    assert "trio_h2._session._base" in loaded
    assert not [name for name in loaded if name.startswith("trio_h2._client")]
    assert "trio_h2._client._pool" in _loaded("trio_h2.Client")


_ROOMS = """
from types import FunctionType
from typing import get_type_hints
from trio_h2 import access_log, asgi, compat, constants, files, instruments, testing, tunnel, websocket
for room in (access_log, asgi, compat, constants, files, instruments, testing, tunnel, websocket):
    for name in room.__all__:
        if isinstance(getattr(room, name), FunctionType):
            get_type_hints(getattr(room, name))
"""


def test_the_other_modules_do_not_import_the_client_and_know_their_types_without_it() -> None:
    loaded = _loaded(_ROOMS)
    assert "trio_h2.websocket" in loaded
    assert not [name for name in loaded if name.startswith("trio_h2._client")]


def test_names_that_are_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'trio_h2' has no attribute 'conect'") as caught:
        trio_h2.conect  # type: ignore[attr-defined]  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("conect", trio_h2)
    assert not hasattr(trio_h2, "http.cookiejar")  # tools ask for such things
    with pytest.raises(ImportError, match="cannot import name 'conect'"):
        exec("from trio_h2 import conect")


def test_all_names_are_listed() -> None:
    assert {"Client", "connect", "StreamResetError", "__version__"} <= set(dir(trio_h2))
    assert [name for name in dir(trio_h2) if not hasattr(trio_h2, name)] == []
    names = public_names(trio_h2)
    assert len(set(names)) == len(names) > 100


def test_what_only_sessions_need_is_not_imported() -> None:
    loaded = _loaded("trio_h2.connect, trio_h2.open_server, trio_h2.Client")
    assert "trio_h2._session._base" in loaded
    early = {name: use for name, use in _LATER.items() if name in loaded}
    assert early == {}, "import it where it is used, if that is no hot path"


@pytest.mark.parametrize(
    "command", ["--help", "--version", "serve --help", "get --help", "proxy --help", "demo --help"]
)
def test_help_of_the_commands_does_not_wait_for_trio(command: str) -> None:
    assert not {"trio", "ssl", "trio_h2._names", "trio_h2._cli._get"} & _loaded_by_command(command)


def test_commands_do_not_import_each_other() -> None:
    loaded = _loaded_by_command("get http://127.0.0.1:1/")
    assert "trio_h2._cli._get" in loaded
    assert not {"trio_h2._cli._serve", "trio_h2._cli._demo", "trio_h2.files", "webbrowser"} & loaded
    loaded = _loaded_by_command("view no-such-file")
    assert "trio_h2._cli._view" in loaded
    assert "trio" not in loaded


def _loaded_by_command(arguments: str) -> set[str]:
    """Returns the modules that the command line imports for these arguments."""
    code = "import sys, trio_h2._cli; trio_h2._cli.main(sys.argv[1:]); print(); print(*sys.modules)"
    command = [sys.executable, "-c", code, *arguments.split()]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1].split())

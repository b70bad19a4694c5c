"""Every public name has an entry in the reference, on one page, and every page is in the list.

`nox -s docs` looks at the rest, when the docstrings have been read: methods, properties and fields.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from docs._ext.elsewhere import address
from docs._ext.public_names import public_modules, public_names

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
_ENTRY = re.compile(r"^\.\. (?:auto|py:)(?!module)\w+:: ([\w.]+)(?:\(.*\))?$", re.MULTILINE)
_MODULE = re.compile(r"^\.\. automodule:: ([\w.]+)$", re.MULTILINE)


def entries() -> Counter[str]:
    pages = "".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.rst"))
    return Counter(_ENTRY.findall(pages))


def test_every_public_name_has_one_entry() -> None:
    names = {f"{module}.{name}" for module in public_modules() for name in public_names(module)}
    names -= {f"trio_h2.constants.{name}" for name in public_names("trio_h2.constants")}  # one entry for all of them
    found = entries()
    assert names - found.keys() == set()
    assert found.keys() - names == set()
    assert [name for name, count in found.items() if count > 1] == []


def test_every_public_module_has_an_introduction() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.rst"))
    assert {"trio_h2", *_MODULE.findall(pages)} == set(public_modules())


def test_what_is_public() -> None:
    assert {"connect", "ServerStream", "ErrorCode"} <= set(public_names("trio_h2"))
    assert {"Request", "request_handler"} <= set(public_names("trio_h2.compat"))
    assert {"access_log", "Format"} <= set(public_names("trio_h2.access_log"))
    assert "HEADER_STATUS" in public_names("trio_h2.constants")
    assert "ErrorCode" not in public_names("trio_h2.constants")
    assert not [name for name in public_names("trio_h2") if name.startswith("_")]


def test_names_of_python_and_trio_have_addresses() -> None:
    assert address("str") == "https://docs.python.org/3/library/stdtypes.html#str"
    assert address("OSError") == "https://docs.python.org/3/library/exceptions.html#OSError"
    assert address("Callable") == "https://docs.python.org/3/library/collections.abc.html#collections.abc.Callable"
    assert address("trio.abc.Stream") == "https://trio.readthedocs.io/en/stable/reference-io.html#trio.abc.Stream"
    assert address("trio.CancelScope") == "https://trio.readthedocs.io/en/stable/reference-core.html#trio.CancelScope"
    assert address("trio.nothing") is None
    assert address("ServerStream") is None

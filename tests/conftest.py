"""What all tests share: which folders a plain run leaves to a session of their own, and fixtures."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Their assertions speak as those of tests do. Here, because tests of other folders import them, too.
pytest.register_assert_rewrite(
    "tests.compat.clients", "tests.sweep.wirelog", "tests.sweep.harness", "tests.sweep.robots", "tests.sweep.exchanges"
)

_INTEROP = Path(__file__).parent / "interop"


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Turns the cyclic garbage collector off: what is in a cycle stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options that `nox -s interop -- …` passes through."""
    parser.addoption(
        "--allow-missing",
        action="store_true",
        help="leave out interop tests whose foreign program is not installed, instead of failing them",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves the interop tests out unless they are named: they need programs that may not be installed."""
    if collection_path == _INTEROP and not any(_is_interop(argument, config) for argument in config.args):
        return True
    return None


def _is_interop(argument: str, config: pytest.Config) -> bool:
    """Whether an argument such as `tests/interop/test_curl.py::test_get` lies in the interop folder."""
    path = (config.invocation_params.dir / argument.split("::")[0]).resolve()
    return path.is_relative_to(_INTEROP)

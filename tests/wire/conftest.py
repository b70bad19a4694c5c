"""Every engine of a test has balanced books when the test ends, whatever happened to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wire.engine_pair import check_books, engines

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def balanced_books() -> Iterator[None]:
    """Checks the engines that the test made; those of a session that failed keep the ledger, too."""
    engines.clear()
    yield
    for engine in engines:
        check_books(engine)
    engines.clear()

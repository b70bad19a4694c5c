"""What the sweeps share: no error in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A cancelled exchange is nobody's error: nothing above INFO may be logged."""
    yield
    complaints = [record.getMessage() for record in caplog.get_records("call") if record.levelno > logging.INFO]
    assert complaints == []

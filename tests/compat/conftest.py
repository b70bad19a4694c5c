"""What these tests share: no handler may fail unnoticed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def complaints(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log, for a test whose handler is to fail."""
    return caplog


@pytest.fixture(autouse=True)
def _no_complaints(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing above INFO may be logged, unless the test asks for `complaints`."""
    yield
    if "complaints" not in request.fixturenames:
        records = [one for one in caplog.get_records("call") if one.levelno > logging.INFO]
        assert [one.getMessage() for one in records] == []

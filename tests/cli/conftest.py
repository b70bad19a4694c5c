"""What the tests of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.tools import Ended, fetch
from tests.cli.worker_tools import APP
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Command


@pytest.fixture
def get(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    """Runs `trio-h2 get` in this process and tells how it ended."""

    async def command(*argv: str) -> Ended:
        code = await fetch(*argv)
        out, err = capfdbinary.readouterr()
        return Ended(code, out, err.decode())

    return command


@pytest.fixture(scope="session")
def authority() -> ThrowawayAuthority:
    """Certificates for servers on this machine."""
    return ThrowawayAuthority()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A file with handlers for workers."""
    file = tmp_path / "app.py"
    file.write_text(APP)
    return file

"""The programs in docs/tunnels.md are right: they run, as far as their hosts exist here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import trio_h2
from tests.stream.harness import pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

GUIDE = (Path(__file__).parents[2] / "docs" / "tunnels.md").read_text(encoding="utf-8")


def programs() -> list[dict[str, object]]:
    """Runs every Python block, which only defines functions; returns what each has defined."""
    found = []
    for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        names: dict[str, object] = {}
        exec(compile(block, "docs/tunnels.md", "exec"), names)
        found.append(names)
    return found


@pytest.mark.parity("L2")
async def test_the_extended_connect_of_the_guide(autojump_clock: MockClock) -> None:
    names = programs()[-1]
    handler = cast("Callable[[trio_h2.ServerStream], Awaitable[None]]", names["handler"])
    client = cast("Callable[[trio_h2.ClientSession], Awaitable[None]]", names["client"])
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with pair(handler, server_config=config) as (session, _):
        await client(session)


def test_every_program_of_the_guide_can_be_imported() -> None:
    defined = {name for names in programs() for name in names}
    assert {"tcp", "tls", "http2", "serve", "handler", "client"} <= defined


def test_the_guide_names_every_status_of_the_proxy() -> None:
    source = "".join(path.read_text() for path in (Path(trio_h2.__file__).parent / "tunnel").glob("_*.py"))
    statuses = set(re.findall(r"Refusal\(\s*\*?\(?(\d\d\d)", source))
    assert statuses == set(re.findall(r"^\| (\d\d\d) \|", GUIDE, re.MULTILINE))
    assert len(statuses) == 8

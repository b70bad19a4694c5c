"""Applications of real frameworks that cannot start, or cannot shut down."""

from __future__ import annotations

import importlib
import importlib.util
import signal
import sys
from typing import TYPE_CHECKING, cast

import pytest

import trio_h2
from tests.interop.differential.servers import ROOT
from tests.interop.processes import running
from trio_h2 import asgi

if TYPE_CHECKING:
    from tests.interop.processes import PeerFinder

FRAMEWORKS = {"starlette": "starlette", "fastapi": "fastapi", "quart": "quart_trio", "litestar": "litestar"}
MODULE = "tests.interop.frameworks.failing"
# What Quart says has no type.
SAID = {"quart": "no database"}


@pytest.fixture(autouse=True)
def _installed(peers: PeerFinder) -> None:
    for library in FRAMEWORKS.values():
        if importlib.util.find_spec(library) is None:
            peers.missing(f"the library {library} is not installed")


def application(name: str) -> asgi.Application:
    return cast("asgi.Application", getattr(importlib.import_module(MODULE), name))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("when", ["start", "end"])
async def test_what_is_raised(framework: str, when: str) -> None:
    begun = False
    with pytest.raises(asgi.LifespanError) as raised:
        async with asgi.lifespan(application(f"{framework}_{when}")):
            begun = True
    did = "shut down" if when == "end" else "start"
    said = SAID.get(framework, "ConnectionError: no database")
    assert (str(raised.value), begun) == (f"the application could not {did}: {said}", when == "end")


@pytest.mark.parametrize("when", ["start", "end"])
async def test_what_the_command_line_says(when: str) -> None:
    """One line, and 1."""
    serve = ("serve", "--asgi", f"{MODULE}:starlette_{when}", "--port", "0", "--host", "127.0.0.1")
    async with running(sys.executable, "-m", "trio_h2", *serve, cwd=ROOT) as program:
        if when == "end":
            await program.wait_for("Listening")
            program.process.send_signal(signal.SIGTERM)
        assert await program.wait_ended() == 1
    did = "shut down" if when == "end" else "start"
    assert f"trio-h2: the application could not {did}: ConnectionError: no database\n" in program.output


async def test_an_application_without_lifespan() -> None:
    app = application("without")
    async with (
        asgi.lifespan(app) as state,
        trio_h2.open_server(asgi.handler(app, state=state)) as server,
        trio_h2.Client(prior_knowledge=True) as client,
        client.request("GET", server.url) as response,
    ):
        assert await response.read() == b"no lifespan"
    with pytest.raises(asgi.LifespanError, match="raised AssertionError"):
        async with asgi.lifespan(app, mode="on"):
            pytest.fail("it has started")

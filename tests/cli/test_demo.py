"""The tour works, and tells when something does not."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING

import pytest
import trio

from tests.cli.tools import run
from trio_h2._cli import _demo
from trio_h2._cli._args import DemoOptions
from trio_h2._cli._demo_server import DemoServer
from trio_h2._cli._errors import CommandError

if TYPE_CHECKING:
    from trio_h2 import ServerStream


async def test_the_tour_as_a_newcomer_sees_it() -> None:
    ended = await run("demo")
    assert (ended.code, ended.err) == (0, "")
    text = ended.out.decode()
    assert "FAILED" not in text
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", text, flags=re.MULTILINE)]
    with_starlette = importlib.util.find_spec("starlette") is not None
    assert steps == list(range(1, 15 if with_starlette else 14))
    assert ("An application of Starlette" in text) == with_starlette
    checks = re.findall(r"^ +ok: ", text, flags=re.MULTILINE)
    assert f"All {len(checks)} checks passed." in text.splitlines()[-1]
    features = [
        "certificate",
        "upload",
        "conversation",
        "trailers",
        "100 requests",
        "giving up",
        "timeout",
        "server push",
        "tunnel",
    ]
    features.append("shutting")
    assert [feature for feature in features if feature not in text.lower()] == []


class Wrong(DemoServer):
    """Does one thing wrong, that of `path`."""

    path = ""

    async def __call__(self, stream: ServerStream) -> None:
        if stream.path == self.path:
            async for _ in stream:
                pass
            await stream.respond(200, body=b"something else")
        else:
            await super().__call__(stream)


@pytest.mark.parametrize("path", ["/hello", "/upload", "/checked", "/slow", "/never"])
async def test_every_step_is_checked(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Wrong, "path", path)
    monkeypatch.setattr(_demo, "DemoServer", Wrong)
    with pytest.raises(CommandError, match=r"the demo failed in step \d+: "):
        await _demo.demo(DemoOptions())
    assert "passed" not in capsys.readouterr().out


async def test_a_tour_that_gets_stuck(monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock) -> None:
    async def stuck(tour: _demo.Tour) -> None:
        tour.step("A step")
        await trio.sleep_forever()

    monkeypatch.setattr(_demo, "run_tour", stuck)
    with pytest.raises(CommandError, match="failed in step 1: TooSlowError"):
        await _demo.demo(DemoOptions())


async def test_a_tour_without_starlette(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_demo, "has_starlette", lambda: False)
    assert await _demo.demo(DemoOptions()) == 0
    assert "with Starlette installed" in capsys.readouterr().out

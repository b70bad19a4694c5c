"""What the README and the guides say of the command line is right."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from trio_h2 import ServerConfig
from trio_h2._cli import _workers
from trio_h2._cli._args import GRACE, ServeOptions, parse
from trio_h2._cli._binds import Bind
from trio_h2._cli._errors import UsageError
from trio_h2._cli._serve import prepare
from trio_h2.access_log import access_log

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "docs/deploying.md",
    "docs/tunnels.md",
    "docs/get.md",
    "docs/gateway.md",
    "examples/behind_haproxy/haproxy.cfg",
]
COMMAND = re.compile(r"^(?:#? *|.*`|\$ )trio-h2 ((?:serve|gateway|get|proxy|demo)\b[^`#\n]*)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_is_understood(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "docs" / "code")  # where files are that pages show
    lines = COMMAND.findall((ROOT / page).read_text(encoding="utf-8"))
    assert lines
    for line in lines:
        parse(shlex.split(line))


def test_the_guide_names_every_way_to_serve() -> None:
    guide = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    for option in ("workers", "allow_http1", "proxy_protocol", "access_log", "self_signed", "cert", "key"):
        assert option in ServeOptions.__dataclass_fields__
        assert f"`--{option.replace('_', '-')}" in guide, option
    assert f"killed {_workers.MARGIN:.0f} seconds after that" in guide
    assert ServerConfig().drain_timeout == GRACE
    assert f"{GRACE:.0f} seconds" in guide
    assert access_log.__module__ in guide


def test_the_file_of_options_in_the_guide() -> None:
    here = ROOT / "docs" / "code"
    assert parse(["serve", "--config", str(here / "server.toml")]) == ServeOptions(
        asgi="site.web:app",
        app_dir=f"{here}/.",
        binds=(Bind(None, 443), Bind("::1", 8443)),
        cert=f"{here}/cert.pem",
        key=f"{here}/key.pem",
        workers=4,
        allow_http1=True,
        access_log="json",
    )


def test_the_routes_in_the_guide() -> None:
    file = ROOT / "docs" / "code" / "gateway.toml"
    options = parse(["gateway", "--config", str(file)])
    assert isinstance(options, ServeOptions)
    assert options.routes_file == str(file)
    with pytest.raises(UsageError, match=r"route 4: cannot load the app: there is no module"):
        prepare(options)  # all but the application are there


def test_the_unit_of_systemd_in_the_guide() -> None:
    unit = (ROOT / "docs" / "code" / "app.service").read_text(encoding="utf-8")
    [line] = re.findall(r"^ExecStart=\S*/trio-h2 (.*)$", unit, re.MULTILINE)
    options = parse(shlex.split(line))
    assert isinstance(options, ServeOptions)
    assert options.cert is not None, "or the signal of ExecReload ends the server"

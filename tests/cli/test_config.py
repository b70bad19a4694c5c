"""Options from a file, from variables, and from the command line."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING

import pytest
import trio

from tests.cli.tools import assert_one_line, fetch, run, running
from trio_h2._cli import main
from trio_h2._cli._args import ProxyOptions, ServeOptions, command_parsers, parse
from trio_h2._cli._binds import Bind
from trio_h2._cli._config_file import toml

if TYPE_CHECKING:
    from pathlib import Path

_EVERYTHING = """
app = "app.py:handle"
app-dir = "modules"
host = "::1"
port = 8443
bind = [":80", "[::1]:81"]
unix = "h2.sock:660"
fd = [3, 4]
cert = "cert.pem"
key = "/etc/key.pem"
key-password = "../password"
trace = "t.sqlog"
workers = 4
max-requests = 1000
max-requests-jitter = 50
graceful-timeout = 2.5
health-bind = "127.0.0.1:9000"
reload = true
reload-dir = ["src"]
reload-include = ["*.html"]
metrics-bind = ":9001"
allow-http1 = true
proxy_protocol = true
trusted_proxy = ["10.0.0.0/8", "unix"]
access-log = "json"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the options of a test are written."""
    return tmp_path / "server.toml"


def of(file: Path, text: str, *argv: str) -> object:
    """What the options of a file mean for ``serve``."""
    file.write_text(text)
    return parse(["serve", "--config", str(file), *argv])


# -- the file ------------------------------------------------------------------------------------------------------


def test_every_option_has_its_key_and_paths_begin_at_the_file(file: Path) -> None:
    here = str(file.parent)
    assert of(file, _EVERYTHING) == ServeOptions(
        app=f"{here}/app.py:handle",
        app_dir=f"{here}/modules",
        binds=(
            *(Bind("::1", 8443), Bind(None, 80), Bind("::1", 81), Bind(path=f"{here}/h2.sock", mode=0o660)),
            *(Bind(descriptor=3), Bind(descriptor=4)),
        ),
        cert=f"{here}/cert.pem",
        key="/etc/key.pem",
        key_password=f"{here}/../password",
        trace=f"{here}/t.sqlog",
        workers=4,
        max_requests=1000,
        max_requests_jitter=50,
        graceful_timeout=2.5,
        health_bind=Bind("127.0.0.1", 9000),
        reload=True,
        reload_dirs=(f"{here}/src",),
        reload_include=("*.html",),
        metrics_bind=Bind(None, 9001),
        allow_http1=True,
        proxy_protocol=True,
        trusted_proxies=("10.0.0.0/8", "unix"),
        access_log="json",
    )


def test_a_directory(file: Path) -> None:
    text = 'directory = "site"\nhidden = true\nlisting = true\nfallback = "index.html"\nself-signed = true\n'
    assert of(file, text + 'write-ca = "ca.pem"') == ServeOptions(
        directory=f"{file.parent}/site",
        hidden=True,
        listing=True,
        fallback="index.html",
        self_signed=True,
        write_ca=f"{file.parent}/ca.pem",
    )


def test_an_asgi_application(file: Path) -> None:
    text = 'asgi = "site.web:app"\nfactory = true\nroot-path = "/api"\nlifespan = "off"\n'
    assert of(file, text) == ServeOptions(
        asgi="site.web:app", factory=True, root_path="/api", lifespan="off", allow_http1=True
    )


def test_a_proxy(file: Path) -> None:
    file.write_text('allow = ["example.org:443", "10.0.0.0/8:*"]\nport = 3128\n')
    expected = ProxyOptions(allow=("example.org:443", "10.0.0.0/8:*"), binds=(Bind("localhost", 3128),))
    assert parse(["proxy", "--config", str(file)]) == expected


def test_every_option_of_a_server_can_stand_in_a_file(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("serve", "proxy"):
        for action in command_parsers()[command].arguments():
            name = max(action.option_strings, key=len, default=action.dest).lstrip("-")
            file.write_text(f"{name} = {{}}")
            assert main([command, "--config", str(file)]) == 2
            known = name not in ("help", "config", "print-config")
            assert_one_line(capfd.readouterr().err, f"server.toml: {name} must be" if known else "no option")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 80", ["no option 'prot'", "did you mean 'port'?"]),
        ("Port = 80", ["no option 'Port'", "did you mean 'port'?"]),
        ("config = 'x'", ["no option 'config'"]),
        ("[serve]\nport = 1", ["no option 'serve'"]),
        ("port = 70000", ["port must be a number from 0 to 65535", "70000"]),
        ("port = -1", ["port must be a number from 0 to 65535", "-1"]),
        ("port = 1.5", ["port must be a number from 0 to 65535", "1.5"]),
        ("port = 'x'", ["port must be a number from 0 to 65535", "'x'"]),
        ("port = '80'", ['port must be a number without quotes, not "80"']),
        ("port = true", ["port must be a number, not true"]),
        ("port = [80]", ["port must be a number, not [80]"]),
        ("graceful-timeout = inf", ["graceful-timeout must be a number of seconds from 0 to 86400", "inf"]),
        ("workers = inf", ["workers must be a number from 1 to 512", "inf"]),
        ("allow-http1 = 'yes'", ['allow-http1 must be true or false, not "yes"']),
        ("access-log = 'xml'", ["access-log must be one of off, text, json, common, combined, not 'xml'"]),
        ("access-log = false", ["access-log must be one of off, text, json, common, combined, not false"]),
        ("cert = 1979-05-27", ["cert must be a string, not 1979-05-27"]),
        ("cert = {a = 1}", ["cert must be a string, not {a = 1}"]),
        ("bind = '80'", ["bind must be HOST:PORT", "'80'"]),
        ("bind = [':80', 81]", ["bind must be a string, not 81"]),
        ("fd = 'x'", ["fd must be the number of an open descriptor", "'x'"]),
        ('unix = "a\\u0000"', ["unix must be PATH or PATH:MODE"]),
        ("allow-http1 = true\nallow_http1 = true", ["allow_http1 is there as allow-http1, too"]),
        ("cert = 'c'\nself-signed = true", ["self-signed excludes cert"]),
        ("directory = '.'\nasgi = 'm:n'", ["asgi excludes directory"]),
        ("port = \nhost = 'x'", ["server.toml is not TOML", "line 1"]),
        ("a = " + "[" * 5000, ["server.toml is not TOML"]),
        ("key = 'k'", ["--key needs --cert"]),
    ],
)
def test_what_is_wrong_in_a_file_is_told_in_one_line(
    text: str, words: list[str], file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text)
    assert main(["serve", "--config", str(file)]) == 2
    assert_one_line(capfd.readouterr().err, *words)


def test_a_file_that_cannot_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--config", str(tmp_path / "no.toml")]) == 2
    assert_one_line(capfd.readouterr().err, "no.toml", "No such file")
    assert main(["serve", "--config", str(tmp_path)]) == 2
    assert_one_line(capfd.readouterr().err, "Is a directory")
    (tmp_path / "latin.toml").write_bytes(b"host = '\xe4'")
    assert main(["serve", "--config", str(tmp_path / "latin.toml")]) == 2
    assert_one_line(capfd.readouterr().err, "latin.toml is not TOML", "UTF-8")


# -- variables, and what beats what --------------------------------------------------------------------------------


def test_the_command_line_beats_variables_and_these_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_H2_PORT", "2")
    monkeypatch.setenv("TRIO_H2_ACCESS_LOG", "text")
    text = 'port = 1\naccess-log = "json"\nworkers = 1\n'
    assert of(file, text, "--port", "3") == ServeOptions(
        directory=".", binds=(Bind("localhost", 3),), access_log="text", workers=1
    )


def test_a_list_replaces_a_list(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'bind = [":1", ":2"]\nunix = "s"\ntrusted-proxy = "10.0.0.0/8"\n'
    monkeypatch.setenv("TRIO_H2_BIND", ":3, [::1]:4")
    expected = ServeOptions(directory=".", binds=(Bind(None, 3), Bind("::1", 4)), trusted_proxies=("10.0.0.0/8",))
    assert of(file, text) == expected
    expected = ServeOptions(directory=".", binds=(Bind(None, 5),), trusted_proxies=("unix",))
    assert of(file, text, "--bind", ":5", "--trusted-proxy", "unix") == expected


@pytest.mark.parametrize("word", ["1", "true", "YES", "on"])
def test_a_flag_can_be_turned_off_again(word: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(file, "hidden = true", "--no-hidden") == ServeOptions(directory=".")
    monkeypatch.setenv("TRIO_H2_HIDDEN", word)
    assert of(file, "hidden = false") == ServeOptions(directory=".", hidden=True)
    assert of(file, "", "--no-hidden") == ServeOptions(directory=".")
    monkeypatch.setenv("TRIO_H2_HIDDEN", "off")
    assert of(file, "hidden = true") == ServeOptions(directory=".")


def test_what_excludes_something_replaces_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(file, 'cert = "/c"', "--self-signed") == ServeOptions(directory=".", self_signed=True)
    assert of(file, "self-signed = true", "--cert", "c") == ServeOptions(directory=".", cert="c")
    assert of(file, 'cert = "/c"\nself-signed = false') == ServeOptions(directory=".", cert="/c")
    assert of(file, 'asgi = "m:n"', "--app", "n:m") == ServeOptions(app="n:m")
    monkeypatch.setenv("TRIO_H2_ASGI", "m:n")
    assert of(file, "", "site") == ServeOptions(directory="site")


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_H2_PORT", "")
    monkeypatch.setenv("TRIO_H2_SERVICE_HOST", "10.0.0.1")  # of somebody else
    assert parse(["serve"]) == ServeOptions(directory=".")


def test_a_variable_names_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("workers = 3")
    monkeypatch.setenv("TRIO_H2_CONFIG", str(file))
    assert parse(["serve"]) == ServeOptions(directory=".", workers=3)


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("TRIO_H2_PORT", "tcp://10.0.0.1:80", "must be a number from 0 to 65535"),
        ("TRIO_H2_FACTORY", "maybe", "must be one of 1, true, yes, on, 0, false, no, off, not 'maybe'"),
        ("TRIO_H2_LIFESPAN", "maybe", "must be one of auto, on, off"),
        ("TRIO_H2_BIND", ":1,2", "must be HOST:PORT"),
    ],
)
def test_a_wrong_variable(
    name: str, text: str, word: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, text)
    assert main(["serve"]) == 2
    assert_one_line(capfd.readouterr().err, name, word)


# -- what results --------------------------------------------------------------------------------------------------


def printed(capfd: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main([*argv, "--print-config"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize(
    "argv",
    [
        "serve",
        "serve site --hidden --fallback index.html --self-signed --write-ca ca.pem",
        "serve --unix a:640 --bind :80 --bind [::1]:81 --bind x:82 --unix b --fd 3 --host ::1 --trusted-proxy unix",
        "serve --app app.py:f --app-dir . --cert c --key k --key-password p --trace t --workers 3 --proxy-protocol",
        "serve --app m.py:n --reload --reload-dir /a --reload-include *.html",
        "serve --workers 3 --graceful-timeout 1.5 --max-requests 5 --max-requests-jitter 2",
        "serve --asgi m.n:f --factory --root-path /é --lifespan on --access-log common --port 0",
        "proxy --allow *:443 --allow [::1]:80 --port 1 --health-bind [::1]:9 --metrics-bind :10",
    ],
)
def test_what_is_printed_can_be_read_back(
    argv: str, file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = argv.split()
    out = printed(capfd, *command)
    # Of what the parsers know, all is there, set or not.
    keys = {setting.strip("# ").partition(" ")[0] for setting in out.splitlines()}
    for action in command_parsers()[command[0]].arguments():
        name = max(action.option_strings, key=len, default=action.dest).lstrip("-")
        assert (name in keys) == (name not in ("help", "config", "print-config"))
    file.write_text(out)
    again = printed(capfd, command[0], "--config", str(file))
    assert tomllib.loads(again) == tomllib.loads(out)
    paths = dict.fromkeys(("cert", "key", "key_password", "trace", "write_ca", "directory", "app", "app_dir"))
    expected, got = parse(command), parse([command[0], "--config", str(file)])
    assert isinstance(got, ServeOptions | ProxyOptions)
    assert type(expected) is type(got)
    for name in type(got).__dataclass_fields__:
        mine, theirs = getattr(expected, name), getattr(got, name)
        if name in paths and mine is not None and (name, mine) != ("directory", "."):
            assert theirs == os.path.join(os.getcwd(), mine)
        elif name == "binds":
            assert {bind.path and os.path.basename(bind.path) for bind in theirs} == {bind.path for bind in mine}
            assert {(bind.host, bind.port, bind.mode, bind.descriptor) for bind in theirs} == {
                (bind.host, bind.port, bind.mode, bind.descriptor) for bind in mine
            }
        else:
            assert theirs == mine


def test_it_says_where_values_come_from(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("workers = 2\nport = 1\nhidden = true\n")
    monkeypatch.setenv("TRIO_H2_PORT", "2")
    monkeypatch.setenv("TRIO_H2_UNIX", "/s:600")
    monkeypatch.setenv("TRIO_H2_BIND", ":1")
    out = printed(capfd, "serve", "--config", str(file), "--no-hidden")
    lines = {" ".join(line.split()) for line in out.splitlines()}
    assert {
        f"workers = 2 # {file}",
        "port = 2 # TRIO_H2_PORT",
        'bind = [":1"] # TRIO_H2_BIND, TRIO_H2_UNIX',
        'unix = ["/s:600"] # TRIO_H2_BIND, TRIO_H2_UNIX',
        "hidden = false # command line",
        'access-log = "off" # default',
        "# cert = # not set",
    } <= lines


def test_nothing_is_printed_of_what_is_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--key", "k", "--print-config"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert_one_line(err, "--key needs --cert")
    assert main(["serve", "--cert", "\udcff", "--print-config"]) == 2
    assert_one_line(capfd.readouterr().err, "--cert has a name that TOML cannot express")


# -- a server ------------------------------------------------------------------------------------------------------


async def test_a_server_of_a_file(file: Path) -> None:
    there = trio.Path(file.parent / "site")
    await there.mkdir()
    await (there / "here").write_bytes(b"x")
    await trio.Path(file).write_text('directory = "site"\nhost = "127.0.0.1"\n')
    async with running("serve", "--config", str(file)) as server:
        url = await server.url()
        assert url.startswith("http://127.0.0.1:")
        assert await fetch(f"{url}/here", "--fail") == 0


async def test_no_traceback(file: Path) -> None:
    await trio.Path(file).write_text("port = 99999")
    ended = await run("serve", "--config", str(file))
    ended.failed(2, str(file), "port", "65535", "99999")


def test_what_is_written_can_be_read() -> None:
    value = {"a": ['"\\\n\t\x00\x7fé😀', True, 3, 1.5, []], "b c": {"d": "x"}}
    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}

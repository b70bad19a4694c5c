"""What the arguments mean, and which are refused."""

from __future__ import annotations

import re

import pytest

import trio_h2
from tests.cli.tools import assert_one_line
from trio_h2._cli import main
from trio_h2._cli._args import LOG_FORMATS, DemoOptions, GetOptions, ProxyOptions, ServeOptions, parse
from trio_h2._cli._binds import Bind
from trio_h2.access_log import FORMATS


def test_the_formats_of_the_access_log_are_those_of_the_library() -> None:
    assert ("off", *FORMATS) == LOG_FORMATS


def test_serve_by_default_serves_here() -> None:
    assert parse(["serve"]) == ServeOptions(directory=".", binds=())


def test_serve_takes_everything() -> None:
    argv = ["serve", "--app", "x.py:f", "--host", "::1", "--port", "65535", "--self-signed", "--write-ca", "ca.pem"]
    assert parse(argv) == ServeOptions(app="x.py:f", binds=(Bind("::1", 65535),), self_signed=True, write_ca="ca.pem")
    assert parse(["serve", "dir", "--cert", "c", "--key", "k"]) == ServeOptions(directory="dir", cert="c", key="k")
    assert parse(["serve", "--cert", "c", "--key-password", "p"]) == ServeOptions(
        directory=".", cert="c", key_password="p"
    )
    argv = ["serve", "--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "unix"]
    assert parse(argv) == ServeOptions(directory=".", trusted_proxies=("10.0.0.0/8", "unix"))
    argv = ["serve", "--unix", "a:600", "--bind", ":80", "--fd", "3", "--port", "1"]
    binds = (Bind("localhost", 1), Bind(path="a", mode=0o600), Bind(None, 80), Bind(descriptor=3))
    assert parse(argv) == ServeOptions(directory=".", binds=binds)
    assert parse(["serve", "--fallback", "index.html"]) == ServeOptions(directory=".", fallback="index.html")
    argv = ["serve", "--workers", "2", "--max-requests", "9", "--max-requests-jitter", "3", "--graceful-timeout", "0.5"]
    assert parse(argv) == ServeOptions(
        directory=".", workers=2, max_requests=9, max_requests_jitter=3, graceful_timeout=0.5
    )
    argv = ["serve", "--app", "m:n", "--reload", "--reload-dir", "a", "--reload-dir", "b", "--reload-include", "*.x"]
    assert parse(argv) == ServeOptions(app="m:n", reload=True, reload_dirs=("a", "b"), reload_include=("*.x",))
    argv = ["serve", "--health-bind", ":1", "--metrics-bind", "[::1]:2"]
    assert parse(argv) == ServeOptions(directory=".", health_bind=Bind(None, 1), metrics_bind=Bind("::1", 2))
    assert parse(["serve", "--hidden", "--listing"]) == ServeOptions(directory=".", hidden=True, listing=True)


def test_get_takes_everything() -> None:
    argv = ["get", "u", "-X", "PUT", "-H", "a: b", "-H", "c: d", "-d", "@f", "-o", "o", "-i", "--ca", "c", "--fail"]
    argv += ["--proxy", "p"]
    assert parse(argv) == GetOptions(
        urls=("u",),
        method="PUT",
        headers=("a: b", "c: d"),
        data="@f",
        output="o",
        include=True,
        ca="c",
        proxy="p",
        fail=True,
    )


def test_get_takes_everything_else() -> None:
    argv = ["get", "u", "-L", "-O", "-u", "jane:a:b", "--json", "{}", "--parallel", "3", "--retry", "0", "--http1"]
    assert parse(argv) == GetOptions(
        urls=("u",), location=True, remote_name=True, user="jane:a:b", json="{}", parallel=3, retry=0, http1=True
    )
    argv = ["get", "u", "--location", "--remote-name", "--http2", "--compressed"]
    assert parse(argv) == GetOptions(urls=("u",), location=True, remote_name=True, http2=True, compressed=True)


@pytest.mark.parametrize("user", ["s3cret", ":s3cret", ""])
def test_a_user_without_a_name_or_a_password(user: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "u", "-u", user]) == 2
    err = capfd.readouterr().err
    assert_one_line(err, "-u must look like USER:PASSWORD")
    assert "s3cret" not in err


def test_proxy_takes_everything() -> None:
    argv = ["proxy", "--allow", "a:1", "--host", "::1", "--port", "1", "--cert", "c", "--key", "k", "--allow", "*.b:*"]
    assert parse(argv) == ProxyOptions(allow=("a:1", "*.b:*"), binds=(Bind("::1", 1),), cert="c", key="k")
    argv = ["proxy", "--allow", "a:1", "--self-signed", "--write-ca", "f"]
    assert parse(argv) == ProxyOptions(allow=("a:1",), self_signed=True, write_ca="f")


def test_urls_may_stand_anywhere() -> None:
    options = parse(["get", "one", "-i", "two", "--insecure", "three"])
    assert options == GetOptions(urls=("one", "two", "three"), include=True, insecure=True)


def test_demo_has_no_options() -> None:
    assert parse(["demo"]) == DemoOptions()


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        ("", "COMMAND"),
        ("fetch", "fetch"),
        ("get", "URL"),
        ("get u -z", "-z"),
        ("get u --ins", "--ins"),
        ("get u -i v -z w", "-z"),
        ("get u -X", "-X"),
        ("get u --ca f --insecure", "--insecure"),
        ("serve a b", "b"),
        ("serve a --app f.py:n", "--app"),
        ("serve --port x", "'x'"),
        ("serve --port -1", "--port"),
        ("serve --port 65536", "65535"),
        ("serve --port ²", "--port"),
        ("serve --key k", "--cert"),
        ("serve --key-password p", "--cert"),
        ("serve --cert c --self-signed", "--self-signed"),
        ("serve --write-ca f", "--self-signed"),
        ("serve --write-ca f --cert c", "--self-signed"),
        ("serve --host=", "--host"),
        ("serve --bind 80", "--bind"),
        ("serve --unix=", "--unix"),
        ("serve --fd x", "--fd"),
        ("serve --workers 0", "--workers"),
        ("serve --reload", "--reload needs --app or --asgi"),
        ("serve --app m:n --reload-dir d", "--reload-dir needs --reload"),
        ("serve --app m:n --reload-include *.x", "--reload-include needs --reload"),
        ("serve --health-bind 80", "must be HOST:PORT"),
        ("serve --workers 2 --max-requests 0", "from 1 to 999999999"),
        ("serve --max-requests 9", "--max-requests needs --workers"),
        ("serve --workers 2 --max-requests-jitter 9", "needs --max-requests"),
        ("serve --graceful-timeout -1", "--graceful-timeout"),
        ("serve --graceful-timeout inf", "must be a number of seconds from 0 to 86400"),
        ("serve --graceful-timeout 86401", "must be a number of seconds from 0 to 86400"),
        ("proxy --allow a:1 --graceful-timeout x", "must be a number of seconds from 0 to 86400"),
        ("serve --app f.py:n --hidden", "--hidden"),
        ("serve --asgi m:n --hidden", "--hidden"),
        ("serve a --asgi m:n", "--asgi"),
        ("serve --app m:n --asgi m:n", "--asgi"),
        ("serve --app m:n --factory", "--factory needs --asgi"),
        ("serve --app m:n --root-path /a", "--root-path needs --asgi"),
        ("serve --lifespan off", "--lifespan needs --asgi"),
        ("serve --asgi m:n --lifespan maybe", "maybe"),
        ("serve --app-dir d", "--app-dir needs --app or --asgi"),
        ("serve --app f.py:n --listing", "--listing"),
        ("serve --app f.py:n --fallback index.html", "--fallback"),
        ("serve --access-log xml", "--access-log"),
        ("get u -w", "-w"),
        ("get u --proxy", "--proxy"),
        ("get u -d x --json y", "--json"),
        ("get u -o x -O", "-O"),
        ("get u --http1 --http2", "--http2"),
        ("get u --parallel 0", "1 to 1000"),
        ("get u --retry -1", "--retry"),
        ("get u --retry x", "0 to 1000"),
        ("proxy", "--allow"),
        ("proxy --allow", "--allow"),
        ("proxy --allow a:1 b:2", "b:2"),
        ("proxy --allow a:1 --key k", "--cert"),
        ("proxy --allow a:1 --write-ca f", "--self-signed"),
        ("demo now", "now"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(argv: str, word: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(argv.split()) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert_one_line(err, word, "--help")


def test_wrong_usage_with_a_line_break_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["get\n\x1b[31m"]) == 2
    assert_one_line(capfd.readouterr().err, r"get\n\x1b[31m")


@pytest.mark.parametrize("argv", [["--help"], ["serve", "--help"], ["get", "-h"], ["proxy", "-h"], ["demo", "-h"]])
def test_help(argv: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    out, err = capfd.readouterr()
    assert out.startswith("usage: trio-h2")
    assert err == ""


def test_help_promises_nothing_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("serve", "get", "proxy", "demo"):
        main([command, "--help"])
    options = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", capfd.readouterr().out))
    assert options == {
        *["-h", "--help"],
        *[
            "--app",
            "--host",
            "--port",
            "--bind",
            "--unix",
            "--fd",
            "--cert",
            "--key",
            "--key-password",
            "--self-signed",
        ],
        *["--write-ca", "--workers", "--trace", "--config", "--print-config"],
        *["--max-requests", "--max-requests-jitter", "--graceful-timeout", "--health-bind", "--metrics-bind"],
        *["--reload", "--reload-dir", "--reload-include"],
        *["--asgi", "--factory", "--app-dir", "--root-path", "--lifespan"],
        *["--allow-http1", "--proxy-protocol", "--trusted-proxy", "--access-log"],
        *["--hidden", "--listing", "--fallback"],
        *["--compressed", "--resume", "-F", "--form"],
        *["--json", "-u", "-O", "--remote-name", "-L", "--location", "--parallel", "--retry", "--http1", "--http2"],
        *["-X", "-H", "-d", "-o", "-i", "--ca", "--insecure", "--proxy", "--fail", "-v"],
        "--allow",
    }


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"trio-h2 {trio_h2.__version__}\n"

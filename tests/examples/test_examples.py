"""Every example runs as it is, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
"""The examples use this checkout, whatever is installed."""
SELF_CONTAINED = {
    "full_duplex.py": "6553600 bytes came back, unharmed\n",
    "gateway.py": "over HTTP/2: /hello over HTTP/1.1\n",
    "gateway_routes.py": (
        "200 one /a\n"
        "200 two /b\n"
        '200 """A gateway with routes: two servers that take turns, and a directory of files."""\n'
        "404 nothing is here\n"
        "[1, 1]\n"
    ),
    "request_response.py": (
        "POST /notes 201 \n"
        "POST /notes 400 the body is not JSON: Unterminated string starting at in line 1, column 1\n"
        'GET /notes 200 ["buy milk"]\n'
        "POST /upload 200 a.txt: 5 bytes\n"
        "GET /elsewhere 404 nothing is here\n"
    ),
    "server_push.py": "pushed: /style.css, 200, 18 bytes\npage: 200\n",
    "timeouts.py": "gave up: True\nthe session lives on: 200\n",
    "tls_server_and_client.py": "200 https://localhost:PORT/me\n",
    "websocket_echo.py": "'text'\nb'bytes'\na ping was answered: True\nclosed with 1000\n",
}
WITH_A_PEER = {
    *("connect_client.py", "connect_proxy.py", "file_server.py", "graceful_shutdown.py"),
    *("hello_client.py", "hello_server.py"),
    "websocket_chat.py",  # in test_chat.py
}


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SELF_CONTAINED) | WITH_A_PEER


@pytest.mark.parametrize("name", sorted(SELF_CONTAINED))
def test_a_self_contained_example_prints_what_it_should(name: str) -> None:
    done = subprocess.run(command(name), capture_output=True, text=True, timeout=30, env=ENVIRONMENT)
    assert (done.returncode, done.stdout, done.stderr) == (0, SELF_CONTAINED[name], "")


def start_server(name: str, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Starts an example server on a free port; returns its process and URL."""
    server = subprocess.Popen(command(name, *arguments, "0"), stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert server.stdout is not None
    words = server.stdout.readline().split()
    assert words[:2] == ["Listening", "on"]
    return server, words[2]


def test_the_hello_client_talks_to_the_hello_server() -> None:
    server, url = start_server("hello_server.py")
    with server:
        try:
            done = subprocess.run(
                command("hello_client.py", url), capture_output=True, text=True, timeout=30, env=ENVIRONMENT
            )
        finally:
            server.kill()
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == ["200 hello, /one", "200 hello, /three", "200 hello, /two"]


def test_the_connect_client_goes_through_the_connect_proxy() -> None:
    server, url = start_server("connect_proxy.py")
    with server:
        try:
            done = subprocess.run(
                command("connect_client.py", url), capture_output=True, text=True, timeout=30, env=ENVIRONMENT
            )
        finally:
            server.kill()
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello Jane\n", "")


def test_the_file_server_serves_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello from a file\n")
    server, url = start_server("file_server.py", str(tmp_path))
    with server:
        try:
            get = [sys.executable, "-m", "trio_h2", "get", "-i"]
            done = subprocess.run(
                [*get, f"{url}/a.txt", f"{url}/source", f"{url}/absent"],
                capture_output=True,
                text=True,
                timeout=30,
                env=ENVIRONMENT,
            )
        finally:
            server.kill()
    assert (done.returncode, done.stderr) == (0, "")
    assert "cache-control: max-age=60" in done.stdout
    assert "hello from a file\n" in done.stdout
    source = (EXAMPLES / "file_server.py").read_text(encoding="utf-8")
    assert f"x-size: {len(source.encode())}" in done.stdout
    assert source in done.stdout
    assert "404 Not Found" in done.stdout


def test_a_running_exchange_survives_the_signal() -> None:
    server, url = start_server("graceful_shutdown.py")
    with server:
        try:
            get = subprocess.Popen(
                [sys.executable, "-m", "trio_h2", "get", url],
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
                env=ENVIRONMENT,
            )
            with get:
                assert get.stdout is not None
                first = get.stdout.readline()
                server.send_signal(signal.SIGTERM)
                rest = get.stdout.read()
            printed, _ = server.communicate(timeout=30)
        finally:
            server.kill()
    assert get.returncode == 0
    assert first + rest == "part 0\npart 1\npart 2\n"
    assert server.returncode == 0
    assert printed == "draining\ndone\n"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("hello_server.py", ()),
        ("connect_proxy.py", ()),
        ("file_server.py", (str(EXAMPLES),)),
        ("websocket_chat.py", ()),
        ("graceful_shutdown.py", ()),
    ],
)
def test_a_server_ends_on_ctrl_c_without_a_traceback(name: str, arguments: tuple[str, ...]) -> None:
    server = subprocess.Popen(
        command(name, *arguments, "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    with server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith("Listening on ")
            server.send_signal(signal.SIGINT)
            _, said = server.communicate(timeout=30)
        finally:
            server.kill()
    assert (server.returncode, said) == (0, "")

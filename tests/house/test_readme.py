"""The programs in the README run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
from functools import partial
from pathlib import Path

import trio

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def program(name: str) -> str:
    """Returns the first Python block after the first mention of *name*."""
    found = re.search(rf"`{re.escape(name)}`.*?```python\n(.*?)```", README, re.DOTALL)
    assert found is not None, name
    return found[1]


def command(path: Path) -> list[str]:
    return [sys.executable, "-W", "error", str(path)]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_the_two_minutes_of_the_readme(tmp_path: Path) -> None:
    port = str(free_port())
    for name in ("hello_server.py", "hello_client.py"):
        (tmp_path / name).write_text(program(name).replace("8080", port), encoding="utf-8")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.run_process, command(tmp_path / "hello_server.py"), env=ENVIRONMENT))
        with trio.fail_after(30):
            await until_it_listens(int(port))
        client = await trio.run_process(command(tmp_path / "hello_client.py"), capture_stdout=True, env=ENVIRONMENT)
        nursery.cancel_scope.cancel()
    assert sorted(client.stdout.decode().splitlines()) == ["200 hello, /one", "200 hello, /two"]


async def test_the_test_of_the_readme(tmp_path: Path) -> None:
    """Beside the server, in a folder of their own, as a reader has them."""
    for name in ("hello_server.py", "test_hello.py"):
        (tmp_path / name).write_text(program(name), encoding="utf-8")
    line = "python3 -m pytest test_hello.py"
    assert f"{line}\n" in README
    pytest = [sys.executable, *shlex.split(line)[1:]]
    done = await trio.run_process(pytest, capture_stdout=True, check=False, env=ENVIRONMENT, cwd=tmp_path)
    assert "1 passed" in done.stdout.decode(), done.stdout.decode()


async def until_it_listens(port: int) -> None:
    """Connects until it works; a refused connection costs a checkpoint, not a sleep."""
    while True:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            await trio.lowlevel.checkpoint()
        else:
            await stream.aclose()
            return


def test_programs_are_those_of_the_site() -> None:
    """Where type checkers and other tests look at them."""
    programs = re.findall(r"`(\w+\.py)`[^\n]*\n\n```python\n(.*?)```", README, re.DOTALL)
    assert len(programs) == README.count("```python\n") == 3
    for name, text in programs:
        assert text == (ROOT / "docs" / "code" / name).read_text(encoding="utf-8"), name

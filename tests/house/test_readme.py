"""The programs in the README run as they stand there."""

from __future__ import annotations

import ast
import os
import re
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


def test_every_python_block_compiles() -> None:
    assert len(re.findall(r"```python\n(.*?)```", README, re.DOTALL)) >= 5
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            compile(block, path.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

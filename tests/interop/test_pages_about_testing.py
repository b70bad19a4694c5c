"""The pages about testing with the programs that they name: curl and Node."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import entry_points
from pathlib import Path

import trio

from tests.interop.processes import free_port, running

ROOT = Path(__file__).parents[2]
CODE = ROOT / "docs" / "code"
PAGE = (ROOT / "docs" / "test-servers.md").read_text(encoding="utf-8")
# `python3` on the pages is the Python of the tests.
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
}
LINES = [
    ("python3 run_against.py node client.mjs", "hello, /node\n"),
    ("python3 run_against.py sh -c 'curl --silent $SERVER_URL/curl'", "hello, /curl\n"),
    ("node --test serving.test.mjs", None),
]


async def _shell(line: str, folder: Path) -> str:
    done = await trio.run_process(["sh", "-c", line], capture_stdout=True, cwd=folder, env=ENVIRONMENT)
    return done.stdout.decode()


async def test_the_lines_on_the_page(tmp_path: Path) -> None:
    for name in ("run_against.py", "client.mjs", "serve_tests.py", "serving.test.mjs"):
        shutil.copy(CODE / name, tmp_path)
    for line, output in LINES:
        assert f"$ {line}\n" in PAGE
        told = await _shell(line, tmp_path)
        assert output is None or told == output


async def test_without_a_program_of_ones_own(tmp_path: Path) -> None:
    port = str(free_port())
    serve = "trio-h2 serve --app serve_tests.py:answer --self-signed --write-ca ca.pem --port 8443"
    ask = "curl --cacert ca.pem https://localhost:8443/curl"
    assert f"$ {serve}\n$ {ask}\n" in PAGE
    shutil.copy(CODE / "serve_tests.py", tmp_path)
    command = [sys.executable, "-m", "trio_h2", *serve.replace("8443", port).split()[1:]]
    async with running(*command, cwd=tmp_path, env=ENVIRONMENT) as server:
        await server.wait_for_port(int(port))
        assert await _shell(ask.replace("8443", port), tmp_path) == "hello, /curl\n"


async def test_the_test_with_curl(tmp_path: Path) -> None:
    for name in ("greeter.py", "test_greeter.py"):
        shutil.copy(CODE / name, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntrio_mode = true\n")
    installed = {point.name for point in entry_points(group="pytest11")}
    plugin = "" if "trio_h2" in installed else " -p _trio_h2_pytest"
    line = f"python3 -m pytest test_greeter.py -q -k curl -p no:cacheprovider{plugin}"
    assert "1 passed" in await _shell(line, tmp_path)

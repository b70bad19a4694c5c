"""The pytest plugin, as users meet it: loaded by its entry point, in runs of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HANDLERS = """
import ssl
import pytest, trio, trio_h2
from trio_h2.testing import CuttingStream

async def hello(stream):
    await stream.respond(body=b"hello, " + stream.path.encode())

async def fails(stream):
    raise ZeroDivisionError("our bug")
"""

USES_ALL = """
async def test_pair(session_pair):
    client, server = await session_pair(hello, server_config=trio_h2.ServerConfig(max_concurrent_streams=3))
    async with client.request("GET", "/x") as stream:
        assert await stream.text() == "hello, /x"
    assert client.peer_settings.max_concurrent_streams == 3

async def test_faulty(faulty_session_pair):
    client, server, transport = await faulty_session_pair(hello, CuttingStream)
    await client.ping()
    await transport.cut()
    with pytest.raises(trio_h2.TransportLostError):
        async with client.request("GET") as stream:
            await stream.receive_response()

async def test_plain(plain_server):
    server = await plain_server(hello)
    async with server.connect() as session, session.request("GET", "/x") as stream:
        assert await stream.text() == "hello, /x"

async def test_tls(tls_server, tls_authority):
    server, other = await tls_server(hello), await tls_server(hello)
    assert server.authority is other.authority is tls_authority
    assert server.ca_file.read_bytes() == tls_authority.ca_pem
    async with trio_h2.connect(server.url, ssl_context=other.client_ssl_context) as session:
        async with session.request("GET", "/x") as stream:
            assert await stream.text() == "hello, /x"

async def test_mutual_tls(tls_server, client_certificate, tmp_path):
    async def who(stream):
        await stream.respond(body=repr(stream.transport.peer_certificate_fields["subject"]).encode())

    server = await tls_server(who, client_certificates=ssl.CERT_REQUIRED)
    alice = client_certificate("alice")
    assert alice.cert_file.parent == tmp_path
    async with trio_h2.connect(server.url, ssl_context=alice.ssl_context) as session:
        async with session.request("GET") as stream:
            assert "alice" in await stream.text()

async def test_scripted_client(scripted_client):
    peer, session = await scripted_client(hello)
    stream_id = await peer.request("GET", "/x")
    await peer.expect_headers(stream_id)
    assert await peer.collect_body(stream_id) == b"hello, /x"

async def test_scripted_server(scripted_server):
    session, peer = await scripted_server()
    async with session.request("GET") as stream:
        await peer.respond((await peer.expect_headers()).stream_id, 418)
        assert (await stream.receive_response()).status == 418

async def test_reference_client(reference_client):
    client, session = await reference_client(hello)
    assert (await client.request("GET", "/x")).body == b"hello, /x"

async def test_reference_server(reference_server):
    async def greet(stream):
        await stream.respond(200, body=b"h2")

    session, server = await reference_server(greet)
    async with session.request("GET") as stream:
        assert await stream.text() == "h2"

async def test_virtual_time(session_pair, autojump_clock):
    async def slow(stream):
        await trio.sleep(3600)
        await stream.respond()

    client, server = await session_pair(slow)
    with trio.fail_after(3601):
        async with client.request("GET") as stream:
            assert (await stream.receive_response()).status == 200
    assert trio.current_time() >= 3600
"""

MARKED = """
@pytest.mark.trio
async def test_pair(session_pair, autojump_clock):
    client, server = await session_pair(hello)
    async with client.request("GET", "/x") as stream:
        assert await stream.text() == "hello, /x"

@pytest.mark.trio
async def test_tls(tls_server):
    server = await tls_server(hello)
    async with server.connect() as session, session.request("GET", "/x") as stream:
        assert await stream.text() == "hello, /x"
"""

NUMBER = USES_ALL.count("async def test_")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has this project's entry points, as pip would install them from `pyproject.toml`."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["pytest11"]
    info = folder / "trio_h2_test_kit-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trio_h2_test_kit\nVersion: 1\n", encoding="utf-8")
    lines = ["[pytest11]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


class Run:
    """Runs pytest in an empty folder, in a process of its own."""

    def __init__(self, installed: Path, folder: Path) -> None:
        self._installed = installed
        self.folder = folder

    def __call__(self, source: str, *arguments: str, trio_mode: bool = True) -> str:
        (self.folder / "test_it.py").write_text(source, encoding="utf-8")
        if trio_mode:
            (self.folder / "pytest.ini").write_text("[pytest]\ntrio_mode = true\n", encoding="utf-8")
        path = os.pathsep.join([str(self.folder / "shadows"), str(self._installed), str(ROOT)])
        command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments]
        environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    return Run(installed, tmp_path)


def test_every_fixture_in_trio_mode(run: Run) -> None:
    assert f"\n{NUMBER} passed" in run(HANDLERS + USES_ALL)


def test_with_the_mark_and_without_trio_mode(run: Run) -> None:
    assert "\n2 passed" in run(HANDLERS + MARKED, trio_mode=False)


def test_trio_mode_by_import(run: Run) -> None:
    (run.folder / "conftest.py").write_text("from pytest_trio.enable_trio_mode import *", encoding="utf-8")
    assert "\n2 passed" in run(HANDLERS + MARKED.replace("@pytest.mark.trio", ""), trio_mode=False)


def test_what_a_handler_raises_fails_the_test_with_its_own_error(run: Run) -> None:
    source = """
async def test_it(session_pair, tls_server):
    client, server = await session_pair(hello)
    server = await tls_server(fails)
    async with server.connect() as session, session.request("GET") as stream:
        assert (await stream.receive_response()).status == 500

async def test_both(plain_server):
    server = await plain_server(fails)
    async with server.connect() as session, session.request("GET") as stream:
        assert (await stream.receive_response()).status == 200

async def test_next(session_pair):
    client, server = await session_pair(hello)
"""
    output = run(HANDLERS + source)
    assert "\n2 failed, 1 passed" in output
    assert re.search(r"^FAILED test_it.py::test_it - .*our bug", output, re.MULTILINE)
    assert "assert 500 == 200" in output
    assert output.count("| ZeroDivisionError: our bug") + output.count("E   ZeroDivisionError: our bug") >= 2


def test_a_server_that_crashes_cancels_the_test(run: Run) -> None:
    """What comes out of a block while the test runs ends the test at once, and is its error."""
    source = """
async def test_it(session_pair):
    async def on_session(session):
        await trio.lowlevel.checkpoint()

    class CrashError(BaseException):
        pass

    async def crash(stream):
        raise CrashError("the server")

    client, server = await session_pair(crash)
    async with client.request("GET") as stream:
        await stream.receive_response()
        await trio.sleep_forever()
"""
    output = run(HANDLERS + source)
    assert "\n1 failed" in output
    assert "CrashError: the server" in output


def test_blocks_end_before_the_next_test(run: Run) -> None:
    source = """
log = []
ports = []

def ends(name):
    async def handler(stream):
        await stream.respond(end_stream=False)
        try:
            await trio.sleep_forever()
        finally:
            log.append(name)
    return handler

async def test_it(plain_server, tls_server):
    backend = await plain_server(ends("backend"))
    gateway = await tls_server(ends("gateway"))
    ports.extend([backend.port, gateway.port])
    async with backend.connect() as one, gateway.connect() as other:
        await (await one.open_stream("GET")).receive_response()
        await (await other.open_stream("GET")).receive_response()
        assert log == []

async def test_after():
    assert sorted(log) == ["backend", "gateway"]
    assert len(ports) == 2
    for port in ports:
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", port)
"""
    assert "\n2 passed" in run(HANDLERS + source)


def test_a_sync_test_is_told_what_to_do(run: Run) -> None:
    source = "def test_it(session_pair): pass"
    for trio_mode in (False, True):
        output = run(source, trio_mode=trio_mode)
        assert "@pytest.mark.trio, or set trio_mode = true" in output
        assert "\n1 error" in output


def test_without_pytest_trio(run: Run) -> None:
    """Only a test that uses a fixture notices, and is told what to install."""
    output = run("def test_it(): pass\ndef test_pair(session_pair): pass", "-p", "no:trio", trio_mode=False)
    assert "need pytest-trio, which is missing or off: pip install 'trio-h2[testing]'" in output
    assert "\n1 passed, 1 error" in output


@pytest.mark.parametrize(
    ("package", "fixture", "message"),
    [
        ("hyperframe", "session_pair", r"missing \(no hyperframe\): pip install 'trio-h2\[testing\]'"),
        ("trustme", "tls_authority", r"certificates need trustme: pip install 'trio-h2\[testing\]'"),
        ("hyperframe", "tls_authority", r"missing \(no hyperframe\): pip install 'trio-h2\[testing\]'"),
    ],
)
def test_without_a_package_of_the_extra(run: Run, package: str, fixture: str, message: str) -> None:
    shadow = run.folder / "shadows" / package / "__init__.py"
    shadow.parent.mkdir(parents=True)
    shadow.write_text(f"raise ImportError('no {package}')", encoding="utf-8")
    output = run(f"def test_it(): pass\nasync def test_uses({fixture}): pass")
    assert re.search(message, output), output
    assert "\n1 passed, 1 error" in output


def test_a_run_that_does_not_use_it_imports_nothing(run: Run) -> None:
    source = """
import sys

def test_it():
    assert "_trio_h2_pytest" in sys.modules
    assert not [name for name in sys.modules if name.split(".")[0] in ("trio_h2", "h2", "trustme", "hyperframe")]
"""
    assert "\n1 passed" in run(source, trio_mode=False)


def test_the_fixtures_are_listed_with_what_they_do(run: Run) -> None:
    output = run("", "--fixtures", trio_mode=False)
    for name in ("session_pair", "tls_server", "client_certificate", "tls_authority"):
        assert re.search(rf"^{name}.*\n    [A-Z]", output, re.MULTILINE), output


def test_fixtures_of_the_same_name_win(run: Run) -> None:
    source = """
import pytest

@pytest.fixture
def tls_server():
    return "mine"

def test_it(tls_server):
    assert tls_server == "mine"
"""
    assert "\n1 passed" in run(source)

"""Health and figures, on ports of their own."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import Running, assert_one_line, read_all, run, running
from tests.cli.worker_tools import ask
from trio_h2._cli import main
from trio_h2._cli._metrics import WorkersMetrics
from trio_h2._cli._status_pages import StatusPages
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import os
import trio
from prometheus_client import Counter, Gauge

seen = Counter("app_seen", "Requests")
level = Gauge("app_level", "A level")

async def handle(stream):
    seen.inc()
    level.set(3)
    if stream.path == "/die":
        os._exit(7)
    if stream.path == "/slow":
        await stream.respond(200)
        await stream.receive_some()
        return
    await stream.respond(200, body=str(os.getpid()).encode())
"""
STARTS = """
import os, trio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        while not os.path.exists(os.environ["START"]):
            await trio.sleep(0.02)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
"""
PORTS = ["--health-bind", "127.0.0.1:0", "--metrics-bind", "127.0.0.1:0"]


async def page(url: str) -> tuple[int, str]:
    """Asks for a page as programs do that know HTTP/1.1 alone."""

    def get() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()

    return await trio.to_thread.run_sync(get)


async def page_at_last(url: str) -> tuple[int, str]:
    """Asks until somebody listens."""
    while True:
        try:
            return await page(url)
        except urllib.error.URLError:
            await trio.sleep(0.02)


async def places(server: Running) -> tuple[str, str, str]:
    """Returns the URLs of the server, its health and its metrics."""
    url = await server.url()
    health, metrics = (await server.line()).split(), (await server.line()).split()
    assert health[:2] == ["Health", "at"]
    assert metrics[:2] == ["Metrics", "at"]
    assert health[2].endswith("/healthz")
    assert metrics[2].endswith("/metrics")
    return url, health[2], metrics[2]


def figure(text: str, name: str) -> float:
    """Returns the sum of a figure over all of its labels."""
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return sum(map(float, found)) if found else float("nan")


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """An app with figures of its own."""
    await trio.Path(tmp_path / "app.py").write_text(APP)
    return tmp_path / "app.py"


# -- one process ---------------------------------------------------------------------------------------------------


async def test_health_and_figures_of_one_process(file: Path) -> None:
    async with running("serve", "--app", f"{file}:handle", *PORTS, env={"TMPDIR": str(file.parent)}) as server:
        url, health, metrics = await places(server)
        assert await page(health) == (200, "ready\n")
        await ask(url)
        await ask(url)
        status, text = await page(metrics)
        assert (status, figure(text, "app_seen_total"), figure(text, "app_level")) == (200, 2, 3)
        assert figure(text, "trio_h2_requests_total") == 2
        assert figure(text, "process_open_fds") > 0
        # Both are at the port of the figures, neither at that of the application.
        assert await page(metrics.replace("metrics", "healthz")) == (200, "ready\n")
        assert (await page(health.replace("healthz", "metrics")))[0] == 404
        async with trio_h2.connect(health) as session, session.request("GET", "/healthz?x") as stream:
            assert await read_all(stream) == b"ready\n"


@pytest.mark.parametrize("more", [[], ["--workers", "1"]])
async def test_a_server_that_drains_is_not_ready(file: Path, more: list[str]) -> None:
    async with running("serve", "--app", f"{file}:handle", *PORTS, *more, env={"TMPDIR": str(file.parent)}) as server:
        url, health, metrics = await places(server)
        async with trio_h2.connect(url) as session, session.request("POST", "/slow", end_stream=False) as stream:
            await stream.receive_response()
            server.signal(signal.SIGTERM)
            while (await page(health))[0] == 200:
                pass
            assert await page(health) == (503, "draining\n")
            assert figure((await page(metrics))[1], "app_seen_total") == 1
            await stream.send_eof()
        assert (await server.ended()).code == 0


async def test_an_application_that_starts_is_not_ready(tmp_path: Path) -> None:
    file, start = trio.Path(tmp_path / "app.py"), trio.Path(tmp_path / "start")
    await file.write_text(STARTS)
    port = await free_port()
    argv = ["serve", "--asgi", f"{file}:app", "--health-bind", f"127.0.0.1:{port}"]
    for more in ([], ["--workers", "1"]):
        async with running(*argv, *more, env={"START": str(start)}) as server:
            assert await page_at_last(f"http://127.0.0.1:{port}/healthz") == (503, "starting\n")
            await start.touch()
            await server.url()
            assert await page(f"http://127.0.0.1:{port}/healthz") == (200, "ready\n")
            server.signal(signal.SIGTERM)
            assert (await server.ended()).code == 0
        await start.unlink()


async def free_port() -> int:
    with trio.socket.socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_proxy() -> None:
    async with running("proxy", "--allow", "*:443", *PORTS) as server:
        _url, health, metrics = await places(server)
        assert await page(health) == (200, "ready\n")
        assert (await page(metrics))[0] == 200


async def test_other_requests() -> None:
    async def here(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"x")

    async with session_pair(StatusPages({"/a": here, "/b": here})) as (client, _server):
        for method, path, status, body in (
            ("GET", "/a", 200, b"x"),
            ("HEAD", "/b?c", 200, b""),
            ("POST", "/a", 405, b""),
            ("OPTIONS", "*", 404, b"there is /a and /b\n"),
            ("GET", "/", 404, b"there is /a and /b\n"),
        ):
            async with client.request(method, path) as stream:
                assert (await stream.receive_response()).status == status
                assert await read_all(stream) == body


# -- workers -------------------------------------------------------------------------------------------------------


async def test_figures_of_all_workers_together_those_that_have_ended_included(file: Path) -> None:
    async with running(
        "serve", "--app", f"{file}:handle", *PORTS, "--workers", "2", env={"TMPDIR": str(file.parent)}
    ) as server:
        url, health, metrics = await places(server)
        first = await ask(url)
        count, second = 1, first
        while second == first:
            second = await ask(url)
            count += 1
        text = (await page(metrics))[1]
        assert figure(text, "app_seen_total") == count
        assert figure(text, "trio_h2_requests_total") == count
        assert figure(text, "trio_h2_request_seconds_count") == count
        assert figure(text, "trio_h2_workers") == 2
        assert {f'app_level{{pid="{first}"}} 3.0', f'app_level{{pid="{second}"}} 3.0'} <= set(text.splitlines())
        assert await page(health) == (200, "ready\n")
        for victim in (first, second):
            os.kill(victim, signal.SIGKILL)
        while f'pid="{first}"' in text or f'pid="{second}"' in text:
            text = (await page(metrics))[1]
        assert figure(text, "app_seen_total") == count
        assert figure(text, "trio_h2_request_seconds_count") == count
        assert not figure(text, "trio_h2_sessions_open") > 0
        await ask(url)
        assert figure((await page(metrics))[1], "app_seen_total") == count + 1
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0


async def test_without_a_worker_it_is_not_ready(file: Path) -> None:
    async with running(
        "serve", "--app", f"{file}:handle", *PORTS, "--workers", "1", env={"TMPDIR": str(file.parent)}
    ) as server:
        url, health, _metrics = await places(server)
        worker = await ask(url)
        await trio.Path(file).write_text("raise SystemExit(1)")
        os.kill(worker, signal.SIGKILL)
        while (await page(health))[0] == 200:
            pass
        assert await page(health) == (503, "no worker serves\n")


# -- what is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--workers", "1"]])
def test_without_the_extra(
    more: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert main(["serve", str(tmp_path), *PORTS, *more]) == 1
    assert_one_line(capfd.readouterr().err, "--metrics-bind needs prometheus-client", "trio-h2[prometheus]")


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with trio.socket.socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        for more in ([], ["--workers", "1"]):
            ended = await run("serve", str(tmp_path), "--health-bind", f"127.0.0.1:{port}", *more)
            ended.failed(1, f"cannot listen on 127.0.0.1, port {port}: Address already in use")


async def test_an_application_that_counts_the_same(tmp_path: Path) -> None:
    file = trio.Path(tmp_path / "app.py")
    await file.write_text(
        "from trio_h2.instruments.prometheus import PrometheusInstrument\n"
        "PrometheusInstrument()\n"
        "async def handle(stream): ...\n"
    )
    ended = await run("serve", "--app", f"{file}:handle", *PORTS)
    ended.failed(1, "--metrics-bind: the application has a PrometheusInstrument already")


async def test_a_directory_of_figures_that_is_not_there(tmp_path: Path) -> None:
    variables = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "no")}
    ended = await run("serve", str(tmp_path), *PORTS, "--workers", "1", env=variables)
    ended.failed(1, "--metrics-bind: PROMETHEUS_MULTIPROC_DIR is no directory", "/no")


async def test_a_worker_that_was_killed_leaves_broken_figures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = trio.Path(tmp_path)
    for name in ("counter_12.db", "histogram_12.db", "gauge_all_12.db", "gauge_livesum_12.db", "counter_112.db"):
        await (folder / name).touch()
    await (folder / "summary_12.db").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00\xff\x00\x00\x00")
    metrics = WorkersMetrics(str(tmp_path), lambda: 0)
    await metrics.ended(12)
    assert [file.name for file in await folder.iterdir()] == ["counter_112.db"]
    assert "some figures of process 12 are lost: counter_12.db is broken" in caplog.text

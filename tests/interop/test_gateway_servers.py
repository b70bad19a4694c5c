"""A gateway in front of two nginx, which end each connection after ten requests; one of them is killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import trio

import trio_h2
from tests.interop.nginx import nginx_command
from tests.interop.processes import free_port, running
from trio_h2.gateway import Gateway, HealthCheck, Route, Servers

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.interop.processes import PeerFinder

_HTTP = """
    keepalive_requests 10;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "hello\\n"; }}
    }}
"""
_TASKS = 20
_REQUESTS = 30


async def test_no_request_is_lost_when_a_server_is_killed(
    tmp_path: Path, peers: PeerFinder, caplog: pytest.LogCaptureFixture
) -> None:
    ports = [free_port(), free_port()]
    commands = []
    for number, port in enumerate(ports):
        folder = tmp_path / str(number)
        folder.mkdir()
        # A single process, whose end is the end of the server.
        command = nginx_command(peers, folder, _HTTP.format(port=port))
        commands.append([*command, "-g", "master_process off;"])
    statuses: list[int] = []
    enough = trio.Event()

    async def ask(client: trio_h2.Client, url: str) -> None:
        for _ in range(_REQUESTS):
            statuses.append((await client.get(url)).status)
            if len(statuses) > _TASKS * _REQUESTS * 1.3:
                enough.set()

    async with running(*commands[0]) as first, running(*commands[1]) as second:
        await first.wait_for_port(ports[0])
        await second.wait_for_port(ports[1])
        servers = Servers([f"http://127.0.0.1:{port}" for port in ports], check=HealthCheck(interval=0.2))
        async with (
            Gateway([Route("/", servers)]) as gateway,
            trio_h2.open_server(gateway, 0) as front,
            trio_h2.Client(http1=False) as client,
        ):
            for kill in (False, True):
                async with trio.open_nursery() as nursery:
                    for _ in range(_TASKS):
                        nursery.start_soon(ask, client, f"{front.url}/")
                    if kill:
                        await enough.wait()
                        os.kill(first.pid, signal.SIGKILL)
            # What the killed one had under way may have been processed: that is told, and not repeated.
            lost = sum(status == 502 for status in statuses)
            assert lost <= _TASKS
            assert set(statuses) <= {200, 502}
            await trio.sleep(2)  # ten checks, three of which must fail
            assert [server.healthy for server in gateway.statistics().servers] == [False, True]
            assert {(await client.get(f"{front.url}/")).status for _ in range(10)} == {200}
            seen = gateway.statistics()
            assert all(server.requests > _TASKS * _REQUESTS / 4 for server in seen.servers)
            assert f"http://127.0.0.1:{ports[0]}: not well: GET /: " in caplog.text
            caplog.clear()

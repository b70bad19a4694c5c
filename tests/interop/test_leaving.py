"""HTTP/1.1 clients that leave while they wait for a response: curl, and nginx for a client of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.interop.nginx import nginx_command
from tests.interop.processes import free_port, run, running
from trio_h2 import Server, ServerStream, serve_ssl_over_tcp, serve_tcp, server_ssl_context

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

_HTTP = """
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {url};
            proxy_http_version 1.1;
        }}
    }}
"""


@pytest.mark.parametrize("way", ["curl", "curl-tls", "nginx", "nginx-tls"])
async def test_a_client_that_leaves_ends_its_long_poll(
    way: str, tls_files: TlsFiles, tmp_path: Path, peers: PeerFinder
) -> None:
    """Nobody resets anything: curl and nginx just close their connections."""
    begun, cancelled = trio.Event(), trio.Event()

    async def poll(stream: ServerStream) -> None:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    curl = peers.program("curl")
    start = partial(serve_tcp, poll, 0)
    if way.endswith("tls"):
        context = server_ssl_context(tls_files.certificate, tls_files.key, allow_http1=True)
        start = partial(serve_ssl_over_tcp, poll, 0, context)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(start, host="127.0.0.1", allow_http1=True))
        url = server.urls[0]
        if way.startswith("nginx"):
            port = free_port()
            command = nginx_command(peers, tmp_path, _HTTP.format(port=port, url=url))
            async with running(*command) as program:
                await program.wait_for_port(port)
                await _leave(curl, f"http://127.0.0.1:{port}/", begun)
                with trio.fail_after(10):
                    await cancelled.wait()
        else:
            await _leave(curl, url, begun)
            with trio.fail_after(10):
                await cancelled.wait()
        await server.aclose(0)


async def _leave(curl: str, url: str, begun: trio.Event) -> None:
    """Begins a request, and gives it up."""
    ended = await run(curl, "--http1.1", "--silent", "--insecure", "--max-time", "1", url, check=False)
    assert ended.returncode == 28  # it timed out
    assert begun.is_set()

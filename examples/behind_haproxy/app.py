"""A handler for several processes behind a load balancer, with a path for its health checks.

Run:  trio-h2 serve --app app.py:handle --port 9001    and again with --port 9002, then HAProxy with haproxy.cfg.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trio_h2


async def handle(stream: trio_h2.ServerStream) -> None:
    """Answers who it is; health checks get 503 once the process is told to stop."""
    if stream.path == "/health":
        await stream.respond(503 if stream.session.draining else 200, end_stream=True)
        return
    size = 0
    async for chunk in stream:
        size += len(chunk)
    await stream.respond(200, body=f"process {os.getpid()} got {size} bytes\n".encode())

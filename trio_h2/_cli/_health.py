"""Whether a server takes requests, as those ask who send it some: `/healthz`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_h2 import ServerStream


class Health:
    """Starting, ready, or draining. As a handler, it answers with 200 if requests are welcome, else with 503."""

    def __init__(self) -> None:
        self.state = "starting"
        self.trouble: Callable[[], str | None] = _none
        """Tells what is wrong while the state is ready, if anything."""

    def ready(self) -> None:
        """All is served."""
        self.state = "ready"

    def draining(self) -> None:
        """What runs may finish, and nothing new is welcome."""
        self.state = "draining"

    async def __call__(self, stream: ServerStream) -> None:
        """Answers a request."""
        trouble = self.trouble() if self.state == "ready" else self.state
        await stream.respond(
            {":status": 200 if trouble is None else 503, "content-type": "text/plain", "cache-control": "no-store"},
            body=f"{trouble or 'ready'}\n".encode(),
        )


def _none() -> None:
    return None

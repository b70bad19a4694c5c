"""A server that runs beside a test, on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import trio

import trio_h2

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


class LocalServer:
    """A running server for a test, and how clients reach it; made by `plain_server`.

    Args:
        server: The server itself.

    Attributes:
        server: The server itself: its sessions, `Server.aclose`, `Server.shutdown`.
    """

    def __init__(self, server: trio_h2.Server) -> None:
        self.server = server

    @property
    def url(self) -> str:
        """Where it is, ``"http://localhost:PORT"``, without a slash at the end."""
        return self.server.url

    @property
    def port(self) -> int:
        """Its TCP port."""
        return self.server.port

    @property
    def environment(self) -> dict[str, str]:
        """A copy of `os.environ` for a client that is another program, with the URL as ``SERVER_URL``."""
        return {**os.environ, "SERVER_URL": self.url}

    def connect(
        self,
        *,
        wrap: Callable[[trio.abc.Stream], trio.abc.Stream] | None = None,
        config: trio_h2.ClientConfig | None = None,
        settings: trio_h2.Settings | None = None,
        push_handler: trio_h2.PushHandler | None = None,
    ) -> trio_h2.Connect:
        """Connects a client session to it, as `trio_h2.connect` does; ``async with`` gives the session.

        Args:
            wrap: Makes the client's transport of its TCP connection, e.g. a faulty one; TLS is spoken over that.
            config: Limits and timeouts of the client.
            settings: What its first SETTINGS say.
            push_handler: As for `trio_h2.connect`.
        """

        async def opened(_origin: str) -> trio.abc.Stream:
            assert wrap is not None
            return wrap(await trio.open_tcp_stream("localhost", self.port))

        return trio_h2.connect(
            self.url,
            transport=None if wrap is None else opened,
            ssl_context=self._client_context(),
            config=config,
            settings=settings,
            push_handler=push_handler,
        )

    def _client_context(self) -> ssl.SSLContext | None:
        return None

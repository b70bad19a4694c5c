"""The block in which a WebSocket lives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import trio

from .._util import construct, interrupt_safe, plain_interrupt
from ._connection import WebSocketConnection
from ._ending import INTERNAL_ERROR, NORMAL
from ._framing import Framing
from ._socket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    import trio_h2

    from ._config import WebSocketConfig
    from ._handshake import Opening

_FAREWELL_SECONDS: Final = 1.0
"""How long a server that has failed waits for the peer to answer its Close frame."""


@interrupt_safe
class WebSocketTasks:
    """The block in which a WebSocket lives: its tasks, and what becomes of it at the end.

    The tasks are shielded, so that whoever is cancelled finds out by `trio.Cancelled`, and not by a WebSocket that has
    ended for no visible reason; the end of the block cancels them.
    """

    def __init__(self, stream: trio_h2.Stream, opening: Opening, config: WebSocketConfig, *, server: bool) -> None:
        framing = Framing(
            client=not server,
            max_message_size=config.max_message_size,
            max_fragments=config.max_fragments,
            agreement=opening.agreement,
        )
        self._connection = WebSocketConnection(stream, framing, config)
        self._opening = opening
        self._server = server
        self._manager = trio.open_nursery()
        self._scopes: list[trio.CancelScope] = []
        self._crashed = False

    async def start(self) -> WebSocket:
        """Starts the tasks. Not a checkpoint."""
        connection = self._connection
        nursery = await self._manager.__aenter__()
        services = [connection.read, connection.send_control]
        if connection.keepalive_interval < math.inf:
            services.append(connection.keep_alive)
        if self._server and connection.config.close_on_drain:
            services.append(connection.go_away)
        for service in services:
            scope = trio.CancelScope(shield=True)
            self._scopes.append(scope)
            name = f"trio_h2 websocket {service.__name__} {self._opening.path}"
            nursery.start_soon(self._run, service, scope, name=name)
        return construct(WebSocket, connection, self._opening)

    async def _run(self, service: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        with scope:
            try:
                await service()
            except BaseException as exc:
                if isinstance(exc, Exception):  # a bug
                    self._crashed = True
                    self._cancel()
                raise

    def _cancel(self) -> None:
        for scope in self._scopes:
            scope.cancel()

    async def stop(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Closes the WebSocket: 1000, or 1011 on a server whose block raised; a client that raised, or whoever is
        cancelled, resets the stream.
        """
        connection, crashed = self._connection, self._crashed
        try:
            if exc is None:
                await connection.close(NORMAL)
            elif self._server and isinstance(exc, Exception):
                # Shielded, because a cancellation must not take the place of the error.
                with trio.move_on_after(_FAREWELL_SECONDS, shield=True):
                    await connection.close(INTERNAL_ERROR)
        finally:
            connection.abort()
            self._cancel()
            # Not given to the nursery, an error of the body is not wrapped into a group. Only if a task has crashed, a
            # `trio.Cancelled` in it is the nursery's own.
            with plain_interrupt():
                done = await (
                    self._manager.__aexit__(exc_type, exc, traceback)
                    if crashed
                    else self._manager.__aexit__(None, None, None)
                )
        return done if crashed else None

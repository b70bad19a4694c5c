"""One WebSocket, as an application has it."""

from __future__ import annotations

import contextlib
import math
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio

import trio_h2
from trio_h2.websocket import (
    WebSocketClosedError,
    WebSocketConfig,
    WebSocketHandshakeError,
    accept_websocket,
)

from .._util import interrupt_safe, interruptible, plain_interrupt
from ._errors import ClientDisconnectedError
from ._handler import settle_error
from ._response import DROPPED, GONE, ResponseMessages, fields_of, kind_of
from ._scope import offered_subprotocols

if TYPE_CHECKING:
    from trio_h2.websocket import AcceptWebSocket, WebSocket

    from ._scope import ScopeMaker
    from ._types import Event, Message, RunningApplication

NORMAL, ABNORMAL, INTERNAL_ERROR = 1000, 1006, 1011
"""RFC 6455 §7.4.1."""
_TOLD_SECONDS = 1.0
"""How long an application has to see that its client is gone, before it is cancelled."""


async def serve_websocket(
    app: RunningApplication, scopes: ScopeMaker, stream: trio_h2.ServerStream, max_message_size: int
) -> None:
    """Lets an application answer a client that asks for a WebSocket, and speak with it.

    The block of a WebSocket must be entered and left in one task, but any task of the application may send what opens
    it. So the application runs in a task of its own.

    A client that vanishes cancels the handler. Applications count on being told: that is where they take a client out
    of their list. So they have a moment for that before they are cancelled, too.
    """
    scope = trio.CancelScope(shield=True)
    messages = WebSocketMessages(stream, WebSocketConfig(max_message_size=max_message_size))

    async def run() -> None:
        try:
            with scope:
                await interruptible(app, scopes.websocket(stream), messages.receive, messages.send)
        except Exception as exc:  # raised below, inside the block of the WebSocket, and not in a group
            messages.error = exc
        messages.application_over.set()
        messages.decided.set()

    with plain_interrupt():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, name=f"trio_h2 asgi websocket {stream.path}")
            try:
                await messages.decided.wait()
                await messages.run_block()
            finally:
                scope.deadline = trio.current_time() + _TOLD_SECONDS if await _vanished(stream) else -math.inf
    error, messages.error = messages.error, None
    try:
        if error is None:
            messages.check_answered()
        else:
            settle_error(error, stream, told_gone=messages.told_gone)
    finally:
        del error


async def _vanished(stream: trio_h2.ServerStream) -> bool:
    """Whether the client has gone, and not this side."""
    if not (stream.aborted and stream.closed):
        return False
    with trio.move_on_after(_TOLD_SECONDS, shield=True):
        try:
            await stream.wait_closed()  # it is: only to see how
        except (trio_h2.StreamError, trio_h2.SessionError):
            return True
        except trio.ClosedResourceError:
            pass
    return False


@interrupt_safe
class WebSocketMessages:
    """The messages of one WebSocket, both ways."""

    def __init__(self, stream: trio_h2.ServerStream, config: WebSocketConfig) -> None:
        self._stream = stream
        self._config = config
        self._denial = ResponseMessages(stream, self._over)
        self._denying = False
        self._told_connect = False
        self._block: AcceptWebSocket | None = None
        self._websocket: WebSocket | None = None
        self._opened = trio.Event()  # or it never will be
        self._refusal: Exception | None = None
        self._closed = False  # by the application
        self._told_gone = False
        self.decided = trio.Event()
        """The application has accepted, or is over."""
        self.application_over = trio.Event()
        self.error: Exception | None = None
        """What the application has raised."""

    @property
    def told_gone(self) -> bool:
        """Whether the application was told that its client has left."""
        return self._told_gone or self._denial.told_gone

    async def run_block(self) -> None:
        """Has the WebSocket open until the application is over, if it has accepted."""
        if self._block is not None:
            async with AsyncExitStack() as stack:
                try:
                    self._websocket = await stack.enter_async_context(self._block)
                except Exception as exc:  # the application gets it
                    self._refusal = exc
                finally:
                    self._opened.set()
                await self.application_over.wait()
                if self.error is not None and self._websocket is not None and not self._websocket.closed:
                    with contextlib.suppress(WebSocketClosedError):
                        await self._websocket.aclose(INTERNAL_ERROR)
        await self.application_over.wait()

    def check_answered(self) -> None:
        """The application has returned.

        Raises:
            LocalProtocolError: it has neither accepted nor denied.
        """
        if self._denying:
            self._denial.check_complete()
        elif self._block is None and not self._closed and not self.told_gone and not self._stream.aborted:
            raise self._misuse("the application returned without websocket.accept or websocket.close")

    # -- receiving -------------------------------------------------------------------------------------------------

    async def receive(self) -> Event:
        """Returns that there is a client, then its messages, and then that it has left."""
        if not self._told_connect:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._told_connect = True
            return {"type": "websocket.connect"}
        websocket = self._websocket
        if websocket is None:
            if self._denial.complete or self._closed:
                await trio.lowlevel.cancel_shielded_checkpoint()
            else:
                self._stream.call_when_closed(self._opened.set)
                await self._opened.wait()
                websocket = self._websocket
            if websocket is None:
                return self._disconnect(ABNORMAL, "")
        try:
            message = await websocket.receive_message()
        except WebSocketClosedError as exc:
            return self._disconnect(exc.close_code, exc.close_reason)
        text = isinstance(message, str)
        return {"type": "websocket.receive", "text": message if text else None, "bytes": None if text else message}

    def _disconnect(self, code: int, reason: str) -> Event:
        if not self._closed and not self._denial.complete:
            self._told_gone = True
        return {"type": "websocket.disconnect", "code": code, "reason": reason}

    # -- sending ---------------------------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Takes one message.

        Raises:
            ClientDisconnectedError: the client has left.
            LocalProtocolError: the message is out of order.
            TypeError, ValueError: something in it is not allowed.
        """
        kind = kind_of(message)
        try:
            if kind == "websocket.send":
                await self._message(message)
            elif kind == "websocket.accept":
                await self._accept(message)
            elif kind == "websocket.close":
                await self._close(message)
            elif kind in ("websocket.http.response.start", "websocket.http.response.body"):
                await self._deny(message, kind)
            else:
                raise self._misuse(f"there is no message {kind!r} for a WebSocket")
        except (*GONE, WebSocketClosedError, WebSocketHandshakeError) as exc:
            if self._closed:
                raise self._misuse(f"{kind} came after websocket.close") from exc
            self._told_gone = True
            raise ClientDisconnectedError(f"the client has left: {exc}") from exc

    async def _message(self, message: Message) -> None:
        if self._websocket is None:
            raise self._misuse("websocket.send came before websocket.accept")
        given = [one for one in (message.get("text"), message.get("bytes")) if one is not None]
        if len(given) != 1 or not isinstance(given[0], str | bytes | bytearray | memoryview):
            raise TypeError("websocket.send needs either 'text', a str, or 'bytes'")
        if isinstance(given[0], str) != (message.get("text") is not None):
            raise TypeError("websocket.send needs a str as 'text' and bytes as 'bytes'")
        await self._websocket.send_message(given[0])

    async def _accept(self, message: Message) -> None:
        self._check_undecided("websocket.accept")
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and not isinstance(subprotocol, str):
            raise TypeError(f"the subprotocol of websocket.accept must be a str or None, not {subprotocol!r}")
        if subprotocol and subprotocol not in offered_subprotocols(self._stream):
            raise ValueError(f"the client has not offered the subprotocol {subprotocol!r}")
        headers = [field for field in fields_of(message, "websocket.accept") if field[0] not in DROPPED]
        self._block = accept_websocket(
            self._stream,
            subprotocols=[subprotocol] if subprotocol else (),
            check_origin=_any_origin,  # the application has seen it
            headers=headers,
            config=self._config,
        )
        self.decided.set()
        await self._opened.wait()
        if self._refusal is not None:
            raise self._refusal
        if self._websocket is None:
            raise trio.ClosedResourceError("the client has left meanwhile")

    async def _close(self, message: Message) -> None:
        code, reason = message.get("code", NORMAL), message.get("reason") or ""
        if not isinstance(code, int) or not isinstance(reason, str):
            raise TypeError(f"websocket.close needs an int as code and a str as reason, not {code!r} and {reason!r}")
        if self._websocket is None:
            self._check_undecided("websocket.close")
            self._closed = True
            # ASGI: "returning HTTP status code 403 if the connection is denied".
            await self._stream.respond(403, body=b"")
            self._over()
            return
        if self._closed:
            raise self._misuse("websocket.close came twice")
        if self._websocket.closed:
            raise trio.ClosedResourceError("the WebSocket is closed already")
        # Whoever waits for messages is told as soon as the Close frame is sent; Quart-Trio cancels this task then, and
        # the stream would be reset instead of closed.
        with trio.move_on_after(self._config.close_timeout, shield=True):
            await self._websocket.aclose(code, reason)
        self._closed = True

    async def _deny(self, message: Message, kind: str) -> None:
        if not self._denying:
            self._check_undecided(kind)
            status = message.get("status", 300)
            if isinstance(status, int) and status < 300:
                raise ValueError(f"a client that is denied a WebSocket needs a status of 300 or more, not {status}")
        await self._denial.take(message, kind.removeprefix("websocket."))
        self._denying = True

    def _over(self) -> None:
        self._opened.set()  # there will be none: whoever waits for messages is told

    def _check_undecided(self, kind: str) -> None:
        if self._closed or self._denying or self._block is not None:
            raise self._misuse(f"{kind} came after the WebSocket was {'accepted' if self._block else 'denied'}")

    def _misuse(self, reason: str) -> trio_h2.LocalProtocolError:
        return trio_h2.LocalProtocolError(reason, stream_id=self._stream.id, stream=self._stream)


def _any_origin(_origin: str) -> bool:
    return True

"""The tasks of a WebSocket: one reads, one sends control frames; and two that not everybody needs.

The reader does not wait for the application, as long as no more than `READ_AHEAD` octets of messages wait to be taken:
pings are answered while nobody receives. From then on it reads no more, the stream's window closes, and the peer has to
wait. It never waits for the other task, which may have to wait for the peer's window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from ._state import WebSocketState

_READ_SIZE: Final = 16 * 1024
_EVENTS_AT_ONCE: Final = 64
"""How many events are handled before other tasks may run: a frame can be as small as two octets."""
_KEEPALIVE_PAYLOAD: Final = b"keep-alive"


async def read(socket: WebSocketState) -> None:
    """Receives until the peer's end."""
    try:
        while data := await socket._stream.receive_some(_READ_SIZE):
            socket._heard.set()
            if not socket._deaf:
                socket._framing.receive(data)
                await _handle_events(socket)
    except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
        socket._broke(exc, "its stream broke")
        return
    socket._eof.set()
    if not socket._peer_closed.is_set():
        # RFC 8441 §5: the end of the stream is "analogous" to that of a TCP connection: here, one that comes too early.
        socket._broke(EOFError("the stream has ended"), "the peer ended the stream without closing the WebSocket")


async def _handle_events(socket: WebSocketState) -> None:
    count = 0
    while not socket._deaf:
        while socket._full:
            await socket._room.park()
        event = socket._framing.next()
        if event is None:
            return
        socket._handle(event)
        count += 1
        if count % _EVENTS_AT_ONCE == 0:
            await trio.lowlevel.checkpoint()


async def send_control(socket: WebSocketState) -> None:
    """Sends pongs, and in the end the Close frame and the end of the stream."""
    try:
        with socket._deadline:
            try:
                await _send_pongs(socket)
                await _close(socket)
                socket._finish()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                socket._broke(exc, "its stream broke")
        socket._broke(None, f"the closing handshake took more than close_timeout={socket._config.close_timeout:g} s")
    finally:
        socket._abort()  # if another task has crashed; otherwise it is over already


async def _send_pongs(socket: WebSocketState) -> None:
    while not socket._is_closing():
        if socket._pong is None and socket._keepalive_ping is None:
            await socket._control.park()
            continue
        async with socket._frame_lock:
            if socket._is_closing():
                return
            frames = b""
            if (payload := socket._pong) is not None:
                socket._pong = None
                frames = socket._framing.pong(payload)
            if (payload := socket._keepalive_ping) is not None:
                socket._keepalive_ping = None
                frames += socket._framing.ping(payload)
            await socket._stream.send_all(frames)


async def _close(socket: WebSocketState) -> None:
    async with socket._frame_lock:
        assert socket._close_frame is not None
        await socket._stream.send_all(socket._framing.close(*socket._close_frame))
        socket._close_sent = True
    await socket._peer_closed.wait()
    # RFC 6455 §5.5.1: "After both sending and receiving a Close message, an endpoint considers the WebSocket connection
    # closed and MUST close the underlying TCP connection."
    await socket._stream.send_eof()
    await socket._eof.wait()


async def keep_alive(socket: WebSocketState) -> None:
    """Pings now and then, and gives up when nothing comes at all."""
    config = socket._config
    while not socket._over.is_set():
        await trio.sleep(config.keepalive_interval)
        socket._heard = trio.Event()
        socket._keepalive_ping = _KEEPALIVE_PAYLOAD
        socket._control.unpark()
        with trio.move_on_after(config.keepalive_timeout):
            await socket._heard.wait()
        # While our own application takes nothing, the answer may have come and not been read.
        if not socket._heard.is_set() and not socket._full:
            problem = f"nothing came for keepalive_timeout={config.keepalive_timeout:g} s after a ping"
            socket._broke(trio.TooSlowError(problem), problem)


async def go_away(socket: WebSocketState) -> None:
    """Closes when the session begins to shut down."""
    await socket._stream.session.wait_draining()
    if not socket._stream.closed:  # else the session has not begun to shut down, but broke
        socket._go_away()

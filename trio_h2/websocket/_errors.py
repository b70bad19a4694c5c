"""What can go wrong with a WebSocket."""

from __future__ import annotations

import trio

import trio_h2

from .._refused import RefusedError


class WebSocketError(trio_h2.H2Error):
    """The root of what WebSockets raise."""


class WebSocketHandshakeError(WebSocketError):
    """There is no WebSocket: one side has said something in the opening handshake that the other cannot accept.

    On a client the stream was reset; on a server the client was told by the response. What to do: the message says
    which field is wrong, and on whose side.
    """


class WebSocketRefusedError(RefusedError, WebSocketHandshakeError):
    """The server answered with a status other than 2xx: there is no WebSocket, and the session goes on.

    What to do: `status` tells, and often the `body`: 403 the origin is not allowed, 404 there is none at this path,
    501 the server knows no WebSockets.

    Args:
        message: what happened, in one sentence.
        status: the status.
        headers: the headers of the response.
        body: the start of its body.
    """


class WebSocketClosedError(WebSocketError):
    """The WebSocket is over, or about to be: nothing more can be sent, and everything received was taken.

    Always one of its two children, which say who ended it. What to do: `close_code` tells whether that was to be
    expected.

    Args:
        message: what happened, in one sentence.
        close_code: the code (RFC 6455 §7.4).
        close_reason: the reason that was given.
        initiator: who ended it.
        stream_id: the id of the stream below.
        stream: the stream below.
    """

    close_code: int
    """1000 … 4999: how it was closed (RFC 6455 §7.4.1); 1005 if the peer gave no code, 1006 if it was not closed but
    broke."""
    close_reason: str
    """The reason that was given with it; untrusted input."""

    def __init__(
        self,
        message: str = "",
        *,
        close_code: int = 1006,
        close_reason: str = "",
        initiator: trio_h2.Initiator | None = None,
        stream_id: int | None = None,
        stream: trio_h2.AnyStream | None = None,
    ) -> None:
        super().__init__(message, initiator=initiator, stream_id=stream_id, stream=stream)
        self.close_code = close_code
        self.close_reason = close_reason


class WebSocketClosedHereError(WebSocketClosedError, trio.ClosedResourceError):
    """This side closed the WebSocket.

    What to do: do not use what you have closed; it may be another task of yours that did.
    """


class WebSocketBrokenError(WebSocketClosedError, trio.BrokenResourceError):
    """The other side closed the WebSocket, or broke its rules; or the stream or session below it ended.

    `initiator` is ``REMOTE``, or ``LIBRARY`` for what this library could not accept: 1002 is a broken rule, 1007 text
    that is none, 1009 a message that is too large. ``__cause__`` is what happened to the stream, if it broke. What to
    do: connect again if you must.
    """

"""A connection of an HTTP/1.1 client, as applications see it; the inner side is in `_core.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._checks import check_hook, check_timeout
from .._errors import from_failure
from .._session._work import Ts, check_function
from .._util import NoPublicConstructor, interrupt_safe
from .._wire._codes import Initiator
from .._wire._failure import Cause, SessionFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._stream._transport import TransportView
    from .._wire._codes import ErrorCode
    from .._wire._config import ServerConfig
    from ._core import Http1Core


@interrupt_safe
class Http1Connection(metaclass=NoPublicConstructor):
    """A connection of an HTTP/1.1 client, made by servers with ``allow_http1``; what its exchanges have as `session`.

    It has what a handler may want to know of a session, and none of what only HTTP/2 has.
    """

    def __init__(self, core: Http1Core) -> None:
        self._core = core

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core.label}>"

    @property
    def config(self) -> ServerConfig:
        """The limits and timeouts of this connection."""
        return self._core.config

    @property
    def transport(self) -> TransportView:
        """The bytes below, for looking only."""
        return self._core.transport

    @property
    def encrypted(self) -> bool:
        """Whether the connection speaks TLS."""
        return self._core.transport.encrypted

    @property
    def alpn_protocol(self) -> str | None:
        """What ALPN agreed on: ``"http/1.1"``, or ``None`` where it gave nothing or there is no TLS."""
        return self._core.transport.alpn_protocol

    @property
    def closed(self) -> bool:
        """Whether no further request is taken."""
        return not self._core.takes_requests

    @property
    def draining(self) -> bool:
        """Whether the connection will end with the current request, or with one more."""
        return self._core.draining_begun.is_set()

    @property
    def idle_timeout(self) -> float:
        """Seconds without a request after which the connection ends, and for which the client may take no bytes.

        Starts as the configuration's; may be set, 0 and ``None`` turn it off, which reads as `math.inf`. What the
        connection has idled already counts.
        """
        return self._core.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self._core.set_connection_timeout(check_timeout("idle_timeout", seconds))

    @property
    def on_idle(self) -> Callable[[Http1Connection], object] | None:
        """A function to call with the connection when it has idled; ``None``, the default, ends it: `Session.on_idle`.

        Before the first request, the client has ``handshake_timeout``, whatever the hook wants.
        """
        return self._core.on_idle

    @on_idle.setter
    def on_idle(self, hook: Callable[[Http1Connection], object] | None) -> None:
        check_hook("on_idle", hook)
        self._core.on_idle = hook

    def set_idle_timeout(self, seconds: float | None, on_idle: Callable[[], object] | None = None) -> None:
        """Sets `idle_timeout` and `on_idle` in one go, for a hook that needs no argument: `Session.set_idle_timeout`.

        Raises:
            TypeError, ValueError: *seconds* is no number, or negative; *on_idle* is no function.
        """
        check_hook("on_idle", on_idle)
        self.idle_timeout = seconds
        self.on_idle = None if on_idle is None else lambda _: on_idle()

    def start_soon(self, function: Callable[[*Ts], Awaitable[object]], *args: *Ts, name: str | None = None) -> None:
        """Starts a task that lives as long as the connection, at most: in a handler, or a task of its.

        The task runs beside the handlers, with the context variables of whoever starts it. It is cancelled when the
        connection is over, and does not keep it: neither from draining nor from ending when it has idled. If it
        raises, the connection ends, as by a bug in ``on_session``: a server logs the error and goes on,
        and `serve_stream` raises it. Only that the connection is over may escape it. Never waits.

        Args:
            function: an async function.
            args: what it is called with.
            name: names the task for debuggers; by default the function.

        Raises:
            TypeError: *function* cannot be called.
            SessionError: the connection broke.
            trio.ClosedResourceError: this side closed it.
        """
        check_function(function)
        self._core.start_soon(function, *args, name=name)

    async def wait_draining(self) -> None:
        """Waits until the connection is going to end, see `draining`, or is over."""
        await self._core.draining_begun.wait()

    async def wait_closed(self) -> None:
        """Waits until the connection is over and its transport is closed.

        Raises:
            SessionError: it broke in the middle of an exchange.
        """
        await self._core.over.wait()
        failure = self._core.failure
        if failure is not None and failure.cause is not Cause.CLOSED:
            raise from_failure(failure, session=self)

    def shutdown(self) -> None:
        """Lets the current request finish, whose response will say ``connection: close``. Never waits; idempotent.

        Without one, or if its response has begun, the client has ``last_request_timeout`` to send another: it may be on
        its way. The response to that one is the last. Requests that have arrived meanwhile are answered as well.
        """
        self._core.drain()

    def destroy(self, error: Exception | None = None, code: ErrorCode | int | None = None) -> None:
        """Ends the connection at once; what is under way raises `trio.ClosedResourceError`, with *error* as its cause.

        Never waits; idempotent. HTTP/1.1 has no way to say *code*.
        """
        if error is not None and not isinstance(error, Exception):
            raise TypeError(f"error must be an exception, not {error!r}")
        reason = "this connection was destroyed"
        self._core.discard(SessionFailure(Cause.CLOSED, None, Initiator.LOCAL, reason, error=error))

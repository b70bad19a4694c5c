"""The reference peer: a session whose HTTP/2 is that of h2."""

from __future__ import annotations

import abc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

import trio

import trio_h2

from ..._util import unwrap_body_error
from ._ending import Ending
from ._link import Link

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from .._frames import GoAwayFrame
    from ._inbox import Inbox


class ReferencePeer(abc.ABC):
    """One end of HTTP/2 on h2's public API: what `ReferenceClient` and `ReferenceServer` have in common.

    It shares no code with the sessions of this package but `Headers`, `Settings` and the exceptions, so what the two
    agree on is more than one reading of the RFC. It is for tests: h2 is strict, ends the session for much that concerns
    only one stream, and for a 1xx response of a push.

    ``async with`` opens the session; leaving the block sends GOAWAY and closes the transport. If either side has told
    the other that it broke the protocol, and no call has raised that, leaving the block does: a test cannot miss it. An
    exception of the block's body leaves it as it is, not wrapped in a group; those of handlers come in a group. Or run
    it in a nursery of yours: ``await nursery.start(peer.run)``. Use it once.
    """

    def __init__(
        self, transport: trio.abc.Stream, *, client: bool, settings: trio_h2.Settings | None, grace: float
    ) -> None:
        if not isinstance(transport, trio.abc.Stream):
            raise TypeError(f"transport must be a trio.abc.Stream, not {transport!r}")
        if settings is None:
            settings = trio_h2.Settings()
        if not isinstance(settings, trio_h2.Settings):
            raise TypeError(f"settings must be trio_h2.Settings, not {settings!r}")
        _check_custom(settings)
        if not grace >= 0:
            raise ValueError(f"grace must be 0 or more, not {grace}")
        self._link = Link(transport, client=client, settings=settings, accept=self._accept)
        self._grace = grace
        self._claimed = False
        self._scope = trio.CancelScope()
        self._over = trio.Event()
        self._block: AbstractAsyncContextManager[Self] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'open' if self._link.ending is None else 'over'}>"

    # ---- The life of the session ----

    async def __aenter__(self) -> Self:
        """Opens the session.

        A client waits for the server's SETTINGS, a server for nothing. Cancelled: the transport is closed.

        Raises:
            SessionError: The server did not send its SETTINGS.
        """
        if self._block is not None:
            raise RuntimeError("a reference peer can be used only once")
        self._block = self._open()
        return await self._block.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Ends the session."""
        assert self._block is not None
        try:
            return await self._block.__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, exc)
        finally:
            del exc, traceback

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Self, None]:
        self._claim()
        error: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tasks)
            try:
                await self._wait_ready()
            except (trio_h2.SessionError, trio.ClosedResourceError) as exc:
                error = exc
            else:
                try:
                    yield self
                except BaseException:
                    nursery.cancel_scope.cancel()
                    raise
            await self._finish()
        if error is not None:
            raise error
        self._raise_untold()

    async def run(self, *, task_status: trio.TaskStatus[Self] = trio.TASK_STATUS_IGNORED) -> None:
        """Runs the session until it is over; `aclose` ends it.

        Cancelled: the transport is closed at once. What the other side or the network does ends it without an exception
        once it has begun; the calls that are concerned raise.

        Args:
            task_status: ``started(peer)`` when it can be used: a client when the server's SETTINGS have come, a server
                at once.

        Raises:
            RuntimeError: It was run before.
            SessionError: The session of a client was over before that.
            ExceptionGroup: With what handlers raised.
        """
        self._claim()
        error = await self._tasks(task_status=task_status)
        if error is not None:
            raise error

    def _claim(self) -> None:
        if self._claimed:
            raise RuntimeError("a reference peer can be used only once")
        self._claimed = True

    async def _tasks(self, *, task_status: trio.TaskStatus[Self] = trio.TASK_STATUS_IGNORED) -> Exception | None:
        """Everything that runs while the session does; returns why it could not begin."""
        error: Exception | None = None
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._link.write)
                    nursery.start_soon(self._link.read)
                    try:
                        await self._wait_ready()
                    except (trio_h2.SessionError, trio.ClosedResourceError) as exc:
                        error = exc
                    else:
                        task_status.started(self)
                        await self._serve(nursery)
        finally:
            self._link.end(Ending(kind=None, message="the session was cancelled on this side"))
            self._over.set()
        return error

    @abc.abstractmethod
    async def _wait_ready(self) -> None:
        """Waits until the session can be used."""

    @abc.abstractmethod
    async def _serve(self, nursery: trio.Nursery) -> None:
        """What a role does beside reading and writing, until the session is over."""

    async def aclose(self) -> None:
        """Sends GOAWAY, gives handlers and the transport the grace to end, and closes the transport. Idempotent.

        Cancelled: the transport is closed at once.

        Raises:
            RemoteProtocolError: The other side broke the protocol as h2 sees it, and no call has raised that.
            GoAwayError: The other side says so of this one, and no call has raised that.
        """
        if not self._claimed:
            self._claimed = True
            self._over.set()
            self._link.end(Ending(kind=None, message="this side closed the session"))
            await self._link.abandon()
        await self._finish()
        self._raise_untold()

    async def _finish(self) -> None:
        limit = trio.CancelScope(deadline=trio.current_time() + self._grace)
        try:
            with limit:
                if self._link.ending is None:
                    self._link.goaway(trio_h2.ErrorCode.NO_ERROR, None, b"")
                await self._wait_handled()
                # From here on nothing is read, but what is to be written still is, and then the transport is closed.
                self._link.end(Ending(kind=None, message="this side closed the session"))
                await self._over.wait()
        finally:
            self._link.end(Ending(kind=None, message="this side closed the session"))
            self._scope.cancel()
        await self._over.wait()

    def _raise_untold(self) -> None:
        ending = self._link.ending
        if ending is not None and ending.is_fault and not self._link.told:
            self._link.check()

    async def wait_started(self) -> None:
        """Waits for the other side's first SETTINGS. Cancelled: nothing happened.

        Raises:
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed it.
        """
        await self._link.wait(lambda: self._link.started)

    async def wait_closed(self) -> None:
        """Waits until the session is over, for whatever reason; `error` says why. Cancelled: nothing happened."""
        await self._link.wait_over()

    @property
    def error(self) -> Exception | None:
        """Why the session is over: a new exception of the kind that its methods raise; None while it is open."""
        return None if self._link.ending is None else self._link.ending.error()

    # ---- Housekeeping ----

    @property
    def local_settings(self) -> trio_h2.Settings:
        """This side's settings, as far as the other side has acknowledged them."""
        return self._link.local_settings

    @property
    def remote_settings(self) -> trio_h2.Settings:
        """The other side's settings."""
        return self._link.remote_settings

    @property
    def send_window(self) -> int:
        """How many bytes of DATA this side may send now, on all streams together."""
        return self._link.send_window

    @property
    def receive_window(self) -> int:
        """How many bytes of DATA the other side may send now, on all streams together."""
        return self._link.receive_window

    @property
    def goaway_received(self) -> GoAwayFrame | None:
        """The last GOAWAY of the other side; None if none has come."""
        return self._link.goaway_received

    async def update_settings(self, settings: trio_h2.Settings) -> None:
        """Sends SETTINGS and waits until the other side has acknowledged them.

        Cancelled: they may have been sent.

        Args:
            settings: Only what is given is sent. Custom settings are numbered 0 … 255, h2 has no others.

        Raises:
            ValueError: A number is greater.
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed it.
        """
        _check_custom(settings)
        await self._link.update_settings(settings)

    async def wait_settings_acknowledged(self) -> None:
        """Waits until the other side has acknowledged every SETTINGS frame. Cancelled: nothing happened.

        Raises:
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed it.
        """
        await self._link.wait_settings_acknowledged()

    async def ping(self) -> float:
        """Sends PING, and returns the seconds of Trio's clock until the answer.

        What the other side has sent before the answer has been received then. Cancelled: it may have been sent.

        Raises:
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed it.
        """
        return await self._link.ping()

    async def goaway(
        self,
        code: int = trio_h2.ErrorCode.NO_ERROR,
        *,
        last_stream_id: int | None = None,
        debug_data: bytes = b"",
    ) -> None:
        """Sends GOAWAY and goes on: streams of the other side above *last_stream_id* are refused, all others finish.

        Cancelled: it may have been sent.

        Args:
            code: Why.
            last_stream_id: The highest stream of the other side that is processed; by default the newest that came.
            debug_data: Whatever may help.

        Raises:
            LocalProtocolError: *last_stream_id* is higher than in an earlier GOAWAY.
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed it.
        """
        await trio.lowlevel.checkpoint()
        self._link.goaway(code, last_stream_id, debug_data)
        await self._link.flush()

    async def wait_goaway(self) -> GoAwayFrame:
        """Waits for a GOAWAY of the other side, and returns the last one. Cancelled: nothing happened.

        Raises:
            SessionError: The session is over without one.
            trio.ClosedResourceError: This side closed it.
        """
        await self._link.wait(lambda: self._link.goaway_received is not None)
        assert self._link.goaway_received is not None
        return self._link.goaway_received

    def enlarge_window(self, size: int) -> None:
        """Lets the other side send more on the session, beyond what reading gives back (WINDOW_UPDATE of stream 0).

        Args:
            size: How many bytes more.

        Raises:
            ValueError: The window would exceed 2³¹−1 bytes, or *size* is less than 1.
            SessionError: The session is over.
            trio.ClosedResourceError: This side closed it.
        """
        self._link.enlarge_window(size)

    # ---- For the roles ----

    @abc.abstractmethod
    def _accept(self, inbox: Inbox) -> None:
        """Takes what the other side has begun."""

    @abc.abstractmethod
    async def _wait_handled(self) -> None:
        """Waits until no handler runs."""


def _check_custom(settings: trio_h2.Settings) -> None:
    """Refuses what h2 would send as something else."""
    if any(code > 255 for code in settings.custom):
        raise ValueError("h2 cannot send settings with numbers above 255")

"""The lifespan of an application: a block in which it has started, and after which it has shut down."""

from __future__ import annotations

import contextlib
import logging
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import trio

from .._checks import check_timeout
from .._util import NoPublicConstructor, construct, interrupt_safe, interruptible, plain_interrupt, unwrap_body_error
from ._errors import AsyncioNeededError, LifespanError, explained
from ._handler import checked_application
from ._response import kind_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from ._types import Application, Event, Message, RunningApplication, Scope, State

logger = logging.getLogger("trio_h2.asgi")

LifespanMode: TypeAlias = Literal["auto", "on", "off"]
"""Whether an application has a lifespan: ``"on"``; ``"off"``; or ``"auto"``, ask it."""

DEFAULT_TIMEOUT: Final = 60.0
_RETURN_SECONDS: Final = 1.0
"""How long an application that has said that it is over may take to return, before it is cancelled."""


def lifespan(
    app: Application,
    *,
    mode: LifespanMode = "auto",
    startup_timeout: float | None = DEFAULT_TIMEOUT,
    shutdown_timeout: float | None = DEFAULT_TIMEOUT,
) -> Lifespan:
    """Prepares the lifespan of an application; ``async with`` starts it, and gives the state for `handler`.

    ::

        async with asgi.lifespan(app) as state, trio_h2.open_server(asgi.handler(app, state=state)) as server: ...

    When the block is left, in whatever way, the application shuts down; so leave what serves it inside. It has
    *shutdown_timeout* for that, even if the block is cancelled. What it raises while the block runs, because a task
    that it has started fails, say, cancels the block and is raised from it, in a group.

    Args:
        app: the application.
        mode: with ``"auto"``, an application that raises or returns before it has started is taken for one without
            lifespan; with ``"on"`` that is an error; with ``"off"`` it is not asked.
        startup_timeout: seconds in which it must have started; 0, ``None`` and `math.inf` turn it off.
        shutdown_timeout: seconds in which it must have shut down; then it is cancelled. 0, ``None`` and `math.inf` give
            it all the time that it wants, except if the block is cancelled: then the default.

    Raises:
        TypeError, ValueError: an argument is not allowed.

    Entering the block raises `LifespanError` if the application could not start, and `AsyncioNeededError` if it needs
    asyncio; leaving it in good order raises `LifespanError` if it could not shut down.
    """
    run = checked_application(app)
    if mode not in get_args(LifespanMode):
        raise ValueError(f"mode must be 'auto', 'on' or 'off', not {mode!r}")
    return construct(
        Lifespan,
        run,
        mode,
        check_timeout("startup_timeout", startup_timeout),
        check_timeout("shutdown_timeout", shutdown_timeout),
    )


@interrupt_safe
class Lifespan(metaclass=NoPublicConstructor):
    """The block of one application: ``async with lifespan(app) as state``. Use it once."""

    _made_by = "lifespan() makes it"

    def __init__(
        self, app: RunningApplication, mode: LifespanMode, startup_timeout: float, shutdown_timeout: float
    ) -> None:
        self._app = app
        self._mode = mode
        self._startup_timeout = startup_timeout
        self._shutdown_timeout = shutdown_timeout
        self._state: State = {}
        self._block: AbstractAsyncContextManager[State] | None = None
        self._started = trio.Event()  # or the application has said, or shown, that it will not
        self._shutting_down = trio.Event()
        self._over = trio.Event()  # it has shut down
        self._returned = trio.Event()
        self._told_startup = False
        self._complete = False  # the application has said that it has started
        self._failure: str | None = None  # what it has said of a failure
        self._error: Exception | None = None  # what it has raised at its start or end
        self._startup_error: Exception | None = None  # what came of that
        self._scope = trio.CancelScope(shield=True)

    async def __aenter__(self) -> State:
        """Starts the application, and returns its state: what it has put into ``scope["state"]``."""
        if self._block is not None:
            raise RuntimeError("a block of lifespan can be entered only once; call lifespan() again")
        self._block = self._run()
        with plain_interrupt():
            try:
                return await self._block.__aenter__()
            except BaseExceptionGroup as group:
                unwrap_body_error(group, self._startup_error)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Shuts the application down."""
        assert self._block is not None
        try:
            return await self._block.__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, exc)
        finally:
            del exc, traceback

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[State, None]:
        if self._mode == "off":
            await trio.lowlevel.checkpoint()
            yield self._state
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._application, name="trio_h2 asgi lifespan")
            try:
                await self._wait_started()
                yield self._state
            except BaseException:
                await self._shut_down()
                if self._failure is not None:
                    logger.error("the application could not shut down: %s", self._failure, exc_info=self._error)
                raise
            await self._shut_down()
        if self._failure is not None:
            raise LifespanError(f"the application could not shut down: {self._failure}") from self._error

    # -- the application -------------------------------------------------------------------------------------------

    async def _application(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            with self._scope:
                await interruptible(self._app, scope, self._receive, self._send)
        except Exception as exc:
            if self._complete and not self._shutting_down.is_set():
                raise  # it fails while it runs
            self._error = exc
            if self._complete:
                self._failure = self._failure or f"it raised {type(exc).__name__}: {exc}"
        finally:
            self._started.set()
            self._over.set()
            self._returned.set()

    async def _receive(self) -> Event:
        if not self._told_startup:
            await trio.lowlevel.checkpoint()
            self._told_startup = True
            return {"type": "lifespan.startup"}
        await self._shutting_down.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = kind_of(message)
        await trio.lowlevel.checkpoint()
        started, ending = self._started.is_set(), self._shutting_down.is_set()
        if kind == "lifespan.startup.complete" and not started:
            self._complete = True
            self._started.set()
        elif kind == "lifespan.startup.failed" and not started:
            self._failure = _reason(message)
            self._started.set()
        elif kind == "lifespan.shutdown.complete" and ending:
            self._over.set()
        elif kind == "lifespan.shutdown.failed" and ending:
            self._failure = _reason(message)
            self._over.set()
        else:
            raise RuntimeError(f"{kind!r} has no place at this point of a lifespan")

    # -- the block -------------------------------------------------------------------------------------------------

    async def _wait_started(self) -> None:
        try:
            with trio.move_on_after(self._startup_timeout) as waiting:
                await self._started.wait()
            if waiting.cancelled_caught:
                seconds = f"startup_timeout={self._startup_timeout:g} s"
                raise LifespanError(f"the application has not started within {seconds}")
            if not self._complete:
                await self._check_unsupported()
        except (LifespanError, AsyncioNeededError) as exc:
            self._startup_error = exc
            raise

    async def _check_unsupported(self) -> None:
        """Raises unless the application has no lifespan, and needs none."""
        with trio.move_on_after(_RETURN_SECONDS):  # Starlette says why, and raises it then
            await self._returned.wait()
        failure, self._failure = self._failure, None
        error = self._error
        if error is not None and isinstance(explanation := explained(error), AsyncioNeededError):
            raise explanation
        if failure is not None:
            raise LifespanError(f"the application could not start: {failure}") from error
        if self._mode == "on":
            did = "returned" if error is None else f"raised {type(error).__name__}: {error}"
            raise LifespanError(f"the application {did} before lifespan.startup.complete") from error
        logger.info("the application has no lifespan", exc_info=error)

    async def _shut_down(self) -> None:
        self._shutting_down.set()
        if self._complete:
            seconds = self._shutdown_timeout
            if seconds == math.inf:
                seconds = DEFAULT_TIMEOUT
                # Without a limit until the block is cancelled, which stays so: the next checkpoint raises it.
                with contextlib.suppress(trio.Cancelled):
                    await self._over.wait()
            with trio.move_on_after(seconds, shield=True):
                await self._over.wait()
            if not self._over.is_set():
                self._failure = f"it was cancelled after shutdown_timeout={seconds:g} s"
            else:
                with trio.move_on_after(_RETURN_SECONDS, shield=True):
                    await self._returned.wait()
        self._scope.cancel()


def _reason(message: Message) -> str:
    """Returns what the application says of its failure: of a whole traceback, as frameworks send it, the last line."""
    told = str(message.get("message") or "it gave no reason").strip()
    if "Traceback (most recent call last)" not in told:
        return told
    lines = [line.strip(" |+-") for line in told.splitlines()]  # those of groups are in frames
    return next(line for line in reversed(lines) if line)

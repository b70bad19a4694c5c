"""`trio-h2 serve --workers N`: processes that serve one port, and this one that looks after them.

A worker that dies is replaced, and one that has served `--max-requests`. SIGUSR1 replaces all of them, one after
another, each only when its successor serves: both listen on the same sockets meanwhile, so no connection finds nobody.
SIGINT and SIGTERM let all finish.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import DEVNULL
from typing import TYPE_CHECKING

import trio

from ._errors import FAILED, CommandError, reason
from ._health import Health
from ._loading import directories_of
from ._metrics import DIRECTORY, WorkersMetrics, check_installed, shared_directory
from ._renewal import RENEW
from ._serve import say_listening, self_signed
from ._service_manager import ServiceManager
from ._sockets import ListeningSockets, check_sharing, close_all
from ._source_watch import SourceWatch
from ._status_pages import status_pages
from ._worker import READY, Assignment

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from ._args import ServeOptions

STEADY = 10.0
"""Seconds after which a worker is taken for healthy: when it dies later, its successor starts without delay."""
MAX_DELAY = 1.0
"""Seconds between two attempts at most: connections wait for them in the queue."""
MARGIN = 10.0
"""Seconds that a worker gets to end, after the drain."""
KILLED = 5.0
"""Seconds that a killed process gets to be gone."""

logger = logging.getLogger("trio_h2.server")
reload_log = logging.getLogger("trio_h2.reload")


async def serve_with_workers(options: ServeOptions, number: int) -> int:
    """Serves with so many processes until SIGINT or SIGTERM; a second signal ends them at once.

    Returns:
        The exit code: 0 after the first signal, 128 + its number after a second one, 1 if a worker had to be killed,
        a worker's own if one cannot even start at the beginning; it has said why.

    Raises:
        CommandError: the port cannot be bound or shared, or a certificate or process cannot be made.
    """
    check_sharing()
    manager = ServiceManager.take()
    logging.basicConfig(format="trio-h2: %(message)s", level=logging.WARNING)
    with contextlib.ExitStack() as stack:
        # First of all: from here on a signal leaves no certificate behind.
        renew = () if options.cert is None else RENEW
        expected = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, *renew)
        signals = stack.enter_context(trio.open_signal_receiver(*expected))
        options = stack.enter_context(_shared_certificate(replace(options, workers=None)))
        sockets = ListeningSockets(number, shared=True)
        await sockets.open_all(options)
        stack.callback(sockets.close)
        slots: list[_Slot] = []
        metrics: WorkersMetrics | None = None
        if options.metrics_bind is not None:
            check_installed()
            metrics = WorkersMetrics(stack.enter_context(shared_directory()), partial(_serving, slots))
        watch = _watch(options)
        given = replace(options, binds=(), health_bind=None)  # the workers get sockets
        slots += [_Slot(given, own, index, metrics) for index, own in enumerate(sockets.sets, 1)]
        health = Health()
        health.trouble = lambda: None if _serving(slots) else "no worker serves"
        async with status_pages(options, health, metrics) as pages:
            urls, patience = sockets.urls, options.graceful_timeout + MARGIN
            announce = partial(say_listening, urls, pages)
            return await _supervise(slots, signals, announce, patience, manager, health, watch)
        raise AssertionError("nothing is suppressed")


def _watch(options: ServeOptions) -> SourceWatch | None:
    """Returns what looks at the files of the application, if that is wanted."""
    spec = options.app if options.app is not None else options.asgi
    if not options.reload or spec is None:
        return None
    reload_log.setLevel(logging.INFO)  # a line on stderr for each
    return SourceWatch(options.reload_dirs or directories_of(spec, options.app_dir), options.reload_include)


def _serving(slots: Sequence[_Slot]) -> int:
    return sum(slot.serves for slot in slots)


@contextlib.contextmanager
def _shared_certificate(options: ServeOptions) -> Iterator[ServeOptions]:
    """Makes the one throw-away certificate that all workers use, if any; it is gone after the block."""
    if not options.self_signed:
        yield options
        return
    authority = self_signed(options)
    with tempfile.TemporaryDirectory(prefix="trio-h2-") as name:
        cert, key = Path(name, "cert.pem"), Path(name, "key.pem")
        authority.write_server(cert, key)
        yield replace(options, self_signed=False, write_ca=None, cert=str(cert), key=str(key))


async def _supervise(
    slots: Sequence[_Slot],
    signals: AsyncIterator[int],
    announce: Callable[[], Awaitable[None]],
    patience: float,
    manager: ServiceManager,
    health: Health,
    watch: SourceWatch | None,
) -> int:
    code, ending = 0, False
    async with trio.open_nursery() as nursery:

        async def start_all() -> None:
            nonlocal code
            # One after another: what is wrong with the app is to be said once.
            for slot in slots:
                failure: int | None = await nursery.start(slot.keep)
                if failure is not None and not ending:
                    if watch is not None:
                        reload_log.info("the application does not start; waiting for a change of its files")
                        continue
                    if failure <= 0:
                        raise CommandError(f"a worker ended before it served, with {_how(failure)}")
                    code = failure
                    nursery.cancel_scope.cancel()
            if not ending:
                health.ready()
                await announce()
                await manager.ready()
                await manager.keep_watching()

        nursery.start_soon(start_all)
        if watch is not None:
            nursery.start_soon(_reload, watch, slots)
        async for number in signals:
            if number == signal.SIGUSR1:
                nursery.start_soon(_replace_all, slots, manager)
            elif number in RENEW:
                await manager.reloading()
                for slot in slots:
                    slot.renew()
                await manager.ready()
            elif ending:
                code = 128 + number
                nursery.cancel_scope.cancel()
            else:
                ending = True
                nursery.cancel_scope.deadline = trio.current_time() + patience
                for slot in slots:
                    slot.end()
                health.draining()
                await manager.stopping()
                nursery.start_soon(_cancel_when_ended, slots, nursery.cancel_scope)
    if code == 0 and not all(slot.ended.is_set() for slot in slots):
        logger.error("workers did not end within %g seconds, and were killed", patience)
        return FAILED
    return code


async def _cancel_when_ended(slots: Sequence[_Slot], scope: trio.CancelScope) -> None:
    for slot in slots:
        await slot.ended.wait()
    scope.cancel()


async def _reload(watch: SourceWatch, slots: Sequence[_Slot]) -> None:
    """Replaces the workers whenever files have changed; those that start then, too."""
    async with trio.open_nursery() as nursery:
        while True:
            changed = await watch.wait_changed()
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            reload_log.info("%s%s changed; the application is loaded again", changed[0], more)
            for slot in slots:
                nursery.start_soon(slot.replace)


async def _replace_all(slots: Sequence[_Slot], manager: ServiceManager) -> None:
    await manager.reloading()
    for slot in slots:
        await slot.replace()
    await manager.ready()


class _Slot:
    """The place of one worker: its sockets, and whoever serves them now.

    Args:
        options: what to serve.
        sockets: where; they stay open here while no worker does.
        index: its number, for logs.
        metrics: what all workers count together, if anything.
    """

    def __init__(
        self, options: ServeOptions, sockets: Sequence[socket.socket], index: int, metrics: WorkersMetrics | None
    ) -> None:
        self._options = options
        self._sockets = sockets
        self._index = index
        self._metrics = metrics
        self._patience = options.graceful_timeout + MARGIN
        self._workers: set[trio.Process] = set()
        self._serving: set[trio.Process] = set()
        """Those that have said that they are ready, and take signals."""
        self._outdated: set[trio.Process] = set()
        """Those that may have read an old certificate, and are not ready to be told so."""
        self._current: trio.Process | None = None
        self._worn: trio.Process | None = None
        """The one that has asked for another in its place."""
        self._successor: trio.Process | None = None
        """The one that is starting, if not the very first."""
        self._given_up: set[trio.Process] = set()
        """Those that were told to end while they started; one may say that it is ready all the same."""
        self._reloads = options.reload
        """Whether one that cannot be loaded waits for the next change."""
        self._kept = options.reload
        self._wake = trio.Event()
        self._replacing: list[trio.Event] = []
        self._ending = trio.Event()
        self.ended = trio.Event()

    @property
    def serves(self) -> bool:
        """Whether there is a worker that accepts connections."""
        return self._current is not None

    async def keep(self, *, task_status: trio.TaskStatus[int | None]) -> None:
        """Keeps a worker here until `end`. Cancelled: it is killed.

        Args:
            task_status: ``started()`` when it serves; with an exit code, if the first one cannot.
        """
        async with trio.open_nursery() as nursery:
            code = await self._start(nursery)
            task_status.started(code)
            self._kept = True
            delay, since = 0.0, trio.current_time()
            while (code is None or self._reloads) and not self._ending.is_set():
                await self._wake.wait()
                self._wake = trio.Event()
                while self._current is None and not self._ending.is_set():
                    delay = 0.0 if trio.current_time() - since > STEADY else min(max(2 * delay, 0.05), MAX_DELAY)
                    if self._reloads and code is not None and not self._replacing:
                        delay = math.inf  # only a change can help, which wakes this task
                    with trio.move_on_after(delay):
                        await self._wake.wait()
                    self._wake = trio.Event()  # it ends one delay, not all that follow
                    since = trio.current_time()
                    waiting, self._replacing = self._replacing, []
                    code = await self._start(nursery)
                    for event in waiting:
                        event.set()
                waiting, self._replacing = self._replacing, []
                worn = self._worn is not None and self._worn is self._current
                self._worn = None
                failed = (bool(waiting) or worn) and await self._start(nursery) is not None
                if failed and not self._replacing and not self._ending.is_set():
                    logger.error("worker %d stays: the one to replace it did not start", self._index)
                for event in waiting:
                    event.set()
        self.ended.set()

    async def replace(self) -> None:
        """Puts a new worker here, and lets the former one finish when the new one serves.

        One that is being started already is given up: it may hang, or have loaded what is old by now.
        """
        if self._ending.is_set():
            return
        done = trio.Event()
        self._replacing.append(done)
        self._wake.set()
        if self._successor is not None:
            self._given_up.add(self._successor)
            self._successor.terminate()
        await done.wait()

    def renew(self) -> None:
        """Lets the workers read their certificate again; those that do not serve yet, as soon as they do."""
        for process in self._workers:
            if process in self._serving:
                process.send_signal(signal.SIGHUP)
            else:
                self._outdated.add(process)

    def end(self) -> None:
        """Lets the worker finish what it has begun."""
        self._ending.set()
        self._wake.set()
        close_all(self._sockets)
        for process in self._workers:
            process.terminate()

    async def _start(self, nursery: trio.Nursery) -> int | None:
        """Starts a worker; when it serves, it replaces the current one. Returns its exit code if it never serves."""
        if self._ending.is_set():
            return None
        former = self._current
        code: int | None = await nursery.start(self._run)
        if code is None and former is not None and former in self._workers:
            former.terminate()
            nursery.start_soon(self._kill_if_stuck, former)
        return code

    async def _kill_if_stuck(self, process: trio.Process) -> None:
        with trio.move_on_after(self._patience):
            await process.wait()
            return
        logger.error(
            "worker %d (process %d), replaced, did not end within %g seconds, and is killed",
            *(self._index, process.pid, self._patience),
        )
        process.kill()

    async def _run(self, *, task_status: trio.TaskStatus[int | None]) -> None:
        """Runs one worker, to its end."""
        try:
            control, process = await self._spawn()
        except OSError as exc:  # no more processes, or descriptors: the next attempt may have some
            if not self._ending.is_set():
                logger.error("worker %d cannot be started: %s", self._index, reason(exc))
            task_status.started(FAILED)
            return
        self._workers.add(process)
        try:
            with control:
                if self._ending.is_set():
                    process.terminate()
                self._successor = process if self._kept else None
                ready = await control.recv(len(READY)) == READY
                self._successor = None
                if ready and process in self._given_up:
                    task_status.started(0)
                    await self._kill_if_stuck(process)
                elif ready:
                    self._current = process
                    self._serving.add(process)
                    if process in self._outdated:
                        process.send_signal(signal.SIGHUP)
                    task_status.started()
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._listen, control, process)
                        code = await process.wait()
                        nursery.cancel_scope.cancel()
                    self._ended(process, code)
                else:
                    task_status.started(await process.wait())
        finally:
            for group in (self._workers, self._serving, self._outdated, self._given_up):
                group.discard(process)
            if process.returncode is None:
                process.kill()
                with trio.move_on_after(KILLED, shield=True):
                    await process.wait()
        if self._metrics is not None:
            await self._metrics.ended(process.pid)

    async def _listen(self, control: trio.socket.SocketType, process: trio.Process) -> None:
        """Puts another worker here when this one asks for that."""
        with contextlib.suppress(OSError):  # it has ended
            while await control.recv(1):
                if process is self._current and self._successor is None:
                    self._worn = process
                    self._wake.set()

    async def _spawn(self) -> tuple[trio.socket.SocketType, trio.Process]:
        """Starts a process; returns it with the control socket.

        Raises:
            OSError: it cannot be started.
        """
        control, theirs = trio.socket.socketpair()
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as given:
            ours.enter_context(control)
            given.enter_context(theirs)
            # Copies: `end` may close the sockets before the process has got them. Not by `socket.dup`, which would make
            # them blocking, those of the workers included.
            listeners: list[int] = []
            for sock in self._sockets:
                listeners.append(os.dup(sock.fileno()))
                given.callback(os.close, listeners[-1])
            assignment = Assignment(self._options, tuple(listeners), theirs.fileno(), self._patience)
            # A session of its own: a Ctrl-C on the terminal is for us, and we tell the workers.
            process = await trio.lowlevel.open_process(
                assignment.command(),
                stdin=DEVNULL,
                pass_fds=[*listeners, theirs.fileno()],
                start_new_session=True,
                env=self._variables(),
            )
            ours.pop_all()
        return control, process

    def _variables(self) -> dict[str, str]:
        """Returns the environment of a worker."""
        variables = dict(os.environ)
        if self._metrics is not None:
            variables[DIRECTORY] = self._metrics.directory
        if self._reloads:
            # Python takes a module that changes twice in a second, and is as long as before, from its cache.
            variables["PYTHONDONTWRITEBYTECODE"] = "1"
        return variables

    def _ended(self, process: trio.Process, code: int) -> None:
        if process is not self._current:
            return  # replaced, as it should be
        self._current = None
        self._wake.set()
        if not self._ending.is_set():
            logger.warning(
                "worker %d (process %d) ended with %s; another one starts", self._index, process.pid, _how(code)
            )


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"

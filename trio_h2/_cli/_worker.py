"""One of the processes of `trio-h2 serve --workers`: serves on sockets it inherits, until it is told to stop.

It is told by SIGTERM, or by the end of its control socket: the process that supervises it is gone then, however it
ended, and nobody else would stop this one. A thread looks for that, too: an app that hangs, even while it is loaded,
must not be left over.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import threading
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import trio

from ._args import ServeOptions
from ._binds import Bind
from ._errors import FAILED, report
from ._serve import Service, prepare, serve_until_told, start_on
from ._sockets import adopt
from ._trace import trace_of_worker

if TYPE_CHECKING:
    import trio_h2

    from ._request_limit import RequestLimit

READY = b"ready"
WORN = b"w"
"""Comes after it, when another worker is to serve instead."""
_BOOT = (
    "import json, sys\n"
    "assignment = json.loads(sys.argv.pop())\n"
    "sys.path[:] = assignment.pop('path')\n"
    "from trio_h2._cli import _worker\n"
    "sys.exit(_worker.main(assignment))"
)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker has to do."""

    options: ServeOptions
    listeners: tuple[int, ...]
    """The descriptors of the sockets to listen on."""
    control: int
    """The descriptor of a socket: `READY` goes out, perhaps `WORN`, and its end comes in."""
    patience: float
    """Seconds that it gets to end when nobody supervises it any more."""

    def command(self) -> list[str]:
        """Returns the command line of the worker's process.

        It finds its modules where this one does; without ``-P`` a directory that is served could hold others.
        """
        assignment = {**asdict(self), "path": sys.path}
        return [sys.executable, "-P", "-c", _BOOT, json.dumps(assignment)]

    @classmethod
    def parse(cls, assignment: dict[str, object]) -> Assignment:
        """The inverse of `command`."""
        options, listeners, control = assignment["options"], assignment["listeners"], assignment["control"]
        patience = assignment["patience"]
        assert isinstance(options, dict)
        metrics = options.pop("metrics_bind")
        assert isinstance(listeners, list)
        assert isinstance(control, int)
        assert isinstance(patience, float)
        bind = None if metrics is None else Bind(**metrics)
        return cls(ServeOptions(**options, metrics_bind=bind), tuple(listeners), control, patience)


def main(assignment: dict[str, object]) -> int:
    """Runs a worker; returns its exit code."""
    mine = Assignment.parse(assignment)
    threading.Thread(target=_end_after, args=(mine.control, mine.patience), daemon=True).start()
    try:
        options = replace(mine.options, trace=trace_of_worker(mine.options.trace))
        return trio.run(_work, mine, prepare(options))
    except BaseException as exc:
        return report(exc)


def _end_after(control: int, seconds: float) -> None:
    """Ends this process, so long after its supervisor, if it has not ended by itself. For a thread."""
    end = select.poll()
    end.register(control, select.POLLIN)
    end.poll()
    threading.Event().wait(seconds)
    os._exit(FAILED)


async def _work(assignment: Assignment, service: Service) -> int:
    # What an app starts, and may outlive us, gets none of these.
    os.set_inheritable(assignment.control, False)
    control = trio.socket.from_stdlib_socket(socket.socket(fileno=assignment.control))

    async def start(nursery: trio.Nursery) -> trio_h2.Server:
        return await start_on(service, adopt(assignment.listeners), nursery)

    async def announce(_server: trio_h2.Server) -> None:
        with contextlib.suppress(BrokenPipeError):  # there is nobody any more, as `orphaned` will find
            await control.send(READY)

    async def orphaned() -> None:
        async with trio.open_nursery() as nursery:
            if service.limit is not None:
                nursery.start_soon(_say_when_worn, service.limit, control)
            await control.recv(1)
            nursery.cancel_scope.cancel()

    with control:
        return await serve_until_told(start, announce, orphaned, renewal=service.renewal, lifespan=service.lifespan)


async def _say_when_worn(limit: RequestLimit, control: trio.socket.SocketType) -> None:
    with contextlib.suppress(OSError):  # there is nobody any more
        while True:
            await limit.wait_reached()
            await control.send(WORN)

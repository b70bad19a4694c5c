"""Figures for Prometheus: of this process, or of all workers together."""

from __future__ import annotations

import importlib.util
import logging
import os
import struct
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from ._errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from trio_h2 import Instrument, ServerStream

    from ._app import Handler

DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client finds the files that its processes share."""


logger = logging.getLogger("trio_h2.server")


def check_installed() -> None:
    """Raises `CommandError` if what is needed is missing."""
    if importlib.util.find_spec("prometheus_client") is None:
        raise CommandError("--metrics-bind needs prometheus-client: pip install 'trio-h2[prometheus]'")


def instrument() -> Instrument:
    """Returns what counts in this process.

    Raises:
        CommandError: it is not installed, or the application counts the same.
    """
    check_installed()
    from trio_h2.instruments.prometheus import PrometheusInstrument

    try:
        return PrometheusInstrument()
    except ValueError as exc:
        raise CommandError("--metrics-bind: the application has a PrometheusInstrument already") from exc


def handler() -> Handler:
    """Returns what answers with the figures of this process, those of the application included."""
    from trio_h2.instruments.prometheus import metrics_handler

    return metrics_handler()


class WorkersMetrics:
    """The figures of all workers, in files that prometheus_client keeps in each of them and reads here.

    Args:
        directory: where they are.
        serving: tells how many workers serve.

    Raises:
        CommandError: there is no such directory.
    """

    def __init__(self, directory: str, serving: Callable[[], int]) -> None:
        from prometheus_client import CollectorRegistry, Gauge
        from prometheus_client.multiprocess import MultiProcessCollector

        if not os.path.isdir(directory):  # the user's own
            raise CommandError(f"--metrics-bind: {DIRECTORY} is no directory: {directory}")
        self.directory = directory
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        MultiProcessCollector(self._registry, directory)  # type: ignore[no-untyped-call]  # it has no types
        Gauge("trio_h2_workers", "Workers that serve", registry=self._registry).set_function(serving)

    async def __call__(self, stream: ServerStream) -> None:
        """Answers with all figures."""
        from prometheus_client import CONTENT_TYPE_LATEST

        body = await trio.to_thread.run_sync(self._text)
        await stream.respond({"content-type": CONTENT_TYPE_LATEST}, body=body)

    async def ended(self, process: int) -> None:
        """Adds what a worker has counted to what all before it have, and forgets its gauges.

        There would be more and more files to read otherwise.
        """
        await trio.to_thread.run_sync(self._fold, process)

    def _text(self) -> bytes:
        from prometheus_client import generate_latest

        with self._lock:
            return generate_latest(self._registry)

    def _fold(self, process: int) -> None:
        from prometheus_client.mmap_dict import MmapedDict

        with self._lock:
            for file in Path(self.directory).glob(f"*_{process}.db"):
                kind = file.name.partition("_")[0]
                try:
                    # First of all: a worker that was killed may have left anything behind.
                    values = [] if kind == "gauge" else list(MmapedDict.read_all_values_from_file(str(file)))  # type: ignore[no-untyped-call]
                except (ValueError, RuntimeError, struct.error):
                    values = []
                    logger.warning("some figures of process %d are lost: %s is broken", process, file.name)
                if values:
                    total = MmapedDict(str(file.with_name(f"{kind}_ended.db")))  # type: ignore[no-untyped-call]
                    for key, value, time, _ in values:
                        total.write_value(key, total.read_value(key)[0] + value, time)  # type: ignore[no-untyped-call]
                    total.close()  # type: ignore[no-untyped-call]
                file.unlink()


@contextmanager
def shared_directory() -> Generator[str]:
    """Makes the directory for the files of workers, which is gone after the block, unless the user names one."""
    given = os.environ.pop(DIRECTORY, None)
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="trio-h2-metrics-") as name:
        yield name

"""Downloads many files, fifty at a time, over one session. Run it with: python3 downloads.py URL FOLDER PATH..."""

import contextlib
import random
import sys
from collections.abc import Iterable
from pathlib import Path

import trio

import trio_h2

AT_ONCE = 50
ATTEMPTS = 5
SECONDS = 60  # for one attempt at one file


class KeptSession:
    """One session for many tasks: a new one is connected when the old one takes no more requests."""

    def __init__(self, url: str, nursery: trio.Nursery) -> None:
        self.url = url
        self.nursery = nursery
        self.session: trio_h2.ClientSession | None = None
        self.lock = trio.Lock()

    async def get(self) -> trio_h2.ClientSession:
        async with self.lock:  # one task connects, the others wait for it
            if self.session is None or self.session.closed:
                session: trio_h2.ClientSession = await self.nursery.start(self.hold)
                self.session = session
            return self.session

    async def hold(self, *, task_status: trio.TaskStatus[trio_h2.ClientSession]) -> None:
        async with trio_h2.connect(self.url) as session:
            task_status.started(session)
            with contextlib.suppress(trio_h2.SessionError):  # its requests know, too
                await session.wait_closed()  # what is under way still finishes


class NotNowError(Exception):
    """The server asks for another attempt, later."""


async def download(session: trio_h2.ClientSession, path: str, target: Path) -> None:
    async with session.request("GET", path) as stream:
        response = await stream.receive_response()
        if response.status in (429, 503):
            raise NotNowError(f"status {response.status}")
        if response.status != 200:
            raise ValueError(f"status {response.status}")  # asking again would not help
        part = target.with_name(target.name + ".part")
        async with await trio.open_file(part, "wb") as file:
            async for chunk in stream:  # raises if the response was cut
                await file.write(chunk)
    part.rename(target)


async def download_with_retries(kept: KeptSession, path: str, target: Path) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with trio.fail_after(SECONDS):
                await download(await kept.get(), path, target)
            return
        except (OSError, trio_h2.StreamError, trio_h2.SessionError, trio.TooSlowError, NotNowError) as error:
            if attempt == ATTEMPTS:
                raise
            print(f"{path}: {error!r}, trying again", file=sys.stderr)
        await trio.sleep(random.uniform(0, 0.2 * 2**attempt))  # not all clients at the same moment


async def download_all(url: str, folder: Path, paths: Iterable[str]) -> list[str]:
    """Returns the paths that could not be downloaded."""
    failed: list[str] = []
    remaining = iter(paths)

    async def work(kept: KeptSession) -> None:
        for path in remaining:  # all workers share it, each takes the next one
            try:
                await download_with_retries(kept, path, folder / path.strip("/").replace("/", "_"))
            except Exception as error:
                print(f"{path}: {error!r}, given up", file=sys.stderr)
                failed.append(path)

    async with trio.open_nursery() as background:
        kept = KeptSession(url, background)
        async with trio.open_nursery() as workers:
            for _ in range(AT_ONCE):
                workers.start_soon(work, kept)
        background.cancel_scope.cancel()  # ends the session
    return failed


if __name__ == "__main__":
    failed = trio.run(download_all, sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
    sys.exit(f"{len(failed)} failed" if failed else 0)

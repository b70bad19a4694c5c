"""Downloads many files, fifty at a time, with retries. Run it with: python3 downloads.py FOLDER URL..."""

import random
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import trio

import trio_h2

AT_ONCE = 50
ATTEMPTS = 5
SECONDS = 60  # for one attempt at one file

# Requests without an answer: these the client sends again by itself.
RETRY = trio_h2.Retry(attempts=ATTEMPTS, idempotent=True, statuses={429, 502, 503, 504})


async def download(client: trio_h2.Client, url: str, target: Path) -> None:
    part = trio.Path(target.with_name(target.name + ".part"))
    async with client.request("GET", url) as response:
        response.raise_for_status()
        async with await part.open("wb") as file:
            async for chunk in response:  # raises if the response was cut
                await file.write(chunk)
    await part.replace(target)


async def download_with_retries(client: trio_h2.Client, url: str, target: Path) -> None:
    """Begins anew when a body was cut: that is for the program to do, since it has got a part of it."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with trio.fail_after(SECONDS):
                await download(client, url, target)
            return
        except (trio_h2.StreamError, trio_h2.SessionError, trio.TooSlowError) as error:
            if attempt == ATTEMPTS:
                raise
            print(f"{url}: {error!r}, trying again", file=sys.stderr)
        await trio.sleep(random.uniform(0, 0.2 * 2**attempt))  # not all clients at the same moment


async def download_all(client: trio_h2.Client, folder: Path, urls: Iterable[str]) -> list[str]:
    """Returns the URLs that could not be downloaded."""
    failed: list[str] = []
    remaining = iter(urls)

    async def work() -> None:
        for url in remaining:  # all workers share it, each takes the next one
            try:
                await download_with_retries(client, url, folder / urlsplit(url).path.strip("/").replace("/", "_"))
            except Exception as error:
                print(f"{url}: {error!r}, given up", file=sys.stderr)
                failed.append(url)

    async with trio.open_nursery() as workers:
        for _ in range(AT_ONCE):
            workers.start_soon(work)
    return failed


async def main(folder: str, urls: list[str]) -> None:
    async with trio_h2.Client(retry=RETRY) as client:
        failed = await download_all(client, Path(folder), urls)
    if failed:
        sys.exit(f"{len(failed)} failed")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2:])

"""Downloads many files, fifty at a time. Run it with: python3 downloads.py [--ca FILE] FOLDER URL..."""

import argparse
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import trio

import trio_h2

AT_ONCE = 50
STARTS = 3  # of one file: it is begun anew when its body was cut
SECONDS = 120  # for one start, all repetitions of its request included

# Requests without an answer: these the client sends again by itself, for about 25 seconds.
RETRY = trio_h2.Retry(attempts=8, idempotent=True, statuses={429, 502, 503, 504})


async def download(client: trio_h2.Client, url: str, part: trio.Path) -> bool:
    """Returns whether the whole file has come. If it was cut, only the program can begin anew: it has a part of it."""
    with trio.move_on_after(SECONDS):
        async with client.request("GET", url) as response:
            response.raise_for_status()
            async with await part.open("wb") as file:
                try:
                    async for chunk in response:  # raises if the response was cut
                        await file.write(chunk)
                except (trio_h2.StreamError, trio_h2.SessionError) as error:
                    print(f"{url}: {error!r}", file=sys.stderr)
                    return False
        return True
    return False


async def download_with_retries(client: trio_h2.Client, url: str, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    try:
        for _ in range(STARTS):
            if await download(client, url, trio.Path(part)):
                part.replace(target)
                return
            await trio.sleep(random.uniform(0, 1))  # not all clients at the same moment
        raise RuntimeError(f"cut, or too slow, {STARTS} times")
    finally:
        part.unlink(missing_ok=True)


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


async def main(folder: str, urls: list[str], ca: Path | None = None) -> None:
    context = trio_h2.client_ssl_context(ca, allow_http1=True)
    async with trio_h2.Client(retry=RETRY, ssl_context=context) as client:
        failed = await download_all(client, Path(folder), urls)
    if failed:
        sys.exit(f"{len(failed)} failed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ca", type=Path, help="trust this certificate authority instead of those of the system")
    parser.add_argument("folder")
    parser.add_argument("urls", nargs="+")
    given = parser.parse_args()
    trio.run(main, given.folder, given.urls, given.ca)

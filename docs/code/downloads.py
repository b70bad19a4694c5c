"""Downloads many files, fifty at a time. Run it with: python3 downloads.py [--ca FILE] FOLDER URL..."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import trio

import trio_h2

AT_ONCE = 50
RETRIES = 3  # of one file, when its body broke off
SECONDS = 600  # for one file, all repetitions included

# Requests without an answer: these the client sends again by itself, for about 25 seconds.
RETRY = trio_h2.Retry(attempts=8, idempotent=True, statuses={429, 502, 503, 504})


async def download_all(client: trio_h2.Client, folder: Path, urls: Iterable[str]) -> list[str]:
    """Returns the URLs that could not be downloaded."""
    failed: list[str] = []
    remaining = iter(urls)

    async def work() -> None:
        for url in remaining:  # all workers share it, each takes the next one
            target = folder / urlsplit(url).path.strip("/").replace("/", "_")
            try:
                with trio.fail_after(SECONDS):
                    await client.download(url, target, resume=True, retries=RETRIES)
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

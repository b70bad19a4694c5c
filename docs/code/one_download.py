"""Downloads one file, with a progress display, and goes on where the last run has stopped."""

import sys

import trio_h2


def show(received: int, expected: int | None) -> None:
    of = "" if expected is None else f" of {expected / 1e6:.1f}"
    print(f"\r{received / 1e6:.1f}{of} MB", end="", file=sys.stderr)


async def download(url: str, file: str) -> None:
    async with trio_h2.Client(follow_redirects=True) as client:
        await client.download(url, file, resume=True, progress=show)

"""Takes the picture of the page about traces: `python3 -m tests.interop.screenshot docs/images/slow-download.png`."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import trio

from tests.interop.browser import open_page
from tests.interop.processes import PeerFinder, run

ROOT = Path(__file__).parents[2]
SIZE = (1280, 860)


async def take_picture(chromium: str, picture: Path, folder: Path) -> None:
    """Runs the slow download of the page, and takes a picture of its trace.

    Args:
        chromium: The program.
        picture: The PNG file to write.
        folder: Where everything else goes.
    """
    picture.parent.mkdir(exist_ok=True)
    trace = folder / "slow.sqlog"
    await run(sys.executable, ROOT / "docs" / "code" / "slow_download.py", trace)
    await run(sys.executable, "-m", "trio_h2", "view", trace)
    page = f"{trace.as_uri()}.html#stream=1"
    size = f"--window-size={SIZE[0]},{SIZE[1]}"
    await open_page(chromium, page, folder / "profile", f"--screenshot={picture}", size, "--hide-scrollbars")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        browser = PeerFinder(allow_missing=False).program("chromium")
        trio.run(partial(take_picture, browser, Path(sys.argv[1]).resolve(), Path(name)))

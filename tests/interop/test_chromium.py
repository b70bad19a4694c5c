"""A browser loads a page with many assets from `trio-h2 serve --self-signed`."""

from __future__ import annotations

import json
import re
import sys
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

from tests.interop.browser import open_page
from tests.interop.processes import running

if TYPE_CHECKING:
    from tests.interop.processes import PeerFinder

ROOT = Path(__file__).parents[2]
ASSETS = 50
PAGE = """<!doctype html><title>assets</title><link rel="icon" href="data:,">
{tags}
<pre id="result">not yet</pre>
<script>
addEventListener("load", () => {{
  const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const seen = entries.map(e => [new URL(e.name).pathname, e.nextHopProtocol, e.responseStatus, e.decodedBodySize]);
  document.getElementById("result").textContent = JSON.stringify({{
    seen, ran: window.ran, colour: getComputedStyle(document.body).color,
    images: [...document.images].filter(i => i.complete && i.naturalWidth === 7).length,
  }});
}});
</script>
"""
IMAGE = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"><!-- {padding} --></svg>'


def write_site(folder: Path) -> dict[str, int]:
    """Writes a page with 50 assets; returns the size of each by its path."""
    tags = []
    for number in range(ASSETS - 20):
        (folder / f"image{number}.svg").write_text(IMAGE.format(padding="x" * 1000 * number))
        tags.append(f'<img src="image{number}.svg">')
    for number in range(10):
        (folder / f"style{number}.css").write_text(f"body {{ color: rgb({number}, {number}, {number}) }}")
        tags.append(f'<link rel="stylesheet" href="style{number}.css">')
        (folder / f"script{number}.js").write_text("window.ran = (window.ran || 0) + 1;\n" + "// more\n" * 10_000)
        tags.append(f'<script src="script{number}.js"></script>')
    (folder / "index.html").write_text(PAGE.format(tags="\n".join(tags)))
    return {f"/{file.name}": file.stat().st_size for file in folder.iterdir() if file.name != "index.html"}


async def test_a_page_with_fifty_assets(tmp_path: Path, peers: PeerFinder) -> None:
    """It gets all of them, whole, and calls the protocol of each of them h2."""
    chromium = peers.program("chromium")
    folder = tmp_path / "site"
    folder.mkdir()
    sizes = write_site(folder)
    assert len(sizes) == ASSETS
    async with running(sys.executable, "-m", "trio_h2", "serve", str(folder), "--self-signed", cwd=ROOT) as server:
        url = (await server.wait_for(r"^Listening on (\S+)$"))[1]
        done = await open_page(chromium, f"{url}/", tmp_path / "profile", "--ignore-certificate-errors")
        found = re.search(r'<pre id="result">(.*?)</pre>', done.text, re.DOTALL)
        assert found is not None, done.errors
        result = json.loads(unescape(found[1]))
        assert server.output == f"Listening on {url}\n", "the server has nothing to complain about"
    seen = {path: (protocol, status, size) for path, protocol, status, size in result["seen"]}
    assert seen.pop("/")[:2] == ("h2", 200)
    assert seen == {path: ("h2", 200, size) for path, size in sizes.items()}
    assert (result["images"], result["ran"], result["colour"]) == (ASSETS - 20, 10, "rgb(9, 9, 9)")

"""The page: template, styles, script and the trace, in one file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._trace import Trace


def make_page(trace: Trace, name: str) -> str:
    """Returns the page that shows a trace.

    Nothing of a trace can become markup or a program: it stands in a JSON block without `<`, the script puts it on the
    page as text only, and the page's policy runs nothing but that script and lets nothing be fetched.

    Args:
        trace: what to show.
        name: what to call it.
    """
    folder = files(__package__)
    style = folder.joinpath("page.css").read_text(encoding="utf-8")
    script = folder.joinpath("page.js").read_text(encoding="utf-8")
    data = json.dumps({"name": name, **trace.page_data()}, separators=(",", ":"), allow_nan=False)
    filled = {
        "POLICY": f"default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'",
        "NAME": html.escape(name),
        "STYLE": style,
        "DATA": data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        "SCRIPT": script,
    }
    # One pass over the pieces of the template: what was filled in is not looked at again.
    template = folder.joinpath("page.html").read_text(encoding="utf-8")
    return "".join(filled.get(piece, piece) for piece in template.split("@@"))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"

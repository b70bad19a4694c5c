"""What `trio-h2 view` makes: a page that shows a trace, in one file that needs no network.

A trace is read once, record by record (`Records`). Without secrets, if asked for (`Redaction`), it is gathered in a
`Trace` of sessions and streams, whose size is bounded (`Budget`), and written into the page (`make_page`), where
`page.js` draws it. A trace is never trusted: every field of it may be missing, or be something else (`Fields`).
"""

from __future__ import annotations

from ._page import make_page
from ._records import NoTraceError, Records
from ._trace import Trace

__all__ = ["NoTraceError", "Records", "Trace", "make_page"]

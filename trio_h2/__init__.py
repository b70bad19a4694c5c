"""HTTP/2 for Trio: clients, servers and test servers, in structured concurrency.

General layout: `_wire` knows the protocol and nothing of Trio; `_stream` and `_session` make Trio streams and tasks of
it; `_net` connects and listens; `_client` keeps sessions for URLs. Only the names of `_names` and `_client` are public.
They are imported when the first of them is used, so that ``import trio_h2`` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from ._client import *  # noqa: F403  # what its `__init__` lists, as below
    from ._names import *  # noqa: F403
else:
    from ._public import lazily as _lazily

    __getattr__, __dir__ = _lazily(globals(), "._names", "._client")

"""A transport for httpx and for its successor httpx2: their API, on the connections of `trio_h2.Client`.

    async with httpx.AsyncClient(transport=trio_h2.httpx.Transport()) as client:
        response = await client.get("https://example.org/")

`Transport` serves both libraries; one of them must be installed (the extras ``httpx`` and ``httpx2`` do that). Their
clients run on Trio then.
"""

from __future__ import annotations

from .._public import publish as _publish
from ._libraries import AnyRequest as AnyRequest
from ._libraries import AnyResponse as AnyResponse
from ._transport import Transport as Transport

_publish(globals())

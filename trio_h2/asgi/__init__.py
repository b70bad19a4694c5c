"""ASGI 3 applications (Starlette, FastAPI, Quart-Trio, …) over HTTP/2 and HTTP/1.1, on Trio.

* `serve` runs an application: its lifespan, and around each request and WebSocket a task.
* `handler` makes of an application a handler for every ``serve_*`` function, `open_server` and the test kit; `lifespan`
  is the block that goes around those::

    async with asgi.lifespan(app) as state:
        await trio_h2.serve_tcp(asgi.handler(app, state=state), 8080)

Implemented are the HTTP and WebSocket specification 2.5, lifespan 2.0, and the extensions for trailers, early hints,
push, paths of files, denial of WebSockets, and TLS. WebSockets need the extra ``websocket``.
"""

from __future__ import annotations

from .._public import publish as _publish
from ._errors import AsyncioNeededError as AsyncioNeededError
from ._errors import ClientDisconnectedError as ClientDisconnectedError
from ._errors import LifespanError as LifespanError
from ._handler import handler as handler
from ._lifespan import Lifespan as Lifespan
from ._lifespan import LifespanMode as LifespanMode
from ._lifespan import lifespan as lifespan
from ._serve import serve as serve
from ._types import Application as Application
from ._types import Event as Event
from ._types import Message as Message
from ._types import Receive as Receive
from ._types import Scope as Scope
from ._types import Send as Send
from ._types import State as State

_publish(globals())

"""A gateway: a handler that gives each request to the servers, the application or the directory that it is for.

::

    routes = [
        Route("/", "http://localhost:3000"),
        Route("/api", Servers(["http://10.0.0.1:8000", "http://10.0.0.2:8000"], check=HealthCheck("/health"))),
        Route("/static", DirectoryHandler("static", prefix="/static")),
    ]
    async with Gateway(routes) as gateway:
        await trio_h2.serve_ssl_over_tcp(gateway, 8443, ssl_context, allow_http1=True)

* `Route` says which requests, by host and by the beginning of the path, go where.
* `Servers` are some that do the same: the one with the fewest running requests gets the next one. How many each of
  them has at a time is limited, and so are those that wait.
* `HealthCheck` asks servers whether they are well, `Ejection` leaves those alone for a while that fail again and again,
  and `Retries` says how much may be asked of another server.
* `Gateway.statistics` tells how each of them does.

What is passed on, and how, is the matter of `trio_h2.relay`.
"""

from __future__ import annotations

from .._public import publish as _publish
from ._ejection import Ejection as Ejection
from ._gateway import Gateway as Gateway
from ._health_check import HealthCheck as HealthCheck
from ._retries import Retries as Retries
from ._route import Route as Route
from ._route import Target as Target
from ._server_statistics import ServerStatistics as ServerStatistics
from ._servers import Servers as Servers
from ._statistics import GatewayStatistics as GatewayStatistics

_publish(globals())

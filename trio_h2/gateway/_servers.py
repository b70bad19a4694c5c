"""Servers that do the same."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio_h2

from .._checks import check_bool, check_hook, check_int, check_seconds
from .._field_docs import describe_fields
from .._values import Value
from ._connecting import client_of, upstream_of
from ._ejection import Ejection
from ._health_check import HealthCheck
from ._retries import Retries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import trio


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Servers(Value):
    """Some servers that do the same, and how they are treated.

    The one with the fewest running requests gets the next; of several, each in turn. Use one object in several routes
    for the same servers, so that these routes share its connections, limits and health.
    """

    urls: Sequence[str]
    """Where they are: URLs (``"http://10.0.0.1:8000"``; a path is put before that of each request), or Unix sockets
    (``"unix:/run/app.sock"``). ``http`` means HTTP/1.1 unless *prior_knowledge* says otherwise; for ``https`` the
    server chooses."""
    check: HealthCheck | None = field(default=None, kw_only=True)
    """How they are asked whether they are well."""
    ejection: Ejection | None = field(default=Ejection(), kw_only=True)
    """When one that fails is left alone for a while; ``None``: never."""
    retries: Retries = field(default=Retries(), kw_only=True)
    """How much is asked of another one."""
    timeouts: trio_h2.Timeouts = field(default=trio_h2.Timeouts(connect=5.0, slot=10.0, response=60.0), kw_only=True)
    """How long each part of a request may take."""
    max_running: int = field(default=256, kw_only=True)
    """Requests, WebSockets and tunnels that each of them has at a time at most; over HTTP/1.1 each of these has a
    connection of its own."""
    max_waiting: int = field(default=1024, kw_only=True)
    """Requests that wait for one of them at most; further ones are answered with 503."""
    max_wait: float = field(default=10.0, kw_only=True)
    """Seconds that they wait at most, before they are answered with 503."""
    keep_host: bool = field(default=True, kw_only=True)
    """Whether they are told the host that the client asked for; if not, that of their URL."""
    forwarded: bool = field(default=True, kw_only=True)
    """Whether ``forwarded`` tells them the client's address, scheme and host."""
    x_forwarded: bool = field(default=True, kw_only=True)
    """Whether ``x-forwarded-for``, ``-proto`` and ``-host`` do, as most frameworks expect."""
    tunnel_idle_timeout: float | None = field(default=None, kw_only=True)
    """Seconds after which a WebSocket that has carried no byte is given up; ``None`` for never."""
    prior_knowledge: bool = field(default=False, kw_only=True)
    """Whether ``http`` and Unix sockets mean HTTP/2 in clear text."""
    ssl_context: ssl.SSLContext | None = field(default=None, kw_only=True)
    """For ``https``; by default one that verifies against the system's CAs."""
    transport: Callable[[str], Awaitable[trio.abc.Stream]] | None = field(default=None, kw_only=True)
    """An async function that is called with the origin of each new connection, and returns the stream to use instead
    of a TCP connection, as for `trio_h2.Client`."""

    def __post_init__(self) -> None:
        urls = (self.urls,) if isinstance(self.urls, str) else tuple(self.urls)
        if not urls:
            raise ValueError("urls must name at least one server")
        object.__setattr__(self, "urls", urls)
        _check_kind("check", self.check, HealthCheck, None)
        _check_kind("ejection", self.ejection, Ejection, None)
        _check_kind("retries", self.retries, Retries)
        _check_kind("timeouts", self.timeouts, trio_h2.Timeouts)
        _check_kind("ssl_context", self.ssl_context, ssl.SSLContext, None)
        check_int("max_running", self.max_running, 1)
        check_int("max_waiting", self.max_waiting, 0)
        check_seconds("max_wait", self.max_wait)
        for name in ("keep_host", "forwarded", "x_forwarded", "prior_knowledge"):
            check_bool(name, getattr(self, name))
        check_hook("transport", self.transport)
        for url in urls:
            upstream_of(self, client_of(self, url), url, None, None)  # refuses what is not right


def _check_kind(name: str, value: object, *kinds: type | None) -> None:
    """Checks an object of a class of ours, or ``None`` where that is one of *kinds*."""
    if not any(value is None if kind is None else isinstance(value, kind) for kind in kinds):
        assert kinds[0] is not None
        raise TypeError(f"{name} must be {kinds[0].__name__}{' or None' if None in kinds else ''}, not {value!r}")

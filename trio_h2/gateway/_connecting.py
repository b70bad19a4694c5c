"""How a gateway speaks with one of its servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio_h2

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._servers import Servers

_UNIX: Final = "unix:"


def base_of(url: str) -> str:
    """Returns the URL that requests to a server have: where it is, or anything for a Unix socket."""
    return "http://localhost" if url.startswith(_UNIX) else url


def client_of(servers: Servers, url: str) -> trio_h2.Client:
    """Makes what asks one of some servers.

    Args:
        servers: how they are treated.
        url: of the one.

    Raises:
        TypeError, ValueError: the URL is not right.
    """
    if not isinstance(url, str):
        raise TypeError(f"urls must hold text such as 'http://localhost:8000', not {url!r}")
    if url == _UNIX:
        raise ValueError("urls must name a path behind 'unix:'")
    most = servers.max_running + (servers.check is not None)  # a busy server is not ill
    return trio_h2.Client(
        default_headers=False,
        decode=False,
        ssl_context=servers.ssl_context,
        timeouts=servers.timeouts,
        # For the connection that ends with this request; all else is the gateway's to repeat.
        retry=trio_h2.Retry(attempts=1, backoff=0.0),
        transport=servers.transport,
        unix_path=url.removeprefix(_UNIX) if url.startswith(_UNIX) else None,
        prior_knowledge=servers.prior_knowledge,
        max_sessions=most,
        max_sessions_per_origin=most,
        max_http1_per_origin=most,
    )


def upstream_of(
    servers: Servers,
    client: trio_h2.Client,
    url: str,
    via: str | None,
    rewrite: Callable[[trio_h2.Headers], trio_h2.HeadersInput] | None,
) -> trio_h2.Upstream:
    """Makes where `trio_h2.relay` passes requests on to.

    Args:
        servers: how they are treated.
        client: of the server.
        url: of the server.
        via: the gateway's name.
        rewrite: what changes path and headers.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """
    return trio_h2.Upstream(
        client,
        base_of(url),
        keep_host=servers.keep_host,
        forwarded=servers.forwarded,
        x_forwarded=servers.x_forwarded,
        via=via,
        timeouts=servers.timeouts,
        rewrite=rewrite,
        tunnel_idle_timeout=servers.tunnel_idle_timeout,
    )

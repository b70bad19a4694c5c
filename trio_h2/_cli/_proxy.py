"""`trio-h2 proxy`: a forward proxy for CONNECT, until it is told to stop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio_h2
from trio_h2.tunnel import ConnectProxy

from ._errors import UsageError
from ._serve import Service, renewal, tls_context, traced

if TYPE_CHECKING:
    from ._args import ProxyOptions

_CONFIG = trio_h2.ServerConfig(max_concurrent_streams=512, stream_window=64 * 1024)
"""A browser has all its connections in one session."""


def prepare_proxy(options: ProxyOptions) -> Service:
    """Reads the allow-list, before anything is listened on.

    Raises:
        CommandError: a rule is not right, or the certificate cannot be loaded.
    """
    try:
        proxy = ConnectProxy(options.allow)
    except ValueError as exc:
        raise UsageError(f"--allow: {exc}") from exc
    logging.getLogger("trio_h2.proxy").setLevel(logging.INFO)  # a line on stderr for each tunnel
    # Most programs that know what a proxy is speak HTTP/1.1 to it.
    context = tls_context(options, allow_http1=True)
    config = _CONFIG.evolve(drain_timeout=options.graceful_timeout)
    return Service(
        *(proxy, options, context, traced(config, options, "trio-h2 proxy")),
        allow_http1=True,
        renewal=renewal(options, allow_http1=True),
    )

"""A new certificate without a new process: on SIGHUP the files of `--cert` and `--key` are read again."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Final

from ._errors import CommandError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    import trio_h2

RENEW: Final[tuple[signal.Signals, ...]] = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
"""The signal that asks for it, where there is one."""

logger = logging.getLogger("trio_h2.certificate")


class Renewal:
    """Makes the TLS context again, from the same options.

    Args:
        make: makes it; raises `CommandError` if it cannot.
    """

    def __init__(self, make: Callable[[], ssl.SSLContext | None]) -> None:
        self._make = make
        logger.setLevel(logging.INFO)  # a line on stderr for each

    def renew(self, server: trio_h2.Server) -> None:
        """Gives *server* a new context for connections to come; if that fails, says why, and it keeps the old one."""
        try:
            context = self._make()
            assert context is not None
            server.set_ssl_context(context)
        except (CommandError, ValueError) as exc:
            logger.error("the certificate stays as it was: %s", exc)
        else:
            logger.info("the certificate was read again; new connections use it")

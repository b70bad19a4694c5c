"""What these responses ask of an exchange, so that they work below whatever HTTP version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import trio

from trio_h2 import ErrorCode, ServerExchange, Stream

HeaderFields: TypeAlias = dict[str, str | int | Sequence[str | int]]
"""Header fields that can be edited: names in lower case, values as `trio_h2.Headers` takes them."""


class FileExchange(ServerExchange, Protocol):
    """A request and its response, as a handler gets them; `trio_h2.ServerStream` is one."""

    @property
    def method(self) -> str:
        """The request method."""

    @property
    def path(self) -> str:
        """Path and query as they came."""

    @property
    def headers_sent(self) -> bool:
        """Whether the final response headers were sent."""


def destroy(exchange: FileExchange, error: Exception) -> None:
    """Ends an exchange that cannot be answered; its later operations name the error where they can."""
    if isinstance(exchange, Stream):
        exchange.destroy(error)
    else:
        exchange.reset(ErrorCode.INTERNAL_ERROR)


async def finish(exchange: FileExchange) -> None:
    """Ends the response now, where that can be said; else it ends with its handler."""
    if isinstance(exchange, trio.abc.HalfCloseableStream):
        await exchange.send_eof()
    else:
        await trio.lowlevel.checkpoint()

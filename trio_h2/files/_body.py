"""From a file into a response, chunk by chunk: never more than the client takes, never a cut body that looks whole."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from trio_h2 import ErrorCode

from ._reading import CHUNK, TruncatedFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from trio_h2 import HeadersInput

    from ._exchange import FileExchange
    from ._reading import Source


class WholeBody:
    """Around the sending of a body: if it is left by an exception, the response is reset.

    INTERNAL_ERROR tells that it could not be sent, CANCEL that it was not to be.
    """

    def __init__(self, exchange: FileExchange) -> None:
        self._exchange = exchange

    def __enter__(self) -> None:
        """Does nothing."""

    def __exit__(
        self, _exc_type: type[BaseException] | None, exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Resets."""
        if exc is not None:
            code = ErrorCode.INTERNAL_ERROR if isinstance(exc, Exception) else ErrorCode.CANCEL
            self._exchange.reset(code)


async def send_span(exchange: FileExchange, source: Source, offset: int, length: int | None) -> None:
    """Sends *length* bytes of a file from *offset* on; ``None``: all there are.

    Raises:
        TruncatedFileError: there are fewer.
        OSError: the file cannot be read.
        H2Error, trio.ClosedResourceError: as `trio_h2.Stream.send_all`.
    """
    sent = 0
    while length is None or sent < length:
        chunk = await source.read(offset + sent, CHUNK if length is None else min(CHUNK, length - sent))
        if not chunk:
            if length is None:
                return
            raise TruncatedFileError(errno.EIO, f"the file ended {length - sent} bytes before its announced end")
        await exchange.send_all(chunk)
        sent += len(chunk)


async def send_parts(exchange: FileExchange, source: Source, parts: Sequence[bytes | tuple[int, int]]) -> None:
    """Sends bytes and spans (offset, length) of a file, one after the other. Raises as `send_span`."""
    for part in parts:
        if isinstance(part, bytes):
            await exchange.send_all(part)
        else:
            await send_span(exchange, source, *part)


async def end_body(exchange: FileExchange, trailers: HeadersInput | None, *, end_stream: bool) -> None:
    """Ends a response after its body as the caller of a response function wants it."""
    if trailers is not None:
        await exchange.send_trailers(trailers)
    elif end_stream:
        await exchange.send_eof()

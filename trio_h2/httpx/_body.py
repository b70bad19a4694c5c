"""The body of a response, as httpx takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util import interrupt_safe
from ._libraries import AnyByteStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .. import Response
    from ._carrier import Carrier
    from ._libraries import Extensions, Library
    from ._upload_carrier import UploadCarrier


@interrupt_safe
class ResponseBody(AnyByteStream):
    """Gives out the pieces of a body, in whatever task; closing it ends the exchange.

    Args:
        library: httpx or httpx2.
        carrier: has the exchange.
        response: what is read.
    """

    def __init__(self, library: Library, carrier: Carrier | UploadCarrier, response: Response) -> None:
        self._library = library
        self._carrier = carrier
        self._response = response
        self.extensions: Extensions = {}
        """Those of httpx's response, for the trailers."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._response.receive_some()
        except Exception as exc:
            error = self._carrier.translated(exc)
            if error is exc:
                raise
            raise error from exc
        if not data:
            trailers = self._response.trailers
            if trailers is not None:
                self.extensions["trailers"] = self._library.fields(trailers.raw)
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Gives up what has not ended, even if it is cancelled."""
        await self._carrier.aclose()

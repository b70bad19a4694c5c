"""What carries a request of httpx whose body is all there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util import interrupt_safe
from ._errors import translated

if TYPE_CHECKING:
    from .. import RequestBlock, Response
    from ._libraries import Library


@interrupt_safe
class Carrier:
    """The block of such a request needs no task: it may be entered by one task and left by another."""

    def __init__(self, library: Library, block: RequestBlock) -> None:
        self._library = library
        self._block = block

    async def send(self) -> Response:
        """Sends the request; returns when the head of its response is here."""
        return await self._block.__aenter__()

    def translated(self, error: Exception) -> Exception:
        """Returns what httpx raises for an error of the exchange."""
        return translated(self._library, error, sending=False)

    async def aclose(self) -> None:
        """Gives up what has not ended."""
        await self._block.__aexit__(None, None, None)

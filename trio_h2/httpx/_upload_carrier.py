"""What carries a request of httpx whose body comes piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._util import interrupt_safe
from ._errors import translated

if TYPE_CHECKING:
    from .. import RequestBlock, Response
    from ._libraries import Library
    from ._pieces import Pieces


@interrupt_safe
class UploadCarrier:
    """The block of such a request has a nursery, for the task that sends the body. So it stays in a task of the
    transport's, while the response is used by those of the application.

    Args:
        library: whose exceptions are raised.
        block: the request.
        pieces: its body.
        nursery: where the task goes.
    """

    def __init__(self, library: Library, block: RequestBlock, pieces: Pieces, nursery: trio.Nursery) -> None:
        self._library = library
        self._block = block
        self._pieces = pieces
        self._nursery = nursery
        self._scope = trio.CancelScope()
        self._answered = trio.Event()
        self._ended = trio.Event()
        self._response: Response | None = None
        self._error: Exception | None = None

    async def send(self) -> Response:
        """Sends the request; returns when the head of its response is here."""
        self._nursery.start_soon(self._run, name="trio_h2 request of httpx")
        try:
            await self._answered.wait()
        except BaseException:
            self._scope.cancel()
            raise
        if self._response is None:
            raise self._error or trio.ClosedResourceError("this transport was closed")
        return self._response

    async def _run(self) -> None:
        try:
            with self._scope:
                async with self._block as self._response:
                    self._answered.set()
                    await trio.sleep_forever()
        except Exception as exc:
            self._error = exc
        finally:
            self._answered.set()
            self._ended.set()

    def translated(self, error: Exception) -> Exception:
        """Returns what httpx raises for an error of the exchange, or what the maker of the body has raised."""
        if self._pieces.error is not None:
            return self._pieces.error
        cause = error if self._error is None else self._error
        return translated(self._library, cause, sending=not self._pieces.ended)

    async def aclose(self) -> None:
        """Gives up what has not ended, and waits until the maker of the body has ended, too."""
        self._scope.cancel()
        await self._ended.wait()

"""The body of a request of httpx, as it is sent piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from .. import RequestBody


class Pieces:
    """The pieces of one body; remembers how far it is.

    Args:
        source: all of it, which can be sent again; or what makes it, once.
        size: the bytes of one piece of what is all there.
    """

    def __init__(self, source: bytes | AsyncIterable[bytes], size: int) -> None:
        self._source = source
        self._size = size
        self._iterator: AsyncIterator[bytes]
        self.error: Exception | None = None
        """What its maker has raised."""
        self.ended = False
        """All of it was taken."""

    @property
    def body(self) -> RequestBody:
        """What `Client.request` takes."""
        return self.begin if isinstance(self._source, bytes) else self.begin()

    def begin(self) -> AsyncIterator[bytes]:
        """Gives them out from the first one on."""
        source = self._source
        self.ended = False
        self._iterator = _parts(source, self._size) if isinstance(source, bytes) else aiter(source)
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._iterator)
        except StopAsyncIteration:
            self.ended = True
            raise
        except Exception as exc:
            self.error = exc
            raise

    async def aclose(self) -> None:
        """Ends the generator that makes them, if it is one."""
        aclose = getattr(self._iterator, "aclose", None)
        if aclose is not None:
            await aclose()


async def _parts(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]

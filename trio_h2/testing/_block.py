"""The blocks of the kit: entered once, and out of the way of the test's own errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from .._util import NoPublicConstructor, unwrap_body_error

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

T = TypeVar("T")


class Block(Generic[T], metaclass=NoPublicConstructor):
    """What the functions of the kit return, for ``async with``. Use it once.

    An exception of the block's body leaves it as it is, not wrapped in a group.
    """

    _made_by = "session_pair(), tls_server() and their like make it"

    def __init__(self, block: AbstractAsyncContextManager[T]) -> None:
        self._block = block

    async def __aenter__(self) -> T:
        """Starts what the block is for."""
        return await self._block.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Ends it."""
        try:
            return await self._block.__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, exc)
        finally:
            del exc, traceback

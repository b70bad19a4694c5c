"""A body that is stored somewhere, and read while it is sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class StoredBody(ABC):
    """What is read from its beginning whenever it is sent. It is opened once, before, and closed once, after all."""

    @abstractmethod
    async def open(self) -> int | None:
        """Makes sure that it is there; returns how many bytes it has, ``None`` if only its end will tell."""

    @property
    @abstractmethod
    def replayable(self) -> bool:
        """Whether it can be sent more than once. To be asked when it is open."""

    @abstractmethod
    def pieces(self) -> AsyncIterator[bytes]:
        """Returns its bytes, from the beginning."""

    @abstractmethod
    async def close(self) -> None:
        """Lets go of what it has opened."""

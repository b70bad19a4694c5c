"""One attempt of an exchange that an application drives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._exchange import Exchange
    from ._incoming import Incoming


class Attempt:
    """One of them.

    Args:
        incoming: its response, which knows what carries it.
    """

    __slots__ = ("error", "exchange", "given_up", "incoming")

    def __init__(self, incoming: Incoming) -> None:
        self.incoming: Incoming = incoming
        self.exchange: Exchange = incoming.exchange
        self.given_up: bool = False
        """Another one is to follow."""
        self.error: Exception | None = None
        """Why there is no other one all the same."""

    @property
    def over(self) -> bool:
        """Whether the whole response was taken."""
        return self.incoming.ended

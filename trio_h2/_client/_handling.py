"""What a client does with the responses to a request before it gives them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._values import Value

if TYPE_CHECKING:
    from ._cookies import Cookies


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Handling(Value):
    """What is done with responses."""

    max_redirects: int
    """How many redirects are followed; 0 if none is."""
    decode: bool
    """Whether content codings are undone."""
    cookies: Cookies | None
    """Where cookies are kept, if they are."""

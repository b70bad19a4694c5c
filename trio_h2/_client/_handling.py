"""What a client does with the responses to a request before it gives them out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Handling:
    """What is done with responses."""

    max_redirects: int
    """How many redirects are followed; 0 if none is."""
    decode: bool
    """Whether content codings are undone."""

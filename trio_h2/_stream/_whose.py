"""Whose stream the parts of a stream belong to: what they raise says so, in `H2Error.stream`."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._errors import AnyStream


class Whose:
    """The stream that an application has, for the core and the boxes below it, which it holds itself.

    A weak reference: nothing down there may keep it alive, or the two would wait for the garbage collector.
    """

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        self._stream: weakref.ref[AnyStream] | None = None

    def belongs_to(self, stream: AnyStream) -> None:
        """This is the stream that the application has."""
        self._stream = weakref.ref(stream)

    @property
    def stream(self) -> AnyStream | None:
        """That stream; ``None`` if there is none, or nobody has it any more."""
        return None if self._stream is None else self._stream()

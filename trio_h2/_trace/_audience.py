"""Those who are told, and what becomes of one that raises."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from ._instrument import Instrument

logger = logging.getLogger("trio_h2.instruments")


class Audience:
    """The instruments of one session.

    Args:
        instruments: those of its configuration.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = instruments

    def tell(self, what: Callable[[Instrument], object]) -> None:
        """Tells each of them; one that raises is told nothing any more."""
        for instrument in self._instruments:
            if not instrument.disabled:
                try:
                    what(instrument)
                except Exception:  # whoever only looks on must not break what it looks at
                    _disable(instrument)

    @contextmanager
    def around(self, block: Callable[[Instrument], AbstractContextManager[object] | None]) -> Iterator[None]:
        """Runs the body in the blocks that they make, the first one outermost; none of them can swallow an error."""
        opened: list[tuple[Instrument, AbstractContextManager[object]]] = []
        for instrument in self._instruments:
            if instrument.disabled:
                continue
            try:
                made = block(instrument)
                if made is not None:
                    made.__enter__()
                    opened.append((instrument, made))
            except Exception:  # as above
                _disable(instrument)
        error: BaseException | None = None
        try:
            try:
                yield
            except BaseException as exc:
                error = exc
                raise
        finally:
            for instrument, made in reversed(opened):
                try:
                    made.__exit__(*((None, None, None) if error is None else (type(error), error, error.__traceback__)))
                except Exception as exc:  # as above
                    if exc is not error:  # a block made of a generator raises the same one again
                        _disable(instrument)
                except BaseException as exc:
                    if exc is not error:
                        raise
            del error


def _disable(instrument: Instrument) -> None:
    """Logs what was raised, and has it called no more."""
    logger.exception("the instrument %r raised, and is not called any more", instrument)
    object.__setattr__(instrument, "disabled", True)  # even if it is frozen

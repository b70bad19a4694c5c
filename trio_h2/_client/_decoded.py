"""The body of a response without its content codings."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import trio

from .._content import wrong_body
from .._util import interrupt_safe
from ._decoders import Codings, WrongData

if TYPE_CHECKING:
    from .. import Headers
    from ._decoders import Decoder
    from ._incoming import Incoming

_PIECE: Final = 64 * 1024
"""Bytes that one step makes, and that are held between two codings."""
_STEPS: Final = 16
"""Steps without a result before other tasks have their turn."""
_MOST: Final = 4
"""Codings one upon the other; nobody needs more than two."""


@lru_cache(maxsize=1)
def codings() -> Codings:
    """Returns what can be undone."""
    return Codings()


def decoded(incoming: Incoming, headers: Headers) -> Decoded | None:
    """Returns the body without its codings; ``None`` if it has none, or one that nobody knows."""
    if headers.first(b"content-encoding") is None:
        return None
    # RFC 9110 §14.2: the part that 206 carries is one of the encoded representation, which says nothing by itself.
    if headers.status == 206:
        return None
    said = headers["content-encoding"]
    # RFC 9110 §8.4.1: "x-gzip" is "equivalent to "gzip"", and names do not look at case.
    names = [name.strip().lower().removeprefix("x-") for name in said.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    known = codings()
    if not names or not all(name in known.makers or name in known.missing for name in names):
        return None
    error = None
    if len(names) > _MOST:
        error = f"the response has {len(names)} content codings, more than {_MOST}"
    elif missing := [name for name in names if name in known.missing]:
        error = (
            f"the response is encoded with {missing[0]}, which was not asked for and needs a library: "
            "pip install 'trio-h2[client]', or ask with decode=False"
        )
    # RFC 9110 §8.4: they are listed "in the order in which they were applied".
    return Decoded(incoming, [] if error else [known.makers[name]() for name in reversed(names)], error)


@interrupt_safe
class Decoded:
    """Undoes the codings of one body while it comes in. Holds no more than a few pieces.

    Args:
        incoming: what comes.
        decoders: those for the codings, the last one that was applied first.
        error: why it cannot be undone.
    """

    def __init__(self, incoming: Incoming, decoders: list[Decoder], error: str | None) -> None:
        self._incoming = incoming
        self._decoders = decoders
        self._error = error
        self._ended = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives bytes of the body, ``b""`` at its end. Cancelled: nothing is lost."""
        await trio.lowlevel.checkpoint_if_cancelled()
        limit = _PIECE if max_bytes is None else min(max_bytes, _PIECE)
        steps = 0
        received = False
        while True:
            self._raise_if_wrong()
            if data := self._step(limit):
                if not received:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                return data
            self._raise_if_wrong()
            if any(decoder.pending for decoder in self._decoders):
                steps += 1
                if steps % _STEPS == 0:
                    await trio.lowlevel.checkpoint()
            elif self._ended:
                await trio.lowlevel.checkpoint()
                return b""
            else:
                raw = await self._incoming.receive_some()
                received = True
                if raw:
                    self._decoders[0].feed(raw)
                else:
                    self._ended = True
                    if not all(decoder.whole for decoder in self._decoders):
                        self._error = "the body ends too early for its content-encoding"

    def _step(self, limit: int) -> bytes:
        """Lets the decoder work that is nearest to the application and has input; returns what is made for that."""
        last = len(self._decoders) - 1
        for index in range(last, -1, -1):
            decoder = self._decoders[index]
            if not decoder.pending:
                continue
            try:
                data = decoder.step(limit if index == last else _PIECE)
            except WrongData as exc:
                self._error = f"the body is not what its content-encoding says: {exc}"
                return b""
            if index == last:
                return data
            if data:
                self._decoders[index + 1].feed(data)
            return b""
        return b""

    def _raise_if_wrong(self) -> None:
        if self._error is not None:
            raise wrong_body(self._error, None)

"""The lines of a body, as they come."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

import trio

from .. import BodyTooLargeError
from .._content import wrong_body
from .._util import NoPublicConstructor, interrupt_safe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ._response import Response

_END: Final = re.compile(r"\r\n|\n|\r")
_PIECE: Final = 64 * 1024


@interrupt_safe
class LineIterator(metaclass=NoPublicConstructor):
    """The lines of a response as text, without their ends: ``async for line in response.iter_lines()``.

    A line ends with CR LF, LF, or CR; the last one may lack it. Cancelled: nothing is lost.
    """

    _made_by = "Response.iter_lines makes it"

    def __init__(self, response: Response, encoding: str, max_line: int, errors: str = "strict") -> None:
        self._response = response
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._encoding = encoding
        self._max_line = max_line
        self._lines: list[str] = []
        """Those that have come whole, the next one last."""
        self._rest: list[str] = []
        self._size = 0
        """Characters in `_rest`."""
        self._after_cr = False
        self._ended = False
        self._too_long = False
        """What comes after `_lines` is a line that is too long."""

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        """Waits for the next line.

        Raises:
            BodyTooLargeError: a line has more characters than are allowed.
            BodyDecodeError: the body is not in its charset.
            RequestTimeoutError, StreamError, SessionError, trio.ClosedResourceError: as of `Response.receive_some`.
        """
        if self._lines:
            await trio.lowlevel.checkpoint()
        while not self._lines:
            if self._too_long:
                raise BodyTooLargeError(f"a line of the response is longer than max_line={self._max_line} characters")
            if self._ended:
                await trio.lowlevel.checkpoint()
                raise StopAsyncIteration
            data = await self._response.receive_some(_PIECE)
            self._take(data)
        return self._lines.pop()

    def _take(self, data: bytes) -> None:
        """Takes more of the body, or its end."""
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as exc:
            raise wrong_body(f"the body is not in the charset {self._encoding!a}", None) from exc
        if self._after_cr and text:
            text = text.removeprefix("\n")
            self._after_cr = False
        if text.endswith("\r"):
            self._after_cr = True
        *whole, rest = _END.split(text)
        if whole:
            whole[0] = "".join(self._rest) + whole[0]
            self._rest, self._size = [], 0
        if rest:
            self._rest.append(rest)
            self._size += len(rest)
        if not data:
            self._ended = True
            if self._rest:
                whole.append("".join(self._rest))
                self._rest, self._size = [], 0
        for number, line in enumerate(whole):
            if len(line) > self._max_line:
                del whole[number:]
                self._too_long = True
                break
        self._too_long = self._too_long or self._size > self._max_line
        whole.reverse()
        self._lines = whole

"""A download to a file: in one go, or going on where another one has stopped (RFC 9110 §14)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import trio

from .. import H2Error, Headers, SessionError, StreamError
from .._util import interrupt_safe, interruptible
from ._errors import DownloadError, RequestTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from .. import HeadersInput
    from ._part import Part
    from ._request_block import RequestBlock
    from ._response import Response
    from ._retry import Retry

    Progress: TypeAlias = Callable[[int, int | None], object]

_STRONG_TAG: Final = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"').fullmatch
_RANGE: Final = re.compile(r"bytes +([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE).fullmatch
_UNSATISFIED: Final = re.compile(r"bytes +\*/([0-9]{1,18})", re.IGNORECASE).fullmatch
_SETTLED: Final = 60.0
"""Seconds by which a server's clock must be past a date of modification, so that nothing can have changed in the same
second, and the clocks of whoever makes both may differ (RFC 9110 §8.8.2.2)."""


@interrupt_safe
class Download:
    """One download.

    Args:
        part: the file, opened.
        ask: makes the request with these headers.
        headers: of each request.
        retries: how often it is begun again after it broke off.
        retry: how long to wait before that.
        progress: is told how much has come, and how much there is.
    """

    def __init__(
        self,
        part: Part,
        ask: Callable[[Headers], RequestBlock],
        headers: Headers,
        retries: int,
        retry: Retry,
        progress: Progress | None,
    ) -> None:
        self._part = part
        self._ask = ask
        self._headers = headers
        self._retries = retries
        self._retry = retry
        self._progress = progress

    async def run(self) -> Response:
        """Downloads until the file is whole; returns the last response."""
        failures = 0
        while True:
            try:
                response = await self._once()
            except (H2Error, OSError) as exc:
                if failures >= self._retries or self._part.failed or not _may_pass(exc):
                    raise
            else:
                if response is not None:
                    await self._part.finish()
                    return response
                continue
            failures += 1
            await trio.sleep(self._retry.pause(failures))

    async def _once(self) -> Response | None:
        """Asks for all that is missing; returns the response if nothing is missing any more."""
        part, start = self._part, 0
        headers = self._headers
        if part.validator is not None and part.size:
            start = part.size
            validator = part.validator.encode("latin-1")
            more = [(b"range", b"bytes=%d-" % start), (b"if-range", validator)]
            headers = Headers([*headers.raw, *more], sensitive=headers.sensitive)
        async with self._ask(headers) as response:
            if start and response.status == 416:
                said = _UNSATISFIED(response.headers.get("content-range", ""))
                if said and int(said[1]) == start:
                    await self._tell(start)
                    return response  # all of it had come before
                await part.begin(None, None)
                return None
            if response.status == 206:
                end: int | None = self._checked(response, start)
            else:
                # RFC 9110 §13.1.5: 200 is the answer if the file has changed, and of servers that know no ranges.
                response.raise_for_status()
                await part.begin(strong_validator(response.headers), _length_of(response))
                end = part.length
            await self._tell(part.length)
            async for data in response:
                if response.status == 206 and part.size + len(data) > (end or 0):
                    raise DownloadError(f"{response.url}: more has come than content-range said")
                await part.write(data)
                await self._tell(part.length)
        if response.status == 206:
            if part.size != end:
                raise DownloadError(f"{response.url}: {part.size} bytes have come of {end} that content-range said")
            return response if part.size == part.length else None
        return response

    def _checked(self, response: Response, start: int) -> int:
        """Returns where a part of the file ends that is to be added to what is there.

        Raises:
            DownloadError: it is not what was asked for.
        """
        part = self._part
        text = response.headers.get("content-range", "")
        said = _RANGE(text)
        why = ""
        if not start:
            why = "nobody has asked for a part of the file"
        elif not said:
            why = f"content-range {text!r} does not say which part this is"
        elif int(said[1]) != start or int(said[2]) < start:
            why = f"content-range {text!r} is not the part from byte {start} on"
        elif said[3] == "*" and part.length is None:
            why = f"content-range {text!r} does not say how long the file is"
        elif said[3] != "*" and (int(said[2]) >= int(said[3]) or part.length not in (None, int(said[3]))):
            why = f"content-range {text!r} does not fit the file of {part.length} bytes"
        elif said[3] == "*" and int(said[2]) >= (part.length or 0):
            why = f"content-range {text!r} goes beyond the {part.length} bytes of the file"
        elif _is_coded(response.headers):
            why = f"it has content-encoding {response.headers['content-encoding']}, and what is there has none"
        # RFC 9110 §15.3.7: a 206 must have the validators of a 200, and §15.3.7.3 that they are to be compared.
        elif _STRONG_TAG(part.validator or "") and response.headers.get("etag", part.validator) != part.validator:
            why = f"its etag {response.headers['etag']} is not {part.validator}"
        if why or said is None:
            raise DownloadError(f"{response.url} was answered with a 206 that does not fit: {why}")
        if said[3] != "*":
            part.length = int(said[3])
        return int(said[2]) + 1

    async def _tell(self, expected: int | None) -> None:
        if self._progress is not None:
            await interruptible(_call, self._progress, self._part.size, expected)


async def _call(progress: Progress, received: int, expected: int | None) -> None:
    progress(received, expected)


def _may_pass(error: H2Error | OSError) -> bool:
    """Whether the next attempt may end otherwise: GET is safe to repeat, wherever the connection was lost."""
    if isinstance(error, H2Error) and error.retryable:
        return True
    return isinstance(error, (StreamError, SessionError, RequestTimeoutError, OSError))


def download_headers(headers: HeadersInput | None, *, encoded: bool) -> Headers:
    """Returns the headers of all requests for a file.

    Args:
        headers: those of the application.
        encoded: whether content codings are welcome.

    Raises:
        ValueError: they ask for a part of it.
    """
    given = Headers(headers or ())
    for name in "range", "if-range":
        if name in given:
            raise ValueError(f"a download sends {name} by itself, with resume=True or retries")
    if encoded or "accept-encoding" in given:
        return given
    return Headers([*given.raw, (b"accept-encoding", b"identity")], sensitive=given.sensitive)


def strong_validator(headers: Headers) -> str | None:
    """Returns what can be sent as ``if-range``; ``None`` if a part of this response is of no use later.

    RFC 9110 §13.1.5: "A client MUST NOT generate an If-Range header field containing an entity tag that is marked as
    weak", and a date only without any tag, and if it is strong in the sense of §8.8.2.2.
    """
    if _is_coded(headers) or headers.get("accept-ranges", "").strip().lower() == "none":
        return None
    if "etag" in headers:
        return headers["etag"] if _STRONG_TAG(headers["etag"]) else None
    if "last-modified" not in headers or "date" not in headers:
        return None
    import email.utils  # rarely needed, and slow to import

    try:
        modified, now = (email.utils.parsedate_to_datetime(headers[name]) for name in ("last-modified", "date"))
        return headers["last-modified"] if now.timestamp() - modified.timestamp() >= _SETTLED else None
    except (ValueError, OverflowError):
        return None


def _is_coded(headers: Headers) -> bool:
    return headers.get("content-encoding", "identity").strip().lower() not in ("", "identity")


def _length_of(response: Response) -> int | None:
    length = response.headers.get("content-length")
    return None if length is None or _is_coded(response.headers) else int(length)

"""URLs as text: what counts as one, which part of it a request names, and how it is shown."""

from __future__ import annotations

import re
from typing import Final, Protocol, TypeAlias

_USER_INFO: Final = re.compile(r"^([^/?#]*//)?[^/?#]*@")
_BEFORE_PATH: Final = re.compile(r"([^/?#]*://|//)?[^/?#]*")


class HasScheme(Protocol):
    """A URL as an object: what has a `scheme`, and is a URL as text.

    Its text is what its method `geturl` returns, if it has one (`urllib.parse.urlsplit` and `urlparse` make such
    objects), else what `str` makes of it (`yarl.URL`, `httpx.URL`).
    """

    @property
    def scheme(self) -> str:
        """The scheme, e.g. `"https"`; it is read from the text all the same."""


Url: TypeAlias = str | HasScheme
"""A URL as text, or as an object."""


def url_text(url: Url) -> str:
    """Returns a URL as text.

    Raises:
        TypeError: it is neither text nor an object that says it is a URL.
    """
    if isinstance(url, str):
        return url
    geturl = getattr(url, "geturl", None)
    if isinstance(getattr(url, "scheme", None), str):
        text: object = geturl() if callable(geturl) else str(url)
        if isinstance(text, str):
            return text
    raise TypeError(f"the URL must be a str, or an object with a scheme that is a URL, not {type(url).__name__}")


def request_target(url: str) -> str:
    """Returns path and query, as a request has them: without the fragment, and with a query that is empty.

    RFC 9113 §8.3.1: the ``:path`` "MUST NOT be empty": without a path it is ``/``. RFC 3986 §6.2.3: normalization
    "should not remove delimiters when their associated component is empty", for ``/a`` and ``/a?`` may be two things.
    `urllib.parse` makes one of them.
    """
    match = _BEFORE_PATH.match(url)
    assert match is not None
    target = url[match.end() :].partition("#")[0]
    return target if target.startswith("/") else f"/{target}"


def shown_url(url: str) -> str:
    """Returns a URL for a message, which ends up in logs, where nobody's password belongs."""
    return repr(_USER_INFO.sub(r"\1***@", url))

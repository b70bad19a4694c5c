"""A client's cookies as its users see them: as `http.cookiejar` has them, which takes long to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class CookieLike(Protocol):
    """A cookie, as `http.cookiejar.Cookie` is one."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def value(self) -> str | None:
        """Its value."""

    @property
    def domain(self) -> str:
        """The host that it is for; with a dot before it, those below it as well."""

    @property
    def path(self) -> str:
        """The paths below which it is sent."""

    @property
    def secure(self) -> bool:
        """Whether it is for ``https`` only."""

    @property
    def expires(self) -> int | None:
        """When it ends, in seconds since 1970; ``None``: with the program."""


class CookieJarLike(Protocol):
    """A jar of cookies: an `http.cookiejar.CookieJar`, or one of its children, such as its `MozillaCookieJar`.

    It is named in this way so that ``import trio_h2`` does not import `http.cookiejar`; nothing else will do.
    """

    def __iter__(self) -> Iterator[CookieLike]:
        """Goes through all cookies."""

    def __len__(self) -> int:
        """Tells how many there are."""

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        """Forgets all cookies, those of a domain, those of a path there, or one."""

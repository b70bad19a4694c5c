"""Which requests go where."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from trio_h2 import Handler

from .._checks import check_bool, check_handler, check_hook
from .._field_docs import describe_fields
from .._values import Value
from ._servers import Servers

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_h2 import Headers, HeadersInput

Target: TypeAlias = str | Servers | Handler
"""Where requests go: the URL of a server, some `Servers`, or any handler."""

_HOST: Final = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]").fullmatch
_PREFIX: Final = re.compile(r"/[!$&-;=@-Z_a-z~]*").fullmatch


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Route(Value):
    """Which requests go where. Of those that fit, the one with the most precise host wins, then the longest prefix."""

    prefix: str
    """How the path begins: ``"/"`` fits all, ``"/api"`` fits ``/api`` and what is below ``/api/``, and not ``/apis``.
    It is as in a URL that has nothing percent-encoded; a path that has is compared as if it had not."""
    target: Target
    """Where they go: the URL of a server, `Servers`, or any handler: a `trio_h2.files.DirectoryHandler`, what
    `trio_h2.asgi.handler` makes of an application, or one of your own."""
    host: str | None = field(default=None, kw_only=True)
    """Which host they ask for, without a port: ``"example.com"``, ``"*.example.com"`` (whatever is below that), or
    ``None`` for any."""
    strip_prefix: bool = field(default=False, kw_only=True)
    """Whether servers get the path without the prefix. Not for handlers: those of this library can be told themselves
    (``prefix=`` of `trio_h2.files.DirectoryHandler`)."""
    rewrite: Callable[[Headers], HeadersInput] | None = field(default=None, kw_only=True)
    """A function that gets the headers of each request as a server is to get them, with ``:path``, and returns those
    that are sent instead. It must not wait. Not for handlers."""

    def __post_init__(self) -> None:
        if not isinstance(self.prefix, str):
            raise TypeError(f"prefix must be a str, not {self.prefix!r}")
        if not _PREFIX(self.prefix) or "//" in self.prefix:
            raise ValueError(f"prefix must be a path that begins with a slash, without escapes, not {self.prefix!r}")
        if not isinstance(self.target, str | Servers):
            check_handler(self.target)
            if self.strip_prefix or self.rewrite is not None:
                raise ValueError("strip_prefix and rewrite are for servers: a handler gets the request as it came")
        if isinstance(self.target, str):
            object.__setattr__(self, "target", Servers((self.target,)))
        if self.host is not None:
            if not isinstance(self.host, str):
                raise TypeError(f"host must be a str or None, not {self.host!r}")
            object.__setattr__(self, "host", self.host.lower())
            if not _HOST(self.host.lower()):
                raise ValueError(
                    f"host must be a name such as 'example.com' or '*.example.com', without a port, not {self.host!r}"
                )
        check_bool("strip_prefix", self.strip_prefix)
        check_hook("rewrite", self.rewrite)

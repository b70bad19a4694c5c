"""Throw-away certificates, for `--self-signed` and the demo. They need a package that the library itself does not."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from ._errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_h2.testing import ThrowawayAuthority


def throwaway_authority(*hosts: str) -> ThrowawayAuthority:
    """Makes an authority and one certificate for *hosts* and this machine.

    Raises:
        CommandError: what is needed for it is not installed.
    """
    if importlib.util.find_spec("trustme") is None:
        raise CommandError("throw-away certificates need trustme: pip install 'trio-h2[cli]'")
    from trio_h2.testing import ThrowawayAuthority

    return ThrowawayAuthority(_unique(["localhost", "127.0.0.1", "::1", *hosts]))


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))

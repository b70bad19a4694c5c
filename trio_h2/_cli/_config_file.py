"""A file of options, in TOML."""

from __future__ import annotations

import json
import re
import tomllib
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ._errors import UsageError, reason

if TYPE_CHECKING:
    from collections.abc import Iterable

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class ConfigFile:
    """What a file says, and the errors about that: each names the file and the key.

    Args:
        path: where it is.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, "rb") as file:
                self.table: dict[str, object] = tomllib.load(file)
        except OSError as exc:
            raise UsageError(f"cannot read the configuration {path}: {reason(exc)}") from exc
        except UnicodeDecodeError as exc:
            raise UsageError(f"{path} is not TOML: it is not in UTF-8") from exc
        except (tomllib.TOMLDecodeError, RecursionError) as exc:
            raise UsageError(f"{path} is not TOML: {exc}") from exc

    def refused(self, key: str, problem: str) -> UsageError:
        """Returns the error for what a key has.

        Args:
            key: which one.
            problem: what is said of it, e.g. ``must be a number, not "x"``.
        """
        return UsageError(f"{self.path}: {key} {problem}")

    def unknown(self, key: str, known: Iterable[str]) -> UsageError:
        """Returns the error for a key that is none of those that are *known*."""
        near = get_close_matches(key, list(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return UsageError(f"{self.path}: there is no option {key!r}{hint}")


def toml(value: object) -> str:
    """Returns how a value is written in TOML.

    Raises:
        ValueError: it cannot be, as names of files that are no text.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        value.encode()
        # TOML escapes as JSON does, and DEL in addition.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        pairs = [f"{key if _BARE_KEY.fullmatch(key) else toml(key)} = {toml(item)}" for key, item in value.items()]
        return f"{{{', '.join(pairs)}}}"
    return str(value)
